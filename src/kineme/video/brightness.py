"""Brightens dark clips, with one curve that stays the same as long as the light does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kineme.video.convert import DeepPixels, Pixels
from kineme.video.spec import ClipSpec

BRIGHTNESS_FORMAT = 3  # of the pixels; a change of what they show raises it

_DARK, _WANTED = 0.2, 0.4  # mean of the pixels, of full scale
_KEPT = 1.5  # by which factor the mean may change before another curve is chosen
_TOE = 2 / 255  # of full scale; below it a curve is nearly straight
_STRONGEST = 0.02  # gamma; that is a logarithm but for a hundredth
_FULL = 65535
_BINS = 4096  # of the counted values
_BIN = (_FULL + 1) // _BINS
_BIN_VALUES = np.arange(_BINS) * _BIN / _FULL  # of full scale


class Brightener:
    """Brightens the frames of one video where it is dark; frames that are bright enough are passed on as they are.

    The rule follows from frame to frame, so that a stream, which cannot look ahead, sees the same pixels as a file, and
    so that the features of a frame can be shared by overlapping clips:

    - The light at a tick is the mean of the clip that ends with it: of its frame and the T - 1 before it. Black bars
      at the edges do not count.
    - Under 0.2 of full scale, one curve is chosen that brings this mean to 0.4, or as near as a logarithm does: with
      t = 2 / 255, ``((x + t) ** gamma - t ** gamma) / ((1 + t) ** gamma - t ** gamma)``. A plain power is infinitely
      steep at black, so the noise of a grey level would flicker over the whole range.
    - It is kept for the ticks that follow until the mean is over 1.5 times its value then, or under 1 / 1.5 of it.
      So a light that wavers about 0.2 makes no flicker, and a clip in steady light has one curve.

    A dark frame is brightened from its picture in 16 bits: 8 bits hold a handful of steps there, and the noise that
    scaling averages out would be rounded back into them.

    Args:
        spec: the clip; with its brightness ``"as-is"`` all frames are passed on as they are.
    """

    def __init__(self, spec: ClipSpec) -> None:
        self._spec = spec
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far."""
        self._counts: deque[NDArray[np.int64]] = deque(maxlen=self._spec.frames)
        self._sum = np.zeros(_BINS, np.int64)  # of these
        self._curve: Pixels | None = None  # a value for each of 16 bits; None leaves frames as they are
        self._chosen_at = 0.0  # the mean that the curve was chosen for
        self._seen: Pixels | None = None  # the newest frame
        self._deep: DeepPixels | None = None  # its picture in 16 bits, once wanted
        self._made: tuple[Pixels, Pixels] | None = None  # the curve, and what it made of that frame

    def __call__(
        self, pixels_HWC: Pixels, deep: Callable[[], DeepPixels | None] = lambda: None, *, counts: bool = True
    ) -> Pixels:
        """A frame as the model is to see it; the same array where nothing is to be done.

        Args:
            pixels_HWC: uint8, RGB; the frame of the next tick, not to be written to afterwards.
            deep: makes the same picture of 16 bits, if there is one.
            counts: whether the tick is one of the clip's own. Ticks between these get the curve of the one before.
        """
        if self._spec.brightness == "as-is":
            return pixels_HWC
        is_again = pixels_HWC is self._seen
        if not is_again:
            self._seen, self._deep, self._made = pixels_HWC, None, None
        if counts:
            self._count(self._counts[-1] if is_again and self._counts else self._values(pixels_HWC, deep))
            self._follow()
        if self._curve is None:
            return pixels_HWC
        if self._made is None or self._made[0] is not self._curve:
            self._made = self._curve, self._curve[self._in_16_bits(pixels_HWC, deep)]
        return self._made[1]

    def _in_16_bits(self, pixels_HWC: Pixels, deep: Callable[[], DeepPixels | None]) -> DeepPixels:
        if self._deep is None:
            found = deep()
            self._deep = pixels_HWC * np.uint16(257) if found is None else found
        return self._deep

    def _values(self, pixels_HWC: Pixels, deep: Callable[[], DeepPixels | None]) -> NDArray[np.int64]:
        """How often each value is there, within the black bars."""
        height, width, _ = pixels_HWC.shape
        flat_HX = pixels_HWC.reshape(height, -1)  # many times as fast as the maximum over two axes of the frame
        rows = np.flatnonzero(flat_HX.max(axis=1))
        columns = np.flatnonzero(flat_HX.max(axis=0).reshape(width, -1).max(axis=1))
        if not rows.size:
            return np.zeros(_BINS, np.int64)
        within = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        counts_256 = np.bincount(pixels_HWC[within].ravel(), minlength=256)
        if counts_256 @ np.arange(256) < _DARK * 255 * counts_256.sum():
            return np.bincount(self._in_16_bits(pixels_HWC, deep)[within].ravel() // _BIN, minlength=_BINS)
        counts = np.zeros(_BINS, np.int64)
        counts[np.arange(256) * 257 // _BIN] = counts_256
        return counts

    def _count(self, counts: NDArray[np.int64]) -> None:
        if len(self._counts) == self._counts.maxlen:
            self._sum -= self._counts[0]
        self._counts.append(counts)
        self._sum += counts

    def _follow(self) -> None:
        """Choose another curve if the light has changed."""
        if not self._sum.any():  # all is black
            return
        mean = _mean(self._sum, _BIN_VALUES)
        is_kept = self._chosen_at / _KEPT <= mean <= self._chosen_at * _KEPT
        if self._curve is None or not is_kept:
            self._curve, self._chosen_at = (_curve(self._sum) if mean < _DARK else None), mean


def _mean(counts: NDArray[np.int64], of_bins: NDArray[np.float64]) -> float:
    """The mean of the counted pixels, given the value of each bin."""
    return float(counts @ of_bins / counts.sum())


def _bent(values: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """Values from 0 to 1 along a curve; 1 is the identity."""
    black, white = _TOE**gamma, (1 + _TOE) ** gamma
    return np.asarray(((values + _TOE) ** gamma - black) / (white - black))


def _curve(counts: NDArray[np.int64]) -> Pixels:
    """The curve that brings the mean of the counted pixels to the target, as a table of 65536 values."""
    low, high = _STRONGEST, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean(counts, _bent(_BIN_VALUES, middle)) > _WANTED else (low, middle)
    return np.round(255 * _bent(np.linspace(0, 1, _FULL + 1), low)).astype(np.uint8)
