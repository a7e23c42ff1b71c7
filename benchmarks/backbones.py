"""Processor time of one clip in the networks of other libraries, at their true size with random weights, beside I3D.

    python benchmarks/backbones.py --out benchmarks/results/backbones.json

Time does not depend on the values of weights, so nothing is fetched. Processor time of one thread is what other
programs on the machine disturb least; two idle cores take a little more than half of it. It needs the extras hf,
torchvision and tensorflow.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np

from kineme.cli.output import print_table
from kineme.files import write_json
from kineme.models.hub import torchvision as networks
from kineme.models.hub.families import FAMILIES, family_of
from kineme.models.hub.torch_network import run
from kineme.models.registry import find_backbone

CONFIGS = {
    "xclip": "XCLIPConfig",
    "videomae": "VideoMAEConfig",
    "timesformer": "TimesformerConfig",
    "vivit": "VivitConfig",
    "videoprism_vision_model": "VideoPrismVisionConfig",
    "vjepa2": "VJEPA2Config",
}
_ENOUGH_S = 20.0  # of processor time for each network


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor time of one clip in networks of other libraries.")
    every = ["i3d", *networks.NETWORKS, *CONFIGS]
    parser.add_argument("--only", nargs="*", default=every, choices=every)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    machine = {"machine": platform.machine(), "threads": 1, "torch": torch.__version__}
    rows = []
    for name in arguments.only:
        measure = _family if name in CONFIGS else _torchvision if name in networks.NETWORKS else _own
        rows.append(measure(name))
        print(rows[-1], flush=True)
        if arguments.out:
            write_json(arguments.out, {"date": datetime.date.today().isoformat(), **machine, "networks": rows})
    print_table(
        ["network", "parameters", "frames", "processor seconds a clip", "for each second of video"],
        [[row["title"], row["parameters"], row["frames"], row["clip_s"], row["per_second"]] for row in rows],
    )


def _own(name: str) -> dict[str, Any]:
    """A backbone of Kineme's own, which needs no weights to be timed."""
    record = find_backbone(name)
    network = record.build(record.spec)
    clip = np.zeros((1, record.spec.frames, record.spec.height, record.spec.width, 3), np.uint8)
    clip_s = processor_s(lambda: network.predict_on_batch(clip))
    return _row(name.upper(), network.count_params(), record.spec.frames, record.spec.fps, clip_s)


def _torchvision(name: str) -> dict[str, Any]:
    from torchvision.models import get_model, get_model_weights

    known, transforms = networks.NETWORKS[name], get_model_weights(name)["KINETICS400_V1"].transforms()
    network = get_model(name, weights=None).eval()
    crop = list(transforms.crop_size)
    pixels = np.random.default_rng(0).normal(size=(1, 3, known.frames, crop[0], crop[-1])).astype(np.float32)
    return _row(known.title, _parameters(network), known.frames, known.fps, processor_s(lambda: run(network, pixels)))


def _family(kind: str) -> dict[str, Any]:
    """A family of transformers, at the size of its default configuration."""
    import transformers

    config = getattr(transformers, CONFIGS[kind])()
    network = getattr(transformers, FAMILIES[kind].network)(config).eval()
    family, numbers = family_of(kind, config.to_dict() | {"model_type": kind})
    frames, (height, width) = family.frames(numbers), family.size(numbers)
    pixels = np.random.default_rng(0).normal(size=(1, frames, 3, height, width)).astype(np.float32)
    clip_s = processor_s(lambda: run(lambda one: family.tokens(network, one), pixels))
    return _row(family.title, _parameters(network), frames, family.fps(frames), clip_s)


def _parameters(network: Any) -> int:
    return sum(one.numel() for one in network.parameters())


def _row(title: str, parameters: int, frames: int, fps: float, clip_s: float) -> dict[str, Any]:
    per_second = round(clip_s / (frames / fps), 2)
    return {"title": title, "parameters": parameters, "frames": frames, "clip_s": round(clip_s, 2)} | {
        "per_second": per_second
    }


def processor_s(once: Callable[[], object]) -> float:
    """Least processor time of a call; the first, which also warms up, counts only where it is long."""
    seconds: list[float] = []
    while sum(seconds) < _ENOUGH_S and len(seconds) < 6:
        started = time.process_time()
        once()
        seconds.append(time.process_time() - started)
    return min(seconds)


if __name__ == "__main__":
    main()
