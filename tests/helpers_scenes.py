"""Small videos of scenes in which shapes move: each seed another place, each take another movement in it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.video.write import VideoWriter

HEIGHT, WIDTH, COUNT = 120, 160, 40


def scene(seed: int, take: int = 0, count: int = COUNT) -> Iterator[NDArray[np.uint8]]:
    """``count`` frames of place ``seed``."""
    place = np.random.default_rng([seed, 1])
    picture = cv2.resize(place.integers(0, 256, (5, 7, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(25):
        corner = place.integers(0, [WIDTH, HEIGHT])
        cv2.rectangle(picture, corner, corner + place.integers(6, 40, 2), place.integers(0, 256, 3).tolist(), -1)
    way = np.random.default_rng([seed, take, 2])
    shapes = [(way.uniform(0.2, 0.8, 2), way.uniform(1, 4, 2), way.uniform(0, 6, 2)) for _ in range(2)]
    for number in range(count):
        image = picture.copy()
        for middle, speed, phase in shapes:
            across, down = (middle + 0.25 * np.sin(speed * number / 20 + phase)) * [WIDTH, HEIGHT]
            cv2.ellipse(image, (int(across), int(down)), (10, 18), 0, 0, 360, (235, 225, 215), -1, cv2.LINE_AA)
        yield image


def save(path: Path, frames: object, *, fps: Fraction | int = 20, crf: int = 22) -> Path:
    """Write frames to a video."""
    pictures = list(frames)  # type: ignore[call-overload]
    height, width = pictures[0].shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"crf": str(crf), "preset": "ultrafast"} if path.suffix in (".mp4", ".mkv") else {}
    with VideoWriter(path, width=width, height=height, fps=fps, options=options) as writer:
        for picture in pictures:
            writer.write(np.ascontiguousarray(picture))
    return path


def scenes_of_people(folder: Path, people: int, labels: tuple[str, ...] = ("left", "right")) -> Path:
    """``folder/label/personNN_label.mp4``, each person in a place of their own."""
    for person in range(people):
        for take, label in enumerate(labels):
            save(folder / label / f"person{person:02}_{label}.mp4", scene(person, take))
    return folder
