"""Work in a process of its own, which may crash, hang or print: called with JSON, watched, ended when its time is over.

The process is ``python -m kineme.subprocesses MODULE:FUNCTION``. That needs nothing of the program that starts it,
where ``multiprocessing`` and Pebble import its main module again (and fail in a script without ``__name__`` guard or a
notebook), and it starts without the memory and the threads of the parent.
"""

from __future__ import annotations

import functools
import json
import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

from kineme.errors import KinemeError, UsageError

_LAST_LINES = 20  # of standard error, for the reason of a crash


class ProcessError(KinemeError):
    """The process gave no result.

    Args:
        kind: why.
        message: one line.
    """

    def __init__(self, kind: Literal["time_limit", "crashed"], message: str) -> None:
        super().__init__(message)
        self.kind = kind


class WorkerProcess:
    """One process that calls one function, again and again; used in one thread, except for :meth:`stop`.

    It is started by the first call, and again by the next one after it ended.

    Args:
        function: ``"package.module:name"``. It takes and returns what JSON holds, may print, and may raise
            :class:`~kineme.errors.KinemeError`.
        environment: of the process; by default that of this one.
        grace_s: how long it may take to end by itself when it is stopped (told so by SIGTERM).
    """

    def __init__(self, function: str, environment: Mapping[str, str] | None = None, grace_s: float = 0.0) -> None:
        self._function, self._environment, self._grace_s = function, environment, grace_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._errors: deque[str] = deque(maxlen=_LAST_LINES)

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def call(
        self, *arguments: Any, timeout_s: float | None = None, on_progress: Callable[[Any], None] | None = None
    ) -> Any:
        """Call the function and wait for its result.

        Args:
            arguments: of the function.
            timeout_s: how long it may take; the process is ended then.
            on_progress: called with whatever the function gives to the keyword ``on_progress``, which it then must
                take.

        Raises:
            KinemeError: the function raised it.
            UsageError: the function raised it.
            ProcessError: the process crashed, or its time is over.
        """
        end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        is_waiting = False  # for the next call
        try:
            self._send([arguments, on_progress is not None])
            while True:
                kind, value = self._receive(end_s)
                if kind == "progress" and on_progress:
                    on_progress(value)
                    continue
                is_waiting = True
                if kind == "result":
                    return value
                raise UsageError(value) if kind == "usage" else KinemeError(value)
        except queue.Empty:
            raise ProcessError("time_limit", f"took longer than the limit of {timeout_s:g} s") from None
        finally:
            if not is_waiting:
                self.stop()

    def stop(self) -> None:
        """End the process; a call that waits for its result raises ProcessError."""
        process, self._process = self._process, None
        if process is not None:
            try:
                if self._grace_s:
                    process.terminate()
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(self._grace_s)
            finally:  # also when Ctrl-C comes again
                process.kill()
                process.wait()
            if process.stdin is not None:
                with suppress(OSError):  # what it was not told any more
                    process.stdin.close()

    def _send(self, request: Any) -> None:
        process = self._process if self._process and self.is_running else self._start()
        assert process.stdin is not None
        with suppress(OSError):  # it ended; why is found out where its answer is waited for
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()

    def _receive(self, end_s: float) -> tuple[str, Any]:
        """Kind and value of the next line.

        Raises:
            queue.Empty: no answer came until ``end_s``.
            ProcessError: no further answer will come.
        """
        left_s = min(end_s - time.monotonic(), threading.TIMEOUT_MAX)
        line = self._lines.get(timeout=max(0.0, left_s))
        if line is not None:
            kind, value = json.loads(line)
            return kind, value
        last = self._errors[-1] if self._errors else "no message"
        code = self._process.returncode if self._process else None
        raise ProcessError("crashed", f"the process that worked on it crashed (exit code {code}: {last})")

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter)
            [sys.executable, "-m", "kineme.subprocesses", self._function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
        )
        lines: queue.Queue[bytes | None] = queue.Queue()
        errors: deque[str] = deque(maxlen=_LAST_LINES)

        def read_errors() -> None:
            assert process.stderr is not None
            with process.stderr as output:
                errors.extend(line for raw in output if (line := raw.decode(errors="replace").strip()))

        reading = threading.Thread(target=read_errors, name="kineme-worker-errors", daemon=True)

        def read_lines() -> None:
            assert process.stdout is not None
            with process.stdout as output:
                for line in output:
                    lines.put(line)
            reading.join(timeout=5)  # the reason is there before the end is told
            process.wait()
            lines.put(None)

        reading.start()
        threading.Thread(target=read_lines, name="kineme-worker", daemon=True).start()
        self._process, self._lines, self._errors = process, lines, errors
        return process


def call_in_process(
    function: str,
    *arguments: Any,
    timeout_s: float | None = None,
    on_progress: Callable[[Any], None] | None = None,
    grace_s: float = 0.0,
) -> Any:
    """Call a function once in a process of its own; see :class:`WorkerProcess`."""
    worker = WorkerProcess(function, grace_s=grace_s)
    try:
        return worker.call(*arguments, timeout_s=timeout_s, on_progress=on_progress)
    finally:
        worker.stop()


def _serve(function: str) -> None:
    """In the process: call the function for each line of standard input; results go to the former standard output."""
    import importlib
    import signal
    import traceback

    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what anybody prints is no result
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who waits, who then ends this process
    requests: queue.Queue[list[Any]] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            requests.put(json.loads(line))
        os._exit(0)  # nobody waits any more, whatever is being done

    def tell(kind: str, value: Any) -> None:
        out.write(json.dumps([kind, value]) + "\n")
        out.flush()

    threading.Thread(target=listen, daemon=True).start()
    try:
        module, _, name = function.partition(":")
        work = getattr(importlib.import_module(module), name)
        while True:
            arguments, wants_progress = requests.get()
            more = {"on_progress": functools.partial(tell, "progress")} if wants_progress else {}
            try:
                tell("result", work(*arguments, **more))
            except KinemeError as error:
                tell("usage" if isinstance(error, UsageError) else "error", str(error))
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # an ordinary end would wait for the thread that listens


if __name__ == "__main__":
    _serve(sys.argv[1])
