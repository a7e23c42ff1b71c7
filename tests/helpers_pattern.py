"""A moving picture made by arithmetic alone, the same on every machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def pattern(frames: int, height: int, width: int) -> npt.NDArray[Any]:
    """frames_THWC, uint8."""
    t, y, x, c = np.indices((frames, height, width, 3))
    return ((3 * y + 5 * x + 40 * c + 7 * t + x * y // 16) % 256).astype(np.uint8)
