"""How well `kineme check` finds what is wrong: planted faults, planted copies, false alarms, and the time it takes.

Four sets are made. *Faults*: a small set with one fault of every kind planted in it; each must be named. *Copies*:
drawn people, each in a place of their own, and copies of their videos put under other people's names: byte for byte,
encoded again at another size and quality, mirrored, cropped, and at another speed or cut at the ends. *Speed*:
videos of 7 s at 320 x 240, each of another scene, looked at and compared from cold. *Look-alikes*: different takes of
poses that are held or slowly taken, recordings of one screen, a camera that never moves, and with ``--real`` the sets
and clips of ``shared/data``, cut into pieces that do not overlap; none of them may be taken for one recording.

    python benchmarks/check.py --out benchmarks/results/check.json
"""

from __future__ import annotations

import argparse
import csv
import datetime
import itertools
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from look_alikes import find_look_alikes
from numpy.typing import NDArray

from drawn_people.make import make_dataset
from kineme import api
from kineme.dataset.audit.audit import Audit, audit
from kineme.dataset.audit.cache import InspectionCache
from kineme.files import write_json
from kineme.models.backend import versions
from kineme.video.decode import read_frames
from kineme.video.spec import ClipSpec
from kineme.video.write import VideoWriter

COPIES = ("exact", "re-encoded", "mirrored", "cropped", "re-timed")
MARKS = {"exact": 0.99, "re-encoded": 0.99, "mirrored": 0.9, "cropped": 0.9, "re-timed": 0.9}
FALSE_MARK, SECONDS_MARK = 1.0, 180.0  # false pairs of different scenes in 1,000 videos; seconds for 1,000 videos
TAKES_MARK = 0.02  # pairs of different takes called one recording, for each video of the look-alikes

Frames = Iterator[NDArray[np.uint8]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Recall, false alarms and speed of kineme check.")
    parser.add_argument("--people", type=int, default=60, help="drawn people, two videos each (default 60)")
    parser.add_argument("--speed-clips", type=int, default=1000, help="videos of 7 s to time (default 1000)")
    parser.add_argument("--real", type=Path, help="folder of real sets and clips (shared/data), for the look-alikes")
    parser.add_argument("--work", type=Path, help="folder for the sets, kept and used again; else a temporary one")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kineme-check-") as temporary:
        work = arguments.work or Path(temporary)
        faults = find_faults(work / "faults")
        copies = find_near_duplicates(work / "copies", arguments.people)
        takes = find_look_alikes(work / "takes", arguments.real)
        speed = time_it(work / "speed", arguments.speed_clips)
    different = copies["videos"] + speed["videos"]
    false = copies["false_pairs_of_different_people"] + speed["false_pairs"]
    marks = {
        "every_fault_named": all(faults.values()),
        **{f"found_{kind}": copies["found"][kind] >= MARKS[kind] for kind in COPIES},
        "false_pairs": 1000 * false / different <= FALSE_MARK,
        "takes": all(one["one_recording"] <= TAKES_MARK * one["videos"] for one in takes.values() if one["drawn"]),
        "seconds": speed["seconds_for_1000"] <= SECONDS_MARK,
    }
    result = {
        "date": datetime.date.today().isoformat(),
        "versions": versions(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "faults": faults,
        "copies": copies,
        "takes": takes,
        "speed": speed,
        "false_pairs_in_1000": round(1000 * false / different, 3),
        "marks": marks,
        "met": all(marks.values()),
    }
    for kind, found in faults.items():
        print(f"fault {kind}: {'named' if found else 'MISSED'}")
    for kind in COPIES:
        print(f"copies {kind}: {copies['found'][kind]:.1%} of {copies['planted'][kind]} found (mark {MARKS[kind]:.0%})")
    print(f"false pairs: {false} of different scenes in {different} videos; ", end="")
    print(f"{copies['false_pairs_of_one_person']} of one person's own videos")
    for name, one in takes.items():
        print(f"takes {name}: {one['videos']} videos; pairs called one recording {one['one_recording']}", end="")
        print(f", of two labels {one['two_labels']}; that look alike {one['look_alike']}")
    print(f"same place across people: {copies['false_places']} pairs, all false")
    print(
        f"speed: {speed['videos']} videos of 7 s in {speed['seconds']} s ({speed['cpu_seconds']} s of processor); ",
        end="",
    )
    print(f"1,000 in {speed['seconds_for_1000']} s; once more {speed['seconds_again']} s")
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if result["met"] else 1)


# Faults


def find_faults(folder: Path) -> dict[str, bool]:
    """Plant one fault of each kind; whether the audit names each, by kind and file."""
    shutil.rmtree(folder, ignore_errors=True)
    for person in range(6):
        for label in ("left", "right"):
            _write(folder / label / f"person{person:02}_{label}_01.mp4", _scene(100 + person, 50, label == "left"))
    good = sorted((folder / "left").glob("*.mp4"))
    planted: dict[str, Path] = {}

    def plant(kind: str, name: str, make: Callable[[Path], object]) -> None:
        planted[kind] = folder / "left" / name
        make(planted[kind])

    content = good[0].read_bytes()
    plant("zero-length", "person10_left_01.mp4", lambda path: path.write_bytes(b""))
    plant("unreadable", "person11_left_01.mp4", lambda path: path.write_bytes(os.urandom(5000)))
    plant("audio-only", "person12_left_01.mp4", _sound)
    plant("truncated", "person13_left_01.mp4", lambda path: path.write_bytes(content[: len(content) // 2]))
    plant("wrong-extension", "person14_left_01.avi", lambda path: _write(path, _scene(14, 50), container="mp4"))
    plant("variable-rate", "person15_left_01.mp4", lambda path: _write(path, _scene(15, 50), uneven=True))
    plant("rotated", "person16_left_01.mp4", lambda path: _turn(_write(path, _scene(16, 50))))
    plant("too-short", "person17_left_01.mp4", lambda path: _write(path, _scene(17, 6)))
    plant("black", "person18_left_01.mp4", lambda path: _write(path, (0 * one for one in _scene(18, 50))))
    plant("frozen", "person19_left_01.mp4", lambda path: _write(path, [next(_scene(19, 50))] * 50))
    plant("duplicate", "person20_left_01.mp4", lambda path: path.write_bytes(good[1].read_bytes()))
    plant("near-duplicate", "person21_left_01.mp4", lambda path: _copy("re-encoded", good[2], path, 0))
    planted["two-labels"] = folder / "right" / "person03_right_02.mp4"
    planted["two-labels"].write_bytes(good[3].read_bytes())
    _write(folder / "Left " / "person05_left_09.mp4", _scene(77, 50))
    audited = audit(api.scan(folder), ClipSpec(), cache=InspectionCache(folder / ".inspections"))
    names = {(one.kind, name) for one in audited.findings for name in one.names}
    found = {kind: (kind, path.relative_to(folder).as_posix()) in names for kind, path in planted.items()}
    kinds = {one.kind for one in audited.findings}
    return found | {kind: kind in kinds for kind in ("unbalanced", "few-groups", "similar-names")}


# Copies


def find_near_duplicates(folder: Path, people: int) -> dict[str, Any]:
    """Plant copies among drawn people; which share of them is found, and what is found that is none."""
    rows = _planted_set(folder, people)
    shutil.rmtree(folder / ".inspections", ignore_errors=True)
    with (folder / "planted.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group"])
        writer.writerows([(row["path"], row["label"], row["group"]) for row in rows])
    started = time.perf_counter()
    audited = audit(api.scan(folder / "planted.csv"), ClipSpec(), cache=InspectionCache(folder / ".inspections"))
    seconds = time.perf_counter() - started
    by_path = {row["path"]: row for row in rows}
    listed = [by_path[name] for name in audited.table.rows["name"]]
    pairs = {frozenset((listed[one]["path"], listed[other]["path"])) for one, other in copied_pairs(audited)}
    copies = [row for row in rows if row["kind"]]
    found = {
        kind: [frozenset((row["path"], row["of"])) in pairs for row in copies if row["kind"] == kind] for kind in COPIES
    }
    false = [pair for pair in pairs if len({by_path[path]["of"] or path for path in pair}) > 1]
    people_of = [{by_path[path]["person"] for path in pair} for pair in false]
    places = [{listed[number]["person"] for number in those} for those in audited.places or []]
    return {
        "videos": len(rows),
        "originals": len(rows) - len(copies),
        "planted": {kind: len(found[kind]) for kind in COPIES},
        "found": {kind: round(float(np.mean(found[kind])), 4) for kind in COPIES},
        "false_pairs_of_different_people": sum(len(one) > 1 for one in people_of),
        "false_pairs_of_one_person": sum(len(one) == 1 for one in people_of),
        "false_places": sum(len(one) - 1 for one in places),
        "seconds": round(seconds, 1),
        "missed": sorted(
            f"{row['kind']} {row['path']}" for row in copies if frozenset((row["path"], row["of"])) not in pairs
        ),
        "false": sorted(" ".join(sorted(pair)) for pair in false),
    }


def copied_pairs(audited: Audit) -> set[tuple[int, int]]:
    """All pairs of rows that show the same, identical files included."""
    pairs = {(one.first, one.second) for one in audited.copies if one.certain}
    same = {number: those for those in audited.identical for number in those}
    for first, second in list(pairs):
        for one in same.get(first, [first]):
            pairs |= {(min(one, other), max(one, other)) for other in same.get(second, [second])}
    return pairs | {pair for those in audited.identical for pair in itertools.combinations(those, 2)}


def _planted_set(folder: Path, people: int) -> list[dict[str, str]]:
    actions = ("wave", "squat")
    make_dataset(folder, clips=people * len(actions), people=people, actions=actions, untrimmed=0)
    rows = []
    jobs = []
    originals = [path for action in actions for path in sorted((folder / action).glob("person*"))]
    for number, path in enumerate(originals):
        name, person = path.relative_to(folder).as_posix(), path.name[:8]
        rows.append({"path": name, "label": path.parent.name, "group": person, "person": person, "kind": "", "of": ""})
        for kind in COPIES:
            rng = np.random.default_rng([number, COPIES.index(kind)])
            suffix = path.suffix if kind == "exact" else str(rng.choice([".mp4", ".mkv", ".avi", ".webm"]))
            copy = folder / "copies" / f"{kind}_{path.stem}{suffix}"
            group = f"stranger{number}-{kind}"
            of = {"path": copy.relative_to(folder).as_posix(), "label": path.parent.name, "group": group}
            rows.append({**of, "person": person, "kind": kind, "of": name})
            if not copy.exists():
                jobs.append((kind, path, copy, number))
    _in_processes(_copy, jobs)
    return rows


def _copy(kind: str, source: Path, to: Path, seed: int) -> None:
    """Write a copy of a video, changed as its kind says; what exactly is done is drawn."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if kind == "exact":
        shutil.copyfile(source, to)
        return
    rng = np.random.default_rng([seed, COPIES.index(kind), 1])
    frames = [frame.pixels_HWC for frame in read_frames(source)]
    with av.open(str(source)) as container:
        rate = Fraction(container.streams.video[0].average_rate or 25)
    height, width = frames[0].shape[:2]
    size = (width, height)
    if kind == "re-encoded":
        size = [(320, 240), (256, 192), (160, 120), (426, 240), (640, 480)][int(rng.integers(5))]
        gain, lift = rng.uniform(0.85, 1.15), rng.uniform(-12, 12)
        frames = [np.clip(frame * gain + lift, 0, 255).astype(np.uint8) for frame in frames]
    elif kind == "mirrored":
        frames = [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]
    elif kind == "cropped":
        share_y, share_x = rng.uniform(0.65, 0.95, 2)
        rows, columns = round(height * share_y), round(width * share_x)
        top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
        frames = [np.ascontiguousarray(frame[top : top + rows, left : left + columns]) for frame in frames]
        size = (320, 240) if rng.random() < 0.5 else (columns // 2 * 2, rows // 2 * 2)
    else:
        way = rng.random()
        if way < 0.5:  # another speed, from half to twice as fast
            rate *= Fraction(int(rng.integers(50, 201)), 100)
        if way < 0.25:  # and every other frame left out
            rate, frames = rate / 2, frames[::2]
        if way >= 0.5:  # cut at the ends, up to 40 % in all
            first, last = rng.uniform(0, 0.2, 2)
            frames = frames[int(first * len(frames)) : len(frames) - int(last * len(frames))]
        rate = min(rate, Fraction(120))
    frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    quality = {"crf": str(int(rng.integers(20, 33)))} if to.suffix in (".mp4", ".mkv") else {}
    _write(to, frames, rate=rate, options=quality)


# Speed


def time_it(folder: Path, clips: int) -> dict[str, Any]:
    """Make videos of 7 s, each of another scene, and audit them from cold."""
    jobs = [(folder / ("left", "right")[n % 2] / f"person{n:04}_{n % 2}.mp4", n) for n in range(clips)]
    _in_processes(_speed_clip, [job for job in jobs if not job[0].exists()])
    shutil.rmtree(folder / ".inspections", ignore_errors=True)
    started, cpu_started = time.perf_counter(), time.process_time()
    audited = audit(api.scan(folder), ClipSpec(), cache=InspectionCache(folder / ".inspections"))
    cold, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    started = time.perf_counter()
    audit(api.scan(folder), ClipSpec(), cache=InspectionCache(folder / ".inspections"))
    warm = time.perf_counter() - started
    return {
        "videos": clips,
        "seconds": round(cold, 1),
        "cpu_seconds": round(cpu, 1),  # of all cores: tells what a busy machine hides
        "seconds_again": round(warm, 1),
        "seconds_for_1000": round(cold * 1000 / clips, 1),
        "false_pairs": len(copied_pairs(audited)),
        "false_places": sum(len(those) - 1 for those in audited.places or []),
    }


def _speed_clip(path: Path, number: int) -> None:
    _write(path, _scene(number, 175, bool(number % 2)), options={"preset": "superfast", "crf": "23"})


def _scene(seed: int, count: int, leftwards: bool = True) -> Frames:
    """A scene of coloured clouds and boxes in which a few shapes move."""
    rng = np.random.default_rng([7, seed])
    height, width = 240, 320
    picture = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    picture = cv2.addWeighted(
        picture, 0.7, cv2.blur(rng.integers(0, 256, (height, width, 3), np.uint8), (5, 5)), 0.3, 0
    )
    for _ in range(8):
        corner = rng.integers(0, [width, height])
        cv2.rectangle(picture, corner, corner + rng.integers(20, 90, 2), rng.integers(0, 256, 3).tolist(), -1)
    shapes = [(rng.uniform(0.1, 0.9, 4), rng.uniform(0.5, 2.5, 2), rng.integers(0, 256, 3).tolist()) for _ in range(3)]
    sign = -1 if leftwards else 1
    for frame in range(count):
        image = picture.copy()
        time_s = frame / 25
        for (x, y, reach, phase), (slow, fast), colour in shapes:
            across = int(width * (x + sign * 0.25 * np.sin(slow * time_s + 6 * phase)))
            down = int(height * (y + 0.2 * reach * np.sin(fast * time_s)))
            cv2.ellipse(image, (across, down), (18, 34), 30 * time_s * reach, 0, 360, colour, -1, cv2.LINE_AA)
        yield image


# Files


def _write(
    path: Path,
    frames: Any,
    *,
    rate: Fraction | int = 25,
    options: dict[str, str] | None = None,
    uneven: bool = False,
    container: str | None = None,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    to = path.with_suffix("." + container) if container else path
    writer: VideoWriter | None = None
    for number, frame in enumerate(frames):
        if writer is None:
            threads = {"threads": "1", **({"preset": "ultrafast"} if to.suffix in (".mp4", ".mkv") else {})}
            writer = VideoWriter(
                to, width=frame.shape[1], height=frame.shape[0], fps=rate, options={**threads, **(options or {})}
            ).__enter__()
        time_s = (number + (number % 3) / 4) / float(rate) if uneven else None
        writer.write(np.ascontiguousarray(frame), pts_s=time_s)
    assert writer
    writer.__exit__(None, None, None)
    return to.rename(path)


def _sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _turn(path: Path) -> None:
    """Write into an MP4 that it is to be turned by 90 degrees for display."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    one = 1 << 16
    data[at : at + 36] = np.array([0, one, 0, -one, 0, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(data)


def _in_processes(work: Callable[..., object], jobs: list[tuple[Any, ...]]) -> None:
    if not jobs:
        return
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(work, *job) for job in jobs]:
            done.result()


if __name__ == "__main__":
    main()
