"""Which engine runs which network fastest, on one thread and on two; and the features of the large backbones.

Parts of models, with the weights they come with or drawn ones (which take the same time), run on Keras' own graph
(TensorFlow with oneDNN, as Kineme sets it), LiteRT, ONNX Runtime and OpenVINO in turn. A second table sets the
features of a backbone, as training and prediction compute them, beside Keras' ``predict`` as it comes.

    python benchmarks/engines.py --out benchmarks/results/engines.json
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pairs import Side, cores, in_turn, mark, ratio, record, seconds_of, shown, spread, table, take_turns

from kineme.files import write_json

FRAMES = 32  # for features of EfficientNet: one batch
TIMES = 3.0  # what features must reach, times Keras' predict
TOOLS = ("keras", "tensorflow", "ai-edge-litert", "onnxruntime", "openvino")
PARTS = {  # approach, options and part
    "lrcn, step": ("lrcn", {}, "step"),
    "lrcn, clip": ("lrcn", {}, "clip"),
    "late fusion, clip": ("late-fusion", {}, "clip"),
    "early fusion, clip": ("early-fusion", {}, "clip"),
    "convlstm, step": ("convlstm", {}, "step"),
    "convlstm, clip": ("convlstm", {}, "clip"),
    "slow fusion, clip": ("slow-fusion", {}, "clip"),
    "efficientnet-lite0, frame": ("lrcn", {"backbone": "efficientnet-lite0"}, "frame"),
    "i3d, clip": ("late-fusion", {"backbone": "i3d"}, "clip"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Engines side by side.")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of timing (default 9)")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS), help="default: all")
    parser.add_argument("--side", choices=("efficientnet-lite0", "i3d"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    if arguments.side:
        predict_as_it_comes(arguments.side)
        return
    result = record(*TOOLS, engines={}, features={})
    for name in arguments.parts:
        result["engines"][name] = compare(name, arguments.rounds)
        show({name: result["engines"][name]})
    for backbone in ("efficientnet-lite0", "i3d"):
        if any(backbone in name for name in arguments.parts):
            result["features"][backbone] = features(backbone, arguments.rounds)
    show(result["engines"])
    if result["features"]:
        head = [
            "features",
            "ms a frame, engine",
            "Keras predict as it comes",
            "times",
            "the same without oneDNN",
            "times",
        ]
        cells = [
            [
                name,
                *(
                    shown(row[key])
                    for key in ("chosen_ms", "predict_ms", "times", "predict_without_onednn_ms", "times_without_onednn")
                ),
            ]
            for name, row in result["features"].items()
        ]
        table(head, cells)
    if arguments.out:
        write_json(arguments.out, result)


def network_of(approach_name: str, options: dict[str, Any], part: str) -> Any:
    """A part of an approach at its usual size, as a Keras model."""
    from kineme.models.model_file import ModelCard, config_of
    from kineme.models.network import build_network
    from kineme.models.registry import find_backbone, make_approach, recommended
    from kineme.prediction.engines.steps import part_of, stream_part

    backbone = options.get("backbone")
    approach = make_approach(approach_name, recommended(approach_name, backbone) if backbone else {})
    spec, labels = find_backbone(approach.backbone).spec, ("one", "two", "three", "four")
    network = build_network(approach, spec, len(labels), pretrained=True)
    card = ModelCard(approach_name, config_of(approach), spec, labels)
    return stream_part(card, network) if part == "step" else part_of(part, network, card)


def compare(name: str, rounds: int) -> dict[str, Any]:
    """Milliseconds of one run on every engine and number of threads, and how far the outputs are from Keras'."""
    from kineme.models import formats
    from kineme.prediction.engines.keras import KerasFunction

    network = network_of(*PARTS[name])
    rng = np.random.default_rng(0)
    given = [
        rng.integers(0, 256, shape, np.uint8) if one.dtype == "uint8" else np.zeros(shape, np.float32)
        for one in network.inputs
        for shape in [(1, *one.shape[1:])]
    ]
    inputs = [f"input{number}" for number in range(len(given))]
    outputs = [f"output{number}" for number in range(len(network.outputs))]
    keras = KerasFunction(network)
    wanted = keras(*given)[0]
    ways: dict[str, Callable[[], Any]] = {"keras": lambda: keras(*given)}
    differences, failed = {}, {}
    named = dict(zip(inputs, given, strict=True))
    with tempfile.TemporaryDirectory(prefix="kineme-engines-") as work:
        for format_ in formats.FORMATS.values():
            if format_.name == "savedmodel" or not all(map(importlib.util.find_spec, format_.modules)):
                continue
            path = Path(work, f"part{format_.suffix}")
            try:
                formats.write(format_, network, inputs, outputs, path, {})
                for threads in (1, 2):
                    run = format_.open(path, threads)
                    found = run(named)["output0"]
                    ways[f"{format_.name}, {threads}"] = lambda run=run: run(named)
            except Exception as error:
                failed[format_.name] = str(error)[:200]
                continue
            differences[format_.name] = float(np.abs(found - wanted).max() / max(1e-9, np.abs(wanted).max()))
        often = {way: max(1, min(50, round(0.1 / seconds_of(call)))) for way, call in ways.items()}
        taken = in_turn({way: lambda way=way: repeat(ways[way], often[way]) for way in ways}, rounds)
    milliseconds = {way: [1000 * one / often[way] for one in every] for way, every in taken.items()}
    result: dict[str, Any] = {way: spread(every) for way, every in milliseconds.items()}
    return {"ms": result, "difference": differences, "failed": failed}


def repeat(call: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        call()


def predict_as_it_comes(backbone: str) -> None:
    """In a process of its own: milliseconds a frame of ``predict``."""
    import tensorflow  # noqa: F401  # before Kineme, which would switch oneDNN on

    from kineme.models.backend import keras  # noqa: F401

    if os.environ.pop("KINEME_BENCHMARK_PLAIN", None):
        os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
    network, frames = backbone_of(backbone)

    def measure() -> float:
        started = time.perf_counter()
        network.predict(frames, verbose=0)
        return 1000 * (time.perf_counter() - started) / frames_in(frames)

    measure()
    take_turns(measure)


def backbone_of(name: str) -> tuple[Any, np.ndarray]:
    """What gives the features, and pixels for it: a batch of frames, or one clip."""
    network = whole_of(name).get_layer("backbone")
    rng = np.random.default_rng(0)
    if name == "i3d":
        return network, rng.integers(0, 256, (1, *network.input.shape[1:]), np.uint8)
    inner = network.get_layer("frame_network")
    return inner, rng.integers(0, 256, (FRAMES, *inner.input.shape[1:]), np.uint8)


def whole_of(backbone: str) -> Any:
    return network_of("late-fusion", {"backbone": backbone}, "clip")


def frames_in(pixels: np.ndarray) -> int:
    return int(np.prod(pixels.shape[:-3]))


def features(backbone: str, rounds: int) -> dict[str, Any]:
    """Milliseconds a frame of features as Kineme computes them, and by Keras' ``predict``."""
    from kineme.models.approaches.single_frame import SingleFrame
    from kineme.models.network import frozen_encoder

    encoder = frozen_encoder(whole_of(backbone), SingleFrame(backbone=backbone))
    _, frames = backbone_of(backbone)

    def chosen() -> None:
        """As the cache of features does it: as many videos side by side as there are cores."""
        if encoder.per_window:
            encoder.window(frames[0])
            return
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(encoder.features, np.array_split(frames, cores())))

    command = [__file__, "--side", backbone]
    with (
        Side(command, env={"TF_ENABLE_ONEDNN_OPTS": None, "KINEME_BENCHMARK_PLAIN": "1"}) as plain,
        Side(
            command, env={"TF_ENABLE_ONEDNN_OPTS": "0"}
        ) as without,  # what TensorFlow chooses where AVX-512 is missing
    ):
        ways = {
            "chosen": chosen,
            "plain": plain.turn,
            "without": without.turn,
        }
        taken = in_turn(ways, rounds)
    ours = [1000 * one / frames_in(frames) for one in taken["chosen"]]
    times = ratio(taken["plain"], ours)
    return {
        "chosen_ms": spread(ours),
        "predict_ms": spread(taken["plain"]),
        "times": times,
        "predict_without_onednn_ms": spread(taken["without"]),
        "times_without_onednn": ratio(taken["without"], ours),
        "mark": mark(times["median"], least=TIMES),
    }


def show(engines: dict[str, Any]) -> None:
    ways = sorted({way for row in engines.values() for way in row["ms"]}, key=lambda way: (way != "keras", way))
    cells = [
        [name, *(f"{row['ms'][way]['median']:.3g}" if way in row["ms"] else "-" for way in ways)]
        for name, row in engines.items()
    ]
    table(["ms, median", *ways], cells)
    for name, row in engines.items():
        for engine, reason in row["failed"].items():
            print(f"{name}: {engine} cannot: {reason}")


if __name__ == "__main__":
    main()
