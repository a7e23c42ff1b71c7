"""Tells one recording from two takes that look alike, by the details of what moves in them.

Thumbnails tell where and when something moves. In two slow takes of one person, or two recordings of one screen, both
are nearly equal. A copy also shows the same edges and textures in the same places, wherever something moves, after any
re-encoding; two takes do not. Where nothing moves there is nothing to tell by: one recording cannot be proved.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.dataset.audit.copies import NearDuplicate
from kineme.dataset.audit.inspection import FRAMES
from kineme.dataset.audit.signature import Floats, Window

_INSTANTS = 12  # compared, spread over the time that both show
_NEIGHBOURS = (-2, -1, 0, 1, 2)  # pictures, of the 48 of a video
_FINE, _COARSE = 1.2, 8.0  # pixels: details lie between the two scales
_CELL = 16  # pixels: side of the square in which details are correlated
_GRID = 4  # pixels between squares
_TEXTURE, _MOVING = 4.0, 3.0  # grey levels: standard deviation within a square, and over time
_EQUAL = 0.9  # correlation of equal details
_LEAST_SQUARES = 4  # with movement, or nothing is proved
_MOST_UNEQUAL = 0.065  # of the squares with movement; re-timed copies have up to 0.063, slow takes nearly always more
_UNTIL = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-5)


def is_one_recording(first_THW: NDArray[np.uint8], second_THW: NDArray[np.uint8], pair: NearDuplicate) -> bool:
    """Whether two videos that are alike show one recording.

    Args:
        first_THW: 48 grey pictures of the first, spread evenly over it, as :func:`...inspection.read_details` gives.
        second_THW: 48 grey pictures of the second.
        pair: how the two lie on each other.
    """
    whole_THW, part_THW = (first_THW, second_THW) if pair.first_is_whole else (second_THW, first_THW)
    if pair.mirrored:
        whole_THW = whole_THW[:, :, ::-1]
    part_THW = _cut(part_THW, pair.window)
    size = round(whole_THW.shape[2] * part_THW.shape[1] / whole_THW.shape[1]), part_THW.shape[1]
    along = (np.arange(_INSTANTS) + 0.5) / _INSTANTS
    at_2K = [
        np.minimum(((begin + (end - begin) * along) * FRAMES).astype(int), FRAMES - 1)
        for begin, end in zip(pair.begin, pair.end, strict=True)
    ]
    ones_KHW = _resized(whole_THW[at_2K[0]], size)
    # The times agree to a few frames, and a copy may lack every other one: the best of the neighbours counts.
    others_NKHW = [_resized(part_THW[(at_2K[1] + shift).clip(0, FRAMES - 1)], size) for shift in _NEIGHBOURS]
    warp = _fit(np.median(ones_KHW, axis=0), np.median(others_NKHW[len(_NEIGHBOURS) // 2], axis=0))
    ones_KHW = _details(ones_KHW)
    others_NKHW = [_details(_warped(others_KHW, warp)) for others_KHW in others_NKHW]
    unequal_K = _unequal(ones_KHW, others_NKHW)
    return len(unequal_K) > 0 and float(np.median(unequal_K)) <= _MOST_UNEQUAL


def _unequal(ones_KHW: Floats, others_NKHW: Sequence[Floats]) -> list[float]:
    """The share of squares with movement whose details differ, of each instant that has such squares."""
    margin = _CELL // 2 + 2
    inner = slice(margin, ones_KHW.shape[1] - margin, _GRID), slice(margin, ones_KHW.shape[2] - margin, _GRID)
    moves = np.maximum(ones_KHW.std(axis=0), others_NKHW[len(_NEIGHBOURS) // 2].std(axis=0))
    moving = np.sqrt(np.maximum(_mean(moves * moves), 0))[inner] > _MOVING
    found = []
    for number, one in enumerate(ones_KHW):
        similarity, texture = zip(*(_correlated(one, others[number]) for others in others_NKHW), strict=True)
        counted = (np.max(texture, axis=0)[inner] > _TEXTURE) & moving
        if counted.sum() >= _LEAST_SQUARES:
            found.append(float((np.max(similarity, axis=0)[inner][counted] < _EQUAL).mean()))
    return found


def _correlated(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Correlation of the squares about each pixel, and how much the more textured of the two varies there."""
    means = _mean(one), _mean(other)
    spreads = [np.maximum(_mean(each * each) - mean * mean, 0) for each, mean in ((one, means[0]), (other, means[1]))]
    together = _mean(one * other) - means[0] * means[1]
    return together / np.sqrt(np.maximum(spreads[0] * spreads[1], 1e-6)), np.sqrt(np.maximum(*spreads))


def _mean(picture: Floats) -> Floats:
    return np.asarray(cv2.boxFilter(picture, -1, (_CELL, _CELL)), np.float32)


def _cut(pictures_THW: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    height, width = pictures_THW.shape[1:]
    left, right, top, bottom = (
        round(edge * side) for edge, side in zip(window, (width, width, height, height), strict=True)
    )
    return pictures_THW[:, top : max(bottom, top + 2 * _CELL), left : max(right, left + 2 * _CELL)]


def _resized(pictures_KHW: NDArray[np.uint8], size: tuple[int, int]) -> Floats:
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pictures_KHW]).astype(np.float32)


def _fit(one: Floats, other: Floats) -> Floats:
    """The affine map that lays the one picture on the other (Evangelidis and Psarakis 2008)."""
    try:
        return np.asarray(
            cv2.findTransformECC(one, other, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, _UNTIL, None, 5)[1],
            np.float32,
        )
    except cv2.error:  # it found no way uphill
        return np.eye(2, 3, dtype=np.float32)


def _warped(pictures_KHW: Floats, warp: Floats) -> Floats:
    size = pictures_KHW.shape[2], pictures_KHW.shape[1]
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack(
        [cv2.warpAffine(one, warp, size, flags=how, borderMode=cv2.BORDER_REPLICATE) for one in pictures_KHW]
    )


def _details(pictures_KHW: Floats) -> Floats:
    """Pictures without noise and without what changes slowly across them, such as light."""
    smooth = [cv2.GaussianBlur(one, (0, 0), _FINE) for one in pictures_KHW]
    return np.stack([one - cv2.GaussianBlur(one, (0, 0), _COARSE) for one in smooth]).astype(np.float32)
