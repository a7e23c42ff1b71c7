"""JSON whose objects name a video, a label and a span: Create ML's list of segments, and segments listed by video.

Create ML (https://developer.apple.com/documentation/createml/building-an-action-classifier-data-source) has one object
for each segment; Roboflow and others have one for each video, with a list of its segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.segment import Found, FrameNumber, Instant, frame, instant
from kineme.errors import KinemeError

_VIDEO = ("video", "file_name", "filename", "file", "path", "video_path", "videofile", "name")
_LABEL = ("label", "class", "class_name", "action", "annotation", "category")
_START = ("start", "start_time", "starttime", "start_s", "begin")
_END = ("end", "end_time", "endtime", "end_s")
_FIRST, _LAST = ("start_frame", "startframe"), ("end_frame", "endframe")
_LISTS = ("segments", "annotations", "labels", "actions")


def _recognises(document: Document) -> bool:
    return any(_get(one, _LABEL) is not None and _get(one, _VIDEO) for _, one in _objects(document.json))


def _read(document: Document) -> Found:
    found = Found()
    for place, one in _objects(document.json):
        where = f"{document.path}, segment {place}"
        label = _get(one, _LABEL)
        if isinstance(label, list | dict):
            raise KinemeError(f"{where}: a label must be text")
        found.add(where, *_span(where, one), "" if label is None else label, video=_get(one, _VIDEO) or "")
    return found


def _objects(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a segment each, with the facts of the video they are under, and their places."""
    for count, one in enumerate(document if isinstance(document, list) else [document], 1):
        if not isinstance(one, dict):
            continue
        lists = [value for name, value in one.items() if name.lower() in _LISTS and isinstance(value, list)]
        if not lists:
            yield str(count), one
        for number, segment in enumerate(segment for values in lists for segment in values):
            if isinstance(segment, dict):
                facts = {name: value for name, value in one.items() if name.lower() in _VIDEO}
                yield f"{count}.{number + 1}", {**facts, **segment}


def _span(where: str, one: dict[str, Any]) -> tuple[Instant | None, Instant | None]:
    """Start and end; the whole video if neither is given."""
    start, end = _get(one, _START), _get(one, _END)
    first, last = _get(one, _FIRST), _get(one, _LAST)
    if first is not None:
        return frame(where, first), None if last is None else FrameNumber(frame(where, last).number + 1)
    if start is None and end is not None:
        return None, None
    return instant(where, 0.0 if start is None else start), None if end is None else instant(where, end)


def _get(one: dict[str, Any], names: tuple[str, ...]) -> Any:
    lower = {str(name).lower(): value for name, value in one.items()}
    return next((lower[name] for name in names if name in lower), None)


JSON_ROWS = Form("Create ML", "JSON", "Create ML (video, label, start, end)", _recognises, _read)
