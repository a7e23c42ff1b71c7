"""What a frame of a live stream costs, beside the textbook's loop; how far a carried state drifts; memory over hours.

The textbook keeps a queue of the last 20 frames and calls ``model.predict`` on all of them whenever one comes. Here
the same network gets the same frames through ``Model.stream``: frames of the network's size, one for each tick, so
that every one of them counts. Time is taken in rounds that go through all ways of running it, one after the other.

Drift is measured with a model that has learned something, on a long video of somebody it has not seen: how far apart
the answers of ``carried`` and ``exact`` are at the same tick.

    python benchmarks/streaming.py                       trains the demo's model first
    python benchmarks/streaming.py --model RUN --video LONG.mp4 --out benchmarks/results/streaming.json
"""

from __future__ import annotations

import argparse
import csv
import datetime
import gc
import importlib.metadata
import itertools
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import kineme
from kineme.demo import run_demo
from kineme.files import write_json
from kineme.model import Model
from kineme.models.backend import seed_everything, versions
from kineme.models.model_file import ModelCard, config_of
from kineme.models.network import build_network
from kineme.models.registry import find_backbone, make_approach
from kineme.video.clips import ticks

TEXTBOOK = ("lrcn", {"backbone": "small-cnn"})
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("lrcn", {}),
    ("single-frame", {}),
    ("late-fusion", {"merge": "mean"}),
    ("convlstm", {}),
    ("lrcn", {"backbone": "efficientnet-lite0"}),
]
MARKS = {("litert", "exact"): 150, ("litert", "carried"): 500, ("keras", "exact"): 25, ("keras", "carried"): 55}
WAYS = tuple(MARKS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of a frame of a stream, drift of a carried state, memory.")
    parser.add_argument("--model", type=Path, help="a trained lrcn, for the drift (default: train the demo's)")
    parser.add_argument("--video", type=Path, help="a long video of somebody it has not seen, for the drift")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of timing (default 15)")
    parser.add_argument("--frames", type=int, default=100_000, help="frames pushed while memory is watched")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    if bool(arguments.model) != bool(arguments.video):
        parser.error("--model and --video go together")

    seed_everything(0)
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "versions": {**versions(), "ai-edge-litert": importlib.metadata.version("ai-edge-litert")},
        "machine": {
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "load_1_min_at_start": round(psutil.getloadavg()[0], 1),
        },
    }
    result["textbook"] = cost(*TEXTBOOK, arguments.rounds, marks=MARKS)
    print_cost("the textbook's LRCN", result["textbook"])
    result["others"] = []
    for name, options in OTHERS:
        result["others"].append(cost(name, options, max(3, arguments.rounds // 5)))
        print_cost(f"{name} {options or ''}", result["others"][-1])
    with tempfile.TemporaryDirectory(prefix="kineme-streaming-") as work:
        model, video = arguments.model, arguments.video
        if model is None:
            demo = run_demo(Path(work))
            model, video = demo.run.folder, Path(demo.prediction.source)
        result["drift"] = drift(kineme.load(model), video)
    print_drift(result["drift"])
    result["memory"] = [memory(engine, mode, arguments.frames) for engine, mode in WAYS]
    result["met"] = all(way["met"] for way in result["textbook"]["ways"])
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if result["met"] else 1)


def untrained(name: str, options: dict[str, Any]) -> Model:
    """A model with drawn weights: it takes the time of a trained one."""
    approach = make_approach(name, options)
    spec = find_backbone(approach.backbone).spec
    labels = ("one", "two", "three", "four")
    network = build_network(approach, spec, len(labels), pretrained=True)
    return Model(network, ModelCard(name, config_of(approach), spec, labels), name)


def cost(name: str, options: dict[str, Any], rounds: int, marks: dict[Any, float] | None = None) -> dict[str, Any]:
    """Milliseconds a frame of the textbook's loop and of every way to stream; medians over rounds."""
    model = untrained(name, options)
    spec = model.card.spec
    frames = np.random.default_rng(0).integers(0, 256, (64, spec.height, spec.width, 3), np.uint8)
    small = spec.height * spec.width < 10_000
    compiling, runs = {}, {}
    for engine, mode in WAYS:
        started = time.perf_counter()
        stream = (
            model.stream(mode=mode, engine=engine, **({"stride": 1} if mode == "exact" else {}))
            if (engine == "keras" or not whole_clips(model, mode))
            else None
        )
        compiling[engine, mode] = time.perf_counter() - started
        if stream is not None:
            runs[engine, mode] = pusher(stream, frames, spec.fps)
            for _ in range(2 * spec.frames):
                runs[engine, mode]()
    queue = list(frames[: spec.frames])
    loop = lambda: model.network.predict(np.stack(queue)[None], verbose=0)  # noqa: E731
    loop()

    taken: dict[Any, list[float]] = {way: [] for way in ("loop", *runs)}
    for _ in range(rounds):
        taken["loop"] += timed(loop, 2)
        for way, push in runs.items():
            taken[way] += timed(push, 64 if small else 8)
    ms = {way: float(np.median(seconds)) * 1e3 for way, seconds in taken.items()}
    ways = []
    for way in runs:
        ratio = ms["loop"] / ms[way]
        ways.append(
            {
                "engine": way[0],
                "mode": way[1],
                "ms_a_frame": round(ms[way], 4),
                "ms_95_percent": round(float(np.quantile(taken[way], 0.95)) * 1e3, 4),
                "times_the_loop": round(ratio, 1),
                "s_to_open": round(compiling[way], 2),
                **({"mark": marks[way], "met": ratio >= marks[way]} if marks else {}),
            }
        )
    return {
        "approach": name,
        "config": model.card.config,
        "clip": f"{spec.frames} x {spec.height} x {spec.width}",
        "parameters": model.network.count_params(),
        "loop_ms_a_frame": round(ms["loop"], 3),
        "ways": ways,
    }


def whole_clips(model: Model, mode: str) -> bool:
    """Whether every answer runs the whole network on all frames, which LiteRT is not asked to do."""
    return mode == "exact" and model.card.config["backbone"] == "pixels"


def pusher(stream: Any, frames: np.ndarray, fps: float) -> Callable[[], Any]:
    """Each call pushes the next frame, on time for the next tick."""
    ticking = itertools.count()

    def push() -> Any:
        tick = next(ticking)
        return stream.push(frames[tick % len(frames)], tick / fps)

    return push


def timed(call: Callable[[], Any], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return taken


def drift(model: Model, video: Path) -> dict[str, Any]:
    """How far the probabilities of ``carried`` are from those of ``exact`` along a video."""
    spec = model.card.spec
    frames = [frame for _, frame in ticks(video, spec)]
    streams = [model.stream(mode=mode, engine="keras") for mode in ("exact", "carried")]
    answers = [[stream.push(frame, tick / spec.fps) for tick, frame in enumerate(frames)] for stream in streams]
    exact_NK, carried_NK = (np.array(rows[spec.frames - 1 :]) for rows in answers)
    apart_N = np.abs(exact_NK - carried_NK).max(axis=1)
    parts = np.array_split(apart_N[1:], 4)
    return {
        "model": model.card.approach,
        "config": model.card.config,
        "ticks": len(frames),
        "seconds": round(len(frames) / spec.fps, 1),
        "first_full_window": float(f"{apart_N[0]:.1e}"),
        "mean": round(float(apart_N.mean()), 4),
        "median": round(float(np.median(apart_N)), 4),
        "95_percent": round(float(np.quantile(apart_N, 0.95)), 4),
        "max": round(float(apart_N.max()), 4),
        "mean_of_each_quarter": [round(float(part.mean()), 4) for part in parts],
        "same_label": round(float((exact_NK.argmax(1) == carried_NK.argmax(1)).mean()), 4),
        **share_right(model, video, exact_NK, carried_NK),
    }


def share_right(model: Model, video: Path, *both_NK: np.ndarray) -> dict[str, float]:
    """Share of the ticks within true segments, where they are known, at which each mode names the right action.

    Compared with the middle of the window that ends at the tick, where ``exact`` is surest.
    """
    table = video.parent / "segments.csv"
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"] == video.name]
    fps, frames = model.card.spec.fps, model.card.spec.frames
    right: list[list[bool]] = [[], []]
    for number in range(len(both_NK[0])):
        middle_s = (number + frames / 2) / fps
        for row in rows:
            if float(row["start_s"]) <= middle_s < float(row["end_s"]):
                for known, answers_NK in zip(right, both_NK, strict=True):
                    known.append(model.labels[int(answers_NK[number].argmax())] == row["label"])
    return {
        f"{mode}_right": round(float(np.mean(known)), 4)
        for mode, known in zip(("exact", "carried"), right, strict=True)
    }


def memory(engine: str, mode: str, frames: int) -> dict[str, Any]:
    """Resident memory while a long stream runs, sampled ten times from the first tenth on."""
    model = untrained(*TEXTBOOK)
    spec = model.card.spec
    pictures = np.random.default_rng(1).integers(0, 256, (50, 2 * spec.height, 2 * spec.width, 3), np.uint8)
    push = pusher(model.stream(mode=mode, engine=engine), pictures, spec.fps)
    process, samples = psutil.Process(), []
    for number in range(1, frames + 1):
        push()
        if number % max(1, frames // 10) == 0:
            gc.collect()
            samples.append(process.memory_info().rss)
    result = {
        "engine": engine,
        "mode": mode,
        "frames": frames,
        "resident_bytes": samples,
        "growth_bytes_a_frame": round((samples[-1] - samples[0]) / max(1, frames * 0.9), 2),
    }
    megabytes = [f"{sample / 1e6:.1f}" for sample in (samples[0], samples[len(samples) // 2], samples[-1])]
    print(f"memory, {engine} {mode}: {frames:,} frames, MB after a tenth, half and all: {', '.join(megabytes)}")
    return result


def print_cost(title: str, result: dict[str, Any]) -> None:
    print(f"{title}, {result['clip']}: model.predict on the window at each frame {result['loop_ms_a_frame']:.1f} ms")
    for way in result["ways"]:
        mark = f", mark {way['mark']}: {'met' if way['met'] else 'NOT met'}" if "mark" in way else ""
        print(
            f"  {way['engine']:<7}{way['mode']:<8}{way['ms_a_frame']:9.3f} ms a frame,"
            f"{way['times_the_loop']:8.1f} times as fast{mark}"
        )


def print_drift(result: dict[str, Any]) -> None:
    print(
        f"drift of carried from exact, {result['model']} over {result['seconds']} s: {result['first_full_window']} "
        f"at the first full window; then mean {result['mean']}, 95 % {result['95_percent']}, most {result['max']}; "
        f"by quarters {result['mean_of_each_quarter']}; the same label at {result['same_label']:.1%} of ticks"
    )
    if "exact_right" in result:
        exact, carried = result["exact_right"], result["carried_right"]
        print(f"  right within the true segments: exact {exact:.1%}, carried {carried:.1%}")


if __name__ == "__main__":
    main()
