"""Time stamps that can be believed, from containers that may hold none, wrong ones or too long a length.

A player's clock begins where the container begins, be it with sound; where recordings are joined and the clock steps
back, or where it leaps ahead, the player continues to count. So does Kineme, packet by packet: all that reads a file
takes its packets from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from kineme.errors import VideoWarning
from kineme.video.container import frame_rate, time_base

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LONGEST_HOLD_S = 600  # a frame shown for longer has a broken time stamp; it would fill memory with its repeats
_LONGEST_GAP_S = 10  # of recordings that are often joined, as FFmpeg has it
_OFTEN_JOINED = ("mpegts", "mpeg")
_MICROSECONDS = 1_000_000


def has_display_times(container: InputContainer) -> bool:
    """Whether the container stores when each frame is shown.

    AVI does not: it stores frames in decoding order at a fixed rate, and what FFmpeg deduces is wrong for H.264 with
    B-frames and for XviD's packed ones. What can be believed there is the time of the packet that brought the frame
    out of the decoder, which rises by one period a frame.
    """
    return container.format.name != "avi"


@dataclass(frozen=True)
class PacketTimes:
    """Statistics of a video stream's packets, without decoding.

    Args:
        count: packets that hold a frame to be shown.
        start: time stamp of the earliest, in seconds on the container's clock; None if nothing is stamped.
        end: time stamp at which the last one ends.
    """

    count: int
    start: Fraction | None
    end: Fraction | None


class TimestampRepair:
    """Makes the clock of a video stream continuous where it steps back or leaps ahead, and says when frames are shown.

    Attributes:
        longest: ticks from one packet to the next that are believed.
        offsets: seconds added to the stamps of the packets, a value for each stretch of the stream.
        shown: time stamp of the last frame; None before there is one.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._by_pts = has_display_times(container)
        self._tick = time_base(stream)
        self._period = max(1, round(1 / frame_rate(stream) / self._tick))
        self._second = max(1, round(1 / self._tick))
        joins = container.format.name in _OFTEN_JOINED
        self.longest = max(round((_LONGEST_GAP_S if joins else LONGEST_HOLD_S) / self._tick), 3 * self._period)
        self._offset, self.offsets = 0, [Fraction(0)]
        self._read: dict[bool, int] = {}  # the last time of decoding (True) and of display, as stored
        self._count = 0
        self._first: int | None = None  # of what has come, set right
        self._end = 0  # where it ends
        self.shown: int | None = None
        self._leapt_at: int | None = None  # the stamp before the first leap ahead

    def packets(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
        """The same packets of the stream, in the order of the file, with their time stamps set right."""
        for packet in packets:
            if packet.size:
                self.mend(packet)
            yield packet

    def mend(self, packet: Packet[VideoStream]) -> None:
        """Set the time stamps of the next packet right."""
        self._count += not packet.is_discard
        by_dts = packet.dts is not None
        clock = packet.dts if by_dts else packet.pts
        if clock is None:
            return
        begins = packet.pts if packet.pts is not None and self._by_pts else clock
        # Times of display go back and forth by some frames.
        back = self._second if by_dts else max(self._second, 16 * self._period)
        step = clock - self._read.get(by_dts, clock)
        if not -back < step <= self.longest:
            if step > 0 and self._leapt_at is None:
                self._leapt_at = self._end - self._period
            self._offset = self._end - begins
            self.offsets.append(self._offset * self._tick)
            self._read.clear()
        self._read[by_dts] = clock
        if packet.dts is not None:
            packet.dts += self._offset
        if packet.pts is not None:
            packet.pts += self._offset
        if packet.is_discard:
            return
        begins += self._offset
        duration = packet.duration or 0
        ends = begins + (duration if 0 < duration <= self.longest else self._period)
        self._end = ends if self._first is None else max(self._end, ends)
        self._first = begins if self._first is None else min(self._first, begins)

    def times(self) -> PacketTimes:
        """Statistics of the packets so far."""
        if self._first is None:
            return PacketTimes(self._count, None, None)
        return PacketTimes(self._count, self._first * self._tick, self._end * self._tick)

    def stamp(self, frame: VideoFrame) -> int:
        """Time stamp of the next frame that comes out of the decoder; it rises from frame to frame."""
        given = frame.pts if self._by_pts else frame.dts
        if self.shown is None:
            self.shown = given or 0
        elif given is None or given - self.shown > self.longest:
            self.shown += self._period
        else:
            self.shown = max(given, self.shown + 1)
        return self.shown

    def told(self, zero: int) -> Iterator[VideoWarning]:
        """The line on a leap that was left out, if there was one; ``zero`` is the time stamp of time zero."""
        if self._leapt_at is not None:
            at_s, most_s = float((self._leapt_at - zero) * self._tick), float(self.longest * self._tick)
            line = f"a time stamp leaps ahead by more than {most_s:g} s at {at_s:.1f} s; the leap is left out"
            yield VideoWarning(line, "timestamps")


def zero_of(container: InputContainer, stream: VideoStream, first: int) -> int:
    """Time zero, in ticks of the stream: where the container begins, as players count.

    Args:
        container: that is open.
        stream: its video.
        first: time stamp of the first frame shown.
    """
    tick = time_base(stream)
    if container.start_time is None:
        return first
    begins = round(Fraction(container.start_time, _MICROSECONDS) / tick)
    if not has_display_times(container):
        # The decoder's delay is in the time stamp of the first frame; sound may come before it all the same.
        return first - max(0, (stream.start_time or 0) - begins)
    is_rounding = abs(first - begins) <= max(1, round(Fraction(2, _MICROSECONDS) / tick))
    late = first - begins
    return first if is_rounding or not 0 < late * tick <= LONGEST_HOLD_S else begins
