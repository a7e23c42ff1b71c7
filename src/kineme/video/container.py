"""Opening a file or stream, and the facts of its video stream that every reader needs."""

from __future__ import annotations

import errno
import os
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import av.error
from av.codec.codec import UnknownCodecError
from av.codec.context import CodecContext
from av.stream import Disposition

from kineme.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

PathLike = str | os.PathLike[str]  # messages call a video ``str(path)``; see NamedFile
VIDEO_SUFFIXES = (
    *(".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc"),
    *(".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg"),
    *(".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
)

_LARGEST_SIDE = 16384
MOST_PIXELS = 8192 * 4320  # of a frame: a hostile header must not make us ask for gigabytes
DECODER_OPTIONS = {"max_pixels": str(MOST_PIXELS)}
TOO_LARGE = "frames of more pixels than 8192 x 4320 are not read"
_SLOWEST, _FASTEST = Fraction(1, 100), Fraction(1000)
_USUAL_RATE = Fraction(25)
# Covers of music files and previews of chapters are stored as video streams.
_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_MOST_LOOKED_AT = 2000  # packets
_FINEST = Fraction(1, 10**9)


@dataclass(frozen=True)
class NamedFile(os.PathLike[str]):
    """A file that messages call by another name, such as the address that a temporary file was fetched from.

    Args:
        path: the file.
        name: what errors and warnings say in its place.
    """

    path: str
    name: str

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.name


def open_container(path: PathLike) -> InputContainer:
    """Open ``path`` for reading; the caller closes it, best by a ``with`` statement.

    Raises:
        VideoError: missing, a folder, empty, or nothing FFmpeg knows.
    """
    name = os.fspath(path)
    is_file = "://" not in name or Path(name).exists()
    if is_file:
        _check_file(path)
    try:
        with _ffmpegs_name(name) if is_file else nullcontext(name) as called:
            try:
                return _open(called)
            except av.error.FFmpegError:
                end = whole_fragments(path)
                if end is None:
                    raise
                return _open(f"subfile,,start,0,end,{end},,:{called}")
    except OSError as error:
        if error.errno == errno.EIO and Path(path).is_file():  # FFmpeg's word for a header that ends too early
            raise VideoError(path, "is cut short or damaged, so nothing can be read", "truncated") from error
        raise VideoError(path, f"cannot be opened ({error.strerror or error})") from error
    except av.error.FFmpegError as error:
        raise _not_opened(path) from error


def _open(name: str) -> InputContainer:
    # Some old AVIs carry names in no known encoding; without "ignore" they cannot even be opened.
    return av.open(name, options=DECODER_OPTIONS, metadata_errors="ignore")


@contextmanager
def _ffmpegs_name(name: str) -> Iterator[str]:
    """A file's name as FFmpeg takes it: one that looks like an address is a file, one in no encoding a number."""
    if name.encode(errors="replace") == os.fsencode(name):
        yield f"file:{name}"
        return
    with Path(name).open("rb") as file:
        yield f"file:/dev/fd/{file.fileno()}"


def whole_fragments(path: PathLike) -> int | None:
    """Bytes of an MP4 up to the header that it ends in, if it follows whole fragments; else None.

    FFmpeg refuses such a file, which a recorder leaves that was stopped, or is still writing.
    """
    kinds, end, size = _whole_boxes(path)
    return end if {b"moov", b"moof"} <= kinds and end < size else None


def _whole_boxes(path: PathLike) -> tuple[set[bytes], int, int]:
    """Kinds of the boxes of an MP4, where the last whole one ends, and the size of the file."""
    kinds: set[bytes] = set()
    end = size = 0
    with suppress(OSError), Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        while len(head := file.read(16)) >= 8:
            length, kind = struct.unpack(">I4s", head[:8])
            if length == 1 and len(head) == 16:
                length = struct.unpack(">Q", head[8:])[0]
            if length < 8 or end + length > size:
                break
            kinds.add(kind)
            end += length
            file.seek(end)
    return kinds, end, size


def video_stream(container: InputContainer, path: PathLike) -> VideoStream:
    """The video stream to read.

    Raises:
        VideoError: only sound, a still picture, an absurd size, or a codec this FFmpeg cannot decode.
    """
    if container.format.name == "webp_pipe" and _is_animated_webp(path):
        raise VideoError(path, "is an animated WebP, which FFmpeg cannot decode; convert it to GIF or MP4")
    if container.format.name.endswith("_pipe") or container.format.name in ("image2", "tty"):
        raise VideoError(path, "is a still picture or text, not a video", "not-a-video")
    streams = [stream for stream in container.streams.video if not stream.disposition & _STILLS]
    if not streams:
        if container.streams.audio:
            raise VideoError(path, "holds no video stream, only sound", "sound-only")
        raise VideoError(path, "holds no video stream", "not-a-video")
    stream = streams[0] if len(streams) == 1 else _best(streams, path)
    context = stream.codec_context
    if context is None:
        raise VideoError(path, "its video codec is not known to this build of FFmpeg, or its header is damaged")
    width, height = context.width, context.height
    if max(width, height) > _LARGEST_SIDE:
        too_long = f"more than {_LARGEST_SIDE} a side is not read"
        raise VideoError(path, f"its frames are {width} x {height}; {too_long}", "too-large")
    if width * height > MOST_PIXELS:
        raise VideoError(path, f"its frames are {width} x {height}; {TOO_LARGE}", "too-large")
    context.options = DECODER_OPTIONS  # frames may grow on the way, whatever the header says
    return stream


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """What decodes the stream: its own decoder, but for WebM with transparency, which FFmpeg's leaves out."""
    own = stream.codec_context
    if stream.metadata.get("alpha_mode") == "1":
        with suppress(UnknownCodecError):  # this FFmpeg has no libvpx
            context = CodecContext.create({"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(own.name, ""), "r")
            context.options = DECODER_OPTIONS
            return cast("VideoCodecContext", context)
    return own


def _is_animated_webp(path: PathLike) -> bool:
    """Whether the header of a WebP file says so (developers.google.com/speed/webp/docs/riff_container)."""
    with Path(path).open("rb") as file:
        head = file.read(21)
    return head[12:16] == b"VP8X" and bool(head[20] & 2)


def _best(streams: Sequence[VideoStream], path: PathLike) -> VideoStream:
    """As players choose: the stream marked as the default, and of several the largest; a still only if all are."""
    streams = [stream for stream in streams if stream.codec_context is not None] or streams
    moving = [stream for stream in streams if stream.frames != 1]
    if any(not stream.frames for stream in moving) and Path(path).is_file():
        counts = _first_packets(path, {stream.index for stream in moving})
        moving = [stream for stream in moving if counts[stream.index] > 1]
    streams = moving or streams
    defaults = [stream for stream in streams if stream.disposition & Disposition.default]
    return max(defaults or streams, key=_pixels)


def _pixels(stream: VideoStream) -> int:
    context = stream.codec_context
    return 0 if context is None else context.width * context.height


def _first_packets(path: PathLike, indices: set[int]) -> Counter[int]:
    """How many packets of each stream come before all have come twice, or much has been read."""
    counts: Counter[int] = Counter()
    with open_container(path) as container, suppress(av.error.FFmpegError):
        for packet in container.demux(*(stream for stream in container.streams if stream.index in indices)):
            counts[packet.stream.index] += packet.size > 0
            if counts.total() >= _MOST_LOOKED_AT or all(counts[index] > 1 for index in indices):
                break
    return counts


def frame_rate(stream: VideoStream) -> Fraction:
    """The container's own word on the rate, or 25 where it says nothing sensible."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and _SLOWEST <= rate <= _FASTEST:
            return rate
    return _USUAL_RATE


def time_base(stream: VideoStream) -> Fraction:
    """Seconds of one tick of the stream's time stamps; that of the rate where the container's own makes no sense."""
    given = Fraction(stream.time_base or 0)
    return given if _FINEST <= given <= 1 / _SLOWEST else 1 / frame_rate(stream)


def _check_file(path: PathLike) -> None:
    file = Path(path)
    if file.is_dir():
        raise VideoError(path, "is a folder, not a video file", "not-a-video")
    if not file.exists():
        raise VideoError(path, "no such file", "missing")
    if not file.is_file():
        raise VideoError(path, "is a pipe, socket or device, not a video file", "not-a-video")
    if file.stat().st_size == 0:
        raise VideoError(path, "is empty (0 bytes)", "empty")


def _not_opened(path: PathLike) -> VideoError:
    """Why FFmpeg does not recognise the content of a file."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(4096)
    except OSError:
        return VideoError(path, "cannot be opened as a video")
    if b"moov" in _whole_boxes(path)[0]:
        return VideoError(path, "is cut short or damaged, so nothing can be read", "truncated")
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        reason = "is cut short or damaged: the index of the MP4 file (moov) is missing, so nothing can be read"
        return VideoError(path, reason, "truncated")
    return VideoError(path, "is not a video that can be read", "not-a-video")
