"""The errors a user can act on: one line that names the file or option and says what to do."""

from __future__ import annotations

import os


class KinemeError(Exception):
    """Something could not be done (exit code 1). ``str(error)`` is one clear line."""


class UsageError(KinemeError):
    """The request itself is wrong, such as an unknown approach (exit code 2)."""


class VideoError(KinemeError):
    """A video cannot be used.

    Args:
        path: the file or stream.
        reason: why, without the name of the file ("holds no video stream, only sound").
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = os.fspath(path)
        self.reason = reason
