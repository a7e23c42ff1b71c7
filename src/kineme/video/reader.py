"""Reads a live source in its own thread; a caller gets the newest frame, and skipped frames are counted."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import av.error
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from kineme.errors import KinemeError, VideoError
from kineme.video.container import video_stream
from kineme.video.convert import Converter, StreamGeometry
from kineme.video.live import open_live, why_broken, without_password
from kineme.video.spec import ResizeMode

OnPacket = Callable[["Packet[VideoStream]", "VideoStream", int, float], None]

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 10.0
_LARGE_FRAME = 1280 * 720
_MOST_THREADS = 4  # each delays the frames by one
_JUMP_S = 5.0  # a time stamp so far ahead of the clock is wrong
_WRONG_RATE_S = 15.0  # time stamps that have gone so far astray have another rate than the clock
_LATE_S, _IN_TIME_S, _PATIENCE_S = 2.0, 0.5, 2.0
_NO_TIMES = {"mpjpeg", "mjpeg", "h264", "hevc", "m4v", "mpegvideo"}  # their time stamps are made up by FFmpeg


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A frame as it came, not yet converted.

    Args:
        frame: decoded.
        time_s: when it was taken, in seconds from the first frame; it rises from frame to frame.
        received_s: when it was here, by ``time.monotonic()``.
        late_s: how much longer it was on its way than the quickest of late.
        connection: number of the connection it came by, from 0.
        model_pixels: turns ``frame`` into pixels of the model's size.
        shown_pixels: turns it into pixels of the size it is to be shown at.
    """

    frame: VideoFrame
    time_s: float
    received_s: float
    late_s: float
    connection: int
    model_pixels: Converter
    shown_pixels: Converter

    def pixels(self) -> NDArray[np.uint8]:
        """Frame_HWC, RGB, uint8, the right way up and with square pixels."""
        return self.shown_pixels(self.frame)


@dataclass(frozen=True)
class LiveUpdate:
    """News of a live reader since the last poll.

    Args:
        frame: the newest, if one has come since the last update.
        dropped: frames so far that came and that nobody asked for in time.
        fps: frames a second that come, 0 where that is not known yet.
        notices: what happened to the connection, a line each.
    """

    frame: LiveFrame | None
    dropped: int
    fps: float
    notices: tuple[str, ...]


class LiveReader:
    """Reads a camera or live stream; use it in a ``with`` statement.

    A stream that disconnects is opened again, with growing waits in between. One that cannot be opened to begin with
    is an error at once.

    Args:
        source: as in :func:`kineme.video.live.open_live`.
        size: (height, width) of the model's frames.
        fit: how a frame is brought to that size.
        timeout_s: how long the source may be silent before the connection is taken for broken.
        retry_s: how long a broken one is tried again.
        on_packet: given each packet as it came, with its stream, the number of the connection and when it was here, by
            ``time.monotonic()``; in the thread that reads, which it must not hold up.
    """

    def __init__(
        self,
        source: str,
        *,
        size: tuple[int, int],
        fit: ResizeMode,
        timeout_s: float = 10.0,
        retry_s: float = 60.0,
        on_packet: OnPacket | None = None,
    ) -> None:
        self._source, self._name = source, without_password(source)
        self._size, self._fit, self._timeout_s, self._retry_s = size, fit, timeout_s, retry_s
        self._on_packet = on_packet
        self._closed = threading.Event()
        self._changed = threading.Condition()
        self._newest: LiveFrame | None = None
        self._dropped = 0
        self._notices: list[str] = []
        self._failure: KinemeError | None = None
        self._times: deque[float] = deque(maxlen=50)  # of the newest frames of this connection
        self._began_s: float | None = None
        self._last_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"reads {self._name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._thread.join(0.5)  # it may be waiting for a silent server: it ends by itself then

    def poll(self, wait_s: float) -> LiveUpdate:
        """The newest frame and all else that is new, as soon as there is any, and after ``wait_s`` at the latest.

        Raises:
            VideoError: the source cannot be opened, or is gone for good. Earlier frames have been returned.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._notices or self._failure, wait_s)
            if self._failure and not (self._newest or self._notices):
                raise self._failure
            frame, self._newest = self._newest, None
            notices, self._notices = tuple(self._notices), []
            return LiveUpdate(frame, self._dropped, self._rate(), notices)

    def _run(self) -> None:
        try:
            self._read()
        except KinemeError as error:
            failure = error
        except Exception as error:  # must not look like silence
            failure = KinemeError(f"{self._name}: {type(error).__name__}: {error}")
        else:
            return
        with self._changed:
            self._failure = failure
            self._changed.notify()

    def _read(self) -> None:
        """Read one connection after the other until closed."""
        lost_s: float | None = None
        wait_s, connection = _FIRST_WAIT_S, 0
        while not self._closed.is_set():
            reason = "it ended"
            try:
                for frame in self._frames(connection):
                    if lost_s is not None:
                        self._say(f"{self._name}: is back after {time.monotonic() - lost_s:.0f} s")
                        lost_s, wait_s = None, _FIRST_WAIT_S
                    self._put(frame)
                    if self._closed.is_set():
                        return
            except VideoError as error:
                if self._began_s is None:
                    raise
                reason = error.reason
            if self._began_s is None:
                raise VideoError(self._name, "ended before a frame came", "unavailable")
            now = time.monotonic()
            if lost_s is None:
                lost_s = now
                self._say(f"{self._name}: disconnected ({reason}); retrying for {self._retry_s:g} s")
            left_s = lost_s + self._retry_s - now
            if left_s <= 0:
                raise VideoError(
                    self._name, f"disconnected, and could not be reached again for {self._retry_s:g} s", "unavailable"
                )
            self._closed.wait(min(wait_s, left_s))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            connection += 1

    def _frames(self, connection: int) -> Iterator[LiveFrame]:
        """The frames of one connection.

        Raises:
            VideoError: it cannot be opened, or disconnects.
        """
        container = open_live(self._source, self._timeout_s)
        with closing(container):
            stream = video_stream(container, self._name)
            geometry = StreamGeometry(stream)
            _set_threads(stream)
            clock = ArrivalClock(self._next_time(), believed=container.format.name not in _NO_TIMES)
            in_pieces = container.format.name == "hls"  # of several seconds, each sent at once
            if in_pieces and container.duration:
                raise VideoError(self._name, "has ended", "unavailable")
            backlog = _BacklogSkipper(stream)
            convert: tuple[Converter, Converter] | None = None
            size = 0, 0
            heard_s = time.monotonic()
            try:
                for packet in container.demux(stream):
                    if self._on_packet:
                        self._on_packet(packet, stream, connection, time.monotonic())
                    try:
                        frames = packet.decode()
                    except av.error.InvalidDataError:
                        frames = []  # damaged on its way
                    self._dropped += backlog.skips and not frames
                    for frame in frames:
                        if in_pieces:
                            self._closed.wait(clock.early_s(frame, time.monotonic()))
                        now = time.monotonic()
                        time_s = clock.stamp(frame, now)
                        if clock.gave_up:
                            self._say(f"{self._name}: its time stamps are wrong; the arrival times of frames are used")
                            clock.gave_up = False
                        if convert is None or size != (frame.height, frame.width):  # shown at the size it has now
                            size = frame.height, frame.width
                            small = Converter(frame, geometry, size=self._size, fit=self._fit)
                            convert = small, Converter(frame, geometry)
                        if self._began_s is None:
                            self._began_s = now
                        backlog.update(clock.late_s, now)
                        heard_s = now
                        yield LiveFrame(frame, time_s, now, clock.late_s, connection, *convert)
                    if self._closed.is_set():
                        return
                    if time.monotonic() - heard_s > self._timeout_s:
                        raise VideoError(
                            self._name, f"no frame could be decoded for {self._timeout_s:g} s", "unavailable"
                        )
            except (OSError, av.error.FFmpegError) as error:
                raise VideoError(self._name, why_broken(error, self._timeout_s), "unavailable") from error

    def _next_time(self) -> float:
        """When a connection begins that is made now, in seconds from the first frame."""
        return 0.0 if self._began_s is None else max(time.monotonic() - self._began_s, self._last_s + 1e-3)

    def _put(self, frame: LiveFrame) -> None:
        with self._changed:
            self._dropped += self._newest is not None
            self._newest, self._last_s = frame, frame.time_s
            self._times.append(frame.time_s)
            self._changed.notify()

    def _say(self, line: str) -> None:
        with self._changed:
            self._notices.append(line)
            self._times.clear()
            self._changed.notify()

    def _rate(self) -> float:
        return (len(self._times) - 1) / (self._times[-1] - self._times[0]) if len(self._times) > 1 else 0.0


class ArrivalClock:
    """Gives the frames of a connection rising times, which run as the computer's clock does.

    The steps are those of the stream's own time stamps, which know when a frame was taken, not when it came. Where
    they are missing, go back or jump ahead, the time of arrival takes their place.

    Attributes:
        late_s: how much longer the last frame was on its way than the quickest of this minute and the one before.
        gave_up: whether the time stamps have just turned out to be useless.
    """

    def __init__(self, begins_s: float, *, believed: bool) -> None:
        self._believed = believed
        self._begins_s = self._time_s = begins_s
        self._first_now = self._now = 0.0
        self._pts_s: float | None = None
        self._began = False
        self._quickest = self._quickest_before = float("inf")
        self._minute = 0
        self.late_s = 0.0
        self.gave_up = False

    def stamp(self, frame: VideoFrame, now_s: float) -> float:
        """The time of the next frame, which was here at ``now_s``."""
        step_s, passed_s = self._step(frame), now_s - self._now
        if self._began:
            self._time_s += step_s if 0 < step_s < passed_s + _JUMP_S else max(passed_s, 1e-3)
        else:
            self._began, self._first_now = True, now_s
        self._pts_s, self._now = self._pts(frame), now_s
        by_clock_s = self._begins_s + now_s - self._first_now
        if self._believed and abs(by_clock_s - self._time_s) > _WRONG_RATE_S:
            self._believed, self.gave_up = False, True
            self._time_s = max(self._time_s, by_clock_s)
            self._quickest = self._quickest_before = float("inf")
        self._compare(by_clock_s - self._time_s)
        return self._time_s

    def early_s(self, frame: VideoFrame, now_s: float) -> float:
        """How long the next frame should wait to be shown when its time stamp says."""
        step_s = self._step(frame)
        due_s = self._first_now + self._time_s + step_s - self._begins_s
        return max(0.0, due_s - now_s) if self._began and 0 < step_s < _JUMP_S else 0.0

    def _pts(self, frame: VideoFrame) -> float | None:
        if frame.pts is None or frame.time_base is None or not self._believed:
            return None
        return float(frame.pts * frame.time_base)

    def _step(self, frame: VideoFrame) -> float:
        pts_s = self._pts(frame)
        return 0.0 if pts_s is None or self._pts_s is None else pts_s - self._pts_s

    def _compare(self, on_its_way_s: float) -> None:
        minute = int(self._time_s // 60)
        if minute != self._minute:
            self._quickest_before, self._quickest, self._minute = self._quickest, float("inf"), minute
        self._quickest = min(self._quickest, on_its_way_s)
        self.late_s = on_its_way_s - min(self._quickest, self._quickest_before)


class _BacklogSkipper:
    """Lets the decoder skip to key frames where it is too slow for the stream, until it has caught up."""

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        self._late_since: float | None = None
        self.skips = False

    def update(self, late_s: float, now_s: float) -> None:
        if self.skips:
            if late_s < _IN_TIME_S:  # and this is a key frame, so the ones after it can be decoded
                self._context.skip_frame, self.skips = "DEFAULT", False
        elif late_s < _LATE_S:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now_s
        elif now_s - self._late_since > _PATIENCE_S:
            self._context.skip_frame, self.skips, self._late_since = "NONKEY", True, None


def _set_threads(stream: VideoStream) -> None:
    context = stream.codec_context
    large = context.width * context.height >= _LARGE_FRAME
    context.thread_count = min(_MOST_THREADS, os.cpu_count() or 1) if large else 1
    if large:
        stream.thread_type = "AUTO"
