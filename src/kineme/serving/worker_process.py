"""A process of our own for work that may crash or hang: it is called, watched, and replaced."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_COMMAND = (sys.executable, "-m", "kineme.serving.worker")


class WorkerError(Exception):
    """The process did not reply.

    Args:
        code: ``"time_limit"`` or ``"crashed"``.
        message: for people, one line.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class WorkerProcess:
    """One process that handles one request at a time; used in one thread, except for :meth:`stop`.

    It is started by the first call, and again by the next one after it crashed.

    Args:
        role: ``"check"``, ``"fetch"`` or ``"predict"``; only one that fetches starts no programs.
    """

    def __init__(self, role: str) -> None:
        self._role = role
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not crashed."""
        return self._process is not None and self._process.poll() is None

    def call(
        self, request: dict[str, Any], *, timeout_s: float, on_progress: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Send a request and wait for the reply.

        Args:
            request: a JSON document.
            timeout_s: how long it may take; the process is ended then.
            on_progress: called with the documents that come before the reply.

        Returns:
            The reply: a document with ``result`` or ``error``.

        Raises:
            WorkerError: there is none.
        """
        process = self._process
        if process is None or process.poll() is not None:
            process = self._start()
        end = time.monotonic() + timeout_s
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            while True:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
                if line is None:
                    raise OSError
                document: dict[str, Any] = json.loads(line)
                if "result" in document or "error" in document:
                    return document
                if on_progress:
                    on_progress(document)
        except queue.Empty:
            raise WorkerError("time_limit", f"took longer than the limit of {timeout_s:g} s") from None
        except (OSError, ValueError):
            process.kill()
            code = process.wait()
            raise WorkerError("crashed", f"the process that worked on it crashed (exit code {code})") from None
        finally:
            if sys.exc_info()[0] is not None:
                self.stop()

    def stop(self) -> None:
        """End the process; a call that waits for its reply raises WorkerError."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                with suppress(OSError):  # what it was not told any more
                    process.stdin.close()

    def _start(self) -> subprocess.Popen[bytes]:
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        process = subprocess.Popen(  # noqa: S603 (our own interpreter)
            [*_COMMAND, self._role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean,
        )
        lines: queue.Queue[bytes | None] = queue.Queue()

        def read() -> None:
            assert process.stdout is not None
            with process.stdout as output:
                for line in output:
                    lines.put(line)
            lines.put(None)

        threading.Thread(target=read, name="kineme-worker", daemon=True).start()
        self._process, self._lines = process, lines
        return process
