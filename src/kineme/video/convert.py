"""A decoded frame to RGB pixels, the right way up and straight at the wanted size."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from kineme.video.geometry import displayed_size, resize_geometry, source_part
from kineme.video.spec import ResizeMode

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_LARGE = 16  # a scaled frame so many times the picture it is cropped to is not worth making


class Converter:
    """Turns the frames of one video into arrays; one scaler serves them all.

    Args:
        first: the first decoded frame; it tells rotation and displayed size.
        stream: where it is from.
        size: wanted (height, width); None keeps the displayed size.
        fit: how a frame is brought to the size.
    """

    def __init__(
        self,
        first: VideoFrame,
        stream: VideoStream,
        *,
        size: tuple[int, int] | None = None,
        fit: ResizeMode = "stretch",
    ) -> None:
        self.rotation = _rotation(first, stream)
        self.displayed = displayed_size(first.height, first.width, stream.sample_aspect_ratio, self.rotation)
        self.size = size or self.displayed
        self._fit = fit
        self._place = resize_geometry(self.displayed, self.size, fit)
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """The pixels of ``frame``: uint8, RGB, (height, width, 3), contiguous."""
        height, width = self.size
        spot = self._place
        if self._fit == "crop" and spot.height * spot.width > _LARGE * height * width:
            return self._cropped_first(frame)
        pixels = self._scaled(frame, spot.height, spot.width)
        if (spot.height, spot.width) == self.size:
            return pixels
        if spot.height >= height and spot.width >= width:
            return np.ascontiguousarray(pixels[-spot.top : height - spot.top, -spot.left : width - spot.left])
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width] = pixels
        return canvas

    def _cropped_first(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Crop a very long frame before scaling it, instead of scaling all of it."""
        pixels = self._scaled(frame, *self.displayed)
        top, left, height, width = source_part(self.displayed, self.size)
        part = np.ascontiguousarray(pixels[top : top + height, left : left + width])
        return self._pixels(VideoFrame.from_ndarray(part, format="rgb24"), *self.size)

    def _scaled(self, frame: VideoFrame, height: int, width: int) -> NDArray[np.uint8]:
        """The whole frame, turned, at ``height`` x ``width``."""
        if self.rotation % 180:
            height, width = width, height
        pixels = self._pixels(frame, height, width)
        return np.ascontiguousarray(np.rot90(pixels, -self.rotation // 90)) if self.rotation else pixels

    def _pixels(self, frame: VideoFrame, height: int, width: int) -> NDArray[np.uint8]:
        shrinks = height < frame.height or width < frame.width
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            # Averaging over the area does not alias; where nothing is lost, bilinear.
            interpolation=Interpolation.AREA if shrinks else Interpolation.BILINEAR,
            threads=1,
        )
        return cast("NDArray[np.uint8]", rgb.to_ndarray())


def _rotation(frame: VideoFrame, stream: VideoStream) -> int:
    """Degrees clockwise to turn for display: 0, 90, 180 or 270."""
    degrees = -frame.rotation  # FFmpeg counts anticlockwise
    if not degrees:
        tags = {key.lower(): value for key, value in stream.metadata.items()}
        with suppress(ValueError):
            degrees = int(tags.get("rotate", "0"))  # written by old phones and tools
    return round(degrees / 90) * 90 % 360
