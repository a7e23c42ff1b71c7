"""VIA 3 (https://www.robots.ox.ac.uk/~vgg/software/via/): its projects (JSON) and its CSV exports."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.segment import Found, Segment, file_name, number
from kineme.errors import KinemeError
from kineme.text import json_text

_HEAD = re.compile(r"^# CSV_HEADER *=(.*)", re.MULTILINE)
_ATTRIBUTES = re.compile(r"^# ATTRIBUTES? *=(.*)", re.MULTILINE)
_SELECT, _VIDEO, _LOCAL = 4, 4, 1  # VIA's numbers for a choice among options, for a video, and for a file


def _is_project(document: Document) -> bool:
    return isinstance(document.json, dict) and "metadata" in document.json and "attribute" in document.json


def _read_project(document: Document) -> Found:
    path, project = document.path, document.json
    try:
        names = {fid: file_name(file["fname"]) for fid, file in project["file"].items()}
        views = {vid: [names.get(str(fid), "") for fid in view["fid_list"]] for vid, view in project["view"].items()}
        marks = [
            (f"{path}, segment {mid}", views.get(str(one["vid"]), []), one["z"], one["xy"], one["av"])
            for mid, one in project["metadata"].items()
        ]
        return _marks(marks, project["attribute"])
    except (KeyError, TypeError, AttributeError) as error:
        raise KinemeError(f"{path}: is not a project as VIA 3 writes it") from error


def _read_csv(document: Document) -> Found:
    path, text = document.path, document.text
    head, attributes = _HEAD.search(text), _ATTRIBUTES.search(text)
    assert head is not None
    rows = "\n".join(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    columns = [cell.strip() for cell in head[1].split(",")]
    marks = []
    try:
        for count, row in enumerate(csv.DictReader(io.StringIO(rows), columns), 1):
            cells = [row[name] for name in ("file_list", "temporal_coordinates", "spatial_coordinates", "metadata")]
            names, times, place, values = map(document.parse, cells)
            marks.append((f"{path}, row {count}", [file_name(name) for name in names], times, place, values))
        return _marks(marks, document.parse(attributes[1]) if attributes else {})
    except (KeyError, TypeError, AttributeError, csv.Error) as error:
        raise KinemeError(f"{path}: is not a CSV as VIA 3 writes it") from error


def _marks(marks: Sequence[tuple[str, list[str], Any, Any, Any]], attributes: dict[str, Any]) -> Found:
    """The segments of marks: where, names of files, times, place in the picture, and values of attributes."""
    found = Found()
    for where, names, times, place, values in marks:
        if len(times) != 2 or place:
            found.left_out.append(f"{where}: marks a picture, not a part of the video, left out")
            continue
        start_s, end_s = (number(where, time_s) for time_s in times)
        for attribute, value in values.items():
            about = attributes.get(attribute, {})
            label = (about.get("options") or {}).get(str(value), value)
            for name in names or [""]:
                found.add(where, start_s, end_s, label, tier=about.get("aname", attribute), video=name)
    return found


def write(videos: Mapping[Path, Sequence[Segment]]) -> str:
    """The text of a project about all videos."""
    labels = sorted({one.label for segments in videos.values() for one in segments})
    number_of = {label: str(count) for count, label in enumerate(labels)}
    prefixes = {str(count): "" for count in range(1, 5)}
    files, views, metadata = {}, {}, {}
    for count, (video, segments) in enumerate(videos.items(), 1):
        files[str(count)] = {"fid": count, "fname": video.name, "type": _VIDEO, "loc": _LOCAL, "src": video.name}
        views[str(count)] = {"fid_list": [count]}
        for position, one in enumerate(segments, 1):
            span = [one.start_s, one.end_s]
            mark = {"vid": str(count), "flg": 0, "z": span, "xy": [], "av": {"1": number_of[one.label]}}
            metadata[f"{count}_{position}"] = mark
    attribute = {
        "aname": "label",
        "anchor_id": "FILE1_Z2_XY0",
        "type": _SELECT,
        "desc": "action",
        "options": {key: label for label, key in number_of.items()},
        "default_option_id": "",
    }
    project = {"pid": "__VIA_PROJECT_ID__", "rev": "__VIA_PROJECT_REV_ID__", "pname": "labels", "vid_list": [*views]}
    return json_text(
        {
            "project": {**project, "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__", "creator": "kineme", "created": 0},
            "config": {"file": {"loc_prefix": prefixes}, "ui": {"file_content_align": "center"}},
            "attribute": {"1": attribute},
            "file": files,
            "view": views,
            "metadata": metadata,
        }
    )


VIA_PROJECT = Form("VIA 3", "JSON", "VIA 3 (attribute, file, view, metadata)", _is_project, _read_project)
VIA_CSV = Form(
    "VIA 3 CSV", "table", "VIA 3 (# CSV_HEADER)", lambda document: bool(_HEAD.search(document.text)), _read_csv
)
