"""The detector: everybody in one frame, with a second look at parts of it where people are small.

MoveNet sees the whole frame at 256 pixels, which finds people who are taller than about a third of a wide frame. Two
things find smaller ones: a crop around each small person who is followed, and, as long as nobody large is followed,
one or two of the overlapping parts of the frame at each look, in turn, which finds those who come. So a scene of large
people costs one run of the network a look, an empty one about four, and each small person half a run more
(``benchmarks/people.py`` measures it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.models import weights
from kineme.models.backbones.movenet import LONG_SIDE, WEIGHTS, Detections, MoveNetDetector
from kineme.people.similarity import points_of, similarity

Frame = NDArray[np.uint8]
Floats = NDArray[np.float32]
Part = tuple[int, int, int, int]  # top, left, bottom, right

_LARGE = 64  # pixels of the network's picture; whoever is taller needs no second look
# Side of the parts in shorter sides of the frame, and their overlap as a share of that: whoever is too small for the
# whole frame fits into the overlap of the first, and who is too small for those into that of the second.
_PARTS = ((0.7, 0.5), (0.3, 0.4))
_SMALLEST_PART = 128  # pixels; smaller ones show nothing more
_MOST_PARTS = 60  # of each size
_PARTS_A_LOOK = 2  # as long as nobody is followed, else half as many
_CROP = 2.0  # side of the crop around somebody, in their heights
_CROP_SIDE = 192  # pixels of the network's picture of a crop
_SAME = 0.5  # detections that resemble each other more are of the same person
_CUT_AT = 2.0  # pixels from an inner edge of a part: a box that reaches there is of somebody who is cut
_TALL = 0.8  # of a part's height: the whole frame shows whoever is taller better
_FURNITURE = 0.3  # score in a part below which it is mostly furniture, unless somebody is expected there


def require_detector() -> Mapping[str, Path]:
    """The files of the network.

    Raises:
        KinemeError: they are not on this machine; the line says how to get them.
    """
    return weights.require(WEIGHTS.name)


class PeopleDetector:
    """Finds the people in one frame after another. Use it in one thread.

    Args:
        second_look: also at parts of the frame, where people are small.
        threads: processor threads for the network.

    Raises:
        KinemeError: the weights are not on this machine; the line says how to get them.
    """

    def __init__(self, *, second_look: bool = True, threads: int = 1) -> None:
        files = require_detector()
        self._whole, self._parts, self._crops = (
            MoveNetDetector(files, long_side=side, threads=threads) for side in (LONG_SIDE, LONG_SIDE, _CROP_SIDE)
        )
        self._second_look = second_look
        self.reset()

    def reset(self) -> None:
        """Begin anew, as at a cut: all parts are looked at once."""
        self._next: int | None = None  # part; None before all have been looked at

    def __call__(self, frame_HWC: Frame, expected_P4: Floats | None = None) -> Detections:
        """Everybody, each once, the surest first.

        Args:
            frame_HWC: uint8, RGB, at the size it is displayed at.
            expected_P4: boxes of those who are followed, where they are expected, in pixels.

        Raises:
            UsageError: the frame is not (H, W, 3) of uint8.
        """
        found = [self._whole(frame_HWC)]
        if self._second_look:
            expected_P4 = np.zeros((0, 4), np.float32) if expected_P4 is None else expected_P4
            found += self._look_again(frame_HWC, found[0], expected_P4)
        return _each_once(found)

    def _look_again(self, frame_HWC: Frame, seen: Detections, expected_P4: Floats) -> list[Detections]:
        height, width = frame_HWC.shape[:2]
        large = _LARGE * max(height, width) / LONG_SIDE
        heights_P = expected_P4[:, 3] - expected_P4[:, 1]
        small_P4 = expected_P4[heights_P < large]
        crops = crops_of(small_P4, height, width)
        found = [self._look_at(self._crops, frame_HWC, crop, 0.0) for crop in crops]
        sure_P4 = seen.boxes_P4[seen.scores_P >= _FURNITURE]
        if (heights_P >= large).any() or (sure_P4[:, 3] - sure_P4[:, 1] >= large).any():
            return found
        parts = parts_of(height, width)
        first = self._next
        count = min(_PARTS_A_LOOK // (2 if len(expected_P4) else 1), len(parts))
        chosen = range(len(parts)) if first is None else range(first, first + count)
        self._next = (chosen.stop % len(parts)) if parts else 0
        return found + [
            self._look_at(self._parts, frame_HWC, parts[number % len(parts)], _FURNITURE) for number in chosen
        ]

    def _look_at(self, network: MoveNetDetector, frame_HWC: Frame, part: Part, lowest: float) -> Detections:
        top, left, bottom, right = part
        found = network(np.ascontiguousarray(frame_HWC[top:bottom, left:right]))
        whole = _whole_bodies(found, part, (frame_HWC.shape[0], frame_HWC.shape[1]))
        return some_of(whole, np.flatnonzero(whole.scores_P >= lowest))


def crops_of(boxes_P4: Floats, height: int, width: int) -> list[Part]:
    """Squares around people of a frame, as top, left, bottom, right; one for those whom the same shows well enough."""
    crops: list[Part] = []
    for x0, y0, x1, y1 in boxes_P4.tolist():
        tall = max(y1 - y0, x1 - x0, 8.0)
        fits = (
            bottom - top <= 1.5 * _CROP * tall and left <= x0 and x1 <= right and top <= y0 and y1 <= bottom
            for top, left, bottom, right in crops
        )
        if any(fits):
            continue
        side = round(min(_CROP * tall, height, width))
        top, left = (
            int(min(max(round((low + high - side) / 2), 0), most - side))
            for low, high, most in ((y0, y1, height), (x0, x1, width))
        )
        crops.append((top, left, top + side, left + side))
    return crops


def parts_of(height: int, width: int) -> list[Part]:
    """Overlapping squares of two sizes that cover a frame, as top, left, bottom, right; at most 60 of each size."""
    parts: list[Part] = []
    for share, overlap in _PARTS:
        side = max(share * min(height, width), _SMALLEST_PART)
        if side >= max(height, width):
            continue
        while (count := _count(height, side, overlap) * _count(width, side, overlap)) > _MOST_PARTS:
            side *= math.sqrt(count / _MOST_PARTS) * 1.01
        rows, columns = (_places(length, side, overlap) for length in (height, width))
        parts += [(top, left, bottom, right) for top, bottom in rows for left, right in columns]
    return parts


def _count(length: int, side: float, overlap: float) -> int:
    return max(1, math.ceil((length - side * overlap) / (side * (1 - overlap))))


def _places(length: int, side: float, overlap: float) -> list[tuple[int, int]]:
    count, size = _count(length, side, overlap), min(round(side), length)
    starts = [round(number * (length - size) / max(count - 1, 1)) for number in range(count)]
    return [(start, start + size) for start in starts]


def _whole_bodies(found: Detections, part: Part, frame: tuple[int, int]) -> Detections:
    """The detections of a part in pixels of the frame, without people who are cut by it or too tall for it."""
    top, left, bottom, right = part
    inner_4 = np.array([left > 0, top > 0, right < frame[1], bottom < frame[0]])
    size_4 = np.array([0, 0, right - left, bottom - top], np.float32)
    is_cut_P = ((np.abs(found.boxes_P4 - size_4) < _CUT_AT) & inner_4).any(axis=1)
    is_tall_P = found.boxes_P4[:, 3] - found.boxes_P4[:, 1] > _TALL * (bottom - top)
    shift_2 = np.array([left, top], np.float32)
    joints_PJC = found.joints_PJC + np.append(shift_2, np.float32(0))
    moved = Detections(joints_PJC, found.boxes_P4 + np.tile(shift_2, 2), found.scores_P)
    return some_of(moved, np.flatnonzero(~(is_cut_P | is_tall_P)))


def _each_once(several: list[Detections]) -> Detections:
    """All detections but those that resemble a surer one."""
    everybody = Detections(
        np.concatenate([one.joints_PJC for one in several]),
        np.concatenate([one.boxes_P4 for one in several]),
        np.concatenate([one.scores_P for one in several]),
    )
    points_PX2 = points_of(everybody)
    kept: list[int] = []
    for number in np.argsort(-everybody.scores_P, kind="stable").tolist():
        scores_J = everybody.joints_PJC[number, :, 2]
        if not kept or similarity(points_PX2[number], points_PX2[kept], scores_J).max() < _SAME:
            kept.append(number)
    return some_of(everybody, np.array(kept, np.intp))


def some_of(found: Detections, which: NDArray[np.intp]) -> Detections:
    """Those with the given numbers."""
    return Detections(found.joints_PJC[which], found.boxes_P4[which], found.scores_P[which])
