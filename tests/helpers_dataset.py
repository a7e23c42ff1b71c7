"""A tiny real data set: a square moves left or right over a person's own background, as files of several kinds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from kineme.video.write import VideoWriter

CLASSES = ("to-left", "to-right")
SMALL_SPEC = ["--approach", "lrcn", "--backbone", "small-cnn", "--frames", "6", "--fps", "8", "--no-flip"]


def make_videos(folder: Path, *, people: int = 6, takes: int = 1, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write ``folder/class/personNN_class_TT.mp4``, about one second each; person is the group."""
    for person in range(1, people + 1):
        for number, label in enumerate(classes):
            for take in range(takes):
                rng = np.random.default_rng([person, number, take])
                path = folder / label / f"person{person:02}_{label}_{take:02}.mp4"
                write_square(path, leftwards=number % 2 == 0, person=person, rng=rng)
    return folder


def write_square(path: Path, *, leftwards: bool, person: int, rng: np.random.Generator, fps: int = 25) -> None:
    """One video of a square that moves across."""
    background = np.random.default_rng(person).integers(0, 90, (64, 64, 3), np.uint8)
    count = int(fps * rng.uniform(0.9, 1.3))
    top = int(rng.integers(5, 35))
    with VideoWriter(path, width=64, height=64, fps=fps) as writer:
        for number in range(count):
            along = number / (count - 1)
            left = int(40 * ((1 - along) if leftwards else along))
            frame = background.copy()
            frame[top : top + 24, left : left + 24] = 225
            writer.write(frame)


def kineme(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from kineme.cli.main import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=300,
    )


def make_long_videos(folder: Path, *, people: int, first: int = 1, fps: int = 15) -> Path:
    """Write a table of parts: a square that waits, moves left, waits, moves right and so on, in a video a person."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["path,start_s,end_s,label,group"]
    for person in range(first, first + people):
        rng = np.random.default_rng(person)
        background = rng.integers(0, 90, (64, 64, 3), np.uint8)
        name, place, now, places = f"person{person:02}.mp4", 0, 0, []
        for _ in range(4):
            waits, moves = int(fps * rng.uniform(1.2, 2.0)), int(fps * rng.uniform(0.8, 1.2))
            label = CLASSES[1 if place == 0 else 0]
            rows.append(f"{name},{(now + waits) / fps:.3f},{(now + waits + moves) / fps:.3f},{label},person{person}")
            places += [place] * waits + np.linspace(place, 40 - place, moves).round().astype(int).tolist()
            place, now = 40 - place, now + waits + moves
        places += [place] * int(1.5 * fps)
        top = int(rng.integers(5, 35))
        with VideoWriter(folder / name, width=64, height=64, fps=fps) as writer:
            for left in places:
                frame = background.copy()
                frame[top : top + 24, left : left + 24] = 225
                writer.write(frame)
    (folder / "parts.csv").write_text("\n".join(rows) + "\n")
    return folder / "parts.csv"
