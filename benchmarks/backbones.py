"""How long a clip takes in each network of another library, at its true size with random weights.

    python benchmarks/backbones.py --out benchmarks/results/backbones.json

Time does not depend on the values of weights, so nothing is fetched. It needs the extra hf, and torchvision for its
networks; run it where nothing else runs.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kineme.cli.output import print_table
from kineme.files import write_json
from kineme.models.hub.families import FAMILIES, family_of
from kineme.models.hub.torch_network import run

CONFIGS = {
    "videomae": "VideoMAEConfig",
    "timesformer": "TimesformerConfig",
    "vivit": "VivitConfig",
    "vjepa2": "VJEPA2Config",
    "videoprism_vision_model": "VideoPrismVisionConfig",
    "xclip": "XCLIPConfig",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds a clip of networks of other libraries.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts, after one that warms up")
    parser.add_argument("--only", nargs="*", default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    rows = [measure(kind, arguments.runs) for kind in arguments.only]
    print_table(
        ["network", "parameters", "frames", "seconds a clip", "seconds for each second of video"],
        [[row["title"], row["parameters"], row["frames"], row["clip_s"], row["per_second"]] for row in rows],
    )
    if arguments.out:
        machine = {"machine": platform.machine(), "threads": arguments.threads, "torch": torch.__version__}
        write_json(arguments.out, {"date": datetime.date.today().isoformat(), **machine, "networks": rows})


def measure(kind: str, runs: int) -> dict[str, Any]:
    """One family, at the size of its default configuration."""
    import transformers

    config = getattr(transformers, CONFIGS[kind])()
    network = getattr(transformers, FAMILIES[kind].network)(config).eval()
    family, numbers = family_of(kind, config.to_dict() | {"model_type": kind})
    frames, (height, width) = family.frames(numbers), family.size(numbers)
    pixels = np.random.default_rng(0).normal(size=(1, frames, 3, height, width)).astype(np.float32)
    clip_s = median(lambda: run(lambda one: family.tokens(network, one), pixels), runs)
    return {
        "title": family.title,
        "parameters": sum(one.numel() for one in network.parameters()),
        "frames": frames,
        "clip_s": round(clip_s, 3),
        "per_second": round(clip_s / (frames / family.fps(frames)), 3),
    }


def median(once: Callable[[], object], runs: int) -> float:
    """Median seconds of a call, after one that warms up."""
    once()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


if __name__ == "__main__":
    main()
