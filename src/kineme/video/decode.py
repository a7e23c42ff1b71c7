"""Frames of a video in the order they are shown, each with its time."""

from __future__ import annotations

from fractions import Fraction

from kineme.errors import VideoError
from kineme.video.container import PathLike, open_container, video_stream


def first_time(path: PathLike) -> Fraction:
    """Time stamp in seconds of the first displayed frame: what Kineme calls time zero of the video."""
    with open_container(path) as container:
        for frame in container.decode(video_stream(container, path)):
            return Fraction(frame.pts or 0) * Fraction(frame.time_base or 0)
    raise VideoError(path, "none of its frames can be decoded")
