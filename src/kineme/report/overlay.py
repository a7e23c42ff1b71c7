"""Draw a prediction on a frame: labels with probability bars on a translucent panel, and a timeline.

Text is rendered by Pillow once for each string and size and kept; each frame then needs only a few blends
of small areas by OpenCV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from kineme.text import one_line

Frame = NDArray[np.uint8]
Colour = tuple[int, int, int]

_PANEL: Colour = (14, 17, 22)
_WHITE: Colour = (255, 255, 255)
_MUTED: Colour = (205, 212, 222)
_FIRST_BAR: Colour = (0, 114, 178)  # white text on it has a contrast of 5 to 1
_OTHER_BAR: Colour = (98, 108, 124)
_PANEL_OPACITY = 0.8
_HIGHEST_SHARE = 0.5  # of the frame's height that the panel may take
_NARROWEST, _WIDEST = 10, 20  # sizes of a letter that the panel may be wide


@dataclass(frozen=True)
class Timeline:
    """The content of the strip at the lower edge.

    Args:
        spans: start (s), end (s) and label of each part, in order. Time outside every span stays empty.
        duration_s: length of the whole strip, in seconds, above zero.
        now_s: where the play head stands, in seconds.
    """

    spans: Sequence[tuple[float, float, str]]
    duration_s: float
    now_s: float


def draw_prediction(
    frame_HWC: Frame,
    top: Sequence[tuple[str, float]],
    *,
    title: str | None = None,
    timeline: Timeline | None = None,
    labels: Sequence[str] = (),
) -> Frame:
    """Give a copy of the frame with a panel in its upper left corner: labels, and bars as long as they are likely.

    Sizes follow the shorter side of the frame. The panel is as wide as its labels need, so that it hides little. Rows
    that would make it cover more than half of the height are left out from the end; labels too long for it are
    shortened with an ellipsis. Letters that neither DejaVu Sans nor any font of the system has appear as boxes.

    Args:
        frame_HWC: RGB uint8 (H, W, 3).
        top: label and probability (0 to 1), most likely first; three to five read well.
        title: a small line above the rows.
        timeline: the strip along the lower edge. Spans labelled as the first of ``top`` are in its colour.
        labels: all that may come, for a panel that keeps its width from frame to frame; else those of ``top``.

    Returns:
        RGB uint8 (H, W, 3). Outside the panel and the strip, pixels are those of ``frame_HWC``.
    """
    drawn: Frame = np.array(frame_HWC, dtype=np.uint8, order="C")  # a copy
    height, width = drawn.shape[:2]
    size = max(10, round(5 + 0.022 * min(height, width)))  # of the letters, in pixels
    _draw_panel(drawn, size, top, title, tuple(labels) or tuple(label for label, _ in top))
    if timeline is not None and timeline.duration_s > 0:
        _draw_timeline(drawn, size, timeline, top[0][0] if top else None)
    return drawn


def _draw_panel(
    drawn: Frame, size: int, top: Sequence[tuple[str, float]], title: str | None, labels: tuple[str, ...]
) -> None:
    height, width = int(drawn.shape[0]), int(drawn.shape[1])
    margin, padding, gap = round(size * 0.5), max(3, round(size * 0.45)), max(1, round(size * 0.2))
    row = round(size * 1.5)
    needed = _needed_width(labels, title or "", size) + 2 * padding
    panel_width = min(width - 2 * margin, _WIDEST * size, max(needed, _NARROWEST * size))
    room = int(height * _HIGHEST_SHARE) - 2 * padding + gap
    title_height = row if title and room >= row + min(len(top), 3) * (row + gap) else 0  # labels come first
    shown = top[: max(1, (room - title_height) // (row + gap))]
    panel_height = 2 * padding + title_height + len(shown) * (row + gap) - gap
    if panel_width < 4 * size or panel_height + 2 * margin > height or not (shown or title_height):
        return  # a frame of a few pixels, or nothing to say

    panel = drawn[margin : margin + panel_height, margin : margin + panel_width]
    blend(panel, _rounded(panel_height, panel_width, max(2, size // 3)), _PANEL, _PANEL_OPACITY)
    track = panel_width - 2 * padding
    if title_height and title:
        write_line(panel[padding : padding + title_height, padding:-padding], title, round(size * 0.85), _MUTED)
    for index, (label, probability) in enumerate(shown):
        above = padding + title_height + index * (row + gap)
        line = panel[above : above + row, padding : padding + track]
        share = float(np.clip(np.nan_to_num(probability), 0.0, 1.0))
        line[:, : round(share * track)] = _FIRST_BAR if index == 0 else _OTHER_BAR
        bold = index == 0
        number = write_line(line, _percent(share), size, _WHITE, bold=bold, right=True) if track >= 8 * size else 0
        write_line(line[:, : track - number], label, size, _WHITE, bold=bold)


def _draw_timeline(drawn: Frame, size: int, timeline: Timeline, current: str | None) -> None:
    height, width = int(drawn.shape[0]), int(drawn.shape[1])
    margin, thickness = round(size * 0.5), max(5, round(size * 0.5))
    left, length = margin, width - 2 * margin
    upper = height - margin - thickness
    if length < 8 or upper < 0:
        return
    strip = drawn[upper : upper + thickness, left : left + length]
    blend(strip, np.full(strip.shape[:2], 1.0, np.float32), _PANEL, _PANEL_OPACITY)

    def column(seconds: float) -> int:
        return round(min(max(seconds / timeline.duration_s, 0.0), 1.0) * length)

    for start_s, end_s, label in timeline.spans:
        first, last = column(start_s), column(end_s)
        # One dark column before each span lets the eye see where a label gives way to the next.
        strip[1:-1, first + 1 if last - first > 2 else first : last] = _FIRST_BAR if label == current else _OTHER_BAR
    head = min(column(timeline.now_s), length - 1)
    half = max(1, size // 10)
    drawn[upper - 1 : upper + thickness + 1, left + max(0, head - half) : left + min(length, head + half)] = _WHITE


def _percent(share: float) -> str:
    return "<1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")


def write_line(area: Frame, text: str, size: int, colour: Colour, *, bold: bool = False, right: bool = False) -> int:
    """Write one line centred in the height of ``area``, in place; give the width used, with the space beside it."""
    edge = max(2, round(size * 0.35))
    mask, rise = _text_mask(text, size, bold, area.shape[1] - 2 * edge)
    height, width = mask.shape
    if not height or not width:
        return 0
    left = area.shape[1] - edge - width if right else edge
    above = max(0, round(area.shape[0] * 0.5 + size * 0.36) - rise)  # digits and capitals sit in the middle
    lines = area[above : above + height, left : left + width]
    blend(lines, mask[: lines.shape[0]], colour)
    return int(width) + 2 * edge


def line_width(text: str, size: int, *, bold: bool = False) -> int:
    """Pixels that :func:`write_line` needs for a whole line, with the space beside it; at most 40 sizes."""
    text = one_line(text)
    length: float = min(_font_for(text, size, bold).getlength(text), 40 * size)
    needed: int = math.ceil(length) + 1 + 2 * max(2, round(size * 0.35))
    return needed


def blend(area: Frame, mask: NDArray[np.float32], colour: Colour, opacity: float = 1.0) -> None:
    """Lay ``colour`` over ``area`` in place, by a mask (H, W) from 0 to 1."""
    plain = np.empty_like(area)
    plain[:] = colour
    weight = mask * np.float32(opacity) if opacity != 1.0 else mask
    area[:] = cv2.blendLinear(np.ascontiguousarray(area), plain, 1 - weight, weight)


@lru_cache(maxsize=32)
def _needed_width(labels: tuple[str, ...], title: str, size: int) -> int:
    """Pixels of the longest of the lines, with its number."""
    number = line_width("100 %", size, bold=True)
    lines = [line_width(label, size, bold=True) + number for label in labels]
    return max([*lines, line_width(title, round(size * 0.85))])


@lru_cache(maxsize=32)
def _rounded(height: int, width: int, radius: int) -> NDArray[np.float32]:
    """Mask of a rectangle with smooth round corners."""
    big = Image.new("L", (width * 4, height * 4))
    ImageDraw.Draw(big).rounded_rectangle((0, 0, width * 4 - 1, height * 4 - 1), radius * 4, fill=255)
    small = big.resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


@lru_cache(maxsize=2048)
def _text_mask(text: str, size: int, bold: bool, width: int) -> tuple[NDArray[np.float32], int]:
    """Coverage (H, W), 0 to 1, of a line at most ``width`` pixels wide, and the rows above its base line."""
    text = one_line(text)
    font = _font_for(text, size, bold)
    if font.getlength(text) > width:
        text = _shortened(text, font, width)
    if not text or width < 1:
        return np.zeros((0, 0), np.float32), 0
    left, above, right, below = (int(edge) for edge in font.getbbox(text, anchor="ls"))
    left, right = min(left, 0), min(max(right, 1), width + min(left, 0))
    image = Image.new("L", (right - left, max(below - above, 1)))
    ImageDraw.Draw(image).text((-left, -above), text, fill=255, font=font, anchor="ls")
    return np.asarray(image, np.float32) / np.float32(255), -above


def _shortened(text: str, font: Any, width: int) -> str:
    """As much of the beginning of ``text`` as fits with an ellipsis after it."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle].rstrip() + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…" if low else ""


def _font_for(text: str, size: int, bold: bool) -> Any:
    """DejaVu Sans, or where it lacks a letter of ``text`` the first font of the system that has them all."""
    needed = frozenset(ord(letter) for letter in text if not letter.isspace())
    path = _dejavu(bold)
    if not needed <= _letters(path):
        path = _system_font(needed) or path
    return ImageFont.truetype(path, size)


def _dejavu(bold: bool) -> str:
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf")


@lru_cache(maxsize=256)
def _letters(path: str) -> frozenset[int]:
    """Code points a font file can draw."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(path).get_charmap())


@lru_cache(maxsize=256)
def _system_font(needed: frozenset[int]) -> str | None:
    from matplotlib.font_manager import findSystemFonts

    for path in sorted(findSystemFonts()):
        try:
            if needed <= _letters(path):
                return path
        except (RuntimeError, OSError):
            continue  # not a font FreeType can read
    return None
