"""Frames of a clip side by side, and pictures packed into a page as data URIs."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError

_GAP = 2  # pixels between frames
_GAP_COLOUR = (22, 24, 29)


def filmstrip(frames_THWC: NDArray[np.uint8], *, count: int = 8, height: int = 96) -> NDArray[np.uint8]:
    """Lay frames of a clip beside one another, in order of time.

    Args:
        frames_THWC: RGB uint8 (T, H, W, 3), T at least 1.
        count: frames shown, spread evenly from the first to the last; all of them where the clip has fewer.
        height: of the strip in pixels; widths keep the aspect of the frames.

    Returns:
        RGB uint8 (height, width of the strip, 3).
    """
    total, rows, columns = frames_THWC.shape[:3]
    width = max(1, round(columns * height / rows))
    enlarged = height > rows
    chosen = np.linspace(0, total - 1, min(count, total)).round().astype(int)
    strip = np.empty((height, len(chosen) * (width + _GAP) - _GAP, 3), np.uint8)
    strip[:] = _GAP_COLOUR
    for place, index in enumerate(chosen):
        left = place * (width + _GAP)
        strip[:, left : left + width] = cv2.resize(
            frames_THWC[index], (width, height), interpolation=cv2.INTER_CUBIC if enlarged else cv2.INTER_AREA
        )
    return strip


def jpeg_data_uri(image_HWC: NDArray[np.uint8], *, quality: int = 85) -> str:
    """Pack an RGB uint8 picture (H, W, 3) as a ``data:image/jpeg`` URI; ``quality`` is 1 to 100."""
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(image_HWC, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise KinemeError("a picture of the report could not be encoded as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def svg_data_uri(svg: str) -> str:
    """Pack an SVG document as a ``data:image/svg+xml`` URI."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")
