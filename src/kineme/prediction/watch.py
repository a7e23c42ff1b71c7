"""Watches a camera or live stream: an event for each frame that the model has time for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.prediction.people_stream import LivePerson, PeopleStream
from kineme.prediction.result import Segment, ranked, top_in_words
from kineme.prediction.stream import Stream
from kineme.prediction.timeline import Timeline
from kineme.prediction.trained import TrainedModel
from kineme.text import printable
from kineme.video.reader import LiveFrame, LiveReader, LiveUpdate

_SILENCE_S = 0.5  # an event comes after that long in any case
_POLL_S = 0.1


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Event:
    """What there is to say at a moment of a live source.

    Args:
        time_s: when the newest frame was taken, in seconds from the first one.
        probabilities_K: calibrated, of the newest window; None until there is one, and after an interruption.
        labels: the K names.
        prediction_time_s: the tick that ``probabilities_K`` is about.
        window_middle_s: the middle of the window that ends there, which counts as its time.
        open_set_score: of that window, from 0 on known; None where the model cannot tell, or there is no window.
        current_segment: the current action in the timeline, which follows by about a second; None before
            that is certain.
        finished_segments: the segments that are over since the last event.
        latency_s: how long ago the newest frame came, and how much longer it was on its way than the quickest of late.
            Where none comes, that grows.
        dropped: frames so far that the model had no time for.
        fps: frames a second that come.
        notices: changes of the connection since the last event, one line each.
        frame: the newest frame, if it came since the last event; ``frame.pixels()`` gives its picture.
        people: everybody in that frame and those who have left since, where they are followed.

    Example:
        >>> for event in model.watch(0, max_seconds=5):  # doctest: +SKIP
        ...     if event.label == "wave":
        ...         print(event.time_s, event.top[0])
    """

    time_s: float
    probabilities_K: NDArray[np.float64] | None
    labels: tuple[str, ...]
    prediction_time_s: float | None
    window_middle_s: float | None
    open_set_score: float | None
    current_segment: Segment | None
    finished_segments: tuple[Segment, ...]
    latency_s: float
    dropped: int
    fps: float
    notices: tuple[str, ...]
    frame: LiveFrame | None
    people: tuple[LivePerson, ...] = ()

    def __repr__(self) -> str:
        known = f"{printable(self.label or 'nothing certain')}; {top_in_words(self.top) or 'no window yet'}"
        pace = f"{self.fps:.0f} fps, {self.latency_s:.2f} s late, {self.dropped} dropped"
        return f"Event({self.time_s:.1f} s: {known}; {pace})"

    @property
    def label(self) -> str | None:
        """The label of the current action."""
        return self.current_segment.label if self.current_segment else None

    @property
    def top(self) -> list[tuple[str, float]]:
        """All labels with their current probabilities, the most probable first; empty before the first."""
        if self.probabilities_K is None:
            return []
        return ranked(self.labels, self.probabilities_K)


class Watcher:
    """Brings frames to a stream, and its answers to a timeline; see :meth:`kineme.model.Model.watch`."""

    def __init__(self, model: TrainedModel, stream: Stream, everybody: PeopleStream | None = None) -> None:
        spec = model.card.spec
        self._model, self._stream, self._everybody = model, stream, everybody
        self._people: tuple[LivePerson, ...] = ()
        self._half_s = (spec.frames - 1) / 2 * spec.step_s(0.0)  # from the middle of a window to its last tick
        self._timeline = Timeline(model.labels, model.card.timeline_settings)
        self._newest: LiveFrame | None = None
        self._probabilities_K: NDArray[np.float64] | None = None
        self._score: float | None = None

    def events(
        self, reader: LiveReader, max_seconds: float | None, stop: threading.Event
    ) -> Generator[Event, None, None]:
        """All events; the last one ends the last segment, however it comes to that."""
        self._warm_up()
        began_s: float | None = None
        update, told_s = LiveUpdate(None, 0, 0.0, ()), time.monotonic()
        with reader:
            while not stop.is_set():
                try:
                    update = reader.poll(_POLL_S)
                except KinemeError:
                    yield self._event(update, self._end(), is_new=False)
                    raise
                finished = self._see(update.frame) if update.frame else ()
                if update.frame or update.notices or time.monotonic() - told_s > _SILENCE_S:
                    yield self._event(update, finished)
                    told_s = time.monotonic()
                if self._newest and max_seconds is not None:
                    began_s = began_s or self._newest.received_s
                    # By the clock too, for the case that nothing comes any more.
                    if self._newest.time_s >= max_seconds or time.monotonic() - began_s > max_seconds + _SILENCE_S:
                        break
        yield self._event(update, self._end(), is_new=False)

    def _warm_up(self) -> None:
        """Run a window of black frames: the first run of a network takes long, and frames would be dropped."""
        spec = self._model.card.spec
        self._stream.push(np.zeros((spec.height, spec.width, 3), np.uint8), 0.0)
        self._stream.advance_to((spec.frames + 1) * spec.step_s(0.0))
        self._stream.reset()
        if self._everybody:
            self._everybody.push(np.zeros((spec.height, spec.width, 3), np.uint8), 0.0)
            self._everybody.reset()

    def _see(self, frame: LiveFrame) -> tuple[Segment, ...]:
        """Show the model a frame; gives the segments that are over."""
        finished: tuple[Segment, ...] = ()
        gone: tuple[LivePerson, ...] = ()
        if self._newest and frame.connection != self._newest.connection:  # nobody knows what was in between
            finished = self._close()
            self._stream.reset()
            gone = self._everybody.close() if self._everybody else ()
            self._timeline = Timeline(self._model.labels, self._model.card.timeline_settings, start_s=frame.time_s)
        self._newest = frame
        if self._everybody:
            self._people = (*gone, *self._everybody.push(frame.frame, frame.time_s, convert=frame.model_pixels))
        stream, before_s = self._stream, self._stream.prediction_time_s
        self._probabilities_K = stream.push(frame.frame, frame.time_s, convert=frame.model_pixels)
        if self._probabilities_K is None or stream.prediction_time_s is None or stream.prediction_time_s == before_s:
            return finished
        assert stream.logits_K is not None
        known = self._model.open_set_score(stream.logits_K[None])
        self._score = None if known is None else float(known[0])
        middle_s = stream.prediction_time_s - self._half_s
        score = math.inf if self._score is None else self._score
        return (*finished, *self._timeline.push(middle_s, self._probabilities_K, score))

    def _end(self) -> tuple[Segment, ...]:
        """Say that no more comes, of people too."""
        self._people = self._everybody.close() if self._everybody else ()
        return self._close()

    def _close(self) -> tuple[Segment, ...]:
        return self._timeline.close(self._newest.time_s) if self._newest else ()

    def _event(self, update: LiveUpdate, finished: tuple[Segment, ...], *, is_new: bool = True) -> Event:
        newest, tick_s = self._newest, self._stream.prediction_time_s
        return Event(
            time_s=newest.time_s if newest else 0.0,
            probabilities_K=self._probabilities_K,
            labels=self._model.labels,
            prediction_time_s=tick_s,
            window_middle_s=None if tick_s is None else tick_s - self._half_s,
            open_set_score=None if tick_s is None else self._score,
            current_segment=self._timeline.current,
            finished_segments=finished,
            latency_s=newest.late_s + time.monotonic() - newest.received_s if newest else 0.0,
            dropped=update.dropped,
            fps=update.fps,
            notices=update.notices if is_new else (),
            frame=update.frame if is_new else None,
            people=self._people if update.frame or not is_new else (),
        )
