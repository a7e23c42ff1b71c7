"""Work ahead in a thread: the same items, the same errors, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kineme.video.prefetch import prefetch


def workers() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def test_gives_the_same_items_in_the_same_order():
    assert list(prefetch(iter(range(200)), 3)) == list(range(200))
    assert list(prefetch([])) == []


def test_an_error_comes_after_the_items_before_it():
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third")

    seen: list[int] = []
    with pytest.raises(ValueError, match="the third"):
        seen.extend(prefetch(items()))
    assert seen == [1, 2]
    assert workers() == 0


def test_an_iterator_that_is_left_early_ends_its_thread_and_the_generator_behind_it():
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    some = prefetch(items(), 2)
    assert next(iter(some)) == 0
    some.close()
    assert closed.wait(5)
    assert workers() == 0
