"""The errors a user can act on: one line that names the file or option and says what to do."""

from __future__ import annotations

import os
from typing import Literal

from kineme.text import printable

VideoFault = Literal[
    "missing",  # there is no such file
    "empty",  # of 0 bytes
    "not-a-video",  # a folder, a still picture, text
    "sound-only",
    "truncated",  # cut short so that nothing of it can be read
    "unreadable",  # damaged, or of a kind this FFmpeg does not know
    "too-large",  # more pixels, bytes or seconds than are read
    "no-such-part",  # nothing lies in the part that was asked for
    "too-short",  # shorter than a clip
    "unavailable",  # a camera, stream or address that gives nothing
]
VideoFlaw = Literal[
    "truncated",  # ends before its header says
    "damaged",  # frames are lost or blemished
    "timestamps",  # its clock was set right
    "sound",  # its sound could not be kept
    "colour",  # its brightness is not what a screen of its kind would show
    "interlaced",
    "nobody",  # a clip of the people in it shows the whole frame
    "several-people",  # a clip of one of them
]


class KinemeError(Exception):
    """Something could not be done (exit code 1). ``str(error)`` is one clear line, whatever names it holds.

    Example:
        >>> try:
        ...     kineme.load("no-such-run")
        ... except kineme.KinemeError as error:
        ...     print(str(error).partition(":")[0])
        no-such-run
    """

    def __init__(self, line: object) -> None:
        super().__init__(printable(line))


class UsageError(KinemeError):
    """The request itself is wrong, such as an unknown approach (exit code 2).

    Example:
        >>> kineme.ClipSpec(frames=0)
        Traceback (most recent call last):
            ...
        kineme.errors.UsageError: clip spec: frames must be a whole number from 1 to 4096, not 0
    """


class VideoError(KinemeError):
    """A video cannot be used.

    Args:
        path: the file or stream; ``str(path)`` is the name that is shown.
        reason: why, without the name of the file ("holds no video stream, only sound").
        kind: the kind of fault, for code that decides by it.

    Example:
        >>> try:
        ...     model.predict("no-such-video.mp4")
        ... except kineme.VideoError as error:
        ...     error.kind
        'missing'
    """

    def __init__(self, path: str | os.PathLike[str], reason: str, kind: VideoFault = "unreadable") -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason
        self.kind: VideoFault = kind

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str, VideoFault]]:
        return type(self), (self.path, self.reason, self.kind)


class VideoWarning(str):
    """A fault of a video that can still be used: one line, without the name of the file.

    Attributes:
        kind: the kind of fault, for code that decides by it.
    """

    kind: VideoFlaw

    def __new__(cls, line: str, kind: VideoFlaw = "damaged") -> VideoWarning:
        """``line`` as a warning of ``kind``."""
        self = super().__new__(cls, line)
        self.kind = kind
        return self
