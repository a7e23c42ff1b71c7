"""A small cache in memory that drops the least recently used values."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class LRUCache(Generic[V]):
    """Values by key, up to a total size; the least recently used are dropped. Several threads may use it.

    Args:
        most: total size of the values that are kept.
        size: of one value; by default each counts as one.

    Example:
        >>> cache = LRUCache[int](most=2)
        >>> [cache.get(name, lambda: len(name)) for name in ("a", "bc", "def")]
        [1, 2, 3]
        >>> cache.get("a", lambda: 0)  # it was dropped
        0
    """

    def __init__(self, most: float, size: Callable[[V], float] = lambda _: 1) -> None:
        self._most, self._size = most, size
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._total = 0.0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key; if it is not kept, it is made, and kept. Two threads may both make it."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._total += self._size(value)
            while self._total > self._most:
                self._total -= self._size(self._values.popitem(last=False)[1])
        return value
