"""The contents of small files that were read last, in memory, so that each epoch does not open them all again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.lru import LRUCache

_MOST_BYTES = 32_000_000  # of all files
_LARGEST = 4_000_000  # bytes of one


def read_records(file: Path, dtype: type[np.generic], shape: tuple[int, ...], wanted: list[int]) -> NDArray[Any]:
    """Some records of a file, by their numbers, in an array of their own.

    Args:
        file: that holds them.
        dtype: of its numbers.
        shape: of all its records.
        wanted: which of them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is smaller than that.
    """
    # Mapped for one read only: a lasting map would count every record ever touched as resident memory.
    return np.asarray(np.memmap(file, dtype=dtype, mode="r", shape=shape)[wanted])


class RecentFiles:
    """Arrays read from files whose names identify their contents; the least recently used are dropped.

    For files of which most is read each time. Several threads may use it.
    """

    def __init__(self) -> None:
        self._arrays = LRUCache[NDArray[Any]](_MOST_BYTES, lambda array: array.nbytes)

    def read(self, file: Path, dtype: type[np.generic], shape: tuple[int, ...], wanted: list[int]) -> NDArray[Any]:
        """As :func:`read_records`."""
        if math.prod(shape) * np.dtype(dtype).itemsize > _LARGEST:
            return read_records(file, dtype, shape, wanted)
        everything = self._arrays.get(file.name, lambda: read_records(file, dtype, shape, list(range(shape[0]))))
        return np.asarray(everything[wanted])
