"""Labelled parts of long videos, as people write them down: tables, ELAN and VIA exports, lists of time stamps."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from kineme.dataset.clips_csv import COLUMNS, needed_cell, video_of
from kineme.dataset.labels import clean
from kineme.dataset.sheet import Sheet, columns_of, parse_sheet, read_text
from kineme.dataset.table import listed
from kineme.errors import KinemeError, UsageError

_CLOCK = r"(?:\d+:)?\d{1,3}:\d{2}(?:[.,]\d+)?"
_STAMP_LINE = re.compile(
    rf"\W*?(?P<start>{_CLOCK})\b(?:\W*?(?:[-–—]|\bto\b)\s*(?P<end>{_CLOCK})\b)?\W*?(?P<label>\w.*)?"
)
_VIA_HEAD = re.compile(r"^# CSV_HEADER *=(.*)", re.MULTILINE)
_VIA_ATTRIBUTES = re.compile(r"^# ATTRIBUTES? *=(.*)", re.MULTILINE)


@dataclass(frozen=True)
class Segment:
    """A part of a video with its label.

    Args:
        start_s: seconds from the start of the video, as a player counts.
        end_s: seconds from the first frame, or None for the end of the video.
        label: what is done.
        where: the place it was read from, for messages.
        group: what must not be split between training and test, where the file says so.
    """

    start_s: float
    end_s: float | None
    label: str
    where: str
    group: str | None = None


@dataclass(frozen=True)
class _Found:
    """What a reader found: segments by tier, and one line for each thing that is no segment."""

    tiers: dict[str, list[Segment]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, where: str, tier: object, start_s: float | None, end_s: float | None, label: object) -> None:
        """Keep a segment, or say why it is none."""
        text = clean(str(label))
        if not text or start_s is None:
            self.left_out.append(f"{where}: has no {'time' if text else 'label'}, left out")
        else:
            self.tiers.setdefault(clean(str(tier)), []).append(Segment(start_s, end_s, text, where))


def read_segments(path: Path, video: Path, *, tier: str | None = None) -> tuple[list[Segment], list[str]]:
    """Read the segments of a video.

    The file is one of: a CSV with the columns ``start_s``, ``end_s``, ``label`` and perhaps ``path`` (of the video,
    relative to the CSV) and ``group``; an ELAN file (``.eaf``); a project or CSV export of VIA 3; or text with a time
    stamp and a label a line, as under videos on YouTube (``0:15 jump``, or ``0:15-0:20 jump``), where a segment ends at
    the next stamp, and a stamp without a label only ends one.

    Args:
        path: the file.
        video: the video it is about; a file that speaks of several videos is searched for this one.
        tier: tier of ELAN or attribute of VIA to take, where there are several.

    Returns:
        The segments in order of time, and one line for each thing that was left out.

    Raises:
        KinemeError: the file cannot be read, or holds no segment of this video.
        UsageError: there are several tiers and none is chosen, or no such tier.
    """
    text = read_text(path).lstrip()
    if text.startswith("<"):
        found = _elan(path, text, video)
    elif text.startswith("{"):
        found = _via_project(path, text, video)
    elif head := _VIA_HEAD.search(text):
        found = _via_csv(path, text, head[1], video)
    elif path.suffix.lower() == ".csv" or {"start_s", "label"} <= set(columns_of(text)):
        sheet = _sheet_of(path, text)
        found = _Found({"": _segments_of(sheet, _rows_of(sheet, video))}, _unused(sheet))
    else:
        found = _stamps(path, text)
    return _in_order(_of_tier(path, found.tiers, tier)), found.left_out


def read_sheet_of_videos(path: Path) -> tuple[dict[Path, list[Segment]], list[str]]:
    """Read a CSV with the columns ``path``, ``start_s``, ``end_s``, ``label`` and perhaps ``group``.

    Returns:
        The segments of each of its videos, in order of time, and one line for each thing that was left out.

    Raises:
        KinemeError: the file cannot be read, or is no such table.
    """
    sheet = _sheet_of(path, read_text(path))
    if "path" not in sheet.columns:
        raise KinemeError(f"{path}: needs a column 'path' that names the video of each row; or name the video first")
    by_video: dict[Path, list[tuple[int, dict[str, str]]]] = {}
    for line, cells in sheet.rows:
        written = needed_cell(f"{path}, line {line}", "path", cells)
        by_video.setdefault(video_of(written, path.parent), []).append((line, cells))
    return {video: _in_order(_segments_of(sheet, rows)) for video, rows in by_video.items()}, _unused(sheet)


def seconds(text: str) -> float:
    """Seconds of ``"75"``, ``"75.5"``, ``"1:15"``, ``"1:15.5"`` or ``"1:02:15"``; ValueError for anything else."""
    *larger, last = text.strip().replace(",", ".").split(":")
    if len(larger) > 2 or len(text) > 100:
        raise ValueError(text)
    value = float(last)
    for scale, part in zip((60, 3600), reversed(larger), strict=False):
        value += scale * int(part)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _in_order(segments: Iterable[Segment]) -> list[Segment]:
    """The segments by time, each of some length."""
    ordered = sorted(segments, key=lambda one: (one.start_s, math.inf if one.end_s is None else one.end_s))
    for one in ordered:
        if not 0 <= one.start_s < (math.inf if one.end_s is None else one.end_s):
            raise KinemeError(
                f"{one.where}: must begin at 0 or later and end after that, not {one.start_s:g} to {one.end_s}"
            )
    return ordered


def _of_tier(path: Path, tiers: dict[str, list[Segment]], wanted: str | None) -> list[Segment]:
    used = {name: segments for name, segments in tiers.items() if segments}
    if not used:
        raise KinemeError(f"{path}: holds no segment (a start, an end and a label)")
    if wanted is not None:
        if wanted not in used:
            raise UsageError(f"{path}: has no tier {wanted!r} with segments; it has {listed(sorted(used))}")
        return used[wanted]
    if len(used) > 1:
        raise UsageError(f"{path}: has several tiers, {listed(sorted(used))}; choose one with --tier")
    return next(iter(used.values()))


# A table


def _sheet_of(path: Path, text: str) -> Sheet:
    sheet = parse_sheet(path, text)
    if not {"start_s", "label"} <= set(sheet.columns):
        raise KinemeError(f"{path}: needs the columns start_s, end_s and label; it has {listed(sheet.columns)}")
    return sheet


def _unused(sheet: Sheet) -> list[str]:
    others = [name for name in sheet.columns if name in COLUMNS and name in ("split", "fold", "labelled_throughout")]
    return [f"{sheet.path}: not used: column {listed(others)}"] if others else []


def _rows_of(sheet: Sheet, video: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows about a video, by their path or, where the table was moved, by its name."""
    if "path" not in sheet.columns:
        return sheet.rows
    needed = [needed_cell(f"{sheet.path}, line {line}", "path", cells) for line, cells in sheet.rows]
    wanted = os.path.realpath(video)
    files = [os.path.realpath(video_of(written, sheet.path.parent)) for written in needed]
    if wanted not in files:
        files = [file if _file_name(file) == video.name else "" for file in files]
        named = set(files) - {""}
        if not named:
            raise KinemeError(f"{sheet.path}: is about {listed(sorted(set(needed)))}, none of which is {video.name}")
        if len(named) > 1:
            raise KinemeError(f"{sheet.path}: is about {len(named)} videos called {video.name}, none of them this one")
        wanted = named.pop()
    return [row for row, file in zip(sheet.rows, files, strict=True) if file == wanted]


def _segments_of(sheet: Sheet, rows: Sequence[tuple[int, dict[str, str]]]) -> list[Segment]:
    has_groups = sheet.filled("group")
    segments = []
    for line, cells in rows:
        where = f"{sheet.path}, line {line}"
        label = clean(needed_cell(where, "label", cells))
        try:
            end_s = seconds(cells["end_s"]) if cells.get("end_s", "").strip() else None
            start_s = seconds(cells["start_s"])
        except ValueError:
            raise KinemeError(f"{where}: times must be seconds, or 1:02:15.5, not {cells['start_s'][:40]!r}") from None
        segments.append(Segment(start_s, end_s, label, where, clean(cells["group"]) if has_groups else None))
    return segments


# Time stamps


def _stamps(path: Path, text: str) -> _Found:
    stamps: list[tuple[str, float, float | None, str]] = []
    found = _Found()
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}, line {number}"
        if match := _STAMP_LINE.fullmatch(line.strip()):
            try:
                start_s, end_s = (seconds(match[name]) if match[name] else None for name in ("start", "end"))
            except ValueError:
                raise KinemeError(f"{where}: holds a time that is none") from None
            if stamps and (start_s or 0.0) < stamps[-1][1]:
                raise KinemeError(f"{where}: {match['start']} comes after a later time; put the stamps in order")
            stamps.append((where, start_s or 0.0, end_s, match["label"] or ""))
        elif line.strip():
            found.left_out.append(f"{where}: begins with no time stamp, left out")
    ends: list[float | None] = [*(start_s for _, start_s, *_ in stamps[1:]), None][: len(stamps)]
    for (where, start_s, end_s, label), next_s in zip(stamps, ends, strict=True):
        if label.strip():
            found.add(where, "", start_s, next_s if end_s is None else end_s, label)
    return found


# ELAN


def _elan(path: Path, text: str, video: Path) -> _Found:
    """EAF, https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf; times are milliseconds."""
    root = _parse_xml(path, text)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise KinemeError(f"{path}: is XML but not an ELAN file")
    media = root.findall("./HEADER/MEDIA_DESCRIPTOR")
    ours = [one for one in media if _file_name(one.get("MEDIA_URL")) == video.name] or media[:1]
    origin_s = (_number(f"{path}, TIME_ORIGIN", ours[0].get("TIME_ORIGIN") or 0) if ours else 0.0) / 1000
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iterfind("./TIME_ORDER/TIME_SLOT")}
    found = _Found()
    for tier in root.iterfind("./TIER"):
        for one in tier.iterfind("./ANNOTATION/ALIGNABLE_ANNOTATION"):
            where = f"{path}, annotation {one.get('ANNOTATION_ID')}"
            values = [slots.get(one.get(f"TIME_SLOT_REF{number}")) for number in (1, 2)]
            times = [None if value is None else _number(where, value) / 1000 + origin_s for value in values]
            start_s, end_s = times if None not in times else (None, None)
            found.add(where, tier.get("TIER_ID") or "", start_s, end_s, one.findtext("ANNOTATION_VALUE") or "")
    return found


def _parse_xml(path: Path, text: str) -> ElementTree.Element:
    """The root of a document without a DOCTYPE, and so without entities that could grow or reach out."""

    def refuse(*doctype: object) -> None:
        raise KinemeError(f"{path}: has a DOCTYPE, which no ELAN file has; it is not read")

    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    try:
        guard.Parse(text, True)
        return ElementTree.fromstring(text)  # noqa: S314 - a DOCTYPE was refused above
    except (expat.ExpatError, ElementTree.ParseError, ValueError) as error:
        raise KinemeError(f"{path}: is not XML that can be read ({error})") from error


def _file_name(url: object) -> str:
    return PurePath(str(url or "").replace("\\", "/")).name


def _number(where: str, value: object) -> float:
    """A finite number, written or as JSON has it."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise KinemeError(f"{where}: a time must be a number, not {str(value)[:40]!r}")
    return number


# VIA 3 (https://www.robots.ox.ac.uk/~vgg/software/via/)


def _via_project(path: Path, text: str, video: Path) -> _Found:
    document = _json(path, text)
    try:
        names = {fid: _file_name(file["fname"]) for fid, file in document["file"].items()}
        views = {vid: [names.get(str(fid), "") for fid in view["fid_list"]] for vid, view in document["view"].items()}
        marks = [
            (f"{path}, segment {mid}", views.get(str(one["vid"]), []), one["z"], one["xy"], one["av"])
            for mid, one in document["metadata"].items()
        ]
        return _via(path, marks, document["attribute"], video)
    except (KeyError, TypeError, AttributeError) as error:
        raise KinemeError(f"{path}: is JSON but not a project of VIA 3") from error


def _via_csv(path: Path, text: str, head: str, video: Path) -> _Found:
    attributes = _VIA_ATTRIBUTES.search(text)
    rows = "\n".join(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    marks = []
    try:
        for number, row in enumerate(csv.DictReader(io.StringIO(rows), [cell.strip() for cell in head.split(",")]), 1):
            cells = [row[name] for name in ("file_list", "temporal_coordinates", "spatial_coordinates", "metadata")]
            names, times, place, values = (_json(path, cell) for cell in cells)
            marks.append((f"{path}, row {number}", [_file_name(name) for name in names], times, place, values))
        return _via(path, marks, _json(path, attributes[1]) if attributes else {}, video)
    except (KeyError, TypeError, AttributeError, csv.Error) as error:
        raise KinemeError(f"{path}: is not a CSV as VIA 3 writes it") from error


def _via(path: Path, marks: Sequence[Any], attributes: dict[str, Any], video: Path) -> _Found:
    """The segments of marks: where, names of files, times, place in the picture, and values of attributes."""
    files = {name for _, names, *_ in marks for name in names}
    if files and video.name not in files and len(files) > 1:
        raise KinemeError(f"{path}: is about {listed(sorted(files))}, none of which is {video.name}")
    found = _Found()
    for where, names, times, place, values in marks:
        if video.name in files and video.name not in names:
            continue  # of another video
        if len(times) != 2 or place:
            found.left_out.append(f"{where}: marks a picture, not a part of the video, left out")
            continue
        start_s, end_s = (_number(where, time_s) for time_s in times)
        for attribute, value in values.items():
            about = attributes.get(attribute, {})
            label = (about.get("options") or {}).get(str(value), value)
            found.add(where, about.get("aname", attribute), start_s, end_s, label)
    return found


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KinemeError(f"{path}: holds JSON that cannot be read ({str(error)[:200]})") from error
