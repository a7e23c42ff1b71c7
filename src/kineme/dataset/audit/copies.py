"""Finds copies among films: encoded again, mirrored, cropped, letterboxed, sped up, slowed down or cut at the ends.

A pair is looked at in three steps, each more careful and for fewer pairs. (1) Background and *motion map* (where
something moves) of each film, 8 x 8, are compared with every window of every other film, by normalised correlation:
one matrix product for all pairs. (2) For the likeliest partners of each film the window is fitted until the
backgrounds lie on each other. (3) What moves, frame less background, is correlated frame by frame, and the best
line through that matrix says which part of the one, at which speed, is the other. Two takes in one place, with one
camera, agree in (1) and (2) but not in (3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from kineme.dataset.audit.look import FRAMES, SIDE
from kineme.progress import progress

Floats = NDArray[np.float32]
Window = tuple[float, float, float, float]  # left, right, top, bottom, as shares of the picture

WHOLE: Window = (0.0, 1.0, 0.0, 1.0)
ALIKE, ALIKE_CROPPED = 0.82, 0.78  # correlation of what moves from which on two films are the same

_COARSE = 8
_CANDIDATE = 0.7  # of step 1
_MANY = 2000  # candidates: with more, progress is shown
_PARTNERS = 24  # most candidates of each film
_PLACED, _WELL_PLACED = 0.85, 0.95  # correlation of the backgrounds in step 2
_FLAT = 2.0  # grey levels: a background that varies less has nothing to be recognised by
_STILL = 0.35  # grey levels: a film in which less moves is a still picture
_SAME_STILL = 0.99
_BLOCK = 2e8  # numbers of a matrix product held at a time
_GRAIN = 0.75  # cells to compare for each cell of a film: fewer forgive more
_CALM, _CALM_ALIKE = 0.4, 0.7  # share of a picture in which least moves; correlation of the backgrounds there
_LEAST_WINDOW = 0.4  # of the side
_UNTIL = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-4)  # steps of the fit
_WORTH_A_LOOK = 0.5
_LEAST_TOLD = 0.3
_LEAST_OVERLAP = 0.5  # of each of two films
_STEPS = 32  # places along a film where an overlap may begin or end
_FASTEST = 3.0


@dataclass(frozen=True)
class Copy:
    """Two films that show the same.

    Args:
        first: index of one.
        second: index of the other, larger.
        alike: correlation of what moves, up to 1.
        mirrored: whether one is the mirror picture of the other.
        window: the part of the larger picture that both show, as shares: left, right, top, bottom.
        speed: of the one over the other, at least 1.
        share: of the shorter in time that the other shows too.
    """

    first: int
    second: int
    alike: float
    mirrored: bool
    window: Window
    speed: float
    share: float

    def renumbered(self, numbers: Sequence[int]) -> Copy:
        """The same pair under other, rising numbers."""
        return replace(self, first=numbers[self.first], second=numbers[self.second])


@dataclass(frozen=True, eq=False)
class Film:
    """A film made ready for comparison; all pictures float32, 32 x 32.

    Args:
        background_HW: the median over time.
        moving_TP: frame less background, each frame with its own mean taken off.
        motion_HW: mean over time of the size of what moves.
        seconds: its length.
    """

    background_HW: Floats
    moving_THW: Floats
    motion_HW: Floats
    seconds: float

    @property
    def flat(self) -> bool:
        """Whether the background has nothing to be recognised by."""
        return bool(self.background_HW.std() < _FLAT)

    @property
    def still(self) -> bool:
        """Whether nothing moves."""
        return bool(np.sqrt(np.mean(self.moving_THW**2)) < _STILL)


def make_film(film_THW: NDArray[np.uint8], seconds: float) -> Film:
    """Take background and motion apart."""
    frames_THW = film_THW.astype(np.float32)
    background_HW = np.partition(frames_THW, FRAMES // 2, axis=0)[FRAMES // 2]
    moving_THW = frames_THW - background_HW
    moving_THW -= moving_THW.mean(axis=(1, 2), keepdims=True)
    return Film(background_HW, moving_THW, np.abs(moving_THW).mean(axis=0), seconds)


def find_copies(films: Sequence[Film]) -> list[Copy]:
    """Every pair of films that show the same, in order."""
    copies = []
    starts = _candidates(films)
    with one_thread(), progress("comparing videos" if len(starts) >= _MANY else None, len(starts)) as advance:
        for (first, second), ways in starts.items():
            found = _verified(films[first], films[second], ways)
            if found:
                copies.append(Copy(first, second, *found))
            advance()
    return copies


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep libraries from dividing small pictures among threads, which costs far more than it gives."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(before)


# Step 1: every pair, coarsely


class _Way(NamedTuple):
    """How one of two films may be a copy of the other: the whole of one, mirrored or not, is a window of the other."""

    first_is_whole: bool
    mirrored: bool
    window: Window


def _candidates(films: Sequence[Film]) -> dict[tuple[int, int], list[_Way]]:
    """Pairs that may be copies, in order, each with the ways in which it may be, the likeliest first."""
    count, windows = len(films), _windows()
    if count < 2:
        return {}
    wholes_ND = np.stack([_described(film, [WHOLE])[0] for film in films])
    mirrors_ND = wholes_ND.reshape(count, 2, _COARSE, _COARSE)[..., ::-1].reshape(count, -1)
    either_ND = np.concatenate([wholes_ND, mirrors_ND])
    best_NN = np.full((count, count), -1.0, np.float32)
    which_NN = np.zeros((count, count), np.int16)
    rows = max(1, int(_BLOCK / (2 * count * len(windows))))
    for start in range(0, count, rows):
        parts_BWD = np.stack([_described(film, windows) for film in films[start : start + rows]])
        alike_2NBW = (either_ND @ parts_BWD.reshape(-1, parts_BWD.shape[-1]).T).reshape(2, count, len(parts_BWD), -1)
        alike_NBW = np.concatenate(list(alike_2NBW), axis=-1)  # as filmed, then mirrored
        which = alike_NBW.argmax(axis=2)
        best_NN[:, start : start + rows] = np.take_along_axis(alike_NBW, which[..., None], axis=2)[..., 0]
        which_NN[:, start : start + rows] = which
    np.fill_diagonal(best_NN, -1.0)
    pair_NN = np.maximum(best_NN, best_NN.T)
    partners = min(_PARTNERS, count - 1)
    likely_NP = np.argpartition(-pair_NN, partners - 1, axis=1)[:, :partners]
    ones, others = np.arange(count).repeat(partners), likely_NP.ravel()
    kept = pair_NN[ones, others] >= _CANDIDATE
    pairs = np.unique(np.sort(np.stack([ones[kept], others[kept]], axis=1), axis=1), axis=0).tolist()
    found = {}
    for first, second in pairs:
        ways = sorted([(first, second), (second, first)], key=lambda pair: -best_NN[pair])
        numbers = [int(which_NN[pair]) for pair in ways]
        found[first, second] = [
            _Way(whole == first, number >= len(windows), windows[number % len(windows)])
            for (whole, _), number in zip(ways, numbers, strict=True)
        ]
    return found


@cache
def _windows() -> tuple[Window, ...]:
    """The parts of a picture that a copy may show: the whole, crops of several sizes and places, and letterboxes."""
    windows = [WHOLE]
    for across, down in (
        (0.95, 0.95),
        (0.9, 0.9),
        (0.8, 0.8),
        (0.7, 0.7),
        (0.6, 0.6),
        (1, 0.88),
        (1, 0.75),
        (0.88, 1),
        (0.75, 1),
    ):
        for left in _places(across):
            for top in _places(down):
                windows.append((left, left + across, top, top + down))
    return tuple(windows)


def _places(size: float) -> list[float]:
    """Where a window of this size may begin along its axis, up to 0.1 apart."""
    count = 1 + math.ceil((1 - size) / 0.1 - 1e-9)
    return [float(place) for place in np.linspace(0, 1 - size, count if size == 1 else max(3, count))]


def _described(film: Film, windows: Sequence[Window]) -> Floats:
    """Background and motion map of each window, 8 x 8 each, scaled so that a dot product is a correlation."""
    pictures_2HW = np.stack([film.background_HW, film.motion_HW])
    across_WCS = np.stack([_sampling(left, right, _COARSE) for left, right, _, _ in windows])
    down_WCS = np.stack([_sampling(top, bottom, _COARSE) for _, _, top, bottom in windows])
    small = np.matmul(np.matmul(down_WCS[:, None], pictures_2HW), across_WCS.transpose(0, 2, 1)[:, None])
    small = small.reshape(len(windows), 2, -1)
    small -= small.mean(axis=2, keepdims=True)
    lengths = np.linalg.norm(small, axis=2, keepdims=True)
    small /= np.maximum(lengths, 1e-6)
    if film.flat:
        small[:, 0] = 0
    if film.still:
        small[:, 1] = 0
    told = (small != 0).any(axis=2).sum(axis=1).clip(1)  # of background and motion
    return np.asarray(small.reshape(len(windows), -1) / np.sqrt(told)[:, None], np.float32)


def _sampling(first: float, last: float, count: int) -> Floats:
    """The matrix (count, 32) that averages pixels between two places (shares of the side) into ``count`` cells."""
    return _sampling_matrix(round(first, 4), round(last, 4), count)


@cache
def _sampling_matrix(first: float, last: float, count: int) -> Floats:
    edges = np.linspace(first, last, count + 1) * SIDE
    low, high = edges[:-1, None], edges[1:, None]
    pixels = np.arange(SIDE)[None]
    weights = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-6), np.float32)


# Steps 2 and 3: one pair, carefully


def _verified(first: Film, second: Film, ways: Sequence[_Way]) -> tuple[float, bool, Window, float, float] | None:
    """Whether two films show the same in one of these ways.

    Returns:
        How alike they are, whether mirrored, the window, the speed and the share in time; None where they do not.
    """
    flat = first.flat or second.flat
    placed = -1.0
    for one in ways:
        pictures = [film.motion_HW if flat else film.background_HW for film in (first, second)]
        turned = pictures[0 if one.first_is_whole else 1][:, :: -1 if one.mirrored else 1]
        window, alike = _fitted(pictures[1 if one.first_is_whole else 0], np.ascontiguousarray(turned), one.window)
        if alike > placed:
            placed, way = alike, one._replace(window=window)
        if placed >= _WELL_PLACED:
            break
    if placed < _PLACED:
        return None
    if first.still or second.still:
        same = first.still and second.still and not flat and placed >= _SAME_STILL
        return (placed, way.mirrored, way.window, 1.0, 1.0) if same else None
    whole, part = (first, second) if way.first_is_whole else (second, first)
    window, turn = way.window, slice(None, None, -1 if way.mirrored else 1)
    one_TP = _seen(whole.moving_THW[:, :, turn], WHOLE, window)
    other_TP = _seen(part.moving_THW, window, window)
    alike, begin, end = _aligned(one_TP, other_TP, whole.seconds / part.seconds)
    if alike < _WORTH_A_LOOK:
        return None
    # What stands still in the shared stretch may move elsewhere: the stretch has a background of its own.
    alike = _correlation(
        _stretch(one_TP + _seen(whole.background_HW[None, :, turn], WHOLE, window), begin[0], end[0]),
        _stretch(other_TP + _seen(part.background_HW[None], window, window), begin[1], end[1]),
    )
    if alike < (ALIKE if window == WHOLE else ALIKE_CROPPED) or not _same_surroundings(whole, part, way):
        return None
    lengths = (end[0] - begin[0]) * whole.seconds, (end[1] - begin[1]) * part.seconds
    speed = max(lengths) / max(min(lengths), 1e-6)
    return alike, way.mirrored, window, speed, max(end[0] - begin[0], end[1] - begin[1])


def _same_surroundings(whole: Film, part: Film, way: _Way) -> bool:
    """Whether the backgrounds agree where nothing moves: what moves leaves its traces in a background too."""
    turn = slice(None, None, -1 if way.mirrored else 1)
    ones = [_seen(picture[None, :, turn], WHOLE, way.window)[0] for picture in (whole.background_HW, whole.motion_HW)]
    others = [_seen(picture[None], way.window, way.window)[0] for picture in (part.background_HW, part.motion_HW)]
    calm_P = (ones[1] <= np.quantile(ones[1], _CALM)) & (others[1] <= np.quantile(others[1], _CALM))
    if min(ones[0][calm_P].std(), others[0][calm_P].std(), calm_P.sum()) < _FLAT:
        return True  # there is nothing to tell by
    return _correlation(ones[0][calm_P], others[0][calm_P], centred=True) >= _CALM_ALIKE


def _fitted(part_HW: Floats, whole_HW: Floats, window: Window) -> tuple[Window, float]:
    """Fit a window of ``part_HW`` to ``whole_HW``; and how alike they then are.

    By the enhanced correlation coefficient (Evangelidis and Psarakis 2008).
    """
    best = window, _alike(part_HW, whole_HW, window)
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
            best = max(best, (found, _alike(part_HW, whole_HW, found)), key=lambda one: one[1])
    return best


def _alike(part_HW: Floats, whole_HW: Floats, window: Window) -> float:
    """Correlation of a picture with a window of another."""
    return _correlation(_seen(part_HW[None], window, window), _seen(whole_HW[None], WHOLE, window), centred=True)


def _seen(pictures_THW: Floats, part: Window, grain: Window) -> Floats:
    """A part of pictures as coarse as both films show it: what was cropped is finer than what it was cropped from."""
    across, down = (max(8, round(_GRAIN * SIDE * (grain[end] - grain[end - 1]))) for end in (1, 3))
    sampled = np.matmul(np.matmul(_sampling(*part[2:], down), pictures_THW), _sampling(*part[:2], across).T)
    flat_TP = sampled.reshape(len(sampled), -1)
    return np.asarray(flat_TP - flat_TP.mean(axis=1, keepdims=True), np.float32)


def _stretch(frames_TP: Floats, begin: float, end: float) -> Floats:
    """What moves in a stretch of time, given as shares."""
    at = begin + (end - begin) * (np.arange(FRAMES) + 0.5) / FRAMES
    chosen_TP = frames_TP[np.minimum((at * FRAMES).astype(int), FRAMES - 1)]
    return np.asarray(chosen_TP - np.partition(chosen_TP, FRAMES // 2, axis=0)[FRAMES // 2], np.float32)


def _correlation(one: Floats, other: Floats, *, centred: bool = False) -> float:
    if centred:
        one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-6))


def _aligned(one_TP: Floats, other_TP: Floats, longer: float) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """The stretch of time that two films share most likely: how alike they are in it, and where it begins and ends.

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
    alike_L = products_TT.ravel()[ones_LT * FRAMES + others_LT].sum(axis=1) / (np.sqrt(ones_L * others_L) + 1e-6)
    # A stretch in which little moves says little: a good part of what moves in both must be within it.
    told_L = np.minimum(ones_L / one_T.sum(), others_L / other_T.sum())
    alike_L[(speeds_L > _FASTEST) | (speeds_L < 1 / _FASTEST) | (told_L < _LEAST_TOLD)] = -1
    best = int(alike_L.argmax())
    begin, end = begins_L2[best].tolist(), ends_L2[best].tolist()
    return float(alike_L[best]), (begin[0], begin[1]), (end[0], end[1])


@cache
def _lines() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """All ways in which two films may overlap in time: the frames of each on the way, and its ends as shares."""
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
