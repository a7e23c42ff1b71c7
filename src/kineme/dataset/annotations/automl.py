"""Google AutoML Video and Vertex AI: CSV (no header as a rule) and JSON lines.

Classification has rows ``[ML_USE,]VIDEO_URI,LABEL,START,END``, action recognition
``VIDEO_URI,TIME_SEGMENT_START,TIME_SEGMENT_END,LABEL,ANNOTATION_FRAME_TIMESTAMP``; an END may be ``inf``.
https://cloud.google.com/vertex-ai/docs/video-data/action-recognition/prepare-data
"""

from __future__ import annotations

from typing import Any

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.segment import Found, instant
from kineme.errors import KinemeError

_USES = ("training", "train", "validation", "test", "unassigned", "")
_END_OF_VIDEO = ("inf", "infinity", "+inf")
_POINT = "is a single instant; its segment is unknown, left out"


def _is_csv(document: Document) -> bool:
    first = document.head[0][1] if document.head else []
    return any(cell.strip().startswith("gs://") or cell.strip().upper() == "VIDEO_URI" for cell in first[:2])


def _read_csv(document: Document) -> Found:
    found, has_uses = Found(), False
    for line, written in document.rows:
        where, cells = f"{document.path}, line {line}", [cell.strip() for cell in written]
        while cells and cells[-1] == "":
            cells.pop()
        if cells and cells[0].lower() in _USES:
            has_uses = has_uses or bool(cells[0])
            cells = cells[1:]
        if not cells or cells[0].upper() == "VIDEO_URI":
            continue
        uri, *rest = cells
        if uri.lower().endswith(".csv"):
            found.left_out.append(f"{where}: names another list, {uri}; read that one")
        elif len(rest) >= 3 and _is_time(rest[0]) and _is_time(rest[1]):
            _annotation(found, where, uri, rest)
        elif rest and rest[0]:
            start_s = _time(where, rest[1]) if len(rest) > 1 else 0.0
            found.add(where, start_s or 0.0, _time(where, rest[2]) if len(rest) > 2 else None, rest[0], video=uri)
        else:
            found.left_out.append(f"{where}: has no label, left out")
    if has_uses:
        found.left_out.append(f"{document.path}: not used: which rows were for training and which for the test")
    return found


def _annotation(found: Found, where: str, uri: str, rest: list[str]) -> None:
    """A row whose segment comes before its label; an instant after it marks the action within the segment."""
    start, end, label, *instants = rest
    if not label:
        found.left_out.append(f"{where}: has no label, left out")
    elif any(instants) and not (start or end):
        found.left_out.append(f"{where}: {label!r} {_POINT}")
    else:
        found.add(where, _time(where, start) or 0.0, _time(where, end), label, video=uri)


def _is_json(document: Document) -> bool:
    lines = document.json if isinstance(document.json, list) else [document.json]
    return any(isinstance(line, dict) and "videoGcsUri" in line for line in lines)


def _read_json(document: Document) -> Found:
    found = Found()
    lines = document.json if isinstance(document.json, list) else [document.json]
    try:
        for count, line in enumerate(lines, 1):
            where = f"{document.path}, line {count}"
            for one in line.get("timeSegmentAnnotations") or []:
                _json_segment(found, where, one, line["videoGcsUri"])
            for one in line.get("actionAnnotations") or line.get("actionAnnotationsAtFrame") or []:
                found.left_out.append(f"{where}: {one.get('displayName', '')!r} {_POINT}")
    except (KeyError, TypeError, AttributeError) as error:
        raise KinemeError(f"{document.path}: is not JSON lines as Vertex AI writes them") from error
    return found


def _json_segment(found: Found, where: str, one: dict[str, Any], uri: str) -> None:
    start_s, end_s = (_time(where, str(one.get(key, default))) for key, default in _SPAN)
    if start_s is not None and start_s == end_s:
        found.left_out.append(f"{where}: {one['displayName']!r} {_POINT}")
    else:
        found.add(where, start_s or 0.0, end_s, one["displayName"], video=uri)


_SPAN = (("startTime", "0s"), ("endTime", "Infinity"))


def _is_time(text: str) -> bool:
    try:
        _time("", text)
    except KinemeError:
        return False
    return True


def _time(where: str, text: str) -> float | None:
    """Seconds; None where nothing is said, or the end of the video."""
    plain = text.lower().removesuffix("s")
    return None if plain in ("", *_END_OF_VIDEO) else instant(where, plain)


AUTOML_CSV = Form("Google AutoML Video", "table", "AutoML Video (gs://...)", _is_csv, _read_csv)
AUTOML_JSON = Form("Vertex AI", "JSON", "Vertex AI (videoGcsUri)", _is_json, _read_json)
