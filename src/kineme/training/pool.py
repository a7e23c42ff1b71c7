"""Threads that decode videos side by side."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor


@contextlib.contextmanager
def decoding_threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that decode; on an error or Ctrl-C, tasks that have not begun are dropped."""
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
