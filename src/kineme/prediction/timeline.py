"""The timeline: windows in the course of time become segments, and background where no known action happens."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kineme.dataset.labels import BACKGROUND
from kineme.models.timeline_settings import TimelineSettings
from kineme.prediction.result import Segment

_EPSILON_S = 1e-6
_MOST_KNOWN = 1e3  # a model without a threshold is never in doubt; a number keeps the means free of infinities


class Timeline:
    """Turns windows, given in the order of time, into segments that follow each other without gaps.

    Each instant has a label: that of the largest mean probability, or background. Where the label changes, and stays
    changed for ``shortest_s``, one segment ends and the next begins, halfway between two windows. The two thresholds
    are a hysteresis as in Canny, "A Computational Approach to Edge Detection" (1986): the upper one decides that
    something is there, the lower one how far it reaches.

    It is causal: a segment is given as soon as no later window can change it, at most ``smooth_s / 2 + shortest_s``
    and a window after its end. The segments of a whole video are these very ones.

    ::

        timeline = Timeline(model.labels, TimelineSettings.of(model.card.spec))
        for time_s, probabilities_K, known in windows:  # the middle of each, and Model.open_set_score
            for segment in timeline.push(time_s, probabilities_K, known):
                ...  # it is over; background is given too
            timeline.current  # the segment that continues
        for segment in timeline.close(duration_s):
            ...

    Args:
        labels: the K names. One that is called ``background``, in any case, is background.
        settings: how.
        start_s: where the first segment begins.
    """

    def __init__(
        self, labels: Sequence[str], settings: TimelineSettings | None = None, *, start_s: float = 0.0
    ) -> None:
        self._settings = settings or TimelineSettings()
        self._labels = tuple(labels)
        self._windows: deque[tuple[float, NDArray[np.float64]]] = deque()  # that means still need
        self._waiting: deque[tuple[float, NDArray[np.float64]]] = deque()  # whose mean still lacks windows
        self._last_s = start_s
        self._now: _Part | None = None
        self._next = _Part(start_s, len(labels))  # what may follow, once it has lasted

    @property
    def current(self) -> Segment | None:
        """The current segment, up to the last instant that was looked at; None before it is certain."""
        return self._segment(self._now, self._last_s) if self._now else None

    def push(self, time_s: float, probabilities_K: ArrayLike, known: float = math.inf) -> tuple[Segment, ...]:
        """Add a window.

        Args:
            time_s: its middle; later than that of the window before.
            probabilities_K: of the labels, summing to 1.
            known: its open-set score; from the onset of the settings on it is one of the actions that were learned.

        Returns:
            The segments that are over and certain, mostly none.
        """
        known = min(max(float(known) - self._settings.onset, -_MOST_KNOWN), _MOST_KNOWN)
        window = time_s, np.append(np.asarray(probabilities_K, np.float64), known)
        self._windows.append(window)
        self._waiting.append(window)
        return tuple(self._look(time_s))

    def close(self, end_s: float) -> tuple[Segment, ...]:
        """Say that there are no more windows.

        Args:
            end_s: where the last segment ends.

        Returns:
            The segments that were left; none where there was no window.
        """
        found = [*self._look(math.inf), *self._turn(end_s)]
        if self._now:
            self._now.take(self._next)
        elif self._next.count:  # nothing ever was certain: the mean decides
            self._next.column = self._column(self._next.mean, 0.0)
            self._now = self._next
        return tuple([*found, self._segment(self._now, end_s)] if self._now else found)

    def _look(self, until_s: float) -> list[Segment]:
        """Label the instants whose mean does not need windows after ``until_s``."""
        found: list[Segment] = []
        half = self._settings.smooth_s / 2 + _EPSILON_S
        while self._waiting and self._waiting[0][0] + half < until_s:
            instant_s, values = self._waiting.popleft()
            while self._windows[0][0] < instant_s - half:
                self._windows.popleft()
            near = [window for time_s, window in self._windows if time_s <= instant_s + half]
            found += self._see(instant_s, values, np.mean(near, axis=0))
        return found

    def _see(self, instant_s: float, values: NDArray[np.float64], mean: NDArray[np.float64]) -> list[Segment]:
        """Add an instant, which the mean around it labels; gives the segment that it ends."""
        column = self._column(mean, -self._settings.margin)
        border_s = (self._last_s + instant_s) / 2
        self._last_s = instant_s
        found = self._turn(border_s) if column != self._next.column else []
        if self._now and column == self._now.column:
            self._now.take(self._next)  # what differed did not last
            self._now.add(values)
            return found
        if column != self._next.column or not self._next.count:
            if self._now:
                self._now.take(self._next)
                self._next.start_s = border_s
            self._next.since_s = border_s if self._next.count else self._next.start_s
            self._next.column, self._next.most_known = column, -math.inf
        self._next.add(values)
        self._next.most_known = max(self._next.most_known, float(mean[-1]))
        return [*found, *self._turn(instant_s)]

    def _turn(self, at_s: float) -> list[Segment]:
        """Let what follows begin if it has lasted, and reached the upper threshold; gives the segment that it ends."""
        part = self._next
        lasted = at_s - part.since_s > self._settings.shortest_s - _EPSILON_S
        if not part.count or not lasted or (part.column < len(self._labels) and part.most_known < 0):
            return []
        found = [self._segment(self._now, part.start_s)] if self._now else []
        self._now, self._next = part, _Part(at_s, part.column)
        return found

    def _column(self, values: NDArray[np.float64], threshold: float) -> int:
        """Number of the label of an instant; K is background."""
        column = int(values[:-1].argmax()) if values[-1] >= threshold else len(self._labels)
        is_background = column == len(self._labels) or self._labels[column].lower() == BACKGROUND
        return len(self._labels) if is_background else column

    def _segment(self, part: _Part, end_s: float) -> Segment:
        if part.column == len(self._labels):
            return Segment(part.start_s, end_s, BACKGROUND, part.background / part.count)
        return Segment(part.start_s, end_s, self._labels[part.column], float(part.mean[part.column]))


@dataclass
class _Part:
    """A segment in the making.

    Args:
        start_s: where it begins.
        column: number of its label; K is background.
        since_s: since when it has had this label.
        count: of its instants.
        sums: of their values.
        background: sum of how much they are background.
        most_known: the highest open-set score since it has had this label.
    """

    start_s: float
    column: int
    since_s: float = 0.0
    count: int = 0
    sums: NDArray[np.float64] | float = 0.0
    background: float = 0.0
    most_known: float = -math.inf

    @property
    def mean(self) -> NDArray[np.float64]:
        return np.asarray(self.sums) / self.count

    def add(self, values: NDArray[np.float64]) -> None:
        self.count += 1
        self.sums = self.sums + values
        self.background += 1 / (1 + math.exp(min(max(float(values[-1]), -50.0), 50.0)))

    def take(self, other: _Part) -> None:
        """Swallow another, which is empty afterwards."""
        self.count += other.count
        self.sums = self.sums + other.sums
        self.background += other.background
        other.count, other.sums, other.background, other.most_known = 0, 0.0, 0.0, -math.inf


def segments(
    times_W: ArrayLike,
    probabilities_WK: ArrayLike,
    scores_W: ArrayLike | None,
    labels: Sequence[str],
    duration_s: float,
    settings: TimelineSettings | None = None,
    start_s: float = 0.0,
) -> tuple[Segment, ...]:
    """The segments of a whole video, or of a part.

    Args:
        times_W: middle of each window, in seconds, rising.
        probabilities_WK: of the labels in each.
        scores_W: open-set score of each; None where the model has no threshold: nothing then is background.
        labels: the K names.
        duration_s: of the video, or where the part ends.
        settings: see :class:`TimelineSettings`.
        start_s: where the first segment begins.
    """
    timeline = Timeline(labels, settings, start_s=start_s)
    times_W, probabilities_WK = np.asarray(times_W), np.asarray(probabilities_WK)
    known = np.full(len(times_W), math.inf) if scores_W is None else np.asarray(scores_W)
    found: list[Segment] = []
    for time_s, probabilities_K, one in zip(times_W.tolist(), probabilities_WK, known.tolist(), strict=True):
        found += timeline.push(time_s, probabilities_K, one)
    return (*found, *timeline.close(duration_s))
