"""Events that wait on disk until somebody has taken them: in order, and kept however this process ends."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError
from kineme.files import file_lock

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL, made_s REAL NOT NULL
);
"""


@dataclass(frozen=True)
class Waiting:
    """An event that has not been taken.

    Args:
        number: its place.
        document: the event.
        made_s: when it came, in seconds since 1970.
    """

    number: int
    document: dict[str, Any]
    made_s: float


class Outbox:
    """The events for one destination from one source; used by several threads, and by one process at a time.

    Args:
        folder: of all outboxes.
        destination: where events go, as shown: without a password.
        source: where they come from, as shown.

    Raises:
        BusyError: another process has it.
        KinemeError: it cannot be written.
    """

    def __init__(self, folder: Path, destination: str, source: str) -> None:
        name = hashlib.sha256(f"{destination}\n{source}".encode()).hexdigest()[:24]
        self._path = folder / f"{name}.sqlite"
        self._changed = threading.Condition()
        self._lock = file_lock(
            folder / f"{name}.lock",
            busy=f"{destination}: another command already reports {source} to it",
            target=self._path,
        )
        self._lock.__enter__()
        try:
            self._file = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            self._path.chmod(0o600)  # it says who did what, and when
            # What is written stays when the process is killed; a sync for each event would hold up the stream.
            self._file.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA)
        except (sqlite3.Error, OSError) as error:
            self._lock.__exit__(None, None, None)
            raise KinemeError(f"{self._path}: cannot be used ({error})") from error

    def put(self, document: dict[str, Any]) -> None:
        """Add an event. It is on disk when this returns."""
        with self._changed:
            self._file.execute(
                "INSERT INTO events (document, made_s) VALUES (?, ?)",
                (json.dumps(document, ensure_ascii=False), time.time()),
            )
            self._changed.notify_all()

    def first(self, wait_s: float) -> Waiting | None:
        """The event that has waited longest, as soon as there is one; None after ``wait_s``."""
        with self._changed:
            row = self._first()
            if row is None and wait_s > 0:
                self._changed.wait(wait_s)
                row = self._first()
        return None if row is None else Waiting(row[0], json.loads(row[1]), row[2])

    def remove(self, number: int) -> None:
        """Take out an event that has been delivered."""
        with self._changed:
            self._file.execute("DELETE FROM events WHERE number = ?", (number,))

    def __len__(self) -> int:
        with self._changed:
            return int(self._file.execute("SELECT count(*) FROM events").fetchone()[0])

    def wake(self) -> None:
        """Let whoever waits in :meth:`first` look around."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of the file. What waits in it is there for the next one."""
        with self._changed:
            self._file.close()
        self._lock.__exit__(None, None, None)

    def _first(self) -> tuple[int, str, float] | None:
        row: tuple[int, str, float] | None = self._file.execute(
            "SELECT number, document, made_s FROM events ORDER BY number LIMIT 1"
        ).fetchone()
        return row
