"""Videos with real people in them: a photograph that comes with matplotlib, walking about on grey."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray

from kineme.models import weights
from kineme.video.write import VideoWriter

Place = Callable[
    [float], float | None
]  # left edge at an instant, as a share of the width; None where the person is away


def need_movenet() -> None:
    """Skip the test where the network is not on this machine; in CI it is fetched."""
    found = weights.pull("movenet") if os.environ.get("CI") else weights.find("movenet")
    if found is None:
        pytest.skip("MoveNet is not on this machine: kineme models pull movenet")


@functools.cache
def portrait(height: int) -> NDArray[np.uint8]:
    """A person from the head to the waist, RGB, so many pixels high."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    whole = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return cv2.resize(whole, (round(height * 512 / 600), height), interpolation=cv2.INTER_AREA)


def frames(
    places: Sequence[Place], seconds: float, fps: float = 8.0, size: tuple[int, int] = (240, 426), height: int = 200
) -> Iterator[NDArray[np.uint8]]:
    """Frames of people at places that change; those named later stand in front."""
    person = portrait(height)
    for number in range(round(seconds * fps)):
        frame = np.full((*size, 3), 128, np.uint8)
        for place in places:
            share = place(number / fps)
            if share is None:
                continue
            left = round(share * size[1])
            first, last = max(left, 0), min(left + person.shape[1], size[1])
            if first < last:
                frame[-height:, first:last] = person[:, first - left : last - left]
        yield frame


def people_video(path: Path, places: Sequence[Place], seconds: float, fps: float = 8.0, **options: object) -> Path:
    """Those frames as a file."""
    height, width = options.get("size", (240, 426))  # type: ignore[misc]
    with VideoWriter(path, width=width, height=height, fps=fps) as writer:
        for frame in frames(places, seconds, fps, **options):  # type: ignore[arg-type]
            writer.write(frame)
    return path


def edited_video(path: Path) -> Path:
    """Three seconds of one person in a light place, then three of another at the same spot in a dark one."""
    grounds = [np.random.default_rng(seed).integers(0, 120, (12, 21, 3), np.uint8) for seed in (1, 2)]
    with VideoWriter(path, width=426, height=240, fps=8) as writer:
        for number, frame in enumerate(frames([lambda s: 0.3], 6.0)):
            ground = cv2.resize(grounds[number >= 24] + np.uint8(120 * (number < 24)), (426, 240))
            is_ground = (frame == 128).all(axis=2)
            writer.write(np.where(is_ground[..., None], ground, frame))
    return path
