"""The place of a video without its people, as a small picture, for the baseline that answers from the place alone.

People are taken away by a person mask: the median over time of the background of each cell. Without the network for it,
the median of all frames stands in, which leaves whoever stays in one spot. On drawn clips of 3 s the median alone
leaves most of a person in the picture, and the mask about a fifth: see ``benchmarks/person_mask.py``.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.disk_cache import DiskCache
from kineme.errors import KinemeError
from kineme.files import user_cache_folder
from kineme.models import weights
from kineme.models.person_mask import WEIGHTS, PersonMask

FRAMES = 10  # of each video
_HEIGHT, _WIDTH = 12, 16
_SHOWN = 0.5  # of a cell: where a mask shows less of it, its frame does not count
_CACHE_BYTES = 2 * 10**8
_VERSION = 1  # to be raised when the picture of the same frames changes

Without = Literal["people", "movement"]
"""What the background is without: people where there is a mask of them, else what moves."""


def person_mask() -> PersonMask | None:
    """Finds people; None where its weights are not on this machine or LiteRT cannot run them."""
    files = weights.find(WEIGHTS.name)
    if files is None:
        return None
    try:
        return PersonMask(files)
    except (KinemeError, RuntimeError):  # no LiteRT, or one without an operation of this network
        return None


class Backgrounds:
    """Makes the background of videos, and keeps those made with a mask in the user's cache folder.

    Args:
        mask: from :func:`person_mask`.

    Attributes:
        without: people, or movement, whichever is taken away.
    """

    def __init__(self, mask: PersonMask | None) -> None:
        self._mask = mask
        self.without: Without = "people" if mask else "movement"
        self._cache = DiskCache(user_cache_folder() / "backgrounds", (".f32",), _CACHE_BYTES)

    def __call__(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See :func:`background`."""
        if self._mask is None:
            return background(frames_THWC)
        about = f"{_VERSION} {frames_THWC.shape} {sorted(WEIGHTS.files.values())}".encode()
        name = hashlib.sha256(about + np.ascontiguousarray(frames_THWC).tobytes()).hexdigest() + ".f32"
        kept = self._cache.read(name)
        if kept is not None and len(kept) == 4 * _HEIGHT * _WIDTH * 3:
            return np.frombuffer(kept, np.float32)
        made = background(frames_THWC, self._mask)
        self._cache.write(name, made.tobytes())
        return made


def background(frames_THWC: NDArray[np.uint8], mask: PersonMask | None = None) -> NDArray[np.float32]:
    """The scene without its people: the median over time of each pixel, 12 rows of 16, RGB.

    Brought to mean 0 and length 1, so that neither the light nor its contrast counts when two are compared.

    Args:
        frames_THWC: a clip, uint8 RGB; about ten frames of it, evenly spread, are used.
        mask: takes people away before the median; without it, only what moves goes.

    Returns:
        576 values; all 0 for a scene of one colour, and 0 where people hide the scene in every frame.
    """
    count = len(frames_THWC)
    chosen = np.unique(np.linspace(0, count - 1, min(count, FRAMES)).round().astype(int))
    picture = _median_of([_small(np.ascontiguousarray(frames_THWC[at]), mask) for at in chosen])
    picture -= np.nanmean(picture) if not np.isnan(picture).all() else 0
    picture = np.nan_to_num(picture.ravel())
    length = float(np.linalg.norm(picture))
    return np.asarray(picture / length if length > 0 else picture, np.float32)


def scene_without_people(frames_THWC: NDArray[np.uint8], mask: PersonMask) -> NDArray[np.uint8]:
    """The picture of a place, (H, W, 3) RGB: the median over time of each pixel where it shows nobody.

    A pixel that shows somebody in every frame is the median of all.
    """
    hidden_THW = np.stack([mask.find(frame) for frame in frames_THWC])
    seen_THWC = np.where(hidden_THW[..., None], np.float32(np.nan), frames_THWC)
    with_people_HWC = np.median(frames_THWC, axis=0)
    always_HW1 = hidden_THW.min(axis=0)[..., None]
    picture_HWC = np.where(always_HW1, with_people_HWC, _median_of(list(seen_THWC)))
    return np.asarray(picture_HWC.round(), np.uint8)


def _median_of(small: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # a cell that no frame shows
        return np.asarray(np.nanmedian(small, axis=0), np.float32)


def _small(frame_HWC: NDArray[np.uint8], mask: PersonMask | None) -> NDArray[np.float32]:
    """A frame of 12 rows of 16; not a number where people hide most of a cell."""
    size = (_WIDTH, _HEIGHT)
    if mask is None:
        return np.asarray(cv2.resize(frame_HWC, size, interpolation=cv2.INTER_AREA), np.float32)
    shown_HW = (~mask.find(frame_HWC)).astype(np.float32)
    shown_hw = cv2.resize(shown_HW, size, interpolation=cv2.INTER_AREA)[..., None]
    sums_hwC = cv2.resize(frame_HWC * shown_HW[..., None], size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.where(shown_hw >= _SHOWN, sums_hwC / np.maximum(shown_hw, 1e-6), np.nan), np.float32)
