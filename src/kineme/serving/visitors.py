"""Who asks, and how often each visitor may: an address, or the network that one household or machine has in IPv6."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict

from starlette.requests import HTTPConnection

from kineme.serving.problem import ServiceError

_MOST_VISITORS = 10_000
_HOUSEHOLD_BITS = 64  # of an IPv6 address; whoever has one address there has all of them


def visitor_of(connection: HTTPConnection) -> str:
    """The visitor who asks; "" where the address is not known."""
    return visitor_at(connection.client.host if connection.client else "")


def visitor_at(address: str) -> str:
    """The visitor at a numeric address."""
    try:
        one = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(one, ipaddress.IPv6Address):
        if one.ipv4_mapped:
            return str(one.ipv4_mapped)
        return str(ipaddress.ip_network((one, _HOUSEHOLD_BITS), strict=False))
    return str(one)


class Rate:
    """Lets each visitor do so many things a minute, in bursts of as many, and all together a multiple of that.

    Args:
        per_minute: how many.
        for_all: how many for all visitors together; by default there is no such limit.
    """

    def __init__(self, per_minute: int, *, for_all: int | None = None) -> None:
        self._most, self._buckets = per_minute, OrderedDict[str, tuple[float, float]]()
        self._for_all = Rate(for_all) if for_all else None

    def take(self, visitor: str) -> None:
        """Count one.

        Raises:
            ServiceError: 429; it was too many.
        """
        self.check(visitor)
        left, seen_s = self._buckets[visitor]
        self._buckets[visitor] = (left - 1, seen_s)
        if self._for_all:
            self._for_all.take("")

    def check(self, visitor: str) -> None:
        """Raise ServiceError where one more would be too many; nothing is counted."""
        now_s = time.monotonic()
        left, seen_s = self._buckets.pop(visitor, (float(self._most), now_s))
        left = min(self._most, left + (now_s - seen_s) * self._most / 60)
        self._buckets[visitor] = (left, now_s)
        if len(self._buckets) > _MOST_VISITORS:
            self._buckets.popitem(last=False)
        if left < 1:
            message = f"more than {self._most} requests of this kind a minute"
            raise ServiceError(429, "too_many", message, retry_after_s=(1 - left) * 60 / self._most)
        if self._for_all:
            self._for_all.check("")
