"""Converts uint8 frames to the input of a transformers network, by its processor's configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.models.hub.snapshot import PROCESSORS, Snapshot
from kineme.video.spec import ResizeMode

_NESTED = ("video_processor", "image_processor")  # in processor_config.json


@dataclass(frozen=True)
class Processing:
    """How frames are brought to a network.

    Args:
        height: pixels of a frame before the crop; the frames of a clip come in this size.
        width: pixels.
        fit: how a video's frame is brought to that size.
        crop: height and width of the middle that is kept.
        corner: its first row and column; libraries round the half of an odd rest in different ways.
        scale: pixels are multiplied by it.
        offset: and this is added to them.
        mean: of each channel, which is then subtracted.
        std: of each channel, by which it is then divided.
    """

    height: int
    width: int
    fit: ResizeMode
    crop: tuple[int, int]
    corner: tuple[int, int]
    scale: float
    offset: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """pixels_TCHW, float32, of frames of the size above."""
        (height, width), (top, left) = self.crop, self.corner
        pixels_THWC = frames_THWC[:, top : top + height, left : left + width].astype(np.float32)
        pixels_THWC = pixels_THWC * np.float32(self.scale) + np.float32(self.offset)
        mean_C, std_C = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return np.ascontiguousarray(((pixels_THWC - mean_C) / std_C).transpose(0, 3, 1, 2), np.float32)


def read_processing(snapshot: Snapshot) -> Processing:
    """The numbers in a model's processor configuration.

    Raises:
        KinemeError: it is missing, or its values are not numbers.
    """
    file = next((file for file in PROCESSORS if file in snapshot.files), None)
    if file is None:
        raise KinemeError(
            f"{snapshot.name}: holds no {PROCESSORS[1]}, which says at what size and scale its network sees pixels; "
            "save the processor beside the model"
        )
    document = snapshot.json(file)
    document = next((document[key] for key in _NESTED if isinstance(document.get(key), dict)), document)
    try:
        return _processing(document)
    except (KeyError, TypeError, ValueError) as error:
        raise KinemeError(f"{snapshot.name}: its {file} cannot be understood ({error!r})") from error


def _processing(document: Mapping[str, Any]) -> Processing:
    size = document.get("size") if document.get("do_resize", True) else None
    size = {"shortest_edge": size} if isinstance(size, int) else size or {}
    crop = document.get("crop_size") if document.get("do_center_crop", "crop_size" in document) else None
    crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
    if "shortest_edge" in size:
        height = width = int(size["shortest_edge"])
        fit: ResizeMode = "crop"
    else:
        sides = size or crop or {}
        height, width = int(sides["height"]), int(sides["width"])
        fit = "stretch" if size else "crop"
    kept = (int(crop["height"]), int(crop["width"])) if crop else (height, width)
    if not (0 < kept[0] <= height and 0 < kept[1] <= width):
        raise ValueError(f"a crop of {kept} from frames of {(height, width)}")
    mean, std = document.get("image_mean"), document.get("image_std")
    if not document.get("do_normalize", mean is not None):
        mean, std = 0.0, 1.0
    rescales = document.get("do_rescale", True)
    found = Processing(
        height=height,
        width=width,
        fit=fit,
        crop=kept,
        corner=((height - kept[0]) // 2, (width - kept[1]) // 2),
        scale=float(document.get("rescale_factor", 1 / 255)) if rescales else 1.0,
        offset=-1.0 if rescales and document.get("offset", False) else 0.0,
        mean=_three(mean),
        std=_three(std),
    )
    if not all(0 < one < math.inf for one in (found.scale, *found.std)) or not all(map(math.isfinite, found.mean)):
        raise ValueError(f"a scale of {found.scale}, a mean of {found.mean} and a deviation of {found.std}")
    return found


def _three(value: Any) -> tuple[float, float, float]:
    one, two, three = value if isinstance(value, list) else [value] * 3
    return float(one), float(two), float(three)
