"""Cameras and live streams: how they are called, and how they are opened."""

from __future__ import annotations

import errno
import re
import sys
import time
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import av
import av.error

from kineme.errors import VideoError
from kineme.video.container import DECODER_OPTIONS

if TYPE_CHECKING:
    from av.container import InputContainer

_PLAYLIST_BYTES = 1 << 16
# FFmpeg looks at a second of frames to tell their rate, and at 5 s of a stream whose sound is silent.
_SOON = {"fpsprobesize": "0", "analyzeduration": "2000000"}

# What FFmpeg is told, by the scheme of an address.
_OPTIONS: dict[str, dict[str, str]] = {
    "rtsp": {"rtsp_flags": "prefer_tcp"},  # over UDP frames are lost, and many networks let none through
    "rtsps": {"rtsp_flags": "prefer_tcp"},
    "udp": {"overrun_nonfatal": "1", "buffer_size": str(1 << 21)},
    "http": {"strict_mime_boundary": "0"},
    "https": {"strict_mime_boundary": "0"},
}


def without_password(source: str) -> str:
    """An address as it may be shown."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", source)


def file_name(source: str) -> str:
    """A name for files about a live source: ``camera-0``, ``cam.local-front``."""
    address = urlsplit(source)
    name = f"{address.hostname or ''}{address.path}" if address.scheme else f"camera-{source.removeprefix('/dev/')}"
    return re.sub(r"[^\w.]+", "-", name).strip("-.")[:80] or "stream"


def sends_live(url: str, timeout_s: float = 5.0) -> bool:
    """Whether a web server answers with an endless video: Motion JPEG, or an HLS playlist that is not at its end.

    What cannot be found out counts as no; whoever fetches the address says why it cannot be had.

    Args:
        url: http or https.
        timeout_s: how long the server may be silent.
    """
    return _sends_live(url, timeout_s, lists=2)  # a list of qualities, and that of its first one


def _sends_live(url: str, timeout_s: float, lists: int) -> bool:
    if not lists:  # a list that names itself would be read for ever
        return False
    with suppress(OSError, ValueError, HTTPException), _answer(url, timeout_s) as answer:
        kind = answer.headers.get_content_type()
        if kind == "multipart/x-mixed-replace":
            return True
        if "mpegurl" in kind or urlsplit(url).path.endswith(".m3u8"):
            lines = answer.read(_PLAYLIST_BYTES).decode(errors="replace").splitlines()
            if any(line.startswith("#EXTINF") for line in lines):
                return not any(line.startswith("#EXT-X-ENDLIST") for line in lines)
            first = next((line for line in lines if line and not line.startswith("#")), None)
            return (
                first is not None
                and lines[0].startswith("#EXTM3U")
                and _sends_live(urljoin(url, first), timeout_s, lists - 1)
            )
    return False


def open_live(source: str, timeout_s: float) -> InputContainer:
    """Open a camera or live stream; the caller closes it.

    Args:
        source: a camera's number or device, or an address that FFmpeg reads. RTSP comes over TCP, or over UDP where
            a server cannot do that.
        timeout_s: how long it may be silent, now and later.

    Raises:
        VideoError: there is no such camera, or nothing comes.
    """
    address, how = source, urlsplit(source).scheme.lower()
    reader: str | None = None
    options = {**DECODER_OPTIONS, **_SOON, **_OPTIONS.get(how, {})}
    if "://" not in source:
        address, reader = _camera(source)
        options = {"framerate": "30"} if reader == "avfoundation" else {}  # which has none of its own
    began_s = time.monotonic()
    try:
        return av.open(address, "r", format=reader, options=options, timeout=(timeout_s, timeout_s))
    except (OSError, ValueError, av.error.FFmpegError) as error:
        if reader:
            reason = _why_no_camera(error)
        elif time.monotonic() - began_s >= timeout_s:  # whatever FFmpeg makes of being interrupted
            reason = f"nothing came for {timeout_s:g} s"
        else:
            reason = _why_closed(error, source)
        raise VideoError(without_password(source), reason, "unavailable") from error


def why_broken(error: Exception, timeout_s: float) -> str:
    """In words, why a stream cannot be read on."""
    if isinstance(error, av.error.ExitError | TimeoutError):  # FFmpeg was interrupted because the time was over
        return f"nothing came for {timeout_s:g} s"
    return f"the connection was lost: {getattr(error, 'strerror', None) or error}"


def _why_closed(error: Exception, source: str) -> str:
    """In words, why an address cannot be opened."""
    if isinstance(error, av.error.HTTPUnauthorizedError):
        return "wants a user name and password; write them before the host, as in rtsp://USER:PASSWORD@HOST/"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "the server has no such stream"
    if isinstance(error, av.error.ProtocolNotFoundError):
        return f"this build of FFmpeg cannot read {urlsplit(source).scheme}://"
    if isinstance(error, av.error.InvalidDataError):
        return "the stream is not a readable video"
    if getattr(error, "errno", None) == errno.EIO:  # what FFmpeg says of a name that is not known
        return "cannot be reached; is the host right?"
    return f"cannot be reached ({getattr(error, 'strerror', None) or error})"


def _camera(source: str) -> tuple[str, str]:
    """What FFmpeg calls a camera, and the reader for cameras of this system.

    Raises:
        VideoError: no camera has that number.
    """
    if sys.platform == "darwin":
        return source, "avfoundation"
    if sys.platform == "win32":
        names = [name for name, _ in _cameras("dshow")]
        if not source.isdecimal():
            return source, "dshow"
        if int(source) >= len(names):
            there = _listed(range(len(names)), "video=NAME works too")
            raise VideoError(source, f"there is no such camera; {there}", "unavailable")
        return f"video={names[int(source)]}", "dshow"
    path = Path(f"/dev/video{source}" if source.isdecimal() else source)
    if not path.exists():
        there = sorted(Path("/dev").glob("video*"), key=lambda one: (len(one.name), one.name))
        raise VideoError(source, f"there is no such camera; {_listed(there)}", "unavailable")
    return str(path), "v4l2"


def _cameras(reader: str) -> list[tuple[str, str]]:
    """Names and descriptions of the cameras, where PyAV can tell."""
    with suppress(Exception):  # its version 17 fails at this in several ways
        from av.device import enumerate_input_devices

        return [(one.name, one.description) for one in enumerate_input_devices(reader) if "video" in one.media_types]
    return []


def _listed(cameras: Any, otherwise: str = "is it connected?") -> str:
    names = ", ".join(map(str, cameras))
    return f"this computer has {names}" if names else f"this computer shows none ({otherwise})"


def _why_no_camera(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "this user may not open the camera; on Linux, join the group video"
    if getattr(error, "errno", None) == errno.EBUSY:
        return "the camera is in use by another program"
    return f"cannot be opened as a camera ({getattr(error, 'strerror', None) or error})"


def _answer(url: str, timeout_s: float) -> Any:
    """The answer to a request, with the user name and password of the address if the server wants them."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https"):
        raise ValueError(url)
    host = (address.netloc or "").rpartition("@")[2]
    plain = urlunsplit((address.scheme, host, address.path, address.query, ""))
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if address.username:
        passwords.add_password(None, plain, unquote(address.username), unquote(address.password or ""))
    opener = urllib.request.build_opener(
        urllib.request.HTTPBasicAuthHandler(passwords), urllib.request.HTTPDigestAuthHandler(passwords)
    )
    return opener.open(plain, timeout=timeout_s)
