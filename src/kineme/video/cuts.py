"""Where an edited video goes from one shot to the next, found on the frames that are decoded anyway.

A cut is a jump of the colour histogram after which nothing looks as it did before: a flash, or somebody who walks
through the picture, gives the old colours back. A dissolve is found by its form: each picture in between is a mixture
of the first and the last one. ``benchmarks/cuts.py`` has the figures, beside those of PySceneDetect.
"""

from __future__ import annotations

import bisect
import itertools
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.video.decode import EPSILON_S
from kineme.video.spec import ClipSpec

_NEAR_S = 0.3  # what lasts shorter is a flash
_DISSOLVES_S = (0.3, 0.5, 0.75, 1.0)
_LONGEST_RUN_S = 0.5  # in which one dissolve may be found again, at other lengths
_SHORTEST_SHOT_S = 0.75  # beside a dissolve
_JUMP, _APART = 0.35, 0.3  # distances of histograms, from 0 to 1
_OVER_USUAL = 3.0  # times the usual change from frame to frame there
_LEAST_CHANGE = 12.0  # grey levels between the two ends of a dissolve
_PLAIN, _ALIKE = 3.0, 0.7  # grey levels of deviation; correlation of the same place in another light
_MIXED = 0.2  # how far its pictures may be from a mixture of its ends, as a share of that

Tick = tuple[float, NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class _Look:
    """The data kept of a frame.

    Args:
        histogram: float32 (512,): shares of 8 x 8 x 8 colours.
        small_HWC: float32: about 24 rows of its pixels.
        change: of the histogram since the frame before, from 0 to 1.
    """

    histogram: NDArray[np.float32]
    small_HWC: NDArray[np.float32]
    change: float


class CutFinder:
    """Finds the frames that begin a new shot, some frames later.

    Args:
        fps: frames a second that it is shown.

    Attributes:
        delay: how many frames after a frame it is certain whether that one begins a shot.
    """

    def __init__(self, fps: float) -> None:
        self._near = max(2, round(_NEAR_S * fps))
        self._spans = sorted({max(2, round(seconds * fps)) for seconds in _DISSOLVES_S})
        self._apart = round(_SHORTEST_SHOT_S * fps)
        self._run = max(1, round(_LONGEST_RUN_S * fps))
        self.delay = self._run + self._near + self._spans[-1] // 2 + 3
        self._looks: deque[_Look] = deque(maxlen=self._spans[-1] + 2 * self._near + 3)
        self._count = 0
        self._frame: NDArray[np.uint8] | None = None
        self._cuts: deque[int] = deque(maxlen=8)
        self._dissolve: tuple[float, int, int] | None = None  # error and place of the best so far, and its first end

    def push(self, frame_HWC: NDArray[np.uint8]) -> list[int]:
        """Show it the next frame; gives the numbers of frames, from 0, that are now known to begin a shot.

        Args:
            frame_HWC: uint8 RGB of any size, always the same; one that is shown on may be the same array.
        """
        self._look_at(frame_HWC)
        place = self._count - 1 - self._near  # that now has enough frames after it
        return self._decide(place) if place >= self._near else []  # what is so close to an end may be a flash

    def finish(self) -> list[int]:
        """Say that there are no more frames; gives the last numbers."""
        return self._end_dissolve()

    def _look_at(self, frame_HWC: NDArray[np.uint8]) -> None:
        self._count += 1
        if frame_HWC is self._frame:
            before = self._looks[-1]
            self._looks.append(_Look(before.histogram, before.small_HWC, 0.0))
            return
        self._frame = frame_HWC
        step, coarse = max(1, len(frame_HWC) // 48), max(1, len(frame_HWC) // 24)
        bins = (frame_HWC[::step, ::step] >> 5).astype(np.int32)
        counts = np.bincount((bins[..., 0] * 64 + bins[..., 1] * 8 + bins[..., 2]).ravel(), minlength=512)
        histogram = (counts / counts.sum()).astype(np.float32)
        change = _distance(self._looks[-1].histogram, histogram) if self._looks else 0.0
        self._looks.append(_Look(histogram, frame_HWC[::coarse, ::coarse].astype(np.float32), change))

    def _decide(self, place: int) -> list[int]:
        if self._is_cut(place):
            self._dissolve = None
            self._cuts.append(place)
            return [place]
        best = min((self._mixture(place, span) for span in self._spans), default=(1.0, 0))
        if best[0] < _MIXED:
            error, middle, since = self._dissolve or (1.0, 0, place)
            self._dissolve = (*min((error, middle), best), since)
            return self._end_dissolve() if place - since >= self._run else []
        return self._end_dissolve()

    def _end_dissolve(self) -> list[int]:
        if self._dissolve is None:
            return []
        _, middle, _ = self._dissolve
        self._dissolve = None
        if any(abs(middle - cut) < self._apart for cut in self._cuts):
            return []
        self._cuts.append(middle)
        return [middle]

    def _is_cut(self, place: int) -> bool:
        change = self._at(place).change
        near = [one.change for one in self._between(place - self._near, place + self._near + 1)]
        usual = float(statistics.median(near))
        return (
            change > _JUMP
            and change > _OVER_USUAL * usual
            and self._distance_across(place, place) > _APART
            and not _is_same_place(self._at(place - 1), self._at(place))
        )

    def _mixture(self, last: int, span: int) -> tuple[float, int]:
        """How far the frames before ``last`` are from a mixture of it and the one ``span + 1`` before; the middle."""
        first = last - span - 1
        if first < self._count - len(self._looks) or any(first - 1 <= cut <= last + 1 for cut in self._cuts):
            return 1.0, 0
        begin, end = self._at(first), self._at(last)
        if _distance(begin.histogram, end.histogram) < _JUMP:
            return 1.0, 0
        change = float(np.abs(begin.small_HWC - end.small_HWC).mean())
        if change < _LEAST_CHANGE:
            return 1.0, 0
        error = 0.0
        for number in range(first + 1, last):
            share = (number - first) / (last - first)
            mixed_HWC = (1 - share) * begin.small_HWC + share * end.small_HWC
            error = max(error, float(np.abs(self._at(number).small_HWC - mixed_HWC).mean()) / change)
            if error >= _MIXED:
                return 1.0, 0
        if self._distance_across(first + 1, last) <= _APART or _is_same_place(begin, end):
            return 1.0, 0
        return error, (first + last + 1) // 2

    def _distance_across(self, before: int, after: int) -> float:
        """The least distance of a frame shortly before ``before`` from one shortly after ``after``."""
        old, new = self._between(before - self._near, before), self._between(after, after + self._near)
        return min((_distance(a.histogram, b.histogram) for a in old for b in new), default=0.0)

    def _at(self, number: int) -> _Look:
        return self._looks[number - self._count]

    def _between(self, first: int, end: int) -> list[_Look]:
        oldest = self._count - len(self._looks)
        return [self._at(number) for number in range(max(first, oldest), min(end, self._count))]


def by_shot(of_numbered: Iterable[tuple[int, Tick]]) -> Iterator[Iterator[Tick]]:
    """Yield the ticks of each shot, one shot after the other, from what :func:`number_shots` gives."""
    for _, those in itertools.groupby(of_numbered, key=lambda one: one[0]):
        yield (tick for _, tick in those)


def number_shots(
    of_ticks: Iterable[Tick],
    spec: ClipSpec,
    on_cut: Callable[[float], object],
    picture: Callable[[Any], NDArray[np.uint8]] = lambda frame: frame,
    cuts: Sequence[float] | None = None,
) -> Iterator[tuple[int, Tick]]:
    """Yield each tick of a video with the number of its shot, from 0.

    Clips that are spread over the whole video have only one shot; so do those that may not be short, for a shot may be.

    Args:
        of_ticks: instant and frame of every tick.
        spec: of the clips.
        on_cut: called with the first instant of each shot but the first.
        picture: gives the picture to compare of a tick's frame: as it was filmed, for a light that begins to be
            brightened would look like a cut.
        cuts: where shots begin, seconds, where that is known: a region of the frame looks otherwise whenever somebody
            comes or goes, so its cuts are those of :func:`kineme.find_people`. None looks for them.
    """
    if spec.fps is None or spec.short == "refuse" or cuts is not None:
        known = () if spec.fps is None or spec.short == "refuse" else cuts or ()
        yield from _at_cuts(of_ticks, known, on_cut)
        return
    finder, begins = CutFinder(spec.fps), set[int]()
    held: deque[Tick] = deque()
    shot = released = 0

    def release() -> tuple[int, Tick]:
        nonlocal shot, released
        instant_s, frame = held.popleft()
        if released in begins:
            begins.discard(released)
            shot += 1
            on_cut(instant_s)
        released += 1
        return shot, (instant_s, frame)

    for tick in of_ticks:
        held.append(tick)
        begins.update(finder.push(picture(tick[1])))
        if len(held) > finder.delay:
            yield release()
    begins.update(finder.finish())
    while held:
        yield release()


def _at_cuts(
    of_ticks: Iterable[Tick], cuts: Sequence[float], on_cut: Callable[[float], object]
) -> Iterator[tuple[int, Tick]]:
    """Number the shots between known cuts that have a tick."""
    shot, begun = 0, 0
    for instant_s, frame in of_ticks:
        passed = bisect.bisect_right(cuts, instant_s + EPSILON_S)
        if passed > begun:
            shot, begun = shot + 1, passed
            on_cut(instant_s)
        yield shot, (instant_s, frame)


def _is_same_place(one: _Look, other: _Look) -> bool:
    """Whether two frames show the same in another light: a lamp was switched on. Two plain areas count as the same."""
    a, b = (look.small_HWC.mean(axis=-1).ravel() for look in (one, other))
    a, b = a - a.mean(), b - b.mean()
    strength = float(np.linalg.norm(a) * np.linalg.norm(b))
    is_plain = max(float(a.std()), float(b.std())) < _PLAIN
    return is_plain or float(a @ b) > _ALIKE * strength > 0


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).sum()) / 2
