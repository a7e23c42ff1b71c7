"""What need not be decoded where only a few instants of a video are wanted.

Packets are held back by the group: a key frame and what follows it, up to the next one. Since these are decoded from
that key frame alone, only the beginning of a group is needed, up to the last frame shown at a wanted instant, and
nothing of it where there is none. Which frames are shown when, the packets' time stamps tell. Where they leave a doubt,
all is decoded from there on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    Packets = Iterator[Packet[VideoStream]]

SPARSE_S = 0.15  # between wanted instants: where they are closer, hardly anything can be left out
_MOST_HELD = 2000  # packets
_MOST_HELD_BYTES = 64_000_000


class Leap(NamedTuple):
    """Packets that were left out; the decoder begins anew after them.

    Args:
        skipped: how many.
        last: the latest time stamp up to the end of their group.
    """

    skipped: int
    last: int


class Plan:
    """Chooses the packets to decode for the instants ``start_s``, ``start_s + step_s`` and so on.

    Args:
        start_s: seconds from the first frame shown, and a little more, since time stamps are rounded.
        step_s: seconds.
        stamp_of: when the frame of a packet is shown, in ticks.
        seconds_of: a time stamp in seconds from the first frame shown.
        longest: ticks from one frame to the next that are believed.
        worth: packets at the end of a group that are not decoded; to begin anew costs as much as fewer.
    """

    def __init__(
        self,
        start_s: float,
        step_s: float,
        *,
        stamp_of: Callable[[Packet[VideoStream]], int | None],
        seconds_of: Callable[[int], float],
        longest: int,
        worth: int,
    ) -> None:
        self._start_s, self._step_s = start_s, step_s
        self._stamp_of, self._seconds_of, self._longest, self._worth = stamp_of, seconds_of, longest, worth
        self._tick = 0
        self._before: int | None = None  # the last time stamp of what has been decided

    def moves(self, begun: Sequence[Packet[VideoStream]], packets: Packets) -> Iterator[Packet[VideoStream] | Leap]:
        """The packets to decode, in order, and where some are left out between them.

        Args:
            begun: packets that the decoder has been given; they are not given again.
            packets: those that follow, in decoding order, the empty one that ends them included.
        """
        held: list[Packet[VideoStream]] = []
        stamps: list[int] = []
        newest = held_bytes = 0  # newest: where the newest group begins
        given = len(begun)  # of those held
        for packet in chain(begun, packets):
            stamp = self._stamp_of(packet)
            is_doubtful = stamp is None or not packet.size or packet.is_discard or packet.is_corrupt
            if not is_doubtful and packet.is_keyframe and held:
                if newest and self._is_closed(stamps, newest):
                    chosen = self._choose(held[:newest], stamps[:newest], stamps[newest], given)
                    if chosen is None:
                        is_doubtful = True
                    else:
                        yield from chosen
                        given = max(0, given - newest)
                        del held[:newest], stamps[:newest]
                        held_bytes = sum(one.size for one in held)
                newest = len(held)
            held.append(packet)
            if is_doubtful or len(held) > _MOST_HELD or held_bytes > _MOST_HELD_BYTES:
                break
            stamps.append(cast("int", stamp))
            held_bytes += packet.size
        yield from held[given:]
        yield from packets

    def _is_closed(self, stamps: list[int], newest: int) -> bool:
        """Whether nothing of the newest group is shown before its key frame, nor anything before it after that."""
        return stamps[newest] == min(stamps[newest:]) and stamps[newest] > max(stamps[:newest])

    def _choose(
        self, group: list[Packet[VideoStream]], stamps: list[int], following: int, given: int
    ) -> list[Packet[VideoStream] | Leap] | None:
        """What is needed of a group before the time stamp that follows it; None where the stamps leave a doubt."""
        shown = sorted(stamps)
        known = [*([] if self._before is None else [self._before]), *shown, following]
        if any(not 0 < later - one <= self._longest for one, later in pairwise(known)):
            return None
        self._before = shown[-1]
        end_s = self._seconds_of(following)
        wanted = None
        while (instant_s := self._start_s + self._tick * self._step_s) < end_s:
            wanted = shown[max(0, bisect_right(shown, instant_s, key=self._seconds_of) - 1)]
            self._tick += 1
        needed = 0 if wanted is None else 1 + max(place for place, stamp in enumerate(stamps) if stamp <= wanted)
        needed = max(needed, min(given, len(group)))
        left = len(group) - needed
        if needed and left < self._worth:
            return list(group[given:])
        return [*group[given:needed], *([Leap(left, shown[-1])] if left else [])]
