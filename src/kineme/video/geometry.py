"""Where a frame lands in a picture of another shape: stretch, crop, letterbox, and windows. No pixels here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from kineme.video.spec import ResizeMode

_NEARLY_SQUARE = Fraction(1, 100)
_OBLONG_AT_MOST = 10
_MOST_PIXELS = 8192 * 4320


class Orientation(NamedTuple):
    """How a stored frame becomes the one that is shown: one of the eight ways to lay a rectangle on its grid.

    Args:
        transposed: rows become columns, before all else.
        flipped_x: mirrored left to right.
        flipped_y: mirrored top to bottom.
    """

    transposed: bool = False
    flipped_x: bool = False
    flipped_y: bool = False

    @property
    def is_mirrored(self) -> bool:
        """Whether no rotation alone does it: the stored frame is mirrored left to right and then turned."""
        return (self.transposed + self.flipped_x + self.flipped_y) % 2 == 1

    @property
    def rotation(self) -> int:
        """Degrees clockwise: 0, 90, 180 or 270."""
        if self.transposed:
            return 90 if self.flipped_x else 270
        return 180 if self.flipped_y else 0


def orientation_of_matrix(matrix: Sequence[int]) -> Orientation:
    """Of a display matrix: nine numbers, of which the first two rows hold (a, b) and (c, d).

    A stored point (x, y) is shown at (a x + c y, b x + d y). An angle in between is rounded to a quarter turn.
    """
    a, b, _, c, d = matrix[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def orientation_of_rotation(clockwise: float) -> Orientation:
    """Of a rotation in degrees, rounded to a quarter turn."""
    quarters = round(clockwise / 90) % 4
    return Orientation(quarters in (1, 3), quarters in (1, 2), quarters in (2, 3))


@dataclass(frozen=True)
class ResizeGeometry:
    """A frame scaled to ``(height, width)`` whose top left corner is put at ``(top, left)`` of the picture.

    Args:
        height: pixels of the scaled frame.
        width: pixels of the scaled frame.
        top: rows of black above it; negative where it reaches beyond the picture and is cropped.
        left: columns of black to its left; negative where it is cropped there.
    """

    height: int
    width: int
    top: int = 0
    left: int = 0


def resize_geometry(source: tuple[int, int], target: tuple[int, int], fit: ResizeMode) -> ResizeGeometry:
    """Place a frame of ``source`` (height, width) in a picture of ``target`` (height, width).

    ``"crop"`` covers the picture and keeps the centre, ``"letterbox"`` shows the whole frame between black bars,
    ``"stretch"`` gives up the aspect. A scaled side is never less than one pixel.
    """
    (source_height, source_width), (height, width) = source, target
    if fit == "stretch":
        return ResizeGeometry(height, width)
    scales = Fraction(height, source_height), Fraction(width, source_width)
    scale = max(scales) if fit == "crop" else min(scales)
    scaled_height = height if scale == scales[0] else max(1, round(source_height * scale))
    scaled_width = width if scale == scales[1] else max(1, round(source_width * scale))
    return ResizeGeometry(scaled_height, scaled_width, (height - scaled_height) // 2, (width - scaled_width) // 2)


class Window(NamedTuple):
    """The part of a frame that fills a picture: its edges, in shares of the frame's width and height.

    It may reach beyond the frame, where all is black.
    """

    left: float
    top: float
    right: float
    bottom: float


def window_geometry(window: Window, target: tuple[int, int]) -> ResizeGeometry:
    """Place a frame so that a window of it fills a picture of ``target`` (height, width)."""
    height, width = (
        max(1, round(side / max(high - low, 1e-6)))
        for side, low, high in ((target[0], window.top, window.bottom), (target[1], window.left, window.right))
    )
    return ResizeGeometry(height, width, -round(window.top * height), -round(window.left * width))


def source_part(source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """The centred part of ``source`` with the aspect of ``target``, as top, left, height and width."""
    (source_height, source_width), (height, width) = source, target
    part_height = min(source_height, max(1, round(Fraction(source_width * height, width))))
    part_width = min(source_width, max(1, round(Fraction(source_height * width, height))))
    return (source_height - part_height) // 2, (source_width - part_width) // 2, part_height, part_width


def displayed_size(height: int, width: int, pixel_aspect: Fraction | None, transposed: bool) -> tuple[int, int]:
    """Height and width at which a stored frame is shown, with square pixels and the right way up.

    Args:
        height: stored rows.
        width: stored columns.
        pixel_aspect: width of a pixel over its height. Within 1 % of square it is let be, which keeps the stored
            pixels as they are; None, and what can only be an error, count as square.
        transposed: whether its rows are shown as columns.
    """
    if (
        pixel_aspect
        and abs(pixel_aspect - 1) > _NEARLY_SQUARE
        and Fraction(1, _OBLONG_AT_MOST) <= pixel_aspect <= _OBLONG_AT_MOST
        and height * width * pixel_aspect <= _MOST_PIXELS
    ):
        width = max(1, round(width * pixel_aspect))
    return (width, height) if transposed else (height, width)
