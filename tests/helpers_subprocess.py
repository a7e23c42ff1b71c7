"""Functions that tests have called in another process."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kineme.errors import KinemeError, UsageError


def work(what: str, on_progress: Callable[[float], None] | None = None) -> object:
    """Does what it is told, as well or badly."""
    print("noise on standard output")
    if what == "hang":
        time.sleep(600)
    if what == "crash":
        print("first\nlast words", file=sys.stderr, flush=True)
        os._exit(7)
    if what == "raise":
        raise KinemeError("clip.mp4: is no video")
    if what == "usage":
        raise UsageError("--engine gpu: there is none")
    if what == "break":
        raise ZeroDivisionError("a mistake")
    if what.startswith("tidy "):  # up on its way out
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
        try:
            if on_progress:
                on_progress(0.5)
            time.sleep(600)
        finally:
            Path(what.removeprefix("tidy ")).touch()
    if on_progress:
        on_progress(0.5)
    return {"pid": os.getpid(), "what": what}
