"""Looks at a video that a stranger sent, as far as is needed to know whether it may be worked on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

from kineme.errors import VideoError

if TYPE_CHECKING:
    from kineme.video.container import NamedFile

# Those of FFmpeg's readers that read the file itself. Others are playlists, which name further files to read.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegts,mpegvideo,h264,hevc,m4v,mjpeg,flv,asf,ogg,gif,ivf,dv,mxf,nut,"
    "rm,wtv,yuv4mpegpipe"
)
_LOOK_EVERY = 500  # packets


class VideoLimits(TypedDict):
    """What a video may have."""

    max_bytes: int
    max_duration_s: float
    max_pixels: int
    max_frames: int


class LimitError(Exception):
    """A video is not taken; ``str(error)`` says why.

    Args:
        code: for programs.
        message: for people, one line.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_video(file: NamedFile, limits: VideoLimits, cpu_s: float = float("inf")) -> None:
    """Look at a file.

    Args:
        file: with its display name.
        limits: of size, length, frames and pixels.
        cpu_s: how long this may compute.

    Raises:
        VideoError: it is no video that can be read.
        LimitError: it is beyond a limit; code ``not_yet``: beyond ``cpu_s``.
    """
    from kineme.video.probe import probe

    began_s = time.process_time()

    def check_time() -> None:
        if time.process_time() - began_s > cpu_s:
            raise LimitError("not_yet", f"{file}: takes longer to look at")

    _count_packets(file, limits, check_time)
    info = probe(file)
    if info.duration_s > limits["max_duration_s"]:
        limit = f"{limits['max_duration_s'] / 60:g} minutes"
        raise LimitError("too_long", f"{file}: is {info.duration_s / 60:.1f} minutes long, and the limit is {limit}")
    if info.width * info.height > limits["max_pixels"]:
        megapixels = f"{limits['max_pixels'] / 1e6:.1f} megapixels"
        raise LimitError("too_many_pixels", f"{file}: is {info.width} x {info.height}, and the limit is {megapixels}")


def _count_packets(file: NamedFile, limits: VideoLimits, check_time: Callable[[], None]) -> None:
    """See that the file holds no more frames than it may, before anything looks at all of them."""
    import av
    import av.error

    from kineme.video.container import DECODER_OPTIONS

    most = limits["max_frames"]
    options = {**DECODER_OPTIONS, "format_whitelist": _CONTAINERS}
    try:
        with av.open(file.path, options=options, metadata_errors="ignore") as container:
            for stream in container.streams.video:
                if stream.frames > most:
                    raise _too_many_frames(file, most)
            count = 0
            for packet in container.demux(video=0) if container.streams.video else ():
                count += packet.size > 0
                if count > most:
                    raise _too_many_frames(file, most)
                if count % _LOOK_EVERY == 0:
                    check_time()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(file, "is not a video that can be read") from error


def _too_many_frames(file: NamedFile, most: int) -> LimitError:
    return LimitError("too_many_frames", f"{file}: has more than {most:,} frames")
