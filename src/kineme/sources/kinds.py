"""The kinds of sources of ``kineme predict``, and how a source's kind is detected from its name."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

from kineme.errors import UsageError

# The one table of sources: an example, and what it stands for. The help shows it.
KINDS = (
    ("clip.mp4", "a video file; several may be named"),
    ("holiday/", "a folder: every video in it and below it"),
    ("'holiday/**/*.mov'", "a pattern, quoted or not; ** goes into folders"),
    ("https://site/clip.mp4", "a video file on the web"),
    ("https://youtu.be/...", "a video, playlist or channel; any site of yt-dlp"),
    ("-", "a video on standard input"),
    ("0", "a camera; or /dev/video0, on Windows video=NAME"),
    ("rtsp://camera/stream", "a live stream: rtsp, rtmp, udp, tcp, MJPEG, HLS"),
)

_LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt"}
_VIDEO_FOR_LINUX = 81  # the number of its devices, whatever they are called


def table_of_kinds() -> str:
    """``KINDS`` as lines of text."""
    width = max(len(example) for example, _ in KINDS)
    return "\n".join(f"  {example:<{width}}  {meaning}" for example, meaning in KINDS)


def scheme(source: str) -> str:
    """``"https"`` of an address, and an empty text of a path; an existing file is not an address."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", source)
    return match[1].lower() if match and not os.path.lexists(source) else ""


def is_live(source: str) -> bool:
    """Whether a source is a camera or a live stream, which is watched. A server is asked if need be."""
    if _is_live_by_name(source):
        return True
    if scheme(source) not in ("http", "https"):
        return False
    from kineme.video.live import sends_live

    return sends_live(source)


def refuse_live(source: str) -> None:
    """Raise UsageError for anything but a file, and for addresses of other kinds."""
    if _is_live_by_name(source):
        raise UsageError(f"{source}: a camera or live stream has no end; name it alone (Python: model.watch)")
    if scheme(source) not in ("", "http", "https"):
        raise UsageError(f"{source}: addresses of this kind are not taken; see kineme predict --help")


def _is_live_by_name(source: str) -> bool:
    if scheme(source) in _LIVE_SCHEMES or source.startswith(("/dev/video", "video=")):
        return True
    try:
        status = Path(source).stat()
    except (OSError, ValueError):
        return source.isdecimal()
    is_device = sys.platform == "linux" and stat.S_ISCHR(status.st_mode)
    return is_device and os.major(status.st_rdev) == _VIDEO_FOR_LINUX
