"""Jobs and their results in SQLite, with their files in the same folder; both are kept after the server ends."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kineme.errors import KinemeError
from kineme.files import cannot_write

ANNOTATED = "annotated.mp4"
PICTURE = "explained.png"
UPLOAD = "video"

_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_MOST_TURNS = 1000  # that are remembered
_MOST_ATTEMPTS = 2  # a job that was running when the server went down may be the reason
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, model TEXT NOT NULL, name TEXT NOT NULL, url TEXT, state TEXT NOT NULL,
    created_s REAL NOT NULL, started_s REAL, finished_s REAL, attempts INTEGER NOT NULL DEFAULT 0,
    code TEXT, message TEXT
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, created_s);
CREATE TABLE IF NOT EXISTS results (
    job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, kind TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (job, kind)
);
"""
_LATER = {  # columns that folders of the first release lack
    "of": "TEXT",
    "label": "TEXT",
    "visitor": "TEXT NOT NULL DEFAULT ''",
    "bytes": "INTEGER NOT NULL DEFAULT 0",
    "fetched": "INTEGER NOT NULL DEFAULT 0",
}
_COLUMNS = "id, model, name, url, state, created_s, started_s, finished_s, code, message, of, label"


State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True)
class JobRecord:
    """A video that is, was, or will be looked at.

    Args:
        id: nobody can guess it, so who knows it may see the job.
        model: name of the model.
        name: what the video is called, for people; never a path.
        url: where it comes from, if from a link.
        state: how far it is.
        created_s: seconds since 1970.
        started_s: when the work on it began.
        finished_s: when it ended.
        code: what went wrong, for programs.
        message: what went wrong, for people.
        of: the job whose result this one explains; None for one that predicts.
        label: the explained label, if not the most likely one.
    """

    id: str
    model: str
    name: str
    url: str | None
    state: State
    created_s: float
    started_s: float | None
    finished_s: float | None
    code: str | None
    message: str | None
    of: str | None = None
    label: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed")


class JobStore:
    """The jobs of one server; may be used by several threads.

    Args:
        folder: is made if need be; one server at a time can have it.

    Raises:
        KinemeError: another server has it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._jobs = folder / "jobs"
        self._lock = threading.Lock()
        self._turns: dict[str, float] = {}  # when each visitor last had one
        path = folder / "jobs.sqlite"
        try:
            _make_private(folder, self._jobs, path)
        except OSError as error:
            raise cannot_write(folder, error) from error
        try:
            self._db = sqlite3.connect(path, timeout=1.0, check_same_thread=False, isolation_level=None)
            # The lock is held as long as the process lives, and the system frees it, however that ends.
            self._db.executescript(
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;"
            )
            self._db.executescript(_SCHEMA)
            there = {row[1] for row in self._db.execute("PRAGMA table_info(jobs)")}
            for column, kind in _LATER.items():
                if column not in there:
                    self._db.execute(f"ALTER TABLE jobs ADD COLUMN {column} {kind}")
            self._recover()
        except sqlite3.Error as error:
            if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise KinemeError(
                    f"{folder}: another kineme serve uses this folder; choose one with --state"
                ) from error
            raise KinemeError(f"{path}: cannot be used ({error}); choose another folder with --state") from error

    def close(self) -> None:
        """Let another server have the folder."""
        with self._lock:
            self._db.close()

    def folder_of(self, job_id: str) -> Path:
        """Where the files of a job are. Its name is drawn here, nothing that anybody sent."""
        return self._jobs / job_id

    def new_id(self) -> str:
        """The name of a job to be, whose folder is there."""
        job_id = secrets.token_hex(16)
        self.folder_of(job_id).mkdir(mode=0o700)
        return job_id

    def add(
        self,
        job_id: str,
        model: str,
        name: str,
        url: str | None,
        *,
        of: str | None = None,
        label: str | None = None,
        visitor: str = "",
        most_waiting: int,
        most_each: int | None = None,
    ) -> bool:
        """Put a job into the queue; says no where that is full, or the visitor's part of it."""
        is_fetched, size = of is not None, _size_of(self.folder_of(job_id))
        with self._lock, self._db:
            waiting, own = self._waiting(visitor)
            if waiting >= most_waiting or (most_each is not None and own >= most_each):
                return False
            self._db.execute(
                "INSERT INTO jobs (id, model, name, url, state, created_s, of, label, visitor, bytes, fetched) "
                "VALUES (?, ?, ?, ?, 'waiting', ?, ?, ?, ?, ?, ?)",
                (job_id, model, name, url, time.time(), of, label, visitor, size, is_fetched),
            )
        return True

    def get(self, job_id: str) -> JobRecord | None:
        """A job, or None."""
        with self._lock:
            row = self._db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()  # noqa: S608
        return JobRecord(*row) if row else None

    def explanations(self, job_id: str) -> list[str]:
        """The jobs that explain a job's result, the oldest first."""
        with self._lock:
            rows = self._db.execute("SELECT id FROM jobs WHERE of = ? ORDER BY created_s", (job_id,)).fetchall()
        return [str(row[0]) for row in rows]

    def waiting(self, visitor: str = "") -> tuple[int, int]:
        """How many jobs wait: of all visitors, and of one."""
        with self._lock:
            return self._waiting(visitor)

    def bytes_kept(self, visitor: str = "") -> tuple[int, int]:
        """How much is kept: of all visitors, and of one."""
        with self._lock:
            query = "SELECT COALESCE(SUM(bytes), 0), COALESCE(SUM(bytes * (visitor = ?)), 0) FROM jobs"
            total, own = self._db.execute(query, (visitor,)).fetchone()
        return int(total), int(own)

    def waiting_before(self, job: JobRecord) -> int:
        """How many come first."""
        with self._lock:
            query = "SELECT COUNT(*) FROM jobs WHERE state = 'waiting' AND created_s < ?"
            return int(self._db.execute(query, (job.created_s,)).fetchone()[0])

    def mean_seconds(self) -> float:
        """How long one of the last jobs took; 10 before the first."""
        with self._lock:
            query = (
                "SELECT AVG(took) FROM (SELECT finished_s - started_s AS took FROM jobs WHERE state = 'done' "
                "ORDER BY finished_s DESC LIMIT 10)"
            )
            (mean,) = self._db.execute(query).fetchone()
        return float(mean or 10.0)

    def take(self, *, to_fetch: bool = False) -> JobRecord | None:
        """A job that waits, which is running from now on; None where none waits.

        Visitors take turns, and of each the job that has waited longest comes first.

        Args:
            to_fetch: take one whose link is to be fetched, and not one whose video is there.
        """
        is_there = "url IS NOT NULL AND NOT fetched" if to_fetch else "(url IS NULL OR fetched)"
        with self._lock, self._db:
            query = f"SELECT id, visitor FROM jobs WHERE state = 'waiting' AND {is_there} ORDER BY created_s"  # noqa: S608
            waiting = self._db.execute(query).fetchall()
            if not waiting:
                return None
            job_id, visitor = min(waiting, key=lambda row: self._turns.get(row[1], 0.0))
            self._turns = dict(sorted(self._turns.items(), key=lambda turn: turn[1])[-_MOST_TURNS:])
            self._turns[visitor] = time.monotonic()
            row = self._db.execute(
                "UPDATE jobs SET state = 'running', started_s = ?, attempts = attempts + 1 WHERE id = ? "  # noqa: S608
                f"RETURNING {_COLUMNS}",
                (time.time(), job_id),
            ).fetchone()
        return JobRecord(*row)

    def finish(self, job_id: str, results: Mapping[str, str]) -> None:
        """Keep the results of a job: its drawn files, and the video itself, which may be explained."""
        with self._lock, self._db:
            self._db.execute("BEGIN")
            if self._end(job_id, "done", None, None):
                rows = [(job_id, kind, content) for kind, content in results.items()]
                self._db.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", rows)
        self._tidy(job_id, (ANNOTATED, PICTURE, UPLOAD))
        self._measure(job_id, sum(map(len, results.values())))

    def note_fetched(self, job_id: str) -> None:
        """Let a job whose link was fetched wait for its turn."""
        with self._lock, self._db:
            query = "UPDATE jobs SET state = 'waiting', fetched = 1, attempts = 0 WHERE id = ? AND state = 'running'"
            self._db.execute(query, (job_id,))
        self._measure(job_id)

    def fail(self, job_id: str, code: str, message: str) -> None:
        """Say why a job gave nothing."""
        with self._lock, self._db:
            self._end(job_id, "failed", code, message)
        self._tidy(job_id, ())
        self._measure(job_id)

    def put_back(self, job_id: str) -> None:
        """Let a running job wait again: it is not its fault that it was stopped."""
        with self._lock, self._db:
            query = "UPDATE jobs SET state = 'waiting', attempts = attempts - 1 WHERE id = ? AND state = 'running'"
            self._db.execute(query, (job_id,))

    def result(self, job_id: str, kind: str) -> str | None:
        """A result of a job as text, or None."""
        with self._lock:
            query = "SELECT content FROM results WHERE job = ? AND kind = ?"
            row = self._db.execute(query, (job_id, kind)).fetchone()
        return str(row[0]) if row else None

    def remove(self, job_id: str) -> bool:
        """Forget a job and all that is of it; says whether there was one.

        The files go first: on a full disk the database cannot be written before there is room.
        """
        shutil.rmtree(self.folder_of(job_id), ignore_errors=True)
        with self._lock, self._db:
            return bool(self._db.execute("DELETE FROM jobs WHERE id = ?", (job_id,)).rowcount)

    def remove_older(self, seconds: float) -> list[str]:
        """Forget the jobs that were over before so many seconds; gives their names."""
        with self._lock:
            query = "SELECT id FROM jobs WHERE state IN ('done', 'failed') AND finished_s < ?"
            old = [str(row[0]) for row in self._db.execute(query, (time.time() - seconds,))]
        failure: sqlite3.Error | None = None
        for job_id in old:
            try:
                self.remove(job_id)
            except sqlite3.Error as error:  # such as a full disk, in which the next one may make room
                failure = error
        if failure:
            raise failure
        return old

    def _waiting(self, visitor: str) -> tuple[int, int]:
        query = "SELECT COUNT(*), COALESCE(SUM(visitor = ?), 0) FROM jobs WHERE state = 'waiting'"
        waiting, own = self._db.execute(query, (visitor,)).fetchone()
        return int(waiting), int(own)

    def _measure(self, job_id: str, more: int = 0) -> None:
        with self._lock, self._db:
            size = _size_of(self.folder_of(job_id)) + more
            self._db.execute("UPDATE jobs SET bytes = ? WHERE id = ?", (size, job_id))

    def _end(self, job_id: str, state: str, code: str | None, message: str | None) -> bool:
        query = "UPDATE jobs SET state = ?, finished_s = ?, code = ?, message = ? WHERE id = ?"
        return bool(self._db.execute(query, (state, time.time(), code, message, job_id)).rowcount)

    def _tidy(self, job_id: str, kept: tuple[str, ...]) -> None:
        for path in self.folder_of(job_id).glob("*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in kept:
                path.unlink(missing_ok=True)

    def _recover(self) -> None:
        """Restart the jobs that ran when the server stopped, and remove files without a job."""
        with self._lock:
            known = {str(row[0]) for row in self._db.execute("SELECT id FROM jobs")}
        for path in self._jobs.iterdir():  # first, for the disk may be full
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)
        with self._lock, self._db:
            query = (
                "UPDATE jobs SET state = 'failed', finished_s = ?, code = 'interrupted', message = ? "
                "WHERE state = 'running' AND attempts >= ?"
            )
            message = "the server went down twice while it was at work on this video"
            self._db.execute(query, (time.time(), message, _MOST_ATTEMPTS))
            self._db.execute("UPDATE jobs SET state = 'waiting' WHERE state = 'running'")


def is_disk_full(error: BaseException) -> bool:
    """Whether the disk, or the user's part of it, has no room left."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None) or 0
        return code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def _make_private(folder: Path, jobs: Path, database: Path) -> None:
    """Make the folders and files of a store, or take over existing ones, so that no other user can read them.

    Whoever knows a job's name may see it, and the names are in the database.
    """
    is_ours = database.exists() or not folder.exists()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    jobs.mkdir(exist_ok=True, mode=0o700)
    for private in (folder, jobs) if is_ours else (jobs,):
        private.chmod(0o700)
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    for file in folder.glob(f"{database.name}*"):  # SQLite gives the others the same rights
        file.chmod(0o600)


def _size_of(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it may go meanwhile
            size += path.lstat().st_size
    return size
