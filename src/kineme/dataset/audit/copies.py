"""Finds near-duplicates: re-encoded, mirrored, cropped, letterboxed, sped up, slowed down or trimmed copies.

A pair is looked at in three steps, each more careful and for fewer pairs. (1) Background and *motion map* (where
something moves) of each video, 8 x 8, are compared with every window of every other video, by normalised correlation:
one matrix product for all pairs. (2) For the likeliest partners of each video the window is fitted until the
backgrounds lie on each other. (3) What moves, frame less background, is correlated frame by frame, and the best
line through that matrix says which part of the one, at which speed, is the other. Two takes in one place, with one
camera, agree in (1) and (2) but not in (3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.dataset.audit.candidates import Alignment, candidates
from kineme.dataset.audit.inspection import FRAMES, SIDE
from kineme.dataset.audit.signature import FLAT, WHOLE, Floats, VideoSignature, Window, correlation, one_thread, seen
from kineme.progress import progress

Ends = tuple[float, float]  # where something begins (or ends) in the one video and in the other, as shares

SAME, SAME_CROPPED = 0.88, 0.82  # correlation of what moves from which on two videos show the same

_MANY = 2000  # candidates: with more, progress is shown
_PLACED, _WELL_PLACED = 0.85, 0.95  # correlation of the backgrounds in step 2
_SAME_STILL = 0.99  # the same of still pictures
_CALM, _CALM_ALIKE = 0.4, 0.7  # share of a picture in which least moves; correlation of the backgrounds there
_LEAST_WINDOW = 0.4  # of the side
_UNTIL = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-4)  # steps of the fit
_WORTH_A_LOOK = 0.5  # correlation of what moves
_SHIFTS = (-1 / 48, -1 / 96, 0.0, 1 / 96, 1 / 48)  # of a video's length
_LEAST_OVERLAP = 0.5  # of each of two videos
_LEAST_MOTION = 0.3  # of all that moves in each of them
_STEPS = 32  # places along a video where an overlap may begin or end
_FASTEST = 3.0


@dataclass(frozen=True)
class NearDuplicate:
    """Two videos that show the same.

    Args:
        first: index of one.
        second: index of the other, larger.
        similarity: correlation of what moves, up to 1; of the backgrounds where nothing moves.
        first_is_whole: whether the whole of the first is a window of the second, not the other way round.
        mirrored: whether one is the mirror picture of the other.
        window: the part of the larger picture that both show, as shares: left, right, top, bottom.
        speed: of the one over the other, at least 1.
        share: of the shorter in time that the other shows too.
        begin: where the time that both show begins in the whole and in the part, as shares.
        end: where it ends in them.
        certain: whether they are one recording, and not only look alike.
    """

    first: int
    second: int
    similarity: float
    first_is_whole: bool
    mirrored: bool
    window: Window
    speed: float
    share: float
    begin: Ends = (0.0, 0.0)
    end: Ends = (1.0, 1.0)
    certain: bool = False

    def renumbered(self, numbers: Sequence[int]) -> NearDuplicate:
        """The same pair under other, rising numbers."""
        return replace(self, first=numbers[self.first], second=numbers[self.second])


def find_near_duplicates(signatures: Sequence[VideoSignature], files: Sequence[str]) -> list[NearDuplicate]:
    """Every pair of videos that show the same, in order; parts of one file are not compared."""
    copies = []
    starts = candidates(signatures, files)
    with one_thread(), progress("comparing videos" if len(starts) >= _MANY else None, len(starts)) as advance:
        for (first, second), alignments in starts.items():
            found = _verified(signatures[first], signatures[second], alignments)
            if found is not None:
                copies.append(replace(found, first=first, second=second))
            advance()
    return copies


def _verified(first: VideoSignature, second: VideoSignature, alignments: Sequence[Alignment]) -> NearDuplicate | None:
    """Videos 0 and 1, where they show the same in one of these alignments."""
    flat = first.flat or second.flat
    placed = -1.0
    for one in alignments:
        pictures = [signature.motion_HW if flat else signature.background_HW for signature in (first, second)]
        turned = pictures[0 if one.first_is_whole else 1][:, :: -1 if one.mirrored else 1]
        window, similarity = _fitted(pictures[1 if one.first_is_whole else 0], np.ascontiguousarray(turned), one.window)
        if similarity > placed:
            placed, alignment = similarity, one._replace(window=window)
        if placed >= _WELL_PLACED:
            break
    if placed < _PLACED:
        return None
    if first.still or second.still:
        same = first.still and second.still and not flat and placed >= _SAME_STILL
        return NearDuplicate(0, 1, placed, *alignment, 1.0, 1.0) if same else None
    whole, part = (first, second) if alignment.first_is_whole else (second, first)
    enough = SAME if alignment.window == WHOLE else SAME_CROPPED
    for carefully in (False, True):  # the second time where the first nearly sufficed
        if carefully:
            alignment = alignment._replace(window=_refine_crop(whole, part, alignment))
        one_TP, other_TP = _moving(whole, part, alignment)
        rough, begin, end = _aligned(one_TP, other_TP, whole.seconds / part.seconds)
        if rough < _WORTH_A_LOOK:
            return None
        # What stands still in the shared span may move elsewhere: the span has a background of its own.
        behind = _backgrounds(whole, part, alignment)
        similarity, begin, end = max(
            _refine_span(one_TP + behind[0], other_TP + behind[1], begin, end, shifted=carefully)
        )
        if similarity >= enough:
            break
    if similarity < enough or not _same_surroundings(whole, part, alignment):
        return None
    lengths = (end[0] - begin[0]) * whole.seconds, (end[1] - begin[1]) * part.seconds
    speed = max(lengths) / max(min(lengths), 1e-6)
    share = max(end[0] - begin[0], end[1] - begin[1])
    return NearDuplicate(0, 1, similarity, *alignment, speed, share, begin, end)


def _moving(whole: VideoSignature, part: VideoSignature, alignment: Alignment) -> tuple[Floats, Floats]:
    """What moves in the two videos, brought to the same part of the picture."""
    turned_THW = whole.moving[:, :, :: -1 if alignment.mirrored else 1]
    return seen(turned_THW, WHOLE, alignment.window), seen(part.moving, alignment.window, alignment.window)


def _backgrounds(whole: VideoSignature, part: VideoSignature, alignment: Alignment) -> tuple[Floats, Floats]:
    """The backgrounds of the two videos, brought to the same part of the picture."""
    turned_HW = whole.background_HW[:, :: -1 if alignment.mirrored else 1]
    return seen(turned_HW[None], WHOLE, alignment.window), seen(
        part.background_HW[None], alignment.window, alignment.window
    )


def _refine_crop(whole: VideoSignature, part: VideoSignature, alignment: Alignment) -> Window:
    """The window moved edge by edge until the backgrounds lie on each other as well as they can."""
    if alignment.window == WHOLE:
        return WHOLE

    def placed(window: Window) -> float:
        return correlation(*_backgrounds(whole, part, alignment._replace(window=window)))

    best, window = placed(alignment.window), alignment.window
    for step in (0.04, 0.02, 0.01):
        for edge in (0, 1, 2, 3) * 2:
            for move in (-step, step):
                edges = list(window)
                edges[edge] = round(min(max(edges[edge] + move, 0.0), 1.0), 4)
                moved: Window = tuple(edges)  # type: ignore[assignment]
                if min(moved[1] - moved[0], moved[3] - moved[2]) >= _LEAST_WINDOW and placed(moved) > best:
                    best, window = placed(moved), moved
    return window


def _refine_span(
    one_TP: Floats, other_TP: Floats, begin: Ends, end: Ends, *, shifted: bool
) -> Iterator[tuple[float, Ends, Ends]]:
    """Similarity within a span of time; with ``shifted`` also within spans a little before, after or beside it."""
    moves = _SHIFTS if shifted else (0.0,)
    for first in moves:
        for last in moves:
            moved = [(begin[0] + first, end[0] + last), (begin[1], end[1])]
            if moved[0][0] < 0 or moved[0][1] > 1:  # the one ends there: move the other against it
                moved = [(begin[0], end[0]), (begin[1] - first, end[1] - last)]
            if min(moved[0][0], moved[1][0]) < 0 or max(moved[0][1], moved[1][1]) > 1:
                continue
            similarity = correlation(_span(one_TP, *moved[0]), _span(other_TP, *moved[1]))
            yield similarity, (moved[0][0], moved[1][0]), (moved[0][1], moved[1][1])


def _same_surroundings(whole: VideoSignature, part: VideoSignature, alignment: Alignment) -> bool:
    """Whether the backgrounds agree where nothing moves: what moves leaves its traces in a background too."""
    pictures = _backgrounds(whole, part, alignment)
    motions = (
        seen(whole.motion_HW[None, :, :: -1 if alignment.mirrored else 1], WHOLE, alignment.window),
        seen(part.motion_HW[None], alignment.window, alignment.window),
    )
    ones, others = [pictures[0][0], motions[0][0]], [pictures[1][0], motions[1][0]]
    calm_P = (ones[1] <= np.quantile(ones[1], _CALM)) & (others[1] <= np.quantile(others[1], _CALM))
    if min(ones[0][calm_P].std(), others[0][calm_P].std(), calm_P.sum()) < FLAT:
        return True  # there is nothing to tell by
    return correlation(ones[0][calm_P], others[0][calm_P], centred=True) >= _CALM_ALIKE


def _fitted(part_HW: Floats, whole_HW: Floats, window: Window) -> tuple[Window, float]:
    """Fit a window of ``part_HW`` to ``whole_HW``; and their similarity then.

    By the enhanced correlation coefficient (Evangelidis and Psarakis 2008).
    """
    best = window, _similarity(part_HW, whole_HW, window)
    if best[1] < 0.4 or (window == WHOLE and best[1] > 0.97):
        return best
    left, right, top, bottom = window
    warp = np.array(
        [
            [right - left, 0, left * SIDE - (1 - right + left) / 2],
            [0, bottom - top, top * SIDE - (1 - bottom + top) / 2],
        ],
        np.float32,
    )
    with suppress(cv2.error):  # it found no way uphill
        _, warp = cv2.findTransformECC(whole_HW, part_HW, warp, cv2.MOTION_AFFINE, _UNTIL, None, 5)
        width, height = float(warp[0, 0]), float(warp[1, 1])
        first = (float(warp[0, 2]) + (1 - width) / 2) / SIDE, (float(warp[1, 2]) + (1 - height) / 2) / SIDE
        edges = (first[0], first[0] + width, first[1], first[1] + height)
        found: Window = tuple(round(min(max(edge, 0.0), 1.0), 4) for edge in edges)  # type: ignore[assignment]
        if min(found[1] - found[0], found[3] - found[2]) >= _LEAST_WINDOW:
            best = max(best, (found, _similarity(part_HW, whole_HW, found)), key=lambda one: one[1])
    return best


def _similarity(part_HW: Floats, whole_HW: Floats, window: Window) -> float:
    """Correlation of a picture with a window of another."""
    return correlation(seen(part_HW[None], window, window), seen(whole_HW[None], WHOLE, window), centred=True)


def _span(frames_TP: Floats, begin: float, end: float) -> Floats:
    """What moves in a span of time, given as shares."""
    at = begin + (end - begin) * (np.arange(FRAMES) + 0.5) / FRAMES
    chosen_TP = frames_TP[np.minimum((at * FRAMES).astype(int), FRAMES - 1)]
    return np.asarray(chosen_TP - np.partition(chosen_TP, FRAMES // 2, axis=0)[FRAMES // 2], np.float32)


def _aligned(one_TP: Floats, other_TP: Floats, longer: float) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """The span that two videos most likely share: their similarity within it, and where it begins and ends.

    Args:
        one_TP: what moves in the one.
        other_TP: in the other.
        longer: length of the one over that of the other.
    """
    products_TT = one_TP @ other_TP.T
    one_T, other_T = (one_TP**2).sum(axis=1), (other_TP**2).sum(axis=1)
    ones_LT, others_LT, begins_L2, ends_L2 = _lines()
    speeds_L = (ends_L2 - begins_L2)[:, 0] / (ends_L2 - begins_L2)[:, 1] * longer
    ones_L, others_L = one_T[ones_LT].sum(axis=1), other_T[others_LT].sum(axis=1)
    similarity_L = products_TT.ravel()[ones_LT * FRAMES + others_LT].sum(axis=1) / (np.sqrt(ones_L * others_L) + 1e-6)
    # A span in which little moves says little: a good part of what moves in both must be within it.
    share_L = np.minimum(ones_L / one_T.sum(), others_L / other_T.sum())
    similarity_L[(speeds_L > _FASTEST) | (speeds_L < 1 / _FASTEST) | (share_L < _LEAST_MOTION)] = -1
    best = int(similarity_L.argmax())
    begin, end = begins_L2[best].tolist(), ends_L2[best].tolist()
    return float(similarity_L[best]), (begin[0], begin[1]), (end[0], end[1])


@cache
def _lines() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """All lines along which two videos may overlap in time: the frames of each on the line, and its ends as shares."""
    starts = [(place / _STEPS, 0.0) for place in range(_STEPS // 2 + 1)]
    starts += [(0.0, place / _STEPS) for place in range(1, _STEPS // 2 + 1)]
    stops = [(1 - one, 1 - other) for one, other in starts]
    pairs = [
        (begin, end)
        for begin in starts
        for end in stops
        if min(end[0] - begin[0], end[1] - begin[1]) >= _LEAST_OVERLAP - 1e-9
    ]
    begins_L2, ends_L2 = (np.array([pair[which] for pair in pairs]) for which in (0, 1))
    along_T = (np.arange(0, FRAMES, 2) + 1) / FRAMES
    at_L2T = begins_L2[..., None] + (ends_L2 - begins_L2)[..., None] * along_T
    frames_L2T = np.minimum((at_L2T * FRAMES).astype(np.int64), FRAMES - 1)
    return frames_L2T[:, 0], frames_L2T[:, 1], begins_L2, ends_L2
