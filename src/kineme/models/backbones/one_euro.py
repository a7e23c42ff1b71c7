"""The One Euro filter: smooth what hardly moves, follow what moves fast.

A low-pass filter whose cutoff frequency rises with speed, so a still hand does not tremble and a quick one is not
late. Source: Casiez, Roussel and Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class OneEuro:
    """Filter an array of coordinates over time; steps may be of any length.

    Args:
        min_cutoff_hz: cutoff at rest; lower is smoother.
        beta: by how many hertz the cutoff rises for each unit of speed, in sizes a second; higher follows faster.
        speed_cutoff_hz: cutoff of the filter on the speed itself.
    """

    def __init__(self, *, min_cutoff_hz: float, beta: float, speed_cutoff_hz: float = 1.0) -> None:
        self.min_cutoff_hz = min_cutoff_hz
        self.beta = beta
        self.speed_cutoff_hz = speed_cutoff_hz
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next values pass unchanged."""
        self._time_s: float | None = None

    def __call__(self, values: Array, time_s: float, size: float) -> Array:
        """Filter the values at one instant.

        Args:
            values: of any shape, the same at every call.
            time_s: in seconds; not before that of the last call.
            size: what counts as one unit of length, such as the height of a person in pixels, above zero.
        """
        if self._time_s is None:
            self._values, self._speed = values, np.zeros_like(values)
        elif (step_s := time_s - self._time_s) > 0:
            speed = (values - self._values) / (size * step_s)
            self._speed = self._speed + _weight(self.speed_cutoff_hz, step_s) * (speed - self._speed)
            weight = _weight(self.min_cutoff_hz + self.beta * np.abs(self._speed), step_s)
            self._values = (self._values + weight * (values - self._values)).astype(np.float32)
        self._time_s = time_s
        return self._values


def _weight(cutoff_hz: Any, step_s: float) -> Any:
    """Share of the new value in a first-order low-pass filter."""
    return 1 / (1 + 1 / (2 * math.pi * step_s * cutoff_hz))
