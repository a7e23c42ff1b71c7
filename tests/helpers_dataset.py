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
