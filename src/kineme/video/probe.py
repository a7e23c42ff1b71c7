"""Reads the properties of a video file before any of it is used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction

from kineme.video.container import PathLike, frame_rate
from kineme.video.decode import Decoder
from kineme.video.timestamps import has_display_times


@dataclass(frozen=True)
class VideoInfo:
    """The facts of a video.

    Args:
        path: the file.
        width: pixels as displayed, after rotation and with square pixels.
        height: pixels as displayed.
        fps: average frames per second, exact (30000/1001, not 30).
        duration_s: seconds from time zero to the end of the last frame, by the packets' time stamps whatever the
            header says.
        frame_count: stored frames, without decoding (a few of them may turn out to be undecodable or hidden).
        codec: FFmpeg's name, such as ``"h264"``.
        pixel_format: FFmpeg's name, such as ``"yuv420p"``.
        rotation: degrees clockwise the stored frames are turned for display: 0, 90, 180 or 270.
        is_mirrored: whether they are mirrored left to right before that, as by some front cameras.
        has_audio: whether there is sound.
    """

    path: str
    width: int
    height: int
    fps: Fraction
    duration_s: float
    frame_count: int | None
    codec: str
    pixel_format: str
    rotation: int
    is_mirrored: bool
    has_audio: bool


def probe(path: PathLike) -> VideoInfo:
    """Read the facts of a video: its first frame is decoded, the rest only unpacked.

    Raises:
        VideoError: missing, a folder, empty, not a video, only sound, absurdly large, or nothing can be decoded.
    """
    with Decoder(path) as decoder:
        return describe(decoder, decode=False)


def describe(decoder: Decoder, *, decode: bool) -> VideoInfo:
    """The facts of a video that is open, of which nothing has been asked for yet.

    Args:
        decoder: of the video.
        decode: whether its frames will be wanted, too.
    """
    converter = decoder.converter()
    height, width = converter.displayed
    times = decoder.packet_times(decode=decode)
    rate = frame_rate(decoder.stream)
    start, end = times.start, times.end
    if start is None or end is None:
        start, end = Fraction(0), max(1, times.count) / rate
    average = times.count / (end - start)
    if abs(average - rate) > rate / 20 and average <= 1000:  # the header is wrong, or guessed from the beginning
        rate = max(Fraction(1, 1001), average.limit_denominator(1001))
    zero = decoder.zero * decoder.time_base if has_display_times(decoder.container) else start - decoder.late
    return VideoInfo(
        path=os.fspath(decoder.path),
        width=width,
        height=height,
        fps=rate,
        duration_s=float(end - min(zero, end - 1 / rate)),
        frame_count=times.count or None,
        codec=decoder.stream.codec_context.name,
        pixel_format=decoder.first.format.name,
        rotation=converter.orientation.rotation,
        is_mirrored=converter.orientation.is_mirrored,
        has_audio=bool(decoder.container.streams.audio),
    )
