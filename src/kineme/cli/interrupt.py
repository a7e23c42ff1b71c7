"""Ctrl-C: answered at once, also while native code runs, and remembered where a library swallows the exception."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kineme.cli.output import warn

_lock = threading.Lock()
_advice: list[Callable[[], str]] = []
_has_come = _is_answered = False


def listen() -> None:
    """Prepare this process for Ctrl-C, unless its signal is ignored or another program's handler takes it."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, _on_signal)
    threading.Thread(target=_answer_signals, args=(reader, writer), name="kineme-interrupt", daemon=True).start()


def has_come() -> bool:
    """Whether the user has pressed Ctrl-C."""
    return _has_come


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed and a library swallowed the exception."""
    if _has_come:
        raise KeyboardInterrupt


@contextmanager
def continues_by(advice: Callable[[], str]) -> Iterator[None]:
    """While the context lasts, Ctrl-C is answered with ``advice``: the kept results, and how to continue."""
    _advice.append(advice)
    try:
        yield
    except KeyboardInterrupt:
        _answer()
        raise
    finally:
        _advice.pop()


def _on_signal(number: int, frame: object) -> None:
    global _has_come
    _has_come = True
    raise KeyboardInterrupt


def _answer_signals(reader: socket.socket, writer: socket.socket) -> None:
    """In a thread: the main one runs no handler until the native code that it is in returns."""
    while numbers := reader.recv(64):
        if signal.SIGINT in numbers and signal.getsignal(signal.SIGINT) is _on_signal:
            _answer()


def _answer() -> None:
    global _is_answered
    with _lock:
        if _advice and not _is_answered:
            _is_answered = True
            warn([f"interrupted; {_advice[-1]()}"])
