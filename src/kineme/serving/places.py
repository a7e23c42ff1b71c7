"""Places for uploads: as many as there are, shared fairly, and a slow sender gives way where others wait."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kineme.serving.problem import ServiceError

_GRACE_S = 2.0  # at the beginning, in which nobody gives way
_SLOW_BYTES_S = 1 << 16  # who sends faster never gives way
_PATIENCE_S = 6.0  # of who waits for a place
_LOOK_EVERY_S = 0.25


@dataclass(eq=False)
class Place:
    """One upload.

    Args:
        visitor: who sends.
        timeout: ends it.

    Attributes:
        count: bytes that have come; whoever reads them counts.
        began_s: when it got its place.
    """

    visitor: str
    timeout: asyncio.Timeout
    count: int = 0
    began_s: float = field(default_factory=time.monotonic)

    @property
    def bytes_a_second(self) -> float:
        """Mean speed so far."""
        return self.count / max(0.1, time.monotonic() - self.began_s)


class Places:
    """Places for uploads.

    Args:
        most: how many there are.
        most_each: how many a visitor may have.
        longest_s: how long an upload may take.
    """

    def __init__(self, most: int, most_each: int, longest_s: float) -> None:
        self._most, self._most_each, self._longest_s = most, most_each, longest_s
        self._taken: set[Place] = set()

    @asynccontextmanager
    async def take(self, visitor: str) -> AsyncIterator[Place]:
        """Have a place for as long as the context lasts.

        Raises:
            ServiceError: 429, all are taken by others who send fast; 408, this one sent slowly, and had to give way.
        """
        end_s = time.monotonic() + _PATIENCE_S
        while not self._is_free(visitor):
            if time.monotonic() > end_s:
                raise ServiceError(429, "too_many_uploads", "too many videos are being sent", retry_after_s=5)
            await asyncio.sleep(_LOOK_EVERY_S)
        try:
            async with asyncio.timeout(self._longest_s) as timeout:
                place = Place(visitor, timeout)
                self._taken.add(place)
                try:
                    yield place
                finally:
                    self._taken.discard(place)
        except TimeoutError as error:
            raise ServiceError(408, "too_slow", "the body came too slowly, and others wait") from error

    def _is_free(self, visitor: str) -> bool:
        """Whether there is a place for a visitor; if not, somebody slow is made to give way."""
        counts = Counter(place.visitor for place in self._taken)
        is_full = len(self._taken) >= self._most
        if not is_full and counts[visitor] < self._most_each:
            return True
        slow = [
            place
            for place in self._taken
            if (is_full or place.visitor == visitor)
            and time.monotonic() - place.began_s > _GRACE_S
            and place.bytes_a_second < _SLOW_BYTES_S
        ]
        if slow:
            worst = min(slow, key=lambda place: (-counts[place.visitor], place.bytes_a_second))
            worst.timeout.reschedule(asyncio.get_running_loop().time())
            self._taken.discard(worst)
        return False
