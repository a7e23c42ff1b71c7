"""Tells those who listen to a job that it has changed, from whatever thread changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Changes:
    """Who listens to which job; lives in one event loop.

    Attributes:
        listeners: how many there are.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening: dict[str, set[asyncio.Event]] = {}
        self.listeners = 0

    @contextmanager
    def listen(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever a job has changed; the listener clears it."""
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._listening.setdefault(job_id, set()).add(event)
        self.listeners += 1
        try:
            yield event
        finally:
            self.listeners -= 1
            self._listening[job_id].discard(event)
            if not self._listening[job_id]:
                del self._listening[job_id]

    def notify(self, job_id: str | None = None) -> None:
        """Say that a job has changed, or the queue, and so perhaps every job; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the server has ended
                self._loop.call_soon_threadsafe(self._set, job_id)

    def _set(self, job_id: str | None) -> None:
        for listened, events in self._listening.items():
            if job_id in (None, listened):
                for event in events:
                    event.set()
