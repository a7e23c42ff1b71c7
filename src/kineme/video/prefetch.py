"""Prefetch in a thread: decoding continues while earlier frames are processed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

_END = object()


def prefetch(items: Iterable[T], count: int = 32) -> Generator[T, None, None]:
    """The same items in the same order, made in a thread of its own, up to ``count`` before they are asked for.

    Whatever making them raises is raised here, in its place. The thread ends when the iterator does, or is closed.
    """
    made: queue.Queue[object] = queue.Queue(count)
    stopped = threading.Event()

    def give(item: object) -> None:
        while not stopped.is_set():
            try:
                made.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                give(item)
                if stopped.is_set():
                    return
        except BaseException as error:
            give(_Raised(error))
        else:
            give(_END)

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not _END:
            if isinstance(item, _Raised):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


class _Raised:
    """What ended the work."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
