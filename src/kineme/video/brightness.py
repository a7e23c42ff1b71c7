"""Brightens dark clips, with one curve that stays the same as long as the light does."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from kineme.video.spec import ClipSpec

Pixels = NDArray[np.uint8]

_DARK, _WANTED = 0.2, 0.4  # mean of the pixels, of full scale
_KEPT = 1.5  # by which factor the mean may change before another curve is chosen
_STRONGEST = 0.2  # gamma; a smaller one would show nothing but noise


class Brightener:
    """Brightens the frames of one video where it is dark; frames that are bright enough are passed on as they are.

    The rule follows from frame to frame, so that a stream, which cannot look ahead, sees the same pixels as a file, and
    so that the features of a frame can be shared by overlapping clips:

    - The light at a tick is the mean of the clip that ends with it: of its frame and the T - 1 before it. Black bars
      at the edges do not count.
    - Under 0.2 of full scale, one gamma is chosen that brings this mean to 0.4.
    - It is kept for the ticks that follow until the mean is over 1.5 times its value then, or under 1 / 1.5 of it.
      So a light that wavers about 0.2 makes no flicker, and a clip in steady light has one curve.

    Args:
        spec: the clip; with its brightness ``"as-is"`` all frames are passed on as they are.
    """

    def __init__(self, spec: ClipSpec) -> None:
        self._spec = spec
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far."""
        self._counts: deque[NDArray[np.int64]] = deque(maxlen=self._spec.frames)
        self._curve: Pixels | None = None  # 256 values; None leaves frames as they are
        self._chosen_at = 0.0  # the mean that the curve was chosen for
        self._seen: Pixels | None = None
        self._newest: tuple[Pixels, Pixels | None, Pixels] | None = None  # a frame, the curve, and what they gave

    def __call__(self, pixels_HWC: Pixels, *, counts: bool = True) -> Pixels:
        """A frame as the model is to see it; the same array where nothing is to be done.

        Args:
            pixels_HWC: uint8, RGB; the frame of the next tick, not to be written to afterwards.
            counts: whether the tick is one of the clip's own. Ticks between these get the curve of the one before.
        """
        if self._spec.brightness == "as-is":
            return pixels_HWC
        if counts:
            is_again = pixels_HWC is self._seen and self._counts
            self._counts.append(self._counts[-1] if is_again else _count_values(pixels_HWC))
            self._seen = pixels_HWC
            self._follow()
        if self._curve is None:
            return pixels_HWC
        if self._newest is None or self._newest[0] is not pixels_HWC or self._newest[1] is not self._curve:
            self._newest = pixels_HWC, self._curve, self._curve[pixels_HWC]
        return self._newest[2]

    def _follow(self) -> None:
        """Choose another curve if the light has changed."""
        counts = np.sum(self._counts, axis=0)
        if not counts.any():  # all is black
            return
        mean = _mean(counts, 1.0)
        is_kept = self._chosen_at / _KEPT <= mean <= self._chosen_at * _KEPT
        if self._curve is None or not is_kept:
            self._curve, self._chosen_at = (_curve(counts) if mean < _DARK else None), mean


def _count_values(pixels_HWC: Pixels) -> NDArray[np.int64]:
    """How often each of the 256 values is there, within the black bars."""
    rows, columns = (np.flatnonzero(pixels_HWC.max(axis=axes)) for axes in ((1, 2), (0, 2)))
    if not rows.size:
        return np.zeros(256, np.int64)
    return np.bincount(pixels_HWC[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].ravel(), minlength=256)


def _mean(counts: NDArray[np.int64], gamma: float) -> float:
    """The mean of the counted pixels after a gamma, of full scale."""
    return float(counts @ np.linspace(0, 1, 256) ** gamma / counts.sum())


def _curve(counts: NDArray[np.int64]) -> Pixels:
    """The gamma that brings the mean of the counted pixels to the target, as a table of 256 values."""
    low, high = _STRONGEST, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean(counts, middle) > _WANTED else (low, middle)
    return np.round(255 * np.linspace(0, 1, 256) ** low).astype(np.uint8)
