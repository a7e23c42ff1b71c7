"""Skips the parts of a video that need not be decoded for a few wanted instants.

Packets are collected by group: a key frame and its followers, up to the next key frame. A group is decoded from its
key frame alone, so only its beginning is needed, up to the last frame shown at a wanted instant. A group without wanted
instants is skipped. Single frames to which no other frame refers can be left out, too, if the decoder identifies them.
The packets' time stamps show when frames are shown. If they leave a doubt, everything after it is decoded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    Packets = Iterator[Packet[VideoStream]]

SPARSE_S = 0.15  # between wanted instants: where they are closer, hardly anything can be left out
_MOST_HELD = 64_000_000  # bytes
_BESIDE = 1000  # bytes that a packet takes beside its own


class Decode(NamedTuple):
    """A packet for the decoder.

    Args:
        packet: in decoding order.
        wanted: whether its frame is; otherwise it is needed only if others refer to it.
    """

    packet: Packet[VideoStream]
    wanted: bool = True


class Skip(NamedTuple):
    """Packets that were left out; the decoder begins anew after them.

    Args:
        skipped: how many.
        last: the latest time stamp up to the end of their group.
    """

    skipped: int
    last: int


class PacketPlanner:
    """Chooses the packets to decode for the instants ``start_s``, ``start_s + step_s`` and so on.

    Args:
        start_s: seconds from the first frame shown, and a little more, since time stamps are rounded.
        step_s: seconds.
        stamp_of: when the frame of a packet is shown, in ticks.
        seconds_of: a time stamp in seconds from the first frame shown.
        longest: ticks from one frame to the next that are believed.
        min_skip: packets at the end of a group that are not decoded; to begin anew costs as much as fewer.
    """

    def __init__(
        self,
        start_s: float,
        step_s: float,
        *,
        stamp_of: Callable[[Packet[VideoStream]], int | None],
        seconds_of: Callable[[int], float],
        longest: int,
        min_skip: int,
    ) -> None:
        self._start_s, self._step_s = start_s, step_s
        self._stamp_of, self._seconds_of, self._longest, self._min_skip = stamp_of, seconds_of, longest, min_skip
        self._tick = 0
        self._before: int | None = None  # the last time stamp of what has been decided

    def plan(self, begun: Sequence[Packet[VideoStream]], packets: Packets) -> Iterator[Decode | Skip]:
        """The packets to decode, in order, and where some are left out between them.

        Args:
            begun: packets that the decoder has been given; they are not given again.
            packets: those that follow, in decoding order, the empty one that ends them included.
        """
        held: list[Packet[VideoStream]] = []
        stamps: list[int] = []
        newest = held_bytes = 0  # newest: where the newest group begins
        given = len(begun)  # of those held
        rest: list[Packet[VideoStream]] = []
        for packet in chain(begun, packets):
            stamp = self._stamp_of(packet)
            if stamp is None or not packet.size or packet.is_discard or packet.is_corrupt or held_bytes > _MOST_HELD:
                rest.append(packet)
                break
            if packet.is_keyframe and held:
                if newest and self._is_closed(stamps, newest):
                    steps = self._choose(held[:newest], stamps[:newest], stamps[newest], given)
                    if steps is None:
                        rest.append(packet)
                        break
                    yield from steps
                    given = max(0, given - newest)
                    del held[:newest], stamps[:newest]
                    held_bytes = sum(one.size + _BESIDE for one in held)
                newest = len(held)
            held.append(packet)
            stamps.append(stamp)
            held_bytes += packet.size + _BESIDE
        is_end = not rest or (not rest[0].size and rest[0].dts is None)
        steps = self._choose(held, stamps, None, given) if is_end and held else None
        yield from map(Decode, held[given:]) if steps is None else steps
        yield from map(Decode, rest[max(0, given - len(held)) :])
        yield from map(Decode, packets)

    def _is_closed(self, stamps: list[int], newest: int) -> bool:
        """Whether nothing of the newest group is shown before its key frame, nor anything before it after that."""
        return stamps[newest] == min(stamps[newest:]) and stamps[newest] > max(stamps[:newest])

    def _choose(
        self, group: list[Packet[VideoStream]], stamps: list[int], following: int | None, given: int
    ) -> list[Decode | Skip] | None:
        """The needed part of a group; None if the stamps leave a doubt.

        Args:
            group: in decoding order.
            stamps: of its packets.
            following: the time stamp after them, or None where they are the last: then the last frame is wanted.
            given: how many of them the decoder has been given.
        """
        shown = sorted(stamps)
        known = [*([] if self._before is None else [self._before]), *shown, *([] if following is None else [following])]
        if any(not 0 < later - one <= self._longest for one, later in pairwise(known)):
            return None
        self._before = shown[-1]
        end_s = self._seconds_of(shown[-1] if following is None else following)
        wanted = {shown[-1]} if following is None else set()
        while (instant_s := self._start_s + self._tick * self._step_s) < end_s:
            wanted.add(shown[max(0, bisect_right(shown, instant_s, key=self._seconds_of) - 1)])
            self._tick += 1
        last = max(wanted, default=shown[0] - 1)
        needed = max((place for place, stamp in enumerate(stamps, 1) if stamp <= last), default=0)
        needed = max(needed, min(given, len(group)))
        if needed and len(group) - needed < self._min_skip:
            needed = len(group)
        decodes = [Decode(packet, stamp in wanted) for packet, stamp in zip(group[:needed], stamps, strict=False)]
        left = len(group) - needed
        return [*decodes[given:], *([Skip(left, shown[-1])] if left else [])]
