"""Time stamps that can be believed, from containers that may hold none, wrong ones or too long a length."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av.error

from kineme.video.container import PathLike, frame_rate, open_container, time_base

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LONGEST_HOLD_S = 600  # a frame shown for longer has a broken time stamp; it would fill memory with its repeats
_MICROSECONDS = 1_000_000


def has_display_times(container: InputContainer) -> bool:
    """Whether the container stores when each frame is shown.

    AVI does not: it stores frames in decoding order at a fixed rate, and what FFmpeg deduces is wrong for H.264 with
    B-frames and for XviD's packed ones. What can be believed there is the time of the packet that brought the frame
    out of the decoder, which rises by one period a frame.
    """
    return container.format.name != "avi"


class TimestampRepair:
    """Gives each frame of a stream, in the order they are shown, a rising time stamp in the stream's time base."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._by_pts = has_display_times(container)
        tick = time_base(stream)
        self._period = max(1, round(1 / frame_rate(stream) / tick))
        self._second = max(1, round(1 / tick))
        self._longest = round(LONGEST_HOLD_S / tick)
        self._offset = 0
        self.last: int | None = None
        self.leapt_at: int | None = None  # the stamp before the first leap ahead

    def stamp(self, frame: VideoFrame) -> int:
        """Time stamp of the next frame shown."""
        given = frame.pts if self._by_pts else frame.dts
        if self.last is None:
            self.last = given or 0
            return self.last
        if given is None:
            stamp = self.last + self._period
        else:
            stamp = given + self._offset
            # The clock was set back, as where recordings are joined, or leaps ahead where a stamp is broken.
            if not -self._second < stamp - self.last <= self._longest:
                if stamp > self.last and self.leapt_at is None:
                    self.leapt_at = self.last
                self._offset += self.last + self._period - stamp
                stamp = self.last + self._period
        self.last = max(stamp, self.last + 1)
        return self.last


@dataclass(frozen=True)
class PacketTimes:
    """What the packets of a video stream tell without decoding.

    Args:
        count: packets that hold a frame to be shown.
        end: time stamp at which the last one ends, in seconds on the container's clock, leaps left out; None if nothing
            is stamped.
        start: time stamp of the earliest, likewise.
    """

    count: int
    start: Fraction | None
    end: Fraction | None


class PacketStats:
    """Counts packets of a video stream, and the time they cover: its true length, without decoding."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._tick = tick = time_base(stream)
        self._period = max(1, round(1 / frame_rate(stream) / tick))
        self._longest = round(LONGEST_HOLD_S / tick)
        self._by_pts = has_display_times(container)
        self._count = 0
        self._stamps = array("q")
        self._last: int | None = None

    def add(self, packet: Packet[VideoStream]) -> None:
        """Count one more."""
        if not packet.size or packet.is_discard:
            return
        self._count += 1
        stamp = packet.pts if self._by_pts else packet.dts
        if stamp is None:
            return
        self._stamps.append(stamp)
        duration = packet.duration or 0
        end = stamp + (duration if 0 < duration <= self._longest else self._period)
        self._last = end if self._last is None else max(self._last, end)

    def times(self) -> PacketTimes:
        """Of those so far."""
        if self._last is None:
            return PacketTimes(self._count, None, None)
        in_order = sorted(self._stamps)
        steps = (later - one for one, later in pairwise(in_order))
        leaps = sum(step - self._period for step in steps if step > self._longest)
        return PacketTimes(self._count, in_order[0] * self._tick, (self._last - leaps) * self._tick)


def missing_s(container: InputContainer, stream: VideoStream, path: PathLike, zero_s: float, end_s: float) -> float:
    """How many seconds the frames, from ``zero_s`` to ``end_s`` on the container's clock, fall short of what it says.

    0 where it says nothing, or where they differ by no more than rounding and headers usually do.
    """
    period_s = float(1 / frame_rate(stream))
    if stream.duration is not None:
        length_s = float(stream.duration * time_base(stream))
        if not has_display_times(container):  # FFmpeg shortens the length of a cut AVI; the count stays as it was
            length_s = max(length_s, stream.frames * period_s)
            end_s -= zero_s  # what the decoder's delay has added
        # XviD's packed B-frames leave an empty packet or two at the end.
        usual_s = (3.5 if stream.codec_context.name == "mpeg4" else 1.5) * period_s + 0.005 * length_s
        says_s = float((stream.start_time or 0) * time_base(stream)) + length_s
    elif container.duration is not None:
        says_s = ((container.start_time or 0) + container.duration) / _MICROSECONDS
        usual_s = 0.5
        if says_s - end_s > usual_s and container.streams.audio and _furthest_s(path) > says_s - usual_s:
            return 0.0  # the length is that of the sound, which goes on after the pictures
    else:
        return 0.0
    return says_s - end_s if says_s - end_s > usual_s else 0.0


def _furthest_s(path: PathLike) -> float:
    """Where the last packet of any stream ends."""
    furthest = 0.0
    with open_container(path) as container:
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    furthest = max(furthest, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        except av.error.FFmpegError:
            pass  # the end of what can be read
    return furthest
