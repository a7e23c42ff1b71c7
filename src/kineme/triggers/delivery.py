"""Brings events from their outbox to where they go, in a thread of its own, and again until they have arrived."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from kineme.text import duration
from kineme.triggers.outbox import Outbox

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_KEPT_S = 7 * 86400.0
_POLL_S = 1.0
_DRAIN_S = 3.0  # at the end, for what is still there


class RetryError(Exception):
    """It could not be delivered now; ``str(error)`` says why."""


class RefusedError(Exception):
    """It will never be taken; ``str(error)`` says why."""


class Sender(Protocol):
    """A way to a receiver."""

    destination: str  # as shown: without a password

    def start(self) -> None:
        """Begin; called once, when no other command uses this way."""

    def send(self, document: dict[str, Any]) -> None:
        """Deliver an event; it has arrived when this returns.

        Raises:
            RetryError: not now.
            RefusedError: never.
        """

    def close(self) -> None:
        """Say goodbye."""


class Delivery:
    """Delivers the events of an outbox in order, each until it has arrived.

    Args:
        outbox: where they wait.
        sender: how they are sent.
        notice: called with one line, from another thread, when a receiver is away, is back, or refuses an event.
    """

    def __init__(self, outbox: Outbox, sender: Sender, notice: Callable[[str], None]) -> None:
        self._outbox, self._sender, self._notice = outbox, sender, notice
        self._over = threading.Event()
        self._away_since: float | None = None
        sender.start()
        self._thread = threading.Thread(target=self._run, name=f"tells {sender.destination}", daemon=True)
        self._thread.start()

    def put(self, document: dict[str, Any]) -> None:
        """Add an event; it is delivered soon, and never here."""
        self._outbox.put(document)

    def close(self) -> None:
        """Deliver events for some seconds; the rest is kept for the next run."""
        end_s = time.monotonic() + _DRAIN_S
        while len(self._outbox) and self._away_since is None and time.monotonic() < end_s and self._thread.is_alive():
            time.sleep(0.02)
        self._over.set()
        self._outbox.wake()
        self._thread.join(_DRAIN_S)
        if left := len(self._outbox):
            self._notice(
                f"{self._sender.destination}: {left} events wait; the same command delivers them when run again"
            )
        self._sender.close()
        self._outbox.close()

    def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while not self._over.is_set():
            first = self._outbox.first(_POLL_S)
            if first is None or self._over.is_set():
                continue
            try:
                self._sender.send(first.document)
            except RetryError as error:
                self._miss(str(error))
                if time.time() - first.made_s > _KEPT_S:
                    self._outbox.remove(first.number)
                    self._notice(f"{self._sender.destination}: an event of {duration(_KEPT_S)} ago is given up")
                self._over.wait(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                continue
            except RefusedError as error:
                self._notice(f"{self._sender.destination}: an event was refused and is given up ({error})")
            if self._away_since is not None:
                away_s = time.monotonic() - self._away_since
                self._notice(f"{self._sender.destination}: is back after {duration(away_s)}")
            self._away_since, wait_s = None, _FIRST_WAIT_S
            self._outbox.remove(first.number)

    def _miss(self, reason: str) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._notice(f"{self._sender.destination}: {reason}; events wait until it is back")
