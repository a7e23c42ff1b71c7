"""What it costs to find and follow people: by how many there are, by how small they are, live, and in memory.

The people are a photograph that comes with matplotlib, moving about on grey: real enough for the network, and as many
as are wanted. Detection is one run of the network however many people there are; what grows with them is the tracker
and, where a model follows, a step for each. Time is processor time, which other programs change little.

    python benchmarks/people.py
    python benchmarks/people.py --looks 10000 --out benchmarks/results/people.json
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import psutil
from numpy.typing import NDArray

from kineme.files import write_json
from kineme.model import Model
from kineme.models.model_file import ModelCard, config_of
from kineme.models.network import build_network
from kineme.models.registry import make_approach
from kineme.people.detector import PeopleDetector
from kineme.people.find import RATE
from kineme.people.follower import PeopleFollower
from kineme.people.tracker import Tracker
from kineme.video.spec import ClipSpec

Frame = NDArray[np.uint8]

PLACES = (0.02, 0.35, 0.68, 0.19, 0.52, 0.84)  # left edges of six people, in shares of the width


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of finding and following people.")
    parser.add_argument("--repeats", type=int, default=15, help="timings of each kind, of which the median counts")
    parser.add_argument("--live-seconds", type=float, default=20.0, help="length of the live stream")
    parser.add_argument("--looks", type=int, default=10_000, help="frames looked at while memory is watched")
    parser.add_argument("--only", nargs="*", help="measure these parts; others stay as they are in the file of --out")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    before = json.loads(arguments.out.read_text("utf-8")) if arguments.only and arguments.out else {}
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "versions": {name: importlib.metadata.version(name) for name in ("kineme", "ai-edge-litert", "numpy")},
        "machine": {
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "load_1_min_at_start": round(psutil.getloadavg()[0], 1),
        },
    }
    if result["machine"]["load_1_min_at_start"] > 0.5:
        print(f"note: other programs run (load {result['machine']['load_1_min_at_start']})")
    result |= before  # date and load are those of the first run
    parts: dict[str, Callable[[], Any]] = {
        "by_count": lambda: by_count(arguments.repeats),
        "small_people": lambda: small_people(arguments.repeats),
        "live": lambda: live(arguments.live_seconds),
        "memory": lambda: memory(arguments.looks),
    }
    for name, measure in parts.items():
        if arguments.only and name not in arguments.only:
            continue
        result[name] = measure()
        if arguments.out:
            write_json(arguments.out, result)


@cache
def portrait(height: int) -> Frame:
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    whole = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.resize(whole, (round(height * 512 / 600), height), interpolation=cv2.INTER_AREA), np.uint8)


def scene(count: int, number: int, size: tuple[int, int] = (480, 640), height: int = 220) -> Frame:
    """Frame of so many people, in two rows from the fourth on, who sway a little from frame to frame."""
    frame, person = np.full((*size, 3), 128, np.uint8), portrait(height)
    for place, share in enumerate(PLACES[:count]):
        left = round(share * size[1] + 8 * np.sin(number / 5 + place))
        bottom = size[0] if place < 3 else size[0] - height - 10
        first, last = max(left, 0), min(left + person.shape[1], size[1])
        frame[bottom - height : bottom, first:last] = person[:, first - left : last - left]
    return frame


def median_ms(call: Callable[[int], object], repeats: int) -> float:
    call(0)
    taken = []
    for number in range(1, repeats + 1):
        started = time.process_time()
        call(number)
        taken.append(1e3 * (time.process_time() - started))
    return float(np.median(taken))


def by_count(repeats: int) -> list[dict[str, float]]:
    """Milliseconds of detection and of the tracker for one to six people at 640 x 480, in turn."""
    detect, rows = PeopleDetector(second_look=False), []
    print("people  found  detection  tracker  looks/s  tracker as a share of detection")
    for count in range(1, 7):
        frames = [scene(count, number) for number in range(repeats + 1)]
        found = [detect(frame) for frame in frames]
        tracker = Tracker()
        detection_ms = median_ms(lambda number, frames=frames: detect(frames[number]), repeats)  # type: ignore[misc]
        tracker_ms = median_ms(
            lambda number, found=found, tracker=tracker: tracker.update(found[number], number / RATE), repeats
        )
        seen = float(np.mean([(one.scores_P >= 0.3).sum() for one in found]))
        row = {"people": count, "found": seen, "detection_ms": detection_ms, "tracker_ms": tracker_ms}
        rows.append({name: round(value, 3) for name, value in row.items()})
        looks = 1e3 / (detection_ms + tracker_ms)
        share = tracker_ms / detection_ms
        print(f"{count:6}  {seen:5.1f}  {detection_ms:6.1f} ms  {tracker_ms:4.2f} ms  {looks:7.1f}  {share:.1%}")
    return rows


def small_people(repeats: int) -> list[dict[str, Any]]:
    """What a look costs at 1280 x 720, as a multiple of one without a second look."""
    print("\nlook at 1280 x 720                    ms    times the first look alone")
    rows: list[dict[str, Any]] = []
    plain = PeopleFollower(second_look=False)
    cases: list[tuple[str, PeopleFollower, int, int]] = [
        ("three large people, first look alone", plain, 3, 350),
        ("three large people", PeopleFollower(), 3, 350),
        ("three people 100 pixels high", PeopleFollower(), 3, 100),
        ("nobody", PeopleFollower(), 0, 330),
    ]
    for name, follower, count, height in cases:
        frames = [scene(count, number, (720, 1280), height) for number in range(repeats + 1)]
        ms = median_ms(
            lambda number, follower=follower, frames=frames: follower.look(frames[number], number / RATE), repeats
        )
        rows.append({"case": name, "ms": round(ms, 1), "ratio": round(ms / rows[0]["ms"], 2) if rows else 1.0})
        print(f"{name:36}  {ms:5.1f}  {rows[-1]['ratio']:.2f}")
    return rows


def live(seconds: float) -> dict[str, float]:
    """Processor time of a stream of 640 x 480 at 25 frames a second with three people, as a share of real time."""
    spec = ClipSpec(frames=16, height=64, width=64, region="person")
    approach = make_approach("lrcn", {"backbone": "small-cnn"})
    card = ModelCard("lrcn", config_of(approach), spec, ("one", "two"))
    model = Model(build_network(approach, spec, 2), card, "lrcn")
    frames = [scene(3, number) for number in range(25)]
    followed = 0
    with model.stream(people=True) as stream:
        for number in range(50):  # compiled, and everybody found
            stream.push(frames[number % 25], number / 25)
        started = time.process_time()
        for number in range(50, 50 + round(25 * seconds)):
            followed = len(stream.push(frames[number % 25], number / 25))
        took_s = time.process_time() - started
    share = took_s / seconds
    print(f"\nlive, 640 x 480, {followed} people, {RATE:g} looks a second: {share:.0%} of real time on one core")
    return {"people": followed, "share_of_real_time": round(share, 3)}


def memory(looks: int) -> dict[str, float]:
    """Resident memory while a live follower looks at frames, of a low picture that costs little: it must not grow."""
    process, follower, readings = psutil.Process(), PeopleFollower(), []
    frames = [scene(3, number, (160, 640), 150) for number in range(25)]
    followed = 0
    for number in range(looks):
        followed = len(follower.look(frames[number % 25], number / RATE))
        if number % max(1, looks // 10) == looks // 10 - 1:
            readings.append(process.memory_info().rss / 1e6)
    grown = readings[-1] - readings[0] if readings else 0.0
    print(f"memory over {looks:,} looks at {followed} people, MB: {', '.join(f'{one:.0f}' for one in readings)}")
    return {"looks": looks, "after_a_tenth_mb": round(readings[0], 1), "grown_mb": round(grown, 1)}


if __name__ == "__main__":
    main()
