"""A decoded frame to RGB pixels, the right way up and straight at the wanted size."""

from __future__ import annotations

import copy
import struct
from contextlib import suppress
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from kineme.video.geometry import (
    Orientation,
    ResizeGeometry,
    Window,
    displayed_size,
    orientation_of_matrix,
    orientation_of_rotation,
    resize_geometry,
    source_part,
)
from kineme.video.spec import ResizeMode

if TYPE_CHECKING:
    from av.video.stream import VideoStream

Pixels = NDArray[np.uint8]
DeepPixels = NDArray[np.uint16]

_8_BIT, _16_BIT = "rgb24", "rgb48le"
_LARGE = 16  # a scaled frame so many times the picture it is cropped to is not worth making


class _Layout(NamedTuple):
    """How frames of one stored shape become pictures."""

    orientation: Orientation
    displayed: tuple[int, int]
    resized: ResizeGeometry


class Converter:
    """Turns the frames of one video into arrays; one scaler serves them all.

    Each frame is laid out by its own size, pixel aspect and orientation, which may change on the way.
    Transparent pixels are shown on black, the colour of letterbox bars.

    Args:
        first: the first decoded frame; its displayed size is that of all pictures where none is asked for.
        geometry: of the stream it is from; None where frames are upright and their pixels square.
        size: wanted (height, width); None keeps the displayed size.
        fit: how a frame is brought to the size.
    """

    def __init__(
        self,
        first: VideoFrame,
        geometry: StreamGeometry | None = None,
        *,
        size: tuple[int, int] | None = None,
        fit: ResizeMode = "stretch",
    ) -> None:
        self._fit: ResizeMode = fit if size else "letterbox"  # for frames that differ from the first
        self._geometry = geometry
        self._layouts: dict[tuple[int, int, int, Fraction | None], _Layout] = {}
        self._reformatter = VideoReformatter()
        self.size = size or (1, 1)
        layout = self._layout(first)
        self.orientation, self.displayed = layout.orientation, layout.displayed
        if size is None:
            self.size = layout.displayed
            self._layouts.clear()

    def __call__(self, frame: VideoFrame, window: Window | None = None) -> Pixels:
        """The pixels of ``frame``: uint8, RGB, (height, width, 3), contiguous.

        Args:
            frame: decoded.
            window: what of the frame is to fill the picture; None is the whole frame, brought to the size by the fit.
        """
        return cast("Pixels", self._picture(frame, window, _8_BIT))

    def deep(self, frame: VideoFrame, window: Window | None = None) -> DeepPixels:
        """The same picture as uint16, 0 to 65535: averaging over an area gives steps that 8 bits cannot hold."""
        return cast("DeepPixels", self._picture(frame, window, _16_BIT))

    def _picture(self, frame: VideoFrame, window: Window | None, pixel_format: str) -> NDArray[Any]:
        if window:
            return self._cut(frame, window, pixel_format)
        height, width = self.size
        layout = self._layout(frame)
        spot = layout.resized
        if _has_alpha(frame.format.name):
            frame = self._on_black(frame)
        if self._fit == "crop" and spot.height * spot.width > _LARGE * height * width:
            return self._cropped_first(frame, layout, pixel_format)
        pixels = self._upright(frame, layout.orientation, spot.height, spot.width, pixel_format)
        if (spot.height, spot.width) == self.size:
            return pixels
        if spot.height >= height and spot.width >= width:
            return np.ascontiguousarray(pixels[-spot.top : height - spot.top, -spot.left : width - spot.left])
        canvas = np.zeros((height, width, 3), pixels.dtype)
        canvas[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width] = pixels
        return canvas

    def resized(self, size: tuple[int, int], fit: ResizeMode) -> Converter:
        """One for the same video that brings frames to another (height, width)."""
        other = copy.copy(self)
        other._fit, other.size = fit, size
        other._layouts, other._reformatter = {}, VideoReformatter()
        return other

    def displayed_pixels(self, frame: VideoFrame) -> Pixels:
        """The pixels of ``frame`` at the size at which it is displayed: uint8, RGB, (H, W, 3)."""
        return cast("Pixels", self._displayed(frame, _8_BIT))

    def _displayed(self, frame: VideoFrame, pixel_format: str) -> NDArray[Any]:
        layout = self._layout(frame)
        if _has_alpha(frame.format.name):
            frame = self._on_black(frame)
        return self._upright(frame, layout.orientation, *layout.displayed, pixel_format)

    def _cut(self, frame: VideoFrame, window: Window, pixel_format: str) -> NDArray[Any]:
        """A window of a frame, black where it reaches beyond the frame."""
        pixels = self._displayed(frame, pixel_format)
        canvas = np.zeros((*self.size, 3), pixels.dtype)
        (top, bottom), (from_row, to_row) = _overlap(window.top, window.bottom, pixels.shape[0], self.size[0])
        (left, right), (from_column, to_column) = _overlap(window.left, window.right, pixels.shape[1], self.size[1])
        if from_row < to_row and from_column < to_column:
            part = VideoFrame.from_ndarray(np.ascontiguousarray(pixels[top:bottom, left:right]), format=pixel_format)
            scaled = self._pixels(part, to_row - from_row, to_column - from_column, pixel_format)
            canvas[from_row:to_row, from_column:to_column] = scaled
        return canvas

    def _layout(self, frame: VideoFrame) -> _Layout:
        aspect = self._geometry.pixel_aspect(frame) if self._geometry else None
        # Not the display matrix: PyAV's frame and its side data hold each other, and would wait for the collector.
        key = frame.height, frame.width, frame.rotation, aspect
        if key not in self._layouts:
            orientation = self._orientation(_display_matrix(frame))
            displayed = displayed_size(frame.height, frame.width, aspect, orientation.transposed)
            self._layouts[key] = _Layout(orientation, displayed, resize_geometry(displayed, self.size, self._fit))
        return self._layouts[key]

    def _orientation(self, matrix: bytes) -> Orientation:
        if matrix:
            return orientation_of_matrix(struct.unpack("=9i", matrix))
        return self._geometry.rotate_tag if self._geometry else Orientation()

    def _cropped_first(self, frame: VideoFrame, layout: _Layout, pixel_format: str) -> NDArray[Any]:
        """Crop a very long frame before scaling it, instead of scaling all of it."""
        pixels = self._upright(frame, layout.orientation, *layout.displayed, pixel_format)
        top, left, height, width = source_part(layout.displayed, self.size)
        part = np.ascontiguousarray(pixels[top : top + height, left : left + width])
        return self._pixels(VideoFrame.from_ndarray(part, format=pixel_format), *self.size, pixel_format)

    def _upright(
        self, frame: VideoFrame, orientation: Orientation, height: int, width: int, pixel_format: str
    ) -> NDArray[Any]:
        """The whole frame, turned and mirrored as it is shown, at ``height`` x ``width``."""
        if orientation == Orientation():
            return self._pixels(frame, height, width, pixel_format)
        if orientation.transposed:
            pixels = self._pixels(frame, width, height, pixel_format).transpose(1, 0, 2)
        else:
            pixels = self._pixels(frame, height, width, pixel_format)
        step_y, step_x = (-1 if flipped else 1 for flipped in (orientation.flipped_y, orientation.flipped_x))
        return np.ascontiguousarray(pixels[::step_y, ::step_x])

    def _pixels(self, frame: VideoFrame, height: int, width: int, pixel_format: str) -> NDArray[Any]:
        shrinks = height < frame.height or width < frame.width
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=pixel_format,
            # Averaging over the area does not alias; where nothing is lost, bilinear.
            interpolation=Interpolation.AREA if shrinks else Interpolation.BILINEAR,
            threads=1,
        )
        return rgb.to_ndarray()

    def _on_black(self, frame: VideoFrame) -> VideoFrame:
        """A frame without its transparency: each pixel is as bright as it is opaque, at full size."""
        rgba_HWC = self._reformatter.reformat(frame, format="rgba", threads=1).to_ndarray()
        alpha_HW1 = rgba_HWC[..., 3:].astype(np.uint16)
        opaque = VideoFrame.from_ndarray((rgba_HWC[..., :3] * alpha_HW1 // 255).astype(np.uint8), format="rgb24")
        return opaque if alpha_HW1.min() < 255 else frame


class StreamGeometry:
    """What a stream says of the shape of its frames; make one before anything is decoded.

    The container's word on the width of a pixel over its height counts for the whole stream. Without it, the decoder
    gives the value for the frames that it reads now, while frames of an older size may still come out of it.

    Args:
        stream: a video stream just opened.

    Attributes:
        rotate_tag: what old phones and tools wrote in place of a display matrix.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        self._containers = stream.sample_aspect_ratio
        self._is_containers = self._containers != self._context.sample_aspect_ratio
        self._of_size: dict[tuple[int, int], Fraction | None] = {}
        tags = {key.lower(): value for key, value in stream.metadata.items()}
        self.rotate_tag = Orientation()
        with suppress(ValueError):
            self.rotate_tag = orientation_of_rotation(int(tags.get("rotate", "0")))

    def pixel_aspect(self, frame: VideoFrame) -> Fraction | None:
        """That of a frame just decoded."""
        if self._is_containers:
            return self._containers
        size = frame.height, frame.width
        if size not in self._of_size or size == (self._context.height, self._context.width):
            self._of_size[size] = self._context.sample_aspect_ratio
        return self._of_size[size]


def _overlap(low: float, high: float, length: int, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The pixels of a frame from ``low`` to ``high``, in shares of its ``length``, and where they lie in a picture.

    The picture, of ``size`` pixels, shows all from ``low`` to ``high``; there may be less of the frame.
    """
    begin = round(low * length)
    end = max(round(high * length), begin + 1)
    first, last = min(max(begin, 0), length), min(max(end, 0), length)
    scale = size / (end - begin)
    if first >= last:
        return (0, 0), (0, 0)
    place = min(round((first - begin) * scale), size - 1)
    return (first, last), (place, max(place + 1, round((last - begin) * scale)))


@cache
def _has_alpha(pixel_format: str) -> bool:
    return pixel_format == "pal8" or any(part.is_alpha for part in VideoFormat(pixel_format).components)


def _display_matrix(frame: VideoFrame) -> bytes:
    """The nine numbers that say how a frame is laid for display; empty where nothing does."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    return b"" if data is None else bytes(data)
