"""Cuts in edited films: how many are found, and how often one is found that is none, beside PySceneDetect's detectors.

Films are drawn people of several scenes, joined by cuts and by dissolves of 0.4 to 1 s, with flashes of one to three
frames within the shots, encoded as H.264 and read at two of the rates and sizes that models have. What is found within
0.15 s of a cut, or within a dissolve, counts. Films of single shots give more that must not be found.

    python benchmarks/cuts.py --out benchmarks/results/cuts.json

PySceneDetect is measured on the same decoded frames where it is installed (pip install --no-deps scenedetect-headless).
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pairs import record, table

from drawn_people.make import make_dataset
from kineme.dataset.scan import scan
from kineme.files import write_json
from kineme.video.clips import ticks
from kineme.video.cuts import CutFinder
from kineme.video.decode import read_frames
from kineme.video.spec import ClipSpec
from kineme.video.write import VideoWriter

READ = ((8.0, 64), (25.0, 112))  # frames a second, and pixels
FPS, SHOTS, TOLERANCE_S = 25, 8, 0.15

Frames = list[NDArray[np.uint8]]
Detector = Callable[[Frames, float], list[int]]


@dataclass(frozen=True)
class Join:
    """What is true of a film: a ``"cut"`` or ``"dissolve"``, from when to when in seconds."""

    kind: str
    start_s: float
    end_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Cuts that are found in edited films, and found where none are.")
    parser.add_argument("--films", type=int, default=40, help="edited films (default 40)")
    parser.add_argument("--single", type=Path, nargs="*", default=[], help="folders of videos that have no cuts")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kineme-cuts-") as work:
        result = measure(Path(work), arguments.films, arguments.single)
    table(
        ["detector", "read at", "cuts", "dissolves", "false, of joins", "false, single shots", "ms a frame"],
        [
            [
                one["detector"],
                one["read_at"],
                one["cuts"],
                one["dissolves"],
                one["false"],
                one["false_single"],
                one["ms"],
            ]
            for one in result["detectors"]
        ],
    )
    if arguments.out:
        write_json(arguments.out, result)


def measure(work: Path, films: int, single: Sequence[Path]) -> dict[str, Any]:
    drawn = make_dataset(work / "drawn", clips=48, people=16, untrimmed=0)
    clips = [str(path) for path in scan(drawn).rows["path"]]
    edited = [film(work / f"film{number:03}.mp4", clips, random.Random(number)) for number in range(films)]
    whole = [*clips, *(str(path) for folder in single for path in sorted(folder.rglob("*.*")) if path.suffix != ".csv")]
    rows = []
    for fps, size in READ:
        read = [(frames(path, fps, size), joins) for path, joins in edited]
        shots = [frames(path, fps, size) for path in whole]
        rows += [row(name, find, fps, size, read, shots) for name, find in detectors().items()]
    return record("av", "numpy", films=films, single_shots=len(whole), detectors=rows)


def film(path: Path, clips: Sequence[str], rng: random.Random) -> tuple[str, list[Join]]:
    """Write an edited film; gives its joins."""
    shown: Frames = []
    joins: list[Join] = []
    for number, clip in enumerate(rng.sample(clips, SHOTS)):
        shot = frames(clip, FPS, None)
        shot = flashed(shot[: rng.randrange(35, len(shot))], rng)
        if number and rng.random() < 0.35:
            length = rng.randrange(10, 25)
            share = np.linspace(0, 1, length + 2)[1:-1, None, None, None]
            mixed = (1 - share) * np.stack(shown[-length:]) + share * np.stack(shot[:length])
            joins.append(Join("dissolve", (len(shown) - length) / FPS, len(shown) / FPS))
            shown, shot = [*shown[:-length], *mixed.astype(np.uint8)], shot[length:]
        elif number:
            joins.append(Join("cut", len(shown) / FPS, len(shown) / FPS))
        shown += shot
    height, width = shown[0].shape[:2]
    with VideoWriter(path, width=width, height=height, fps=FPS) as writer:
        for frame_HWC in shown:
            writer.write(frame_HWC)
    return str(path), joins


def flashed(shot: Frames, rng: random.Random) -> Frames:
    """Half of the shots with a flash in the middle of them."""
    if rng.random() < 0.5:
        return shot
    begin, brighter = rng.randrange(8, len(shot) - 11), rng.choice((90, 140, 200))
    for place in range(begin, begin + rng.randrange(1, 4)):
        shot[place] = (shot[place].astype(int) + brighter).clip(0, 255).astype(np.uint8)
    return shot


def frames(path: str, fps: float, size: int | None) -> Frames:
    if size is None:
        return [frame.pixels_HWC for frame in read_frames(path)]
    return [frame_HWC for _, frame_HWC in ticks(path, ClipSpec(frames=2, fps=fps, height=size, width=size))]


def detectors() -> dict[str, Detector]:
    found: dict[str, Detector] = {"kineme": ours}
    with suppress(ImportError):
        from scenedetect import AdaptiveDetector, ContentDetector, HistogramDetector

        for kind in (AdaptiveDetector, ContentDetector, HistogramDetector):
            found[kind.__name__] = theirs(kind)
    return found


def ours(shown: Frames, fps: float) -> list[int]:
    finder = CutFinder(fps)
    return [cut for frame_HWC in shown for cut in finder.push(frame_HWC)] + finder.finish()


def theirs(kind: Any) -> Detector:
    def find(shown: Frames, fps: float) -> list[int]:
        from scenedetect import FrameTimecode

        detector = kind(min_scene_len=max(1, int(fps / 2)))
        at = [FrameTimecode(number, fps) for number in range(len(shown))]
        found = [detector.process_frame(*one) for one in zip(at, (np.flip(f, -1).copy() for f in shown), strict=True)]
        found.append(detector.post_process(at[-1]))
        return sorted({cut.frame_num for some in found for cut in some})

    return find


def row(
    name: str, find: Detector, fps: float, size: int, edited: list[tuple[Frames, list[Join]]], single: list[Frames]
) -> dict[str, Any]:
    hits, wanted, false, count = {"cut": 0, "dissolve": 0}, {"cut": 0, "dissolve": 0}, 0, 0
    began_s = time.process_time()
    for shown, joins in edited:
        left = [cut / fps for cut in find(shown, fps)]
        count += len(shown)
        for join in joins:
            wanted[join.kind] += 1
            low, high = join.start_s - TOLERANCE_S - 1 / fps, join.end_s + TOLERANCE_S + 1 / fps
            hit = next((cut_s for cut_s in left if low <= cut_s <= high), None)
            if hit is not None:
                hits[join.kind] += 1
                left.remove(hit)
        false += len(left)
    took_s = time.process_time() - began_s
    return {
        "detector": name,
        "read_at": f"{fps:g}/s, {size} px",
        "cuts": f"{hits['cut']} of {wanted['cut']}",
        "dissolves": f"{hits['dissolve']} of {wanted['dissolve']}",
        "false": f"{false} beside {sum(wanted.values())}",
        "false_single": f"{sum(len(find(shown, fps)) for shown in single)} in {len(single)}",
        "ms": round(1000 * took_s / count, 2),
    }


if __name__ == "__main__":
    main()
