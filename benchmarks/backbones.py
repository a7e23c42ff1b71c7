"""Seconds of one clip in the networks of other libraries, at their true size with random weights, beside I3D.

    python benchmarks/backbones.py --out benchmarks/results/backbones.json

Time does not depend on the values of weights, so nothing is downloaded. Each network runs in a process of its own, on
all cores, and its row is written when it has finished: ``--only`` measures some networks, and the file keeps the
others. Beside the seconds of a clock stand those of the processor, summed over the cores, which other work on the
machine changes little. A network that needs more than ``--limit`` seconds is left out. The script needs the extras hf,
torchvision and tensorflow.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pairs import record

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
NAMES = ("i3d", *networks.NETWORKS, *CONFIGS)  # the slowest is the last
_ENOUGH_S, _MOST_CALLS = 10.0, 4
_SECONDS = ("clip_s", "processor_s", "processor_per_second")


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds of one clip in networks of other libraries.")
    parser.add_argument("--only", nargs="*", default=NAMES, choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for each network, with its start")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--here", choices=NAMES, help="measure one network in this process, and print its row as JSON")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measured(arguments.here)))
        return
    result = record("torch", "transformers", "torchvision", "tensorflow")
    rows = json.loads(arguments.out.read_text("utf-8"))["networks"] if arguments.out and arguments.out.is_file() else {}
    for name in arguments.only:
        try:
            rows[name] = in_own_process(name, arguments.limit)
        except subprocess.TimeoutExpired:
            print(f"{name}: more than {arguments.limit:.0f} s", file=sys.stderr)
            continue
        print(name, rows[name], flush=True)
        if arguments.out:
            write_json(arguments.out, {**result, "networks": {one: rows[one] for one in NAMES if one in rows}})
    print_table(
        ["network", "parameters", "frames", "seconds a clip", "of the processor", "and for each second of video"],
        [[one[key] for key in ("title", "parameters", "frames", *_SECONDS)] for one in rows.values()],
    )


def in_own_process(name: str, limit_s: float) -> dict[str, Any]:
    """The row of a network; raises TimeoutExpired after so many seconds."""
    command = [sys.executable, __file__, "--here", name]
    asleep = {"OMP_WAIT_POLICY": "passive"}  # threads that wait for others use no processor time
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=limit_s, check=True, env=os.environ | asleep)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def measured(name: str) -> dict[str, Any]:
    """The row of a network, measured in this process."""
    return (_family if name in CONFIGS else _torchvision if name in networks.NETWORKS else _own)(name)


def _own(name: str) -> dict[str, Any]:
    """A backbone of Kineme's own, which needs no weights to be timed."""
    backbone = find_backbone(name)
    network = backbone.build(backbone.spec)
    clip = np.zeros((1, backbone.spec.frames, backbone.spec.height, backbone.spec.width, 3), np.uint8)
    fps = backbone.spec.fps
    return _row(name.upper(), network.count_params(), backbone.spec.frames, fps, lambda: network.predict_on_batch(clip))


def _torchvision(name: str) -> dict[str, Any]:
    from torchvision.models import get_model, get_model_weights

    known, transforms = networks.NETWORKS[name], get_model_weights(name)["KINETICS400_V1"].transforms()
    network = get_model(name, weights=None).eval()
    crop = list(transforms.crop_size)
    pixels = np.random.default_rng(0).normal(size=(1, 3, known.frames, crop[0], crop[-1])).astype(np.float32)
    return _row(known.title, _parameters(network), known.frames, known.fps, lambda: run(network, pixels))


def _family(kind: str) -> dict[str, Any]:
    """A family of transformers, at the size of its default configuration."""
    import transformers

    config = getattr(transformers, CONFIGS[kind])()
    network = getattr(transformers, FAMILIES[kind].network)(config).eval()
    family, numbers = family_of(kind, config.to_dict() | {"model_type": kind})
    frames, (height, width) = family.frames(numbers), family.size(numbers)
    pixels = np.random.default_rng(0).normal(size=(1, frames, 3, height, width)).astype(np.float32)
    fps = family.fps(frames)
    clip = lambda: run(lambda one: family.tokens(network, one), pixels)  # noqa: E731
    return _row(family.title, _parameters(network), frames, fps, clip)


def _parameters(network: Any) -> int:
    return sum(one.numel() for one in network.parameters())


def _row(title: str, parameters: int, frames: int, fps: float | None, clip: Callable[[], object]) -> dict[str, Any]:
    """The fastest call counts; one that takes long is not repeated: warming up is little of it."""
    seconds, busy = list[float](), list[float]()
    while sum(busy) < _ENOUGH_S and len(busy) < _MOST_CALLS:
        started, spent = time.perf_counter(), time.process_time()
        clip()
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - spent)
    assert fps
    taken = (min(seconds), min(busy), min(busy) * fps / frames)
    found = {"title": title, "parameters": parameters, "frames": frames}
    found |= {key: round(value, 2) for key, value in zip(_SECONDS, taken, strict=True)}
    return found | {"calls": len(seconds), "load_1_min": round(os.getloadavg()[0], 1)}


if __name__ == "__main__":
    main()
