"""Looks at uploads before they are taken, in processes of their own: an honest one never waits behind a hostile one.

Most files are checked in a moment of computing. What takes longer goes to a lane of its own, one after the other.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kineme.serving.problem import ServiceError
from kineme.serving.settings import Settings
from kineme.subprocesses import ProcessError, WorkerProcess

log = logging.getLogger("kineme.serving")

FAILURES = {  # what visitors are told of a process; the reason may tell of this machine
    "time_limit": "took longer than the limit",
    "crashed": "the process that worked on it crashed",
}

_QUICK_PROCESSES, _QUICK_CPU_S = 2, 0.7
_LONG_CPU_S = 10.0
_TIMEOUT_S = 20.0  # on a machine that is busy
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
        for lane, cpu_s in ((self._quick, _QUICK_CPU_S), (self._long, _LONG_CPU_S)):
            async with lane.process(visitor, size) as process:
                try:
                    reply = await asyncio.to_thread(process.call, {**request, "cpu_s": cpu_s}, timeout_s=_TIMEOUT_S)
                except ProcessError as error:
                    self.restarts += 1
                    log.warning("a check failed: %s", error)
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


class _Lane:
    """Processes, and those who wait for one."""

    def __init__(self, processes: int, most_each: int) -> None:
        self._processes = [WorkerProcess("kineme.serving.worker:check") for _ in range(processes)]
        self._free, self._most_each = list(self._processes), most_each
        self._waiting: list[tuple[int, int, int, str, asyncio.Future[WorkerProcess]]] = []
        self._visitors: Counter[str] = Counter()
        self._numbers = itertools.count()

    def stop(self) -> None:
        for process in self._processes:
            process.stop()

    @asynccontextmanager
    async def process(self, visitor: str, size: int) -> AsyncIterator[WorkerProcess]:
        """Wait for a process, and have it for as long as the context lasts."""
        if self._visitors.total() >= _MOST_WAITING or self._visitors[visitor] >= self._most_each:
            raise ServiceError(429, "too_many_uploads", "too many videos wait to be looked at", retry_after_s=10)
        self._visitors[visitor] += 1
        try:
            process = self._free.pop() if self._free else await self._wait(visitor, size)
            try:
                yield process
            finally:
                self._hand_on(process)
        finally:
            self._visitors[visitor] -= 1
            self._visitors += Counter()  # forget who has none

    async def _wait(self, visitor: str, size: int) -> WorkerProcess:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._visitors[visitor], size, next(self._numbers), visitor, future))
        try:
            return await asyncio.wait_for(asyncio.shield(future), _PATIENCE_S)
        except BaseException as error:
            if not future.cancel():  # it came just now
                self._hand_on(future.result())
            if not isinstance(error, TimeoutError):
                raise
            raise ServiceError(429, "too_many_uploads", "too many videos are looked at", retry_after_s=10) from error

    def _hand_on(self, process: WorkerProcess) -> None:
        while self._waiting:
            future = heapq.heappop(self._waiting)[-1]
            if not future.done():
                future.set_result(process)
                return
        self._free.append(process)
