"""Reads annotations in any supported format; the format is detected from the content of the file."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kineme.dataset.annotations.automl import AUTOML_CSV, AUTOML_JSON
from kineme.dataset.annotations.boris import BORIS
from kineme.dataset.annotations.cvat import CVAT
from kineme.dataset.annotations.document import Document, open_document
from kineme.dataset.annotations.elan import ELAN
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.json_rows import JSON_ROWS
from kineme.dataset.annotations.label_studio import LABEL_STUDIO
from kineme.dataset.annotations.segment import Found, FrameNumber, Instant, Mark, Segment, file_name
from kineme.dataset.annotations.table import TABLE
from kineme.dataset.annotations.time_stamps import TIME_STAMPS
from kineme.dataset.annotations.via import VIA_CSV, VIA_PROJECT
from kineme.dataset.clips_csv import video_of
from kineme.dataset.table import listed
from kineme.errors import KinemeError, UsageError

# Of the forms of one kind, the first that recognises a file reads it.
FORMS: tuple[Form, ...] = (
    *(ELAN, CVAT),
    *(VIA_PROJECT, AUTOML_JSON, LABEL_STUDIO, JSON_ROWS),
    *(VIA_CSV, AUTOML_CSV, BORIS, TABLE, TIME_STAMPS),
)
ALL_TIERS = "all"

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an upload


def read_segments(
    path: Path, video: Path, *, tier: str | None = None, columns: Mapping[str, str] | None = None
) -> tuple[list[Segment], list[str]]:
    """Read the segments of a video.

    The file may be a table (CSV or a workbook), ELAN, VIA 3, BORIS, Label Studio, CVAT, Create ML, Google AutoML Video,
    or text with a time stamp and a label a line, as under videos on YouTube (``0:15 jump``, or ``0:15-0:20 jump``),
    where a segment ends at the next stamp, and a stamp without a label only ends one.

    Args:
        path: the file.
        video: the video it is about; a file that speaks of several videos is searched for this one.
        tier: the tier, track or attribute to take where there are several; ``"all"`` takes all of them.
        columns: what the columns of a table are called: Kineme's names to those of the file.

    Returns:
        The segments in order of time, and one line for each thing that was left out.

    Raises:
        KinemeError: the file cannot be read, or holds no segment of this video.
        UsageError: there are several tiers and none is chosen, or no such tier or column.
    """
    found = read_annotations(path, columns)
    marks = _of_tier(path, _of_video(path, found.marks, video), tier)
    return _segments(marks, video, found.origins), found.left_out


def read_segments_by_video(
    path: Path, *, tier: str | None = None, columns: Mapping[str, str] | None = None
) -> tuple[dict[Path, list[Segment]], list[str]]:
    """Read the segments of all videos that a file names; see :func:`read_segments`.

    A video is looked for where the file says, seen from the file's folder, and then by its name in that folder.

    Returns:
        The segments of each of its videos, in order of time, and one line for each thing that was left out.

    Raises:
        KinemeError: the file cannot be read, holds no segment, or does not name its videos.
        UsageError: there are several tiers and none is chosen, or no such tier or column.
    """
    found = read_annotations(path, columns)
    if any(not mark.video for mark in found.marks):
        raise KinemeError(f"{path}: needs a column 'path' that names the video of each row; or name the video first")
    by_video: dict[Path, list[Mark]] = {}
    for mark in _of_tier(path, found.marks, tier):
        by_video.setdefault(_find(mark.video, path.parent), []).append(mark)
    return {video: _segments(marks, video, found.origins) for video, marks in by_video.items()}, found.left_out


def read_annotations(path: Path, columns: Mapping[str, str] | None = None) -> Found:
    """All marks of a file, as they are written.

    Raises:
        KinemeError: the file cannot be read, or its form is not known.
    """
    document = open_document(path, columns)
    return _form_of(document).read(document)


def _form_of(document: Document) -> Form:
    of_kind = [form for form in FORMS if form.kind == document.kind]
    for form in of_kind:
        if form.recognises(document):
            return form
    expected = " or ".join(form.expects for form in of_kind)
    raise KinemeError(f"{document.path}: is {document.kind}, but not of a known form; expected {expected}")


def _of_video(path: Path, marks: Sequence[Mark], video: Path) -> list[Mark]:
    """The marks about a video: by its path or, where the file was moved, by its name."""
    written = {mark.video for mark in marks if mark.video}
    if not written:
        return list(marks)
    wanted = os.path.realpath(video)
    same = {name for name in written if os.path.realpath(video_of(name, path.parent)) == wanted}
    if not same:
        same = {name for name in written if video.name in _names(name)}
        if not same:
            raise KinemeError(f"{path}: is about {listed(sorted(written))}, none of which is {video.name}")
        if len(same) > 1:
            raise KinemeError(f"{path}: is about {len(same)} videos called {video.name}, none of them this one")
    return [mark for mark in marks if mark.video in same]


def _names(written: str) -> set[str]:
    """What the file of a video may be called that is written as a path or an address."""
    name = file_name(written)
    return {name, _UPLOADED.sub("", name, count=1)}


def _find(written: str, folder: Path) -> Path:
    """The file of a video, by its path or its name; its path if there is no such file."""
    as_written = video_of(written.replace("\\", "/"), folder)
    try:
        candidates = [as_written, *(folder / name for name in sorted(_names(written)))]
        return next((one for one in candidates if one.is_file()), as_written)
    except (OSError, ValueError):  # such as a name that is too long
        return as_written


def _of_tier(path: Path, marks: Sequence[Mark], wanted: str | None) -> list[Mark]:
    if not marks:
        raise KinemeError(f"{path}: holds no segment (a start, an end and a label)")
    tiers = {mark.tier for mark in marks}
    if wanted is not None:
        if wanted not in tiers and wanted != ALL_TIERS:
            raise UsageError(f"{path}: has no tier {wanted!r} with segments; it has {listed(sorted(tiers))}")
        return [mark for mark in marks if wanted in (mark.tier, ALL_TIERS)]
    if len(tiers) > 1:
        raise UsageError(f"{path}: has several tiers, {listed(sorted(tiers))}; choose one with --tier, or all")
    return list(marks)


def _segments(marks: Sequence[Mark], video: Path, origins: Mapping[str, float]) -> list[Segment]:
    """The marks of a video as segments in seconds, by time, each of some length."""
    is_counted = any(isinstance(one, FrameNumber) for mark in marks for one in (mark.start, mark.end))
    seconds_of = partial(_frame_time, _frame_times(video)) if is_counted else None
    shift_s = origins.get(video.name, next(iter(origins.values()), 0.0))
    segments = []
    for mark in marks:
        end_s = None if mark.end is None else _in_seconds(mark.where, mark.end, seconds_of) + shift_s
        start_s = _in_seconds(mark.where, mark.start, seconds_of) + shift_s
        if not 0 <= start_s < (math.inf if end_s is None else end_s):
            raise KinemeError(f"{mark.where}: must begin at 0 or later and end after that, not {start_s:g} to {end_s}")
        segments.append(Segment(start_s, end_s, mark.label, mark.where, mark.group))
    return sorted(segments, key=lambda one: (one.start_s, math.inf if one.end_s is None else one.end_s))


def _in_seconds(where: str, one: Instant, seconds_of: Callable[[str, int], float] | None) -> float:
    if not isinstance(one, FrameNumber):
        return one
    assert seconds_of is not None
    return seconds_of(where, one.number)


def _frame_times(video: Path) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    from kineme.video.frame_times import frame_times

    return frame_times(video)


def _frame_time(times_F: np.ndarray[tuple[int], np.dtype[np.float64]], where: str, number: int) -> float:
    if number >= len(times_F):
        raise KinemeError(f"{where}: names frame {number}, and the video has {len(times_F) - 1} frames")
    return float(times_F[number])
