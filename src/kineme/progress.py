"""Progress of long work: a bar with the time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

from kineme.text import duration, printable

T = TypeVar("T")

Listener = Callable[[str, int, int | None], None]

_SECONDS_BETWEEN_LINES = 10.0
_listener: Listener | None = None

_hidden = False


def hide() -> None:
    """Show no progress from now on, in this process."""
    global _hidden
    _hidden = True


class Advance(Protocol):
    """Called after each finished item; ``note`` is shown beside the bar."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Count ``steps`` more items as done."""


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While the context lasts, ``listener`` receives all progress: the phase, the steps done, and the total."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before


@contextmanager
def progress(label: str | None, total: int | None) -> Iterator[Advance]:
    """Show the progress of ``total`` steps on standard error.

    Args:
        label: the activity, such as ``"decoding"``; None shows nothing.
        total: number of steps, or None where unknown.
    """
    with _shown(label, total) as advance:
        if label is None or (listener := _listener) is None:
            yield advance
            return
        done = 0

        def tell(steps: int = 1, note: str = "") -> None:
            nonlocal done
            done += steps
            listener(label, done, total)
            advance(steps, note)

        yield tell


@contextmanager
def _shown(label: str | None, total: int | None) -> Iterator[Advance]:
    if label is None or _hidden or sys.stderr is None:  # a program without a console has no standard error
        yield lambda steps=1, note="": None
    elif hasattr(sys.stderr, "isatty") and sys.stderr.isatty():
        with _bar(printable(label), total) as advance:
            yield advance
    else:
        yield _lines(printable(label), total)


def track(items: Iterable[T], label: str | None, total: int | None = None) -> Iterator[T]:
    """Yield ``items`` while showing progress; ``total`` defaults to ``len(items)`` where there is one."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress(label, total) as advance:
        for item in items:
            yield item
            advance()


@contextmanager
def _bar(label: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task(label, total=total, note="")

        def advance(steps: int = 1, note: str = "") -> None:
            if note:
                bar.update(task, advance=steps, note=printable(note))
            else:
                bar.update(task, advance=steps)

        yield advance


def _lines(label: str, total: int | None) -> Advance:
    started = last = time.monotonic()
    done = 0

    def advance(steps: int = 1, note: str = "") -> None:
        nonlocal done, last
        done += steps
        now = time.monotonic()
        finished = total is not None and done >= total
        if now - last < _SECONDS_BETWEEN_LINES and not finished:
            return
        last = now
        of = f"/{total}" if total is not None else ""
        left = ""
        if total and not finished:
            left = f", about {duration((now - started) / done * (total - done))} left"
        print(f"{label}: {done}{of}{left}{'  ' + printable(note) if note else ''}", file=sys.stderr, flush=True)

    return advance
