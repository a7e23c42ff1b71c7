"""The contents of small files that were read last, in memory, so that each epoch does not open them all again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_BYTES = 32_000_000  # of all files
_LARGEST = 4_000_000  # bytes of one


class RecentFiles:
    """Arrays read from files whose names identify their contents; the least recently used are dropped.

    Several threads may use it.
    """

    def __init__(self) -> None:
        self._arrays: OrderedDict[str, NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, file: Path, dtype: type[np.generic], shape: tuple[int, ...], wanted: list[int]) -> NDArray[Any]:
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
        with self._lock:
            kept = self._arrays.get(file.name)
            if kept is not None:
                self._arrays.move_to_end(file.name)
        if kept is None:
            # Mapped for one read only: a lasting map would count every record ever touched as resident memory.
            mapped = np.memmap(file, dtype=dtype, mode="r", shape=shape)
            if mapped.nbytes > _LARGEST:
                return np.asarray(mapped[wanted])
            kept = np.array(mapped)
            self._keep(file.name, kept)
        return np.asarray(kept[wanted])

    def _keep(self, name: str, array: NDArray[Any]) -> None:
        with self._lock:
            before = self._arrays.pop(name, None)
            self._arrays[name] = array
            self._bytes += array.nbytes - (0 if before is None else before.nbytes)
            while self._bytes > _MOST_BYTES:
                _, oldest = self._arrays.popitem(last=False)
                self._bytes -= oldest.nbytes
