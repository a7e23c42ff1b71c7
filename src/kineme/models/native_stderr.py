"""Hold back what native code prints to standard error on its way up, so that a healthy start says nothing."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()  # two blocks that overlapped would each put back what the other had put there


@contextmanager
def suppress_native_stderr() -> Iterator[None]:
    """Keep native output to standard error away from the user; it is shown only if the block fails."""
    with _ONE_AT_A_TIME:
        yield from _held_back()


def _held_back() -> Iterator[None]:
    try:
        sys.stderr.flush()
        real = os.dup(2)
    except (AttributeError, OSError):  # no standard error at all, as under pythonw
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
