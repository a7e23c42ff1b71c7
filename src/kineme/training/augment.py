"""Augmentation: each training clip is moved, mirrored and lit a little differently, all its frames alike.

What changes from frame to frame is what the network should learn; so whatever is drawn here is drawn once for a
clip.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Augmentation:
    """How much a clip may change.

    Args:
        flip: mirror half of the clips; wrong where left and right are different actions.
        zoom: the picture is scaled by up to this share, in or out (0 to 0.5).
        shift: and moved by up to this share of its size (0 to 0.5).
        rotate: and turned by up to so many degrees.
        light: brightness and contrast change by up to this share (0 to 0.9).
    """

    flip: bool = True
    zoom: float = 0.15
    shift: float = 0.10
    rotate: float = 4.0
    light: float = 0.25

    def __call__(self, frames_THWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Change a clip.

        Args:
            frames_THWC: uint8, 0..255.
            rng: drawn from the same number of times whatever the settings.

        Returns:
            A new array of the same shape and type.
        """
        flip, zoom, dx, dy, angle, gain, offset = rng.uniform(-1, 1, 7)
        height, width = frames_THWC.shape[1:3]
        centre = ((width - 1) / 2, (height - 1) / 2)
        matrix = cv2.getRotationMatrix2D(centre, self.rotate * angle, 1 + self.zoom * zoom)
        matrix[:, 2] += (self.shift * dx * width, self.shift * dy * height)
        if self.flip and flip > 0:
            matrix[0] *= -1
            matrix[0, 2] += width - 1
        levels = np.arange(256, dtype=np.float32)
        levels = (levels - 128) * (1 + self.light * gain) + 128 + 128 * self.light * offset
        table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        changed = np.empty_like(frames_THWC)
        for frame, out in zip(frames_THWC, changed, strict=True):
            cv2.warpAffine(frame, matrix, (width, height), dst=out, borderMode=cv2.BORDER_REPLICATE)
            cv2.LUT(out, table, dst=out)
        return changed


@dataclass(frozen=True)
class Mirror:
    """The mirror image of a clip, as a view of its own beside the plain one."""

    mirror: bool = True  # what an entry of the cache is told by

    def __call__(self, frames_THWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Mirror a clip; nothing is drawn."""
        return np.ascontiguousarray(frames_THWC[:, :, ::-1])


def view_seed(path: str, span_s: tuple[float, float | None], what: object) -> int:
    """Seed of the random choices for a stretch of a video; it does not depend on the folder of the data set."""
    told = json.dumps([Path(path).parts[-2:], span_s, what])
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "big")
