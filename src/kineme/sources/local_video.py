"""A source that has become a file on this machine, or could not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kineme.errors import KinemeError
from kineme.video.container import NamedFile


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """How sources are fetched and which part of them is used.

    Args:
        min_side: the model's size in pixels: of the formats a site offers, the smallest that has it is fetched.
        with_sound: prefer formats with sound, for outputs that play the video.
        max_bytes: of a download, of standard input or of a pipe; larger inputs are refused.
        timeout_s: how long a server or a pipe may stay silent.
        start_s: where the part begins that is used, in seconds.
        end_s: where it ends; None is the end of the video.
        cookies: a cookies.txt in Netscape's format, for links.
        cookies_from_browser: the browser whose cookies links get: ``NAME`` or ``NAME:PROFILE``.
    """

    min_side: int = 64
    with_sound: bool = False
    max_bytes: int = 1 << 30
    timeout_s: float = 20.0
    start_s: float = 0.0
    end_s: float | None = None
    cookies: str | os.PathLike[str] | None = None
    cookies_from_browser: str | None = None


@dataclass(frozen=True)
class LocalVideo:
    """A source that is a file here and now.

    Args:
        file: to be read; messages call it by its source. A temporary one is gone when the next video is asked for.
        name: a file name without suffix, for saved files.
        in_collection: whether it comes from a folder, a pattern or a playlist.
    """

    file: NamedFile
    name: str
    in_collection: bool = False

    @property
    def source(self) -> str:
        """How results call it: the path as asked for, the address, or ``-``."""
        return str(self.file)

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.file)


@dataclass(frozen=True)
class FailedVideo:
    """A video of a playlist that cannot be had.

    Args:
        source: its address.
        error: why.
    """

    source: str
    error: KinemeError


def local_file(path: str | os.PathLike[str], source: str, name: str, *, in_collection: bool = False) -> LocalVideo:
    """A file as it lies. Its path is made absolute, so that FFmpeg takes no name for an address or an option."""
    return LocalVideo(NamedFile(str(Path(path).absolute()), source), name, in_collection)
