"""A data set at a glance: a picture with one row of frames over time for each video, and its label."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from kineme.dataset.scan import scan
from kineme.errors import KinemeError
from kineme.files import atomic_write
from kineme.report.filmstrip import filmstrip
from kineme.text import one_line
from kineme.video.clips import read_sampled_video
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

PathLike = str | os.PathLike[str]

_PAPER = (255, 255, 255)
_INK = (30, 32, 36)
_LONGEST = 60  # letters of a label
_GAP = 4  # pixels between rows and round the sheet


def contact_sheet(
    videos: Sequence[tuple[PathLike, str]],
    out_png: PathLike,
    *,
    columns: int = 8,
    height: int = 96,
    size: tuple[int, int] | None = None,
    parts: Sequence[tuple[float, float | None]] | None = None,
) -> Path:
    """Draw a row for each video: its label, then frames spread evenly over its length.

    Args:
        videos: (path, label) of each row, in order; equal labels that follow one another are written once.
        out_png: where to.
        columns: frames of each video.
        height: of a row, in pixels.
        size: height and width to which frames are stretched first, as a network sees them; by default they keep
            their own detail and aspect.
        parts: start and end of what to show of each video, seconds; None as an end is that of the video. By default
            all of it.

    Returns:
        ``out_png``.

    Raises:
        KinemeError: there is no video, or the picture cannot be written.
        VideoError: a video cannot be read.
    """
    if not videos:
        raise KinemeError(f"{out_png}: there is no video to show")
    videos = [(path, one_line(label, _LONGEST)) for path, label in videos]
    spans = parts or [(0.0, None)] * len(videos)
    strips = [_strip(path, columns, height, size, span) for (path, _), span in zip(videos, spans, strict=True)]
    font = _font(max(12, height // 6))
    margin = max(int(font.getlength(label)) for _, label in videos) + 3 * _GAP
    width = margin + max(strip.shape[1] for strip in strips) + _GAP
    sheet = Image.new("RGB", (width, len(strips) * (height + _GAP) + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    before = None
    for row, ((_, label), strip) in enumerate(zip(videos, strips, strict=True)):
        top = _GAP + row * (height + _GAP)
        if label != before:
            draw.text((2 * _GAP, top + height / 2), label, fill=_INK, font=font, anchor="lm")
        sheet.paste(Image.fromarray(strip), (margin, top))
        before = label
    with atomic_write(out_png) as temporary:
        sheet.save(temporary)
    return Path(out_png)


def contact_sheet_of(data: PathLike, out_png: PathLike, *, per_class: int = 2, columns: int = 8) -> Path:
    """Draw the contact sheet of a data set.

    Args:
        data: a folder of class folders, or a CSV, as :func:`kineme.dataset.scan.scan` takes it.
        out_png: where to.
        per_class: videos of each class, of different groups as far as there are any.
        columns: frames of each video.

    Returns:
        ``out_png``.

    Raises:
        KinemeError: the table cannot be read, or the picture cannot be written.
    """
    by_label: dict[str, list[dict[str, Any]]] = {}
    for row in scan(data).rows.iter_rows(named=True):
        by_label.setdefault(row["label"], []).append(row)
    chosen = []
    for number, label in enumerate(sorted(by_label)):
        rows = list({row["group"]: row for row in by_label[label]}.values()) or by_label[label]
        count = min(per_class, len(rows))
        for pick in range(count):  # other classes show other people
            row = rows[(number * count + pick) % len(rows)]
            chosen.append(row)
    return contact_sheet(
        [(row["path"], row["label"]) for row in chosen],
        out_png,
        columns=columns,
        parts=[(row["start_s"], row["end_s"]) for row in chosen],
    )


def _strip(
    path: PathLike, columns: int, height: int, size: tuple[int, int] | None, part: tuple[float, float | None]
) -> NDArray[np.uint8]:
    info = probe(path)
    if size is None:
        size = (height, max(1, round(height * info.width / info.height)))
    spec = ClipSpec(fps=None, frames=columns, height=size[0], width=size[1])
    frames_THWC = read_sampled_video(path, spec, start_s=part[0], end_s=part[1]).frames_NHWC
    if size[0] >= height:
        return filmstrip(frames_THWC, count=columns, height=height)
    blocks = [
        cv2.resize(frame, (height * size[1] // size[0], height), interpolation=cv2.INTER_NEAREST)
        for frame in frames_THWC
    ]
    return filmstrip(np.stack(blocks), count=columns, height=height)


@cache
def _font(size: int) -> Any:
    """DejaVu Sans, which comes with matplotlib."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
