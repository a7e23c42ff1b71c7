"""A folder of files that can be made again, bounded in bytes: those used longest ago go first.

Any number of threads and processes may share one. A file appears whole or not at all, and one that another process
removes is made again. No library does this with plain files, which the frame cache maps into memory: ``diskcache``
keeps a database beside them, and pickles.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kineme.errors import KinemeError
from kineme.files import atomic_write

_ABANDONED_S = 86_400  # a temporary file that old is nobody's


class DiskCache:
    """Named files in a folder.

    Files whose names differ in the suffix alone belong together: they are removed at the same time.

    Args:
        folder: where they lie; made when something is first stored. It may hold other files too.
        suffixes: of the files that are the cache's.
        limit_bytes: most that they may take together; by default 20 GB, or half of the free disk where that is less.

    Attributes:
        problem: why nothing more is stored, one line; None while it is.
    """

    def __init__(self, folder: Path, suffixes: tuple[str, ...], limit_bytes: int | None = None) -> None:
        self.folder, self._suffixes = folder, suffixes
        self.limit_bytes = limit_bytes if limit_bytes is not None else _default_limit(folder)
        self.problem: str | None = None
        self._held: set[str] = set()
        self._stored: int | None = None  # bytes, once they have been counted
        self._added = 0  # bytes since then
        self._lock = threading.Lock()

    def find(self, name: str) -> Path | None:
        """The file of that name, which counts as used now; None without such a file."""
        path = self.folder / name
        try:
            if not path.is_file():
                return None
        except OSError:  # a folder that may not be entered
            return None
        with suppress(OSError):  # gone since, or not ours to touch
            os.utime(path)
        return path

    def read(self, name: str) -> bytes | None:
        """The content of a file, which counts as used now; None where it is not there or cannot be read."""
        with suppress(OSError):
            if path := self.find(name):
                return path.read_bytes()
        return None

    def hold(self, name: str) -> None:
        """Never remove the files of that stem through this object: they are needed again."""
        self._held.add(Path(name).stem)

    @contextmanager
    def storing(self, name: str) -> Iterator[Path]:
        """Give a temporary path; on success it becomes the file of that name, and there is made room for it.

        Raises:
            KinemeError: it cannot be written; ``problem`` says why from then on.
        """
        path = self.folder / name
        try:
            with atomic_write(path) as temporary:
                yield temporary
                size = temporary.stat().st_size
        except KinemeError as error:
            if isinstance(error.__cause__, OSError):
                self.problem = str(error)
            raise
        self._make_room(size)

    def write(self, name: str, content: bytes) -> None:
        """Store ``content``; where that cannot be done, nothing is, and ``problem`` says why."""
        with suppress(KinemeError), self.storing(name) as temporary:
            temporary.write_bytes(content)

    def _make_room(self, added: int) -> None:
        """After ``added`` bytes: remove the files used longest ago where it is too much.

        The folder is listed at the start, when it seems full, and now and then, not every time: with thousands of files
        that would take longer than making them.
        """
        with self._lock:
            self._added += added
            if self._stored is not None and self._stored + added <= self.limit_bytes:
                self._stored += added
                if self._added <= self.limit_bytes // 16:  # others may fill the same folder meanwhile
                    return
            self._stored, self._added = self._evict(), 0
            if self._stored > self.limit_bytes:
                self.problem = f"{self.folder}: is full ({self.limit_bytes / 1e9:.1f} GB)"

    def _evict(self) -> int:
        """Remove old files until the folder is within its limit, if that can be; the bytes it holds then."""
        entries: dict[str, list[tuple[float, int, Path]]] = defaultdict(list)
        for path in self.folder.iterdir():
            if path.suffix not in self._suffixes:
                continue
            with suppress(OSError):  # another process makes room too
                stat = path.stat()
                if path.name.startswith(".") and time.time() - stat.st_mtime > _ABANDONED_S:
                    path.unlink()
                else:
                    entries[path.stem].append((stat.st_mtime, stat.st_size, path))
        total = sum(size for files in entries.values() for _, size, _ in files)
        for stem, files in sorted(entries.items(), key=lambda item: max(item[1])[0]):
            if total <= self.limit_bytes:
                break
            if stem in self._held or stem.startswith("."):
                continue
            for _, size, path in files:
                with suppress(OSError):  # on Windows, another process may have it open
                    path.unlink(missing_ok=True)
                    total -= size
        return total


def _default_limit(folder: Path) -> int:
    for there in (folder, *folder.absolute().parents):
        with suppress(OSError):
            return min(20 * 10**9, shutil.disk_usage(there).free // 2)
    return 20 * 10**9
