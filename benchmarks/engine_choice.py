"""Is the engine that ``auto`` chooses the fastest, and does it need little memory?

Every part of every approach, at its usual size, with drawn weights (which take the time of trained ones): Keras is
timed in this process, where the parts are compiled; LiteRT and OpenVINO each in a process of its own, which starts
from the compiled part, as a second ``predict`` does. All are timed in turn, and the fastest run of each counts. The
memory is the most that a process had. The engine that ``auto`` chooses must take at most 1.15 times the time of the
best engine, and 1.5 times the least memory.

    python benchmarks/engine_choice.py --out benchmarks/results/engine-choice.json
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pairs import Side, mark, record, table, take_turns

from kineme.errors import UsageError
from kineme.files import write_json
from kineme.memory import peak_mb
from kineme.models.engine_trial import example_inputs, fastest_ms
from kineme.prediction.engine import Function, PartName
from kineme.prediction.engines.select import open_engine
from kineme.prediction.trained import TrainedModel

MOST_TIME, MOST_MEMORY = 1.15, 1.5  # times the best engine's, and the least
BUDGET_S = 0.05  # of an engine in a round
COMPILED = ("litert", "openvino")
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "single frame": ("single-frame", {}),
    "late fusion": ("late-fusion", {}),
    "early fusion": ("early-fusion", {}),
    "slow fusion": ("slow-fusion", {}),
    "LRCN": ("lrcn", {}),
    "ConvLSTM": ("convlstm", {}),
    "pose LSTM": ("pose-lstm", {}),
    "LRCN on EfficientNet-Lite0": ("lrcn", {"backbone": "efficientnet-lite0"}),
    "late fusion on I3D": ("late-fusion", {"backbone": "i3d"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="The engine that is chosen, beside each of the others.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of timing (default 5); of I3D one")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS), help="default: all")
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    if arguments.side:
        be_side(*arguments.side)
        return
    result = record("keras", "tensorflow", "ai-edge-litert", "openvino", parts={})
    with tempfile.TemporaryDirectory(prefix="kineme-engine-choice-") as work:
        keep_apart(Path(work))
        for name in arguments.models:
            path = Path(work, f"{name}.safetensors")
            draw_model(path, *MODELS[name])
            model = TrainedModel.load(path)
            for part in parts_of(model):
                found = compare(model, part, 1 if model.card.is_heavy else arguments.rounds)
                result["parts"][f"{name}, {part}"] = found
                print(f"{name}, {part}: {found}", flush=True)
    worst = [max(one["auto"][key] for one in result["parts"].values()) for key in ("times_best", "times_least_memory")]
    result["marks"] = {"time": mark(worst[0], most=MOST_TIME), "memory": mark(worst[1], most=MOST_MEMORY)}
    show(result)
    if arguments.out:
        write_json(arguments.out, result)


def keep_apart(work: Path) -> None:
    """Let this run measure anew, with the weights that are there."""
    from kineme.models import weights

    there = weights.cache_folder()
    os.environ["KINEME_CACHE"] = str(work / "cache")
    Path(work, "cache").mkdir()
    if there.exists():
        Path(work, "cache", "weights").symlink_to(there, target_is_directory=True)


def draw_model(path: Path, approach_name: str, options: dict[str, Any]) -> None:
    from kineme.models.model_file import ModelCard, config_of, save_model
    from kineme.models.network import build_network
    from kineme.models.registry import find_backbone, make_approach, recommended

    backbone = options.get("backbone")
    approach = make_approach(approach_name, recommended(approach_name, backbone) if backbone else {})
    spec, labels = find_backbone(approach.backbone).spec, ("one", "two", "three", "four")
    network = build_network(approach, spec, len(labels), pretrained=True)
    save_model(path, network, ModelCard(approach_name, config_of(approach), spec, labels))


def parts_of(model: TrainedModel) -> list[PartName]:
    from kineme.prediction.engines.steps import part_of

    wanted: list[PartName] = ["frame", "window"] if model.card.is_per_frame else ["clip"]
    if model.poses:
        wanted.remove("frame")
    try:
        part_of("step", model.network, model.card)
        wanted.append("step")
    except UsageError:
        pass
    return wanted


def compare(model: TrainedModel, part: PartName, rounds: int) -> dict[str, Any]:
    """Milliseconds and megabytes of a part on every engine, and which of them is chosen."""
    engines = {name: open_engine(name, model).function(part) for name in ("keras", *COMPILED, "auto")}  # all compiled
    chosen = {type(engines[name]): name for name in ("keras", *COMPILED)}[type(engines["auto"])]
    shapes = engines["litert"].input_shapes
    types = list(engines["litert"].input_types)
    keras = runner(engines["keras"], shapes, types)
    ms: dict[str, float] = {}
    mb: dict[str, float] = {}
    with ExitStack() as stack:
        command = [__file__, "--side", str(model.path), part]
        sides = {name: stack.enter_context(Side([*command, name])) for name in COMPILED}
        for _ in range(1 + rounds):
            ms["keras"] = min(keras(), ms.get("keras", float("inf")))
            for name, side in sides.items():
                taken, mb[name] = side.turn()  # type: ignore[misc]
                ms[name] = min(taken, ms.get(name, float("inf")))
    best = min(ms, key=ms.__getitem__)
    return {
        "ms": {name: float(f"{value:.4g}") for name, value in ms.items()},
        "mb": mb,
        "auto": {
            "chosen": chosen,
            "best": best,
            "times_best": round(ms[chosen] / ms[best], 2),
            "times_least_memory": round(mb.get(chosen, peak_mb() or 0) / min(mb.values()), 2),
        },
    }


def runner(function: Function, shapes: list[tuple[int, ...]], types: list[str]) -> Callable[[], float]:
    inputs = example_inputs(shapes, types)
    return lambda: fastest_ms(lambda: function(*inputs), BUDGET_S)


def be_side(path: str, part: PartName, engine: str) -> None:
    """In a process of its own: milliseconds, and the most memory so far, of what a file is predicted with."""
    import kineme.video.convert  # noqa: F401

    function: Any = open_engine(engine, TrainedModel.load(path)).function(part)
    types = getattr(function, "input_types", [])
    measure = runner(function, function.input_shapes, types)
    take_turns(lambda: [measure(), peak_mb()])  # type: ignore[arg-type, return-value]


def show(result: dict[str, Any]) -> None:
    names = ("keras", *COMPILED)
    rows = [
        [
            part,
            *(f"{one['ms'][name]:.3g}" for name in names),
            *(f"{one['mb'][name]:.0f}" for name in names[1:]),
            one["auto"]["chosen"],
            one["auto"]["times_best"],
            one["auto"]["times_least_memory"],
        ]
        for part, one in result["parts"].items()
    ]
    head = ["part", *(f"ms {name}" for name in names), *(f"MB {name}" for name in names[1:])]
    table([*head, "chosen", "times best", "times least memory"], rows)
    for name, one in result["marks"].items():
        print(f"{name}: {one['value']}, at most {one['most']}: {'met' if one['met'] else 'NOT met'}")


if __name__ == "__main__":
    main()
