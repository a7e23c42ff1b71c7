"""A process of our own that does what may break down: it is asked, watched, and replaced."""

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


class ChildError(Exception):
    """The process did not answer.

    Args:
        code: ``"time_limit"`` or ``"crashed"``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Child:
    """One process that answers one question at a time; used in one thread, but for :meth:`stop`.

    It is started when first asked, and again after it broke down.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()

    def ask(
        self, question: dict[str, Any], *, timeout_s: float, on_news: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Put a question and wait for the answer.

        Args:
            question: a JSON document.
            timeout_s: how long it may take; the process is ended then.
            on_news: told what comes before the answer.

        Returns:
            The answer: a document with ``answer`` or ``error``.

        Raises:
            ChildError: there is none.
        """
        process = self._process
        if process is None or process.poll() is not None:
            process = self._start()
        end = time.monotonic() + timeout_s
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            while True:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
                if line is None:
                    raise OSError
                document: dict[str, Any] = json.loads(line)
                if "answer" in document or "error" in document:
                    return document
                if on_news:
                    on_news(document)
        except queue.Empty:
            raise ChildError("time_limit", f"took longer than the limit of {timeout_s:g} s") from None
        except (OSError, ValueError):
            process.kill()
            code = process.wait()
            raise ChildError("crashed", f"the process that worked on it broke down (exit code {code})") from None
        finally:
            if sys.exc_info()[0] is not None:
                self.stop()

    def stop(self) -> None:
        """End the process; whoever waits for its answer gets an error."""
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
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean
        )
        lines: queue.Queue[bytes | None] = queue.Queue()

        def read() -> None:
            assert process.stdout is not None
            with process.stdout as said:
                for line in said:
                    lines.put(line)
            lines.put(None)

        threading.Thread(target=read, name="kineme-child", daemon=True).start()
        self._process, self._lines = process, lines
        return process
