"""Label Studio: TimelineLabels (frames, counted from 1) and Labels on sound (seconds), as JSON or JSON-MIN.

https://labelstud.io/tags/timelinelabels
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.segment import Found, FrameNumber, Segment, frame, number
from kineme.errors import KinemeError
from kineme.text import json_text
from kineme.video.container import VIDEO_SUFFIXES


def _recognises(document: Document) -> bool:
    tasks = document.json if isinstance(document.json, list) else [document.json]
    return any(isinstance(task, dict) and ("annotations" in task or _lists(task)) and _video(task) for task in tasks)


def _read(document: Document) -> Found:
    found = Found()
    tasks = document.json if isinstance(document.json, list) else [document.json]
    try:
        for count, task in enumerate(tasks, 1):
            where = f"{document.path}, task {task.get('id', count)}"
            done = [one for one in task.get("annotations", []) if not one.get("was_cancelled")]
            if len(done) > 1:
                found.left_out.append(f"{where}: has {len(done)} annotations; the last one is used")
            for result in done[-1]["result"] if done else []:
                kind = str(result.get("type", ""))
                _value(found, where, result["value"], kind, str(result.get("from_name", "")), _video(task))
            for name, values in _lists(task).items():
                for value in values:
                    _value(found, where, value, "timelinelabels", name, _video(task))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise KinemeError(f"{document.path}: is not JSON as Label Studio writes it") from error
    return found


def _value(found: Found, where: str, value: dict[str, Any], kind: str, tier: str, video: str) -> None:
    """A region: frames of a timeline, or seconds of a sound track."""
    labels = value.get(kind) or value.get("timelinelabels") or value.get("labels") or []
    if "ranges" in value:
        for span in value["ranges"]:
            first, last = frame(where, span["start"], 1), frame(where, span["end"], 1)
            for label in labels:
                found.add(where, first, FrameNumber(last.number + 1), label, tier=tier, video=video)
    elif "start" in value and "end" in value and labels:
        for label in labels:
            found.add(where, number(where, value["start"]), number(where, value["end"]), label, tier=tier, video=video)
    else:
        found.left_out.append(f"{where}: a region of type {kind or 'unknown'!r} is no segment, left out")


def _lists(task: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The lists of ranges of a task in JSON-MIN, by the name of their tag."""
    return {
        name: values
        for name, values in task.items()
        if isinstance(values, list) and values and all(isinstance(one, dict) and "ranges" in one for one in values)
    }


def _video(task: dict[str, Any]) -> str:
    """The video that a task is about: an upload has eight letters before its name, a local file is a query."""
    data = task.get("data", task)
    texts = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
    for text in texts:
        try:
            parts = urlsplit(text)
            path = unquote(parse_qs(parts.query).get("d", [parts.path])[0])
        except ValueError:
            continue
        if path.lower().endswith(VIDEO_SUFFIXES):
            return path
    return ""


def write(videos: Mapping[Path, Sequence[Segment]], times_of: Callable[[Path], NDArray[np.float64]]) -> str:
    """The text of tasks about all videos, for an import.

    Args:
        videos: the segments of each, with an end.
        times_of: gives when each frame of a video is shown, and when the last one ends, in seconds.
    """
    tasks = []
    for video, segments in videos.items():
        times_F = times_of(video)
        regions = []
        for count, one in enumerate(segments, 1):
            assert one.end_s is not None
            first = int(np.abs(times_F - one.start_s).argmin())
            end = max(first + 1, int(np.abs(times_F - one.end_s).argmin()))
            value = {"ranges": [{"start": first + 1, "end": end}], "timelinelabels": [one.label]}
            region = {"id": f"s{count}", "from_name": "label", "to_name": "video", "type": "timelinelabels"}
            regions.append({**region, "value": value})
        tasks.append({"data": {"video": video.name}, "annotations": [{"result": regions}]})
    return json_text(tasks)


LABEL_STUDIO = Form("Label Studio", "JSON", "Label Studio (data, annotations)", _recognises, _read)
