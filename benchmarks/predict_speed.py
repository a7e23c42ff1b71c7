"""How long recognising a whole video takes, beside decoding it and nothing else, and beside its own length.

A video of 60 s, 640 x 480, 25 frames a second, of drawn people, is decoded by PyAV alone and recognised by models
with drawn weights, which take the time of trained ones. All are timed in turn, round after round, in one process whose
start and whose compiling are over; what a process takes from its start on is told apart, for a video of a second
and for the whole.

    python benchmarks/predict_speed.py --out benchmarks/results/predict-speed.json
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import itertools
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from drawn_people.make import make_dataset
from kineme.files import write_json
from kineme.model import Model
from kineme.models.backend import seed_everything, versions
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.network import build_network
from kineme.models.registry import find_backbone, make_approach, recommended
from kineme.prediction.windows import open_scorer
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.write import VideoWriter

SECONDS, FPS, WIDTH, HEIGHT = 60, 25, 640, 480
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "lrcn from scratch": ("lrcn", {}),
    "lrcn on efficientnet-lite0": ("lrcn", recommended("lrcn", "efficientnet-lite0")),
}
MOST_OF_DECODING = 1.5  # the from-scratch LRCN, times decoding alone
LEAST_OF_REAL_TIME = 3.0  # the EfficientNet LRCN, times real time


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of recognising a whole video beside that of decoding it.")
    parser.add_argument("--video", type=Path, help="another video (default: drawn people)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of timing (default 7)")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    seed_everything(0)
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "versions": {
            **versions(),
            "av": av.__version__,
            "ai-edge-litert": importlib.metadata.version("ai-edge-litert"),
        },
        "machine": {
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "load_1_min_at_start": round(psutil.getloadavg()[0], 1),
        },
    }
    with tempfile.TemporaryDirectory(prefix="kineme-predict-speed-") as work:
        video = arguments.video or draw(Path(work))
        result |= measure(video, Path(work), arguments.rounds)
    show(result)
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if result["met"] else 1)


def draw(work: Path) -> Path:
    """A video of drawn people, of the wanted length: what was drawn, again from the start where it ends."""
    make_dataset(work / "drawn", clips=1, people=1, untrimmed=1, width=WIDTH, height=HEIGHT, workers=1)
    (source,) = (work / "drawn" / "untrimmed").glob("*.mp4")

    def frames() -> Iterator[np.ndarray]:
        while True:
            yield from (frame.pixels_HWC for frame in read_frames(source))

    with VideoWriter(work / "video.mp4", width=WIDTH, height=HEIGHT, fps=FPS) as writer:
        for frame in itertools.islice(frames(), SECONDS * FPS):
            writer.write(frame)
    return work / "video.mp4"


def measure(video: Path, work: Path, rounds: int) -> dict[str, Any]:
    """Median seconds of every way to go through the video, and the ratios that have a mark."""
    info = probe(video)
    models = {name: untrained(*wanted) for name, wanted in MODELS.items()}
    ways: dict[str, Callable[[], Any]] = {
        "decoding alone": lambda: decode(video),
        "decoding alone, threads": lambda: decode(video, "AUTO"),
    }
    opening = {}
    for name, model in models.items():
        for engine in ("auto", "keras"):
            ways[f"{name}, {engine}"] = lambda model=model, engine=engine: model.predict(video, engine=engine)
            started = time.perf_counter()
            open_scorer(model, engine)
            opening[f"{name}, {engine}"] = round(time.perf_counter() - started, 2)
    for call in ways.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            taken[name].append(timed(call))
    seconds = {name: float(np.median(every)) for name, every in taken.items()}
    scratch, large = (f"{name}, auto" for name in MODELS)
    marks = {
        "lrcn_times_decoding": (seconds[scratch] / seconds["decoding alone"], MOST_OF_DECODING, "at most"),
        "efficientnet_times_real_time": (info.duration_s / seconds[large], LEAST_OF_REAL_TIME, "at least"),
    }
    met = {name: value <= mark if sense == "at most" else value >= mark for name, (value, mark, sense) in marks.items()}
    return {
        "video": {
            "seconds": round(info.duration_s, 2),
            "size": f"{info.width} x {info.height}",
            "fps": float(info.fps),
            "codec": info.codec,
            "bytes": video.stat().st_size,
        },
        "seconds": {
            name: {
                "median": round(value, 3),
                "least": round(min(taken[name]), 3),
                "most": round(max(taken[name]), 3),
                "times_decoding_alone": round(value / seconds["decoding alone"], 2),
                "times_real_time": round(info.duration_s / value, 1),
                **({"s_to_open": opening[name]} if name in opening else {}),
            }
            for name, value in seconds.items()
        },
        "marks": {
            name: {"value": round(value, 2), "mark": mark, "met": met[name]} for name, (value, mark, _) in marks.items()
        },
        "met": all(met.values()),
        "process": {name: from_start(model, video, work) for name, model in models.items()},
    }


def decode(video: Path, thread_type: str | None = None) -> int:
    """Decode every frame and look at none, with PyAV as it comes or with the threads it is told to take."""
    with av.open(str(video)) as container:
        if thread_type:
            container.streams.video[0].thread_type = thread_type
        return sum(1 for _ in container.decode(video=0))


def untrained(name: str, options: dict[str, Any]) -> Model:
    """A model with drawn weights: it takes the time of a trained one."""
    approach = make_approach(name, options)
    spec = find_backbone(approach.backbone).spec
    labels = ("one", "two", "three", "four")
    network = build_network(approach, spec, len(labels), pretrained=True)
    return Model(network, ModelCard(name, config_of(approach), spec, labels), name)


def from_start(model: Model, video: Path, work: Path) -> dict[str, float]:
    """Seconds of ``kineme predict`` as a process, with its parts compiled before: of a second of video, and of all."""
    path = work / f"{model.card.config['backbone']}.safetensors"
    save_model(path, model.network, model.card)
    with VideoWriter(work / "second.mp4", width=WIDTH, height=HEIGHT, fps=FPS) as writer:
        for frame in itertools.islice(read_frames(video), FPS):
            writer.write(frame.pixels_HWC)
    main = "from kineme.cli.main import main; main()"
    found = {}
    for name, source in (("a_second_of_video", work / "second.mp4"), ("whole_video", video)):
        command = [sys.executable, "-c", main, "predict", str(source), "--model", str(path), "--json"]
        taken = [timed(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(4)]  # noqa: B023
        found[name] = round(float(np.median(taken[1:])), 2)
    return found


def timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def show(result: dict[str, Any]) -> None:
    video = result["video"]
    print(f"{video['seconds']} s of {video['size']} at {video['fps']} fps, {video['codec']}")
    for name, row in result["seconds"].items():
        print(
            f"  {name:<35}{row['median']:7.2f} s ({row['least']:.2f} to {row['most']:.2f}), "
            f"{row['times_decoding_alone']:.2f} times decoding, {row['times_real_time']:.0f} times real time"
        )
    for name, row in result["process"].items():
        print(f"  {name}, as a process: {row['a_second_of_video']} s for a second, {row['whole_video']} s for all")
    for name, row in result["marks"].items():
        print(f"{name} {row['value']}, mark {row['mark']}: {'met' if row['met'] else 'NOT met'}")


if __name__ == "__main__":
    main()
