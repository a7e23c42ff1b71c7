"""Rows that are parts of longer videos: where their clips lie, and the background between them.

The rule, in training and in evaluation alike: **the middle of a clip lies in the middle half of its part**, and in a
part longer than a clip as far inside as half a clip where it is longer than two. What the part is too short for comes
from the file around it, up to the next part that has another label; a frame is held still only where the file ends
or such a part leaves no room. Background is treated the same way between parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from kineme.dataset.table import ClipTable
from kineme.errors import UsageError
from kineme.video.spec import ClipSpec

_RULE = 1  # a change of what follows raises it
_INSIDE = 0.25  # of a part: how far inside its ends the middle of a clip must lie
_OUTSIDE = 0.125  # of a clip: how far outside a part the middle of a background clip must lie
_FRAME_S = 0.07  # the frame that is shown when a part ends is still of that part, for as long as a frame lasts
_PIECE = 2.0  # clips: the middles of the clips of one piece of background span as much
_MOST_PIECES = 8  # of one gap between two parts; they are spread over it

Row = Mapping[str, Any]
Whom = tuple[str, int | None]  # a video by its path, or a person in it


class Stretch(NamedTuple):
    """The time that is read for a row: from ``start_s`` to ``end_s``, seconds, and the track of whom it is about."""

    start_s: float
    end_s: float | None
    track: int | None = None


def is_part(row: Row) -> bool:
    """Whether a row is a part of a longer video."""
    return bool(row["start_s"]) or row["end_s"] is not None


def has_parts(table: ClipTable) -> bool:
    """Whether any row is a part of a longer video."""
    return any(map(is_part, table.rows.iter_rows(named=True)))


def windows_for(table: ClipTable, spec: ClipSpec) -> ClipSpec:
    """The clip whose windows overlap by half at least where a timeline is learned, since its borders lie between them.

    Args:
        table: of the training.
        spec: the clip as it is meant elsewhere.
    """
    return replace(spec, overlap=max(spec.overlap, ClipSpec.overlap)) if learns_timeline(table) else spec


def learns_timeline(table: ClipTable) -> bool:
    """Whether background is learned beside the labels: some videos are labelled throughout."""
    return any(map(labelled_throughout, by_video(table.rows.to_dicts()).values()))


def mark_labelled_throughout(table: ClipTable) -> ClipTable:
    """The table with a word that its videos are labelled throughout, where nothing is said of them.

    Raises:
        UsageError: no row is a part of a longer video.
    """
    if not has_parts(table):
        raise UsageError("--labelled-throughout is for a CSV whose rows are parts of videos (start_s, end_s)")
    return replace(table, rows=table.rows.with_columns(pl.col("labelled_throughout").fill_null(value=True)))


def rule_of_parts(table: ClipTable) -> dict[str, Any]:
    """The key of clips cut by this rule, for files of a training; empty without parts."""
    if not has_parts(table):
        return {}
    throughout = [
        whom for whom, rows in by_video(table.rows.iter_rows(named=True)).items() if labelled_throughout(rows)
    ]
    return {"parts": {"rule": _RULE, "labelled_throughout": len(throughout)}}


def by_video(rows: Iterable[Row]) -> dict[Whom, list[Row]]:
    """The rows of each video, or of each person where rows name their tracks, in the order of time."""
    found: dict[Whom, list[Row]] = {}
    for row in rows:
        found.setdefault(whom(row), []).append(row)
    return {key: sorted(those, key=lambda row: row["start_s"]) for key, those in found.items()}


def whom(row: Row) -> Whom:
    """The video that a row is of, or the person in it."""
    return row["path"], row["track"]


def labelled_throughout(rows: Sequence[Row]) -> bool:
    """Whether the rows of one video are parts that say that all of it is labelled, and of one group."""
    return len({row["group"] for row in rows}) == 1 and all(row["labelled_throughout"] and is_part(row) for row in rows)


def stretch_of(
    row: Row, rows: Mapping[Whom, Sequence[Row]], duration_of: Callable[[str], float], spec: ClipSpec
) -> Stretch:
    """Start and end of the time read for a row, seconds: all its clips lie in it, and no part with another label does.

    A whole file, and a clip that is spread over a part, take nothing from around them.

    Args:
        row: one of the rows.
        rows: all rows, from :func:`by_video`.
        duration_of: gives the seconds that a video lasts.
        spec: what a clip is.

    Raises:
        VideoError: the video cannot be used.
    """
    start_s, end_s = float(row["start_s"]), row["end_s"]
    if spec.seconds is None or not is_part(row) or start_s >= (duration_s := duration_of(row["path"])):
        return Stretch(start_s, end_s, row["track"])
    end_s = min(_end(row), duration_s)
    half_s = spec.seconds / 2
    inside_s = min(_INSIDE * (end_s - start_s), half_s)
    others = [one for one in rows[whom(row)] if (one["label"], one["group"]) != (row["label"], row["group"])]
    before = [min(_end(one) + _FRAME_S, start_s) for one in others if one["start_s"] < start_s]
    after = [max(one["start_s"], end_s) for one in others if _end(one) > end_s]
    limits = max([0.0, *before]), min([duration_s, *after])
    start_s, end_s = _within(start_s + inside_s - half_s, end_s - inside_s + half_s, limits, spec.seconds)
    return Stretch(start_s, end_s, row["track"])


def background_stretches(of_video: Sequence[Row], duration_s: float, spec: ClipSpec) -> list[Stretch]:
    """Where clips of background lie in a video that is labelled throughout: their middles outside of all parts."""
    if spec.seconds is None or not labelled_throughout(of_video):
        return []
    half_s, outside_s, piece_s = spec.seconds / 2, _OUTSIDE * spec.seconds, _PIECE * spec.seconds
    found = []
    for low_s, high_s in _gaps(of_video, duration_s):
        first_s, last_s = max(half_s, low_s + outside_s), min(duration_s - half_s, high_s - outside_s)
        if last_s < first_s:
            continue
        count = max(1, math.ceil((last_s - first_s) / piece_s))
        step_s = (last_s - first_s) / count
        for number in sorted({round(k) for k in np.linspace(0, count - 1, min(count, _MOST_PIECES))}):
            middle_s = first_s + number * step_s
            start_s, end_s = middle_s - half_s, middle_s + step_s + half_s
            start_s, end_s = _within(start_s, end_s, (0.0, duration_s), spec.seconds)
            found.append(Stretch(start_s, end_s, of_video[0]["track"]))
    return found


def _gaps(of_video: Sequence[Row], duration_s: float) -> list[tuple[float, float]]:
    """The time before, between and after the parts of a video."""
    gaps, now_s = [], 0.0
    for row in of_video:
        if row["start_s"] > now_s:
            gaps.append((now_s, row["start_s"]))
        now_s = max(now_s, _end(row))
    return [*gaps, (now_s, duration_s)] if now_s < duration_s else gaps


def _within(start_s: float, end_s: float, limits: tuple[float, float], clip_s: float) -> tuple[float, float]:
    """A stretch cut at its limits, and made as long as a clip on the other side where that is possible."""
    low_s, high_s = limits
    start_s, end_s = max(start_s, low_s), min(end_s, high_s)
    end_s = min(max(end_s, start_s + clip_s), high_s)
    start_s = max(min(start_s, end_s - clip_s), low_s)
    return round(start_s, 6), round(end_s, 6)


def _end(row: Row) -> float:
    return math.inf if row["end_s"] is None else float(row["end_s"])
