"""The detector: everybody in one frame, with a second look at parts of it where people are small.

MoveNet looks at the whole frame at 256 pixels and misses whom that leaves fewer than about 40 pixels high. The second
look runs it again on overlapping parts of the frame, each at 256 pixels: so it costs one more run for each part
(``benchmarks/people.py`` measures both), and finds people two to three times smaller.
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

_PART = 2.0 * LONG_SIDE  # pixels; parts of that side are shown at half their size
_MOST_PARTS = 8
_OVERLAP = 0.25  # of a part, so that nobody small is cut in every part
_SAME = 0.5  # detections that resemble each other more are of the same person
_CUT_AT = 2.0  # pixels from an inner edge of a part: a box that reaches there is of somebody who is cut
_TALL = 0.8  # of a part's height: the whole frame shows whoever is taller better


def require_detector() -> Mapping[str, Path]:
    """The files of the network.

    Raises:
        KinemeError: they are not on this machine; the line says how to get them.
    """
    return weights.require(WEIGHTS.name)


class PeopleDetector:
    """Finds the people in single frames. Use it in one thread.

    Args:
        second_look: also at parts of the frame.
        threads: processor threads for the network.

    Raises:
        KinemeError: the weights are not on this machine; the line says how to get them.
    """

    def __init__(self, *, second_look: bool = False, threads: int = 1) -> None:
        self._network = MoveNetDetector(require_detector(), threads=threads)
        self._second_look = second_look

    def __call__(self, frame_HWC: Frame) -> Detections:
        """Everybody, each once, the surest first; up to six without a second look.

        Args:
            frame_HWC: uint8, RGB, at the size it is displayed at.

        Raises:
            UsageError: the frame is not (H, W, 3) of uint8.
        """
        found = [self._network(frame_HWC)]
        for top, left, bottom, right in parts_of(*frame_HWC.shape[:2]) if self._second_look else ():
            part = self._network(np.ascontiguousarray(frame_HWC[top:bottom, left:right]))
            found.append(_whole_bodies(part, (top, left, bottom, right), frame_HWC.shape[:2]))
        return _each_once(found)


def parts_of(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Overlapping parts of a frame as top, left, bottom, right; none where the whole is shown well enough.

    All have one size, of a side of about 512 pixels; in large frames they grow, so that there are eight at most.
    """
    if max(height, width) < 1.5 * LONG_SIDE:
        return []
    side = _PART
    while (count := _count(height, side) * _count(width, side)) > _MOST_PARTS:
        side *= math.sqrt(count / _MOST_PARTS) * 1.01
    if count == 1:
        side = max(height, width) / 1.5
    rows, columns = (_places(length, side) for length in (height, width))
    return [(top, left, bottom, right) for top, bottom in rows for left, right in columns]


def _count(length: int, side: float) -> int:
    return max(1, math.ceil((length - side * _OVERLAP) / (side * (1 - _OVERLAP))))


def _places(length: int, side: float) -> list[tuple[int, int]]:
    count, size = _count(length, side), min(round(side), length)
    starts = [round(number * (length - size) / max(count - 1, 1)) for number in range(count)]
    return [(start, start + size) for start in starts]


def _whole_bodies(found: Detections, part: tuple[int, int, int, int], frame: tuple[int, int]) -> Detections:
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
