"""CVAT's XML, "CVAT for video" (tracks) and "CVAT for images" (tags on frames).

https://docs.cvat.ai/docs/manual/advanced/xml_format/ ; frames are counted from 0, in steps where the task has a filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from xml.etree.ElementTree import Element

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.segment import Found, FrameNumber, frame

_STEP = re.compile(r"step\s*=\s*(\d{1,6})")
_SHAPES = ("box", "polygon", "polyline", "points", "mask", "skeleton", "ellipse", "cuboid")


@dataclass(frozen=True)
class _Task:
    video: str = ""
    first: int = 0
    step: int = 1

    def frame(self, number: int) -> FrameNumber:
        """The frame of the video that a frame of the task is."""
        return FrameNumber(self.first + number * self.step)


def _read(document: Document) -> Found:
    found, path = Found(), document.path
    tasks = {one.findtext("id", "").strip(): _task(path, one) for one in document.xml.iterfind("./meta//task")}
    only = next(iter(tasks.values()), _Task()) if len(tasks) <= 1 else _Task()
    for count, track in enumerate(document.xml.iterfind("./track")):
        where = f"{path}, track {track.get('id', count)}"
        _track(found, where, track, tasks.get(track.get("task_id", ""), only))
    _tags(found, document, tasks, only)
    return found


def _task(path: object, task: Element) -> _Task:
    step = _STEP.search(task.findtext("frame_filter") or "")
    return _Task(
        (task.findtext("source") or "").strip(),
        frame(f"{path}, start_frame", task.findtext("start_frame") or 0).number,
        max(1, int(step[1])) if step else 1,
    )


def _track(found: Found, where: str, track: Element, task: _Task) -> None:
    """The spans in which a track is seen, under its label, and under each value of its attributes."""
    shapes = [one for one in track if one.tag in _SHAPES]
    frames = [frame(where, one.get("frame", "")).number for one in shapes]
    seen: list[tuple[int, str, str]] = []  # frame, attribute ("" for the label), value
    for number, shape in sorted(zip(frames, shapes, strict=True), key=lambda pair: pair[0]):
        is_out = shape.get("outside") == "1"
        seen.append((number, "", "" if is_out else track.get("label", "")))
        for one in shape.iterfind("./attribute"):
            seen.append((number, one.get("name", ""), "" if is_out else (one.text or "").strip()))
    for name in dict.fromkeys(attribute for _, attribute, _ in seen):
        values = [(number, value) for number, attribute, value in seen if attribute == name]
        # A shape that ends as it is seen goes on to the end of its frame.
        for start, end, value in _runs(values, values[-1][0] + 1 if values else 0):
            if value:
                found.add(where, task.frame(start), task.frame(end), value, tier=name or "label", video=task.video)


def _runs(values: list[tuple[int, str]], end: int) -> Iterable[tuple[int, int, str]]:
    """Start, end and value of each stretch of equal values, each of which holds until the next one."""
    runs = [(next(iter(run))[0], value) for value, run in groupby(values, key=lambda pair: pair[1])]
    for (start, value), following in zip(runs, [*(start for start, _ in runs[1:]), end], strict=True):
        yield start, following, value


def _tags(found: Found, document: Document, tasks: dict[str, _Task], only: _Task) -> None:
    """Tags on frames that follow each other make one segment."""
    tagged: dict[tuple[str, str], list[int]] = {}
    owners: dict[str, _Task] = {}
    for count, image in enumerate(document.xml.iterfind("./image")):
        owner = image.get("task_id", "")
        owners[owner] = tasks.get(owner, only)
        where = f"{document.path}, image {image.get('id', count)}"
        if any(one.tag in _SHAPES for one in image):
            found.left_out.append(f"{where}: a shape marks a picture, not a part of the video, left out")
        for one in image.iterfind("./tag"):
            tagged.setdefault((owner, one.get("label", "")), []).append(frame(where, image.get("id", count)).number)
    for (owner, label), frames in tagged.items():
        ordered, task = sorted(set(frames)), owners[owner]
        for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0]):
            numbers = [number for _, number in run]
            where = f"{document.path}, frames {numbers[0]} to {numbers[-1]}"
            end = task.frame(numbers[-1] + 1)
            found.add(where, task.frame(numbers[0]), end, label, tier="tag", video=task.video)


CVAT = Form("CVAT", "XML", "CVAT (annotations)", lambda document: document.xml.tag == "annotations", _read)
