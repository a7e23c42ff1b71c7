"""What a graphics card gives: training and I3D features on each backend of Keras, as a share of the card's matrix rate.

Each backend named is a process of its own (Keras' backend is chosen once), and all measure in turn: clips a second of
training for LRCN, ConvLSTM and slow fusion, as ``kineme train`` calls it; clips a second of I3D, 64 frames of 224
pixels, in float32 and in half precision; and the rate of a product of large square matrices, in both. It needs a Python
with the backends named and a card that they find; without a card it says so and ends.

    python benchmarks/gpu.py --backends tensorflow jax torch --out benchmarks/results/gpu.json
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from pairs import Side, record, shown, spread, table, take_turns
from training_speed import CLASSES, SAME, draw, kineme_side, mflop_a_clip

MATRIX, I3D_BATCH = 8192, 16
MEASURES = [*SAME, "i3d-float32", "i3d-bfloat16", "matrix-float32", "matrix-bfloat16"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Training and features on a graphics card, by backend.")
    parser.add_argument("--backends", nargs="+", default=["tensorflow"], choices=["tensorflow", "jax", "torch"])
    parser.add_argument("--only", nargs="*", default=MEASURES, choices=MEASURES, metavar="WHAT")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--allow-cpu", action="store_true", help="measure without a card, to try the script")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        measure_here(*arguments.side)
        return
    result = record("keras", *arguments.backends, measures={})
    with tempfile.TemporaryDirectory(prefix="kineme-gpu-") as work:
        draw(Path(work))
        for what in arguments.only:
            result["measures"][what] = measure(what, work, arguments)
    rows = list(lines(result["measures"], arguments.backends))
    table(["what", "backend", "a second", "of the matrix rate"], rows)
    if arguments.out:
        from kineme.files import write_json

        write_json(arguments.out, result)


def measure(what: str, work: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """What every backend gives, in turn."""
    me = [__file__, "--side", what, work]
    taken: dict[str, list[float]] = {name: [] for name in arguments.backends}
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(Side(me, env={"KERAS_BACKEND": name, "TF_CPP_MIN_LOG_LEVEL": "3"}))
            for name in arguments.backends
        }
        cards = {name: side.facts["device"] for name, side in sides.items()}
        if "cpu" in cards.values() and not arguments.allow_cpu:
            sys.exit(f"no graphics card is found by {[name for name, card in cards.items() if card == 'cpu']}")
        for number in range(1 + arguments.rounds):  # the first compiles
            for name, side in sides.items():
                value = side.turn()
                if number:
                    taken[name].append(value)
        gflop = textbook_gflop(what) if what in SAME else sides[arguments.backends[0]].facts["gflop"]
    return {"gflop": gflop, "devices": cards, "a_second": {name: spread(each) for name, each in taken.items()}}


def lines(measures: dict[str, Any], backends: list[str]) -> Any:
    """The rows of the table."""
    for what, one in measures.items():
        for name in backends:
            rate = one["a_second"][name]
            matrix = measures.get("matrix-bfloat16" if what.endswith("bfloat16") else "matrix-float32")
            share = ""
            if matrix and one is not matrix:
                peak = matrix["a_second"][name]["median"] * matrix["gflop"]
                share = f"{rate['median'] * one['gflop'] / peak:.1%}"
            yield [what, name, shown(rate), share]


def measure_here(what: str, work: str) -> None:
    """In the process of a backend: measure whenever it is its turn."""
    kind, _, precision = what.partition("-")
    if what in SAME:
        kineme_side(what, Path(work), device=device())
        return
    if kind == "matrix":
        call, gflop, count = matrix_product(precision), 2 * MATRIX**3 / 1e9, 1
    else:
        (call, gflop), count = i3d_features(precision), I3D_BATCH
    take_turns(lambda: count / seconds(call), device=device(), gflop=gflop)


def device() -> str:
    """``"gpu"`` if the backend of this process has one, else ``"cpu"``."""
    if os.environ["KERAS_BACKEND"] == "torch":
        import torch

        return "gpu" if torch.cuda.is_available() else "cpu"
    from keras.distribution import list_devices

    return "gpu" if list_devices("gpu") else "cpu"


def seconds(call: Callable[[], Any]) -> float:
    """Wall time of a call, until its result has come back."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def matrix_product(precision: str) -> Callable[[], Any]:
    from keras import ops

    matrix = ops.cast(np.random.default_rng(0).random((MATRIX, MATRIX), np.float32), precision)
    return lambda: float(ops.convert_to_numpy(ops.cast(ops.matmul(matrix, matrix)[0, 0], "float32")))


def i3d_features(precision: str) -> tuple[Callable[[], Any], float]:
    """A batch of clips through I3D with random weights, and the GFLOP of a clip."""
    import keras

    from kineme.models.registry import find_backbone

    keras.mixed_precision.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    backbone = find_backbone("i3d")
    network = backbone.build(backbone.spec)
    clips = np.zeros((I3D_BATCH, backbone.spec.frames, backbone.spec.height, backbone.spec.width, 3), np.uint8)
    return lambda: network.predict_on_batch(clips), forward_gflop(network)


def forward_gflop(network: Any) -> float:
    """Of a network applied to one clip, counted from its convolutions."""
    count = 0
    for layer in network._flatten_layers(include_self=False, recursive=True):
        for weight in getattr(layer, "weights", []):
            if weight.name.endswith("kernel") and hasattr(layer, "output"):
                count += 2 * int(np.prod(layer.output.shape[1:-1])) * int(np.prod(weight.shape))
    return count / 1e9


def textbook_gflop(name: str) -> float:
    """Of one clip in a training step of a network."""
    import textbook

    return float(mflop_a_clip(textbook.compiled(name, CLASSES))) / 1e3


if __name__ == "__main__":
    main()
