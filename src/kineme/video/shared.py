"""One decoding of a video for several readers.

A reader takes ticks of its own kind and does its work step by step. Frames are converted as they are decoded, for all
readers, so what waits for a slower reader is small pictures; a reader for which many wait has its turn before the next
frame. Everything happens in one thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from kineme.errors import KinemeError, VideoWarning
from kineme.video.clips import Tick, TickSampler, Warn, Windows
from kineme.video.container import PathLike
from kineme.video.decode import Decoder, TimedFrame
from kineme.video.probe import describe
from kineme.video.spec import ClipSpec

_MOST_WAITING = 8_000_000  # bytes of ticks that wait for one reader


class Sink(Protocol):
    """Takes frames as they are decoded."""

    @property
    def is_done(self) -> bool:
        """Whether it needs no more frames."""

    def push(self, shown: TimedFrame) -> Iterator[Tick]:
        """The next frame, and the ticks that it gives."""

    def finish(self) -> None:
        """No frame follows."""


@dataclass(frozen=True)
class Reader:
    """Something that is to be made of a video.

    Args:
        begin: requests its data from the video, and returns the work; it is done step by step as that is iterated.
        start_s: from where on it needs the video, in seconds.
        needs_length: whether it needs to know how long the video is before the first frame.
    """

    begin: Callable[[SharedVideo], Iterator[object]]
    start_s: float = 0.0
    needs_length: bool = False


@dataclass(eq=False)
class _Task:
    """A reader at work."""

    steps: Iterator[object] = field(default_factory=lambda: iter(()))
    queue: deque[Tick] = field(default_factory=deque)
    waiting_bytes: int = 0
    seconds: float = 0.0  # of its own work
    is_running: bool = False
    is_over: bool = False


@dataclass(eq=False)
class _Source:
    """Ticks of one kind, and the tasks that take them."""

    sink: Sink
    tasks: list[_Task]
    error: KinemeError | None = None


def read_together(path: PathLike, readers: Sequence[Reader]) -> list[float]:
    """Open and decode a video once, from where the first reader needs it to where the last one does.

    An error of one reader ends only that reader, and is not reported: its result is then missing.

    Args:
        path: a video file.
        readers: the results to make of it.

    Returns:
        Seconds that each reader took for itself, without decoding and converting.

    Raises:
        VideoError: the file cannot be opened.
    """
    told: list[VideoWarning] = []
    listeners: list[Warn] = []

    def warn(warning: VideoWarning) -> None:
        told.append(warning)
        for listen in listeners:
            listen(warning)

    with Decoder(path, on_warning=warn) as decoder:
        length_s = describe(decoder, decode=True).duration_s if any(one.needs_length for one in readers) else None
        video = SharedVideo(decoder, min(one.start_s for one in readers), length_s, told, listeners)
        return video.run(readers)


class SharedVideo:
    """A video that is decoded once, as a reader sees it; :func:`read_together` makes it.

    Attributes:
        decoder: of the video.
        length_s: seconds that the video lasts, by its packets; None where no reader needs it.
        decoding_s: seconds that decoding has taken so far.
    """

    def __init__(
        self,
        decoder: Decoder,
        start_s: float,
        length_s: float | None,
        told: list[VideoWarning],
        listeners: list[Warn],
    ) -> None:
        self.decoder, self.length_s, self.decoding_s = decoder, length_s, 0.0
        self._frames = decoder.iter_frames(start_s)
        self._told, self._listeners = told, listeners
        self._sources: dict[Any, _Source] = {}
        self._tasks: list[_Task] = []
        self._beginning: _Task | None = None
        self._is_over = False
        self._error: KinemeError | None = None

    def run(self, readers: Sequence[Reader]) -> list[float]:
        """Let all readers do their work; see :func:`read_together`."""
        for reader in readers:
            task = self._beginning = _Task()
            self._tasks.append(task)
            try:
                task.steps = reader.begin(self)
            except KinemeError:
                task.is_over = True
        self._beginning = None
        try:
            for task in self._tasks:
                while not task.is_over:
                    self._step(task)
        finally:
            for task in self._tasks:
                with suppress(AttributeError):  # an iterator that is no generator has nothing to close
                    task.steps.close()  # type: ignore[attr-defined]
        return [task.seconds for task in self._tasks]

    def ticks(
        self,
        spec: ClipSpec,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        per_frame: int = 1,
        full_size: bool = False,
        windows: Windows | None = None,
        on_warning: Warn | None = None,
    ) -> Iterator[Tick]:
        """As :func:`kineme.video.clips.ticks` gives them; to be asked for while a reader begins, and once by each.

        Readers that ask for the same share the arrays.
        """
        how = {"start_s": start_s, "end_s": end_s, "per_frame": per_frame, "full_size": full_size}
        key = (spec, *how.values(), windows)
        if key not in self._sources:
            sampler = TickSampler(self.decoder, spec, **how, windows=windows, length_s=self.length_s)  # type: ignore[arg-type]
            self._sources[key] = _Source(sampler, [])
        return self._taken(self._sources[key], on_warning)

    def watch(self, sink: Sink, on_warning: Warn | None = None) -> Iterator[Tick]:
        """Give frames to a sink as they are decoded; the iterator ends when that is done."""
        source = self._sources[sink] = _Source(sink, [])
        return self._taken(source, on_warning)

    def _taken(self, source: _Source, on_warning: Warn | None) -> Iterator[Tick]:
        """Iterate over what a source gives to the task that begins now."""
        task = self._beginning
        if task is None:
            raise RuntimeError("a reader must request its data before its first step")
        source.tasks.append(task)
        if on_warning:
            for warning in self._told:
                on_warning(warning)
            self._listeners.append(lambda warning: None if source.sink.is_done else on_warning(warning))
        return self._wait_for(source, task)

    def _wait_for(self, source: _Source, task: _Task) -> Iterator[Tick]:
        while True:
            while task.queue:
                tick = task.queue.popleft()
                task.waiting_bytes -= tick[1].nbytes
                yield tick
            if source.error:
                raise source.error
            if source.sink.is_done:
                return
            if self._error:
                raise self._error
            if self._is_over:
                source.sink.finish()
                return
            started = time.perf_counter()
            self._advance()
            task.seconds -= time.perf_counter() - started

    def _step(self, task: _Task) -> None:
        """One step of a reader, or its end."""
        started = time.perf_counter()
        task.is_running = True
        try:
            next(task.steps)
        except (StopIteration, KinemeError, MemoryError):
            task.is_over = True
        finally:
            task.is_running = False
            task.seconds += time.perf_counter() - started
        if task.is_over:
            task.queue.clear()

    def _advance(self) -> None:
        """Decode a frame and give it to everybody."""
        started = time.perf_counter()
        try:
            shown = next(self._frames, None)
        except KinemeError as error:
            self._error = error
            return
        finally:
            self.decoding_s += time.perf_counter() - started
        if shown is None:
            self._is_over = True
            return
        for source in self._sources.values():
            tasks = [task for task in source.tasks if not task.is_over]
            if not tasks or source.error or source.sink.is_done:
                continue
            try:
                for tick in source.sink.push(shown):
                    for task in tasks:
                        task.queue.append(tick)
                        task.waiting_bytes += tick[1].nbytes
            except KinemeError as error:
                source.error = error
        for task in self._tasks:
            while task.waiting_bytes > _MOST_WAITING and not (task.is_running or task.is_over):
                self._step(task)
