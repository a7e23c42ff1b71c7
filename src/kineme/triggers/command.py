"""Runs a program for each event, with the event as JSON on its standard input. There is no shell."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import Any

from kineme.errors import UsageError
from kineme.text import json_text, one_line
from kineme.triggers.delivery import RefusedError, RetryError

_LIMIT_S = 60.0
_MOST_TRIES = 5


class Command:
    """Runs a program for each event.

    An event is delivered when the program ends with 0; it is run again where it does not, five times at most.

    Args:
        text: program and arguments, parted as a shell would, but nothing in them is expanded.

    Raises:
        UsageError: there is no such program, or the text cannot be parted.
    """

    def __init__(self, text: str) -> None:
        try:
            self._arguments = shlex.split(text, posix=os.name != "nt")
        except ValueError as error:
            raise UsageError(f"--run {text}: {error}") from error
        if not self._arguments or shutil.which(self._arguments[0]) is None:
            raise UsageError(f"--run {text}: there is no such program; give its path")
        self.destination = text
        self._tried: tuple[str, int] = "", 0  # the newest event, and how often

    def start(self) -> None:
        """There is nothing to begin."""

    def send(self, document: dict[str, Any]) -> None:
        """As :meth:`kineme.triggers.delivery.Sender.send`."""
        before = self._tried[1] if self._tried[0] == document["id"] else 0
        self._tried = document["id"], before + 1
        try:
            run = subprocess.run(  # noqa: S603 (what the user asked for)
                self._arguments,
                input=json_text(document, indent=None, ascii_only=True).encode() + b"\n",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            reason = f"did not end within {_LIMIT_S:g} s"
        except OSError as error:
            reason = f"cannot be run ({error.strerror or error})"
        else:
            if run.returncode == 0:
                return
            said = one_line(run.stderr.decode(errors="replace"), 200)
            reason = f"ended with {run.returncode}" + (f": {said}" if said else "")
        raise (RefusedError if self._tried[1] >= _MOST_TRIES else RetryError)(reason)

    def close(self) -> None:
        """There is nothing to close."""
