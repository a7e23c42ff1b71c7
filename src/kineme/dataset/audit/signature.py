"""Signatures of videos for comparison: background and movement apart, and parts of pictures to be compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from kineme.dataset.audit.inspection import FRAMES, SIDE

Floats = NDArray[np.float32]
Window = tuple[float, float, float, float]  # left, right, top, bottom, as shares of the picture

WHOLE: Window = (0.0, 1.0, 0.0, 1.0)
FLAT = 2.0  # grey levels: a background that varies less has nothing to be recognised by

_STILL = 0.35  # grey levels: a video in which less moves is a still picture
_GRAIN = 0.75  # cells to compare for each cell of a thumbnail: fewer forgive more


@dataclass(frozen=True, eq=False)
class VideoSignature:
    """The parts of a video that are compared; all pictures 32 x 32.

    Args:
        thumbnails_THW: uint8.
        background_HW: their median over time, float32.
        motion_HW: mean over time of the size of what moves, float32.
        still: whether nothing moves.
        seconds: length of the video.
    """

    thumbnails_THW: NDArray[np.uint8]
    background_HW: Floats
    motion_HW: Floats
    still: bool
    seconds: float

    @property
    def flat(self) -> bool:
        """Whether the background has nothing to be recognised by."""
        return bool(self.background_HW.std() < FLAT)

    @property
    def moving(self) -> Floats:
        """Frame less background, float32, each with its own mean taken off; made anew each time, to save memory."""
        return _moving(self.thumbnails_THW, self.background_HW)


def make_signature(thumbnails_THW: NDArray[np.uint8], seconds: float) -> VideoSignature:
    """Take background and motion apart."""
    background_HW = np.partition(thumbnails_THW, FRAMES // 2, axis=0)[FRAMES // 2].astype(np.float32)
    moving_THW = _moving(thumbnails_THW, background_HW)
    still = bool(np.sqrt(np.mean(moving_THW**2)) < _STILL)
    return VideoSignature(thumbnails_THW, background_HW, np.abs(moving_THW).mean(axis=0), still, seconds)


def _moving(thumbnails_THW: NDArray[np.uint8], background_HW: Floats) -> Floats:
    moving_THW = thumbnails_THW.astype(np.float32) - background_HW
    moving_THW -= moving_THW.mean(axis=(1, 2), keepdims=True)
    return moving_THW


def seen(pictures_THW: Floats, part: Window, grain: Window) -> Floats:
    """A part of pictures as coarse as both videos show it: a cropped copy is finer than its original."""
    across, down = (max(8, round(_GRAIN * SIDE * (grain[end] - grain[end - 1]))) for end in (1, 3))
    sampled = np.matmul(np.matmul(sampling(*part[2:], down), pictures_THW), sampling(*part[:2], across).T)
    flat_TP = sampled.reshape(len(sampled), -1)
    return np.asarray(flat_TP - flat_TP.mean(axis=1, keepdims=True), np.float32)


def correlation(one: Floats, other: Floats, *, centred: bool = False) -> float:
    """Normalised correlation of two arrays of one shape; ``centred`` takes their means off first."""
    if centred:
        one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-6))


def sampling(first: float, last: float, count: int) -> Floats:
    """The matrix (count, 32) that averages pixels between two places (shares of the side) into ``count`` cells."""
    return _averaging(round(first, 4), round(last, 4), count)


@cache
def _averaging(first: float, last: float, count: int) -> Floats:
    edges = np.linspace(first, last, count + 1) * SIDE
    low, high = edges[:-1, None], edges[1:, None]
    pixels = np.arange(SIDE)[None]
    weights = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-6), np.float32)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep libraries from dividing small pictures among threads, which costs far more than it gives."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(before)
