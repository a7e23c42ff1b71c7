"""Labelled parts of a long video, as people write them down: tables, ELAN and VIA exports, lists of time stamps."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from kineme.dataset.table import listed
from kineme.errors import KinemeError, UsageError

_MOST_BYTES = 50_000_000
_CLOCK = r"(?:\d+:)?\d{1,3}:\d{2}(?:[.,]\d+)?"
_STAMP_LINE = re.compile(
    rf"\W*?(?P<start>{_CLOCK})\b(?:\W*?(?:[-–—]|\bto\b)\s*(?P<end>{_CLOCK})\b)?\W*?(?P<label>\w.*)?"
)


@dataclass(frozen=True)
class Segment:
    """A part of a video with its label.

    Args:
        start_s: seconds from the first frame.
        end_s: likewise; None is the end of the video.
        label: what is done.
        where: the place it was read from, for messages.
    """

    start_s: float
    end_s: float | None
    label: str
    where: str


@dataclass(frozen=True)
class _Found:
    """What a reader found: segments by tier, and one line for each thing that is no segment."""

    tiers: dict[str, list[Segment]]
    left_out: list[str]


def read_segments(path: Path, video: Path, *, tier: str | None = None) -> tuple[list[Segment], list[str]]:
    """Read the segments of a video.

    The file is one of: a CSV with the columns ``start_s``, ``end_s``, ``label``; an ELAN file (``.eaf``); a project or
    CSV export of VIA 3; or text with a time stamp and a label a line, as under videos on YouTube (``0:15 jump``, or
    ``0:15-0:20 jump``), where a segment ends at the next stamp, and a stamp without a label only ends one.

    Args:
        path: the file.
        video: the video it is about; files that speak of several are searched for its name.
        tier: tier of ELAN or attribute of VIA to take, where there are several.

    Returns:
        The segments in order of time, and one line for each thing that was left out.

    Raises:
        KinemeError: the file cannot be read, or holds no segment.
        UsageError: there are several tiers and none is chosen, or no such tier.
    """
    text = _text(path)
    start = text.lstrip()
    if start.startswith("<"):
        found = _elan(path, text, video)
    elif start.startswith("{"):
        found = _via_project(path, text, video)
    elif "# CSV_HEADER" in text:
        found = _via_csv(path, text, video)
    elif (head := _columns(start)) >= {"start_s", "label"}:
        found = _table(path, text)
    elif path.suffix.lower() == ".csv":
        raise KinemeError(f"{path}: needs the columns start_s, end_s and label; it has {listed(sorted(head))}")
    else:
        found = _stamps(path, text)
    segments = sorted(_of_tier(path, found.tiers, tier), key=lambda one: (one.start_s, one.end_s or math.inf))
    for one in segments:
        if not 0 <= one.start_s < (one.end_s if one.end_s is not None else math.inf):
            raise KinemeError(
                f"{one.where}: must begin at 0 or later and end after that, not {one.start_s:g} to {one.end_s}"
            )
    return segments, found.left_out


def seconds(text: str) -> float:
    """Seconds of ``"75"``, ``"75.5"``, ``"1:15"``, ``"1:15.5"`` or ``"1:02:15"``; ValueError for anything else."""
    *larger, last = text.strip().replace(",", ".").split(":")
    if len(larger) > 2:
        raise ValueError(text)
    value = float(last)
    for scale, part in zip((60, 3600), reversed(larger), strict=False):
        value += scale * int(part)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise KinemeError(f"{path}: has more than {_MOST_BYTES // 1_000_000} MB, too much for a list of segments")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise KinemeError(f"{path}: is not text in UTF-8") from error
    except OSError as error:
        raise KinemeError(f"{path}: cannot be read ({error.strerror})") from error


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


def _columns(text: str) -> set[str]:
    head = text.partition("\n")[0]
    return {cell.strip().strip('"').lower() for cell in head.split(_delimiter(head))}


def _delimiter(head: str) -> str:
    return max(",;\t", key=head.count)


def _table(path: Path, text: str) -> _Found:
    text = text.lstrip()
    reader = csv.DictReader(io.StringIO(text), delimiter=_delimiter(text.partition("\n")[0]))
    segments = []
    for cells in reader:
        where = f"{path}, line {reader.line_num}"
        row = {str(key).strip().lower(): str(value or "").strip() for key, value in cells.items()}
        if not any(row.values()):
            continue
        if not row["label"]:
            raise KinemeError(f"{where}: the label is empty")
        try:
            end_s = seconds(row["end_s"]) if row.get("end_s") else None
            segments.append(Segment(seconds(row["start_s"]), end_s, row["label"], where))
        except ValueError:
            raise KinemeError(f"{where}: times must be seconds, or 1:02:15.5, not {row['start_s']!r}") from None
    return _Found({"": segments}, [])


# Time stamps


def _stamps(path: Path, text: str) -> _Found:
    stamps: list[tuple[str, float, float | None, str]] = []
    left_out = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}, line {number}"
        if match := _STAMP_LINE.fullmatch(line.strip()):
            start_s, end = seconds(match["start"]), match["end"]
            if stamps and start_s < stamps[-1][1]:
                raise KinemeError(f"{where}: {match['start']} comes after a later time; put the stamps in order")
            stamps.append((where, start_s, seconds(end) if end else None, (match["label"] or "").strip()))
        elif line.strip():
            left_out.append(f"{where}: begins with no time stamp, left out")
    ends: list[float | None] = [*(start_s for _, start_s, *_ in stamps[1:]), None][: len(stamps)]
    segments = [
        Segment(start_s, next_s if end_s is None else end_s, label, where)
        for (where, start_s, end_s, label), next_s in zip(stamps, ends, strict=True)
        if label
    ]
    return _Found({"": segments}, left_out)


# ELAN


def _elan(path: Path, text: str, video: Path) -> _Found:
    """EAF, https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf; times are milliseconds."""
    root = _parse_xml(path, text)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise KinemeError(f"{path}: is XML but not an ELAN file")
    media = root.findall("./HEADER/MEDIA_DESCRIPTOR")
    ours = [one for one in media if _file_name(one.get("MEDIA_URL")) == video.name] or media[:1]
    origin_s = int(ours[0].get("TIME_ORIGIN") or 0) / 1000 if ours else 0.0
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iterfind("./TIME_ORDER/TIME_SLOT")}
    tiers: dict[str, list[Segment]] = {}
    left_out = []
    for tier in root.iterfind("./TIER"):
        name = tier.get("TIER_ID") or ""
        for one in tier.iterfind("./ANNOTATION/ALIGNABLE_ANNOTATION"):
            where = f"{path}, annotation {one.get('ANNOTATION_ID')}"
            label = (one.findtext("ANNOTATION_VALUE") or "").strip()
            ends = [slots.get(one.get(f"TIME_SLOT_REF{number}")) for number in (1, 2)]
            if not label or None in ends:
                left_out.append(f"{where}: has no {'label' if not label else 'time'}, left out")
                continue
            start_s, end_s = (int(value or 0) / 1000 + origin_s for value in ends)
            tiers.setdefault(name, []).append(Segment(start_s, end_s, label, where))
    return _Found(tiers, left_out)


def _parse_xml(path: Path, text: str) -> ElementTree.Element:
    """The root of a document without a DOCTYPE, and so without entities that could grow or reach out."""

    def refuse(*doctype: object) -> None:
        raise KinemeError(f"{path}: has a DOCTYPE, which no ELAN file has; it is not read")

    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    try:
        guard.Parse(text.encode(), True)
        return ElementTree.fromstring(text.encode())  # noqa: S314 - a DOCTYPE was refused above
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise KinemeError(f"{path}: is not XML that can be read ({error})") from error
    except ValueError as error:
        raise KinemeError(f"{path}: is not an ELAN file that can be read ({error})") from error


def _file_name(url: object) -> str:
    return PurePath(str(url or "").replace("\\", "/")).name


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


def _via_csv(path: Path, text: str, video: Path) -> _Found:
    comments = [line for line in text.splitlines() if line.startswith("#")]
    (head,) = [line.partition("=")[2] for line in comments if line.startswith("# CSV_HEADER")][:1]
    attributes = [line.partition("=")[2] for line in comments if re.match(r"# ATTRIBUTES? *=", line)]
    rows = "\n".join(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    marks = []
    for number, row in enumerate(csv.DictReader(io.StringIO(rows), [cell.strip() for cell in head.split(",")]), 1):
        where = f"{path}, row {number}"
        try:
            files = [_file_name(name) for name in _json(path, row["file_list"])]
            parts = [_json(path, row[cell]) for cell in ("temporal_coordinates", "spatial_coordinates", "metadata")]
            marks.append((where, files, *parts))
        except (KeyError, TypeError) as error:
            raise KinemeError(f"{where}: is not as VIA writes it") from error
    return _via(path, marks, _json(path, attributes[0]) if attributes else {}, video)


def _via(path: Path, marks: Iterable[Any], attributes: dict[str, Any], video: Path) -> _Found:
    marks = list(marks)
    files = {name for _, names, *_ in marks for name in names}
    if files and video.name not in files and len(files) > 1:
        raise KinemeError(f"{path}: is about {listed(sorted(files))}, none of which is {video.name}")
    tiers: dict[str, list[Segment]] = {}
    left_out = []
    for where, names, times, place, values in marks:
        if video.name in files and video.name not in names:
            continue  # of another video
        if len(times) != 2 or place:
            left_out.append(f"{where}: marks a picture, not a part of the video, left out")
            continue
        start_s, end_s = float(times[0]), float(times[1])
        for attribute, value in values.items():
            about = attributes.get(attribute, {})
            label = str((about.get("options") or {}).get(str(value), value)).strip()
            if label:
                one = Segment(start_s, end_s, label, where)
                tiers.setdefault(str(about.get("aname", attribute)), []).append(one)
            else:
                left_out.append(f"{where}: has no label, left out")
    return _Found(tiers, left_out)


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KinemeError(f"{path}: holds JSON that cannot be read ({error})") from error
