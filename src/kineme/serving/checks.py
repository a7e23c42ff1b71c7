"""Looks at uploads before they are taken, in processes of their own: an honest one never waits behind a hostile one.

Most files are checked in a moment of computing. What takes longer goes to a lane of its own, one after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kineme.serving.problem import ServiceError
from kineme.serving.settings import Settings
from kineme.subprocesses import ProcessError, WorkerProcess

log = logging.getLogger("kineme.serving")

FAILURES = {  # what visitors read of a process; the reason may describe this machine
    "time_limit": "took longer than the limit",
    "crashed": "the process that worked on it crashed",
}

_QUICK_PROCESSES = 3
_QUICK_CPU_S, _QUICK_S = 0.7, 8.0  # of computing, and in all on a machine that is busy
_LONG_CPU_S, _LONG_S = 10.0, 20.0
_MOST_WAITING, _MOST_WAITING_EACH = 64, 32
_PATIENCE_S = 40.0


class Checks:
    """The checks of one server.

    Args:
        settings: of the server.

    Attributes:
        restarts: how often a process had to be replaced.
    """

    def __init__(self, settings: Settings) -> None:
        self._limits = settings.limits
        self._quick, self._long = _Lane(_QUICK_PROCESSES, _MOST_WAITING_EACH), _Lane(1, 2)
        self.restarts = 0

    async def check(self, folder: Path, name: str, visitor: str, size: int) -> None:
        """Look at a video; the smallest one of the visitor who sends least goes first.

        Args:
            folder: the job's.
            name: of the video, for people.
            visitor: who sent it.
            size: in bytes.

        Raises:
            ServiceError: it is no video that is taken, or too many wait.
        """
        request = {"folder": str(folder), "name": name, "limits": self._limits}
        lanes = (self._quick, _QUICK_CPU_S, _QUICK_S), (self._long, _LONG_CPU_S, _LONG_S)
        for lane, cpu_s, timeout_s in lanes:
            async with lane.process(visitor, size) as process:
                try:
                    reply = await asyncio.to_thread(process.call, {**request, "cpu_s": cpu_s}, timeout_s=timeout_s)
                except ProcessError as error:
                    self.restarts += 1
                    log.warning("a check failed: %s", error)
                    if error.kind == "time_limit":
                        continue
                    raise ServiceError(422, "bad_video", f"{name}: {FAILURES[error.kind]}") from error
            if "error" not in reply:
                return
            code, message = reply["error"]["code"], reply["error"]["message"]
            if code == "internal":
                log.error("a check failed:\n%s", reply["trace"])
            if code != "not_yet":
                raise ServiceError(422, code, message)
        raise ServiceError(422, "bad_video", f"{name}: took too long to look at")

    def stop(self) -> None:
        """End the processes."""
        self._quick.stop()
        self._long.stop()


@dataclass(eq=False)
class _Waiting:
    visitor: str
    size: int
    process: asyncio.Future[WorkerProcess]


class _Lane:
    """Processes, and those who wait for one: the visitor who has fewest goes first, and the smallest file."""

    def __init__(self, processes: int, most_each: int) -> None:
        self._processes = [WorkerProcess("kineme.serving.worker:check") for _ in range(processes)]
        self._free, self._most_each = list(self._processes), most_each
        self._waiting: list[_Waiting] = []
        self._running: Counter[str] = Counter()

    def stop(self) -> None:
        for process in self._processes:
            process.stop()

    @asynccontextmanager
    async def process(self, visitor: str, size: int) -> AsyncIterator[WorkerProcess]:
        """Wait for a process, and have it for as long as the context lasts."""
        process = self._free.pop() if self._free else await self._wait(visitor, size)
        self._running[visitor] += 1
        try:
            yield process
        finally:
            self._running -= Counter([visitor])
            self._hand_on(process)

    async def _wait(self, visitor: str, size: int) -> WorkerProcess:
        own = sum(one.visitor == visitor for one in self._waiting) + self._running[visitor]
        if len(self._waiting) >= _MOST_WAITING or own >= self._most_each:
            raise ServiceError(429, "too_many_uploads", "too many videos wait to be looked at", retry_after_s=10)
        one = _Waiting(visitor, size, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        try:
            return await asyncio.wait_for(asyncio.shield(one.process), _PATIENCE_S)
        except BaseException as error:
            if one in self._waiting:
                self._waiting.remove(one)
            else:  # it came just now
                self._hand_on(one.process.result())
            if not isinstance(error, TimeoutError):
                raise
            raise ServiceError(429, "too_many_uploads", "too many videos are looked at", retry_after_s=10) from error

    def _hand_on(self, process: WorkerProcess) -> None:
        if not self._waiting:
            self._free.append(process)
            return
        one = min(self._waiting, key=lambda one: (self._running[one.visitor], one.size))
        self._waiting.remove(one)
        one.process.set_result(process)
