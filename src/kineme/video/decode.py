"""Frames of a video in the order they are shown, each with its time.

Time zero is where the container begins, as a player counts: with sound, perhaps, and pictures only later. Decoding is
in order: the decoder gives frames as they are displayed, and only a container whose time stamps can be believed is
entered in the middle.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Self

import av.error
import numpy as np
from av.video.frame import PictureType, VideoFrame
from numpy.typing import NDArray

from kineme.errors import VideoError, VideoWarning
from kineme.video.container import (
    TOO_LARGE,
    PathLike,
    decoder_of,
    frame_rate,
    open_container,
    time_base,
    video_stream,
    whole_fragments,
)
from kineme.video.convert import Converter, StreamGeometry
from kineme.video.damage import Losses, looks_told, missing_s
from kineme.video.sparse import SPARSE_S, Decode, PacketPlanner, Skip
from kineme.video.spec import ResizeMode
from kineme.video.timestamps import (
    LONGEST_HOLD_S,
    PacketTimes,
    TimestampRepair,
    has_display_times,
    zero_of,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

EPSILON_S = 1e-6  # a frame this little late is still in time, as in spec.py
_LARGE_FRAME = 1280 * 720
_SHORTEST_S = 1e-4  # for which a frame may be shown; less is a broken clock
_WORTH_A_SEEK_S = 4.0
_MIN_SKIP, _MIN_SKIP_THREADED = 2, 16  # packets: to empty the decoder and begin anew costs as much as fewer
_MOST_AHEAD_BYTES = 32_000_000  # of packets that are kept between looking at their times and decoding them
_SEEKABLE = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
# Their key frames begin anew, and each packet makes a frame (some of VP8, VP9 and AV1 one that is not shown).
_SKIMMABLE = ("h264",)  # it says of each frame whether any other refers to it
_LEAPABLE = ("h264", "hevc", "mpeg4", "mjpeg", "vp8", "vp9", "av1")


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Args:
        pixels_HWC: uint8, RGB, the right way up.
        pts_s: seconds from time zero of the video.
        duration_s: seconds until the next frame.
    """

    pixels_HWC: NDArray[np.uint8]
    pts_s: float
    duration_s: float


class TimedFrame(NamedTuple):
    """A decoded frame, not yet converted, and when it is shown."""

    pts_s: float
    duration_s: float
    frame: VideoFrame
    is_last: bool


def read_frames(
    path: PathLike,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    size: tuple[int, int] | None = None,
    fit: ResizeMode = "stretch",
    on_warning: Callable[[VideoWarning], None] | None = None,
) -> Iterator[Frame]:
    """Yield every frame shown from ``start_s`` to ``end_s``, in order.

    Args:
        path: a video file.
        start_s: seconds; the first frame is the one being shown then.
        end_s: seconds; frames from there on are left out. None is the end of the video.
        size: (height, width) of the frames; None keeps the displayed size.
        fit: how a frame is brought to ``size``.
        on_warning: called with one line when the video is damaged; what can be decoded is used.

    Raises:
        VideoError: the file cannot be used, or nothing of it can be decoded.
    """
    with Decoder(path, on_warning=on_warning) as decoder:
        convert = decoder.converter(size=size, fit=fit)
        for pts_s, duration_s, frame, _ in decoder.iter_frames(start_s):
            if end_s is not None and pts_s >= end_s - EPSILON_S:
                return
            yield Frame(convert(frame), pts_s, duration_s)


def time_zero(path: PathLike) -> Fraction:
    """What the container's clock says at time zero of the video, in seconds."""
    with Decoder(path) as decoder:
        return decoder.zero * decoder.time_base


class _UnsafeSkip(Exception):  # noqa: N818 (no error of the caller's)
    """Packets were left out that would have been needed."""


class Decoder:
    """An open video whose first frame has been decoded; use it in a ``with`` statement.

    Args:
        path: a video file.
        on_warning: called with one line about damage met on the way to the end.

    Attributes:
        first: the first frame shown.
        zero: time stamp of time zero, in ticks of ``time_base`` (seconds, a fraction).
        late: when the first frame is shown, in seconds from there.

    Raises:
        VideoError: the file cannot be used, or nothing of it can be decoded.
    """

    first: VideoFrame
    stream: VideoStream
    container: InputContainer
    _ahead: deque[Packet[VideoStream]]

    def __init__(self, path: PathLike, *, on_warning: Callable[[VideoWarning], None] | None = None) -> None:
        self.path = path
        self._warn = on_warning or (lambda warning: None)
        self._wanted: tuple[float, float] | None = None

    def __enter__(self) -> Self:
        self.container = open_container(self.path)
        try:
            self._start()
        except BaseException:
            self.container.close()
            raise
        for warning in looks_told(self.first):
            self._warn(warning)
        return self

    def __exit__(self, *error: object) -> None:
        self.container.close()

    def converter(self, *, size: tuple[int, int] | None = None, fit: ResizeMode = "stretch") -> Converter:
        """What turns this video's frames into pixels."""
        return Converter(self.first, self._geometry, size=size, fit=fit)

    def packet_times(self, *, decode: bool) -> PacketTimes:
        """What all packets tell. Call it before :meth:`iter_frames`, or say that nothing will be decoded any more."""
        kept: deque[Packet[VideoStream]] | None = deque()
        kept_bytes = 0
        for packet in self._packets():
            if decode and kept is not None:
                kept.append(packet)
                kept_bytes += packet.size
                kept = kept if kept_bytes <= _MOST_AHEAD_BYTES else None
        times = self._repair.times()
        if kept is None:
            self._reopen()
        else:
            self._ahead = kept
        return times

    def iter_frames(self, start_s: float = 0.0, step_s: float | None = None) -> Iterator[TimedFrame]:
        """Yield the frames from the one being shown at ``start_s`` on. Call it once.

        Args:
            start_s: seconds from time zero.
            step_s: where only the frames shown at ``start_s``, ``start_s + step_s`` and so on are wanted. Others may
                then be left out, which saves decoding them: a frame counts as shown until the next one that comes.
        """
        if step_s is not None:
            self._wanted = start_s, step_s
        if start_s >= _WORTH_A_SEEK_S:
            self._seek(start_s)
        held: tuple[float, VideoFrame] | None = None
        for pts, frame in self._in_order():
            pts_s = float((pts - self.zero) * self.time_base)
            if held is not None and pts_s > start_s + EPSILON_S:
                yield TimedFrame(held[0], pts_s - held[0], held[1], False)
            held = pts_s, frame
        if held is not None:
            duration = (held[1].duration or 0) * self.time_base
            duration_s = float(duration if _SHORTEST_S <= duration <= LONGEST_HOLD_S else 1 / frame_rate(self.stream))
            self._report(held[0] + duration_s)
            if held[0] + duration_s > start_s + EPSILON_S:
                yield TimedFrame(held[0], duration_s, held[1], True)

    def _in_order(self) -> Iterator[tuple[int, VideoFrame]]:
        """The frames from here on; read anew, and all of them, where leaving some out has gone wrong."""
        last: int | None = None
        try:
            for last, frame in self._stamped:
                yield last, frame
        except _UnsafeSkip:
            self._wanted = None
            self._reopen()
            yield from ((pts, frame) for pts, frame in self._stamped if last is None or pts > last)

    def _reopen(self) -> None:
        self.container.close()
        self.container = open_container(self.path)
        self._start()

    def _start(self) -> None:
        """Decode the first frame and keep it to be given again."""
        self._begun = False
        self.stream = video_stream(self.container, self.path)
        self._geometry = StreamGeometry(self.stream)
        self._decoder = decoder_of(self.stream)
        self._repair = TimestampRepair(self.container, self.stream)
        self._demuxer = self._repair.packets(self.container.demux(self.stream))
        self._ahead = deque()
        self.time_base = time_base(self.stream)
        self._losses = Losses()
        context = self.stream.codec_context
        # Several frames at once cost more than they give on small frames, and an AVI's times hang on the decoder's own
        # delay. The slices of an H.264 frame cost next to nothing; other decoders were not tried.
        small = context.width * context.height < _LARGE_FRAME
        if small and context.name == "h264":
            self._decoder.thread_type = "SLICE"
            self._decoder.thread_count = min(4, os.cpu_count() or 1)
        elif small or not has_display_times(self.container):
            self._decoder.thread_count = 1
        else:
            self._decoder.thread_type = "AUTO"
        self._min_skip = _MIN_SKIP if small or not has_display_times(self.container) else _MIN_SKIP_THREADED
        stamped = self._stamp()
        try:
            first, self.first = next(stamped)
        except StopIteration:
            unknown = "" if context.width else f", or they are too large: {TOO_LARGE}"
            raise VideoError(self.path, f"none of its frames can be decoded{unknown}") from None
        self._begun = True
        self.zero = zero_of(self.container, self.stream, first)
        self.late = (first - self.zero) * self.time_base
        self._stamped = chain([(first, self.first)], stamped)

    def _stamp(self) -> Iterator[tuple[int, VideoFrame]]:
        """Every frame to be had from here on with its time stamp."""
        repair, enters = self._repair, False
        for step in self._needed():
            try:
                frames = self._skip() if isinstance(step, Skip) else self._decode(step)
            except av.error.FFmpegError:
                self._note_loss(repair)
                frames = []
            for frame in frames:
                if enters and not (frame.key_frame and frame.pict_type == PictureType.I):
                    raise _UnsafeSkip
                if self._skims and repair.shown is not None and (frame.pts is None or frame.pts <= repair.shown):
                    raise _UnsafeSkip
                enters = False
                if frame.is_corrupt:
                    self._note_loss(repair)
                self._losses.frames += not self._skims
                yield repair.stamp(frame), frame
            if isinstance(step, Skip):
                repair.shown = step.last
                enters = True
                self._losses.frames += step.skipped

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        while True:
            if self._ahead:
                yield self._ahead.popleft()
                continue
            try:
                packet = next(self._demuxer, None)
            except av.error.FFmpegError:
                self._losses.is_cut = True
                return
            if packet is None:
                return
            yield packet

    def _needed(self) -> Iterator[Decode | Skip]:
        """The packets to decode, and where some are left out."""
        self._planned = self._skims = False
        packets = self._packets()
        begun = []
        while not self._begun and (packet := next(packets, None)) is not None:
            begun.append(packet)
            yield Decode(packet)
        timed, codec = has_display_times(self.container), self.stream.codec_context.name
        known = codec in _LEAPABLE and self.container.format.name in _SEEKABLE and (timed or self._is_stored_as_shown())
        if self._wanted is None or not known or (self._wanted[1] < SPARSE_S and codec not in _SKIMMABLE):
            yield from map(Decode, packets)
            return
        self._planned = True
        if codec in _SKIMMABLE:  # from now on packets are counted, each of which holds a frame
            self._skims, self._losses.frames = timed, len(begun)
        start_s, step_s = self._wanted
        planner = PacketPlanner(
            start_s + EPSILON_S,
            step_s,
            stamp_of=lambda packet: packet.pts if timed else packet.dts,
            seconds_of=lambda pts: float((pts - self.zero) * self.time_base),
            longest=self._repair.longest,
            min_skip=self._min_skip,
        )
        yield from planner.plan(begun, packets)

    def _decode(self, step: Decode) -> list[VideoFrame]:
        """The frames from the decoder after a packet."""
        if not self._skims:
            return self._decoder.decode(step.packet)
        self._decoder.skip_frame = "DEFAULT" if step.wanted else "NONREF"
        frames = self._decoder.decode(step.packet)
        self._losses.frames += step.packet.size > 0
        return frames

    def _is_stored_as_shown(self) -> bool:
        """Whether a file that does not tell when frames are shown surely stores them in that order."""
        context = self.stream.codec_context
        return context.name in ("mpeg4", "mjpeg") and not context.has_b_frames

    def _skip(self) -> list[VideoFrame]:
        """Empty the decoder, so that it can begin anew at a key frame; the frames that were in it."""
        if not has_display_times(self.container) and not self._is_stored_as_shown():
            raise _UnsafeSkip
        try:
            return self._decoder.decode(None)
        finally:
            self._decoder.flush_buffers()

    def _seek(self, start_s: float) -> None:
        """Go to a key frame before ``start_s``, if the frames from there on are surely those of reading in order."""
        reordered = self.stream.codec_context.has_b_frames and not has_display_times(self.container)
        if reordered or self.container.format.name not in _SEEKABLE:
            return
        target = self.zero + int(start_s / self.time_base)
        try:
            # Containers look for key frames by decoding time, which is a little before the time of display.
            self.container.seek(target - int(1 / self.time_base), stream=self.stream)
            self._repair = TimestampRepair(self.container, self.stream)
            self._demuxer = self._repair.packets(self.container.demux(self.stream))
            self._ahead.clear()
            stamped = self._stamp()
            for pts, frame in stamped:
                # Frames that lead the key frame of an open group of pictures may lack what they refer to.
                if frame.key_frame and frame.pict_type == PictureType.I and pts <= target and frame.pts is not None:
                    self._stamped = chain([(pts, frame)], stamped)
                    self._losses.is_counted = False
                    return
                if pts > target:
                    break
        except av.error.FFmpegError:
            pass
        except _UnsafeSkip:
            self._wanted = None
        self._reopen()

    def _note_loss(self, repair: TimestampRepair) -> None:
        if self._planned:  # what is missing is made up from frames that may have been left out
            raise _UnsafeSkip
        self._losses.lost += 1
        if self._losses.lost_at_s is None and repair.shown is not None:
            self._losses.lost_at_s = float((repair.shown - self.zero) * self.time_base)

    def missing_s(self, end_s: float) -> float:
        """How many seconds the frames, the last of which ends at ``end_s``, fall short of what the header says."""
        if len(self._repair.offsets) > 1:  # it counts in what has been set right
            return 0.0
        zero_s = float(self.zero * self.time_base)
        return missing_s(self.container, self.stream, self.path, zero_s, zero_s + end_s)

    def _report(self, end_s: float) -> None:
        """Tell what of the video was lost, now that its last frame is known."""
        if "mp4" in self.container.format.name and whole_fragments(self.path) is not None:
            self._losses.is_cut = True
        for warning in (*self._repair.told(self.zero), *self._losses.told(end_s, self.missing_s(end_s))):
            self._warn(warning)
