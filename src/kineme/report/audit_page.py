"""The page of an audit: its findings, the most severe first, with pictures of the videos concerned."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.dataset.audit.audit import Audit
from kineme.dataset.audit.finding import Finding
from kineme.dataset.audit.inspection import Inspection
from kineme.errors import VideoError
from kineme.files import write_text
from kineme.models.person_mask import PersonMask
from kineme.people.survey import SMALL
from kineme.report.filmstrip import jpeg_data_uri
from kineme.report.template import render
from kineme.report.verdict import pluralize
from kineme.text import percent
from kineme.training.places import person_mask, scene_without_people
from kineme.video.clips import ticks
from kineme.video.decode import read_frames
from kineme.video.spec import ClipSpec

_HEIGHT = 120  # pixels of a picture
_SCENE_FRAMES = 9  # of which the picture of a place is made
_PICTURES, _WITH_PICTURES = 6, 60  # most of a finding; most findings of each kind that have any
_FEW = 3  # names in a sentence
_NAMES = 40  # most names listed below a finding
_SHOWN = {"duplicate", "near-duplicate", "two-labels", "same-scene", "black", "frozen", "truncated", "damaged"}
_TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}
_MEANINGS = {
    "error": "Training would fail, or its figures would be wrong.",
    "warning": "Data may be lost, or is doubtful.",
    "note": "Good to know; nothing needs to be done.",
}


def headline(counts: Mapping[str, int], videos: int) -> str:
    """What an audit comes to, in a sentence."""
    found = [pluralize(counts[severity], f"{severity}s") for severity in _TITLES if counts[severity]]
    looked = f"{pluralize(videos, 'videos')} checked"
    if not found:
        return f"{looked}: no problems found."
    return f"{looked}: {', '.join(found[:-1])}{' and ' if found[:-1] else ''}{found[-1]}."


def people_sentence(people: Mapping[str, Any]) -> str:
    """How many people the videos show, how large, and where nobody is."""
    if "none" in people:
        return f"People were not searched for: {people['none']}"
    looked = f"In a few frames of {pluralize(people['videos'], 'videos')}"
    shows = [f"{_persons(count)} in {videos}" for count, videos in people["by_count"].items() if count]
    if not shows:
        return f"{looked}, nobody is found."
    height = percent(people["median_height"], 0)
    sentence = f"{looked}: {', '.join(shows)}. Half of them are taller than {height} of the frame."
    if people["nobody"]:
        more = f" and {len(people['nobody']) - _FEW} more" if len(people["nobody"]) > _FEW else ""
        sentence += f" Nobody is found in {', '.join(people['nobody'][:_FEW])}{more}."
    if people["median_height"] < SMALL:
        sentence += " People this small are few pixels high in a clip: train with --region people."
    return sentence


def _persons(count: int) -> str:
    return "one person" if count == 1 else f"{count} people"


def write_check(path: str | os.PathLike[str], audit: Audit, document: Mapping[str, Any]) -> None:
    """Write what ``kineme check`` found as one self-contained page.

    Args:
        path: the file to write.
        audit: the findings.
        document: the output of the command with ``--json``.

    Raises:
        KinemeError: the file cannot be written.
    """
    drawn: Counter[str] = Counter()
    parts = []
    for severity, title in _TITLES.items():
        entries = []
        for one in audit.findings:
            if one.severity != severity:
                continue
            drawn[one.kind] += 1
            pictures = _pictures(audit, one) if one.kind in _SHOWN and drawn[one.kind] <= _WITH_PICTURES else []
            entries.append((one, pictures, one.names[:_NAMES], len(one.names) - _NAMES))
        if entries:
            parts.append((title, _MEANINGS[severity], entries))
    data, moved = document["data"], document["moved"]
    page = render(
        "check.html.j2",
        title=f"Check of {data['name']}",
        subtitle="Broken files, duplicates, leaks and unbalanced classes, before anything is trained.",
        headline=headline(document["counts"], data["videos"]),
        caveats=[],
        interval_method=None,
        data=data,
        tiles=[
            ("Videos", f"{data['videos']:,}", f"of {pluralize(len(data['classes']), 'classes')}"),
            ("Groups", f"{data['groups']:,}", f"from {data['group_source']}"),
            *((title, str(document["counts"][name]), _MEANINGS[name]) for name, title in _TITLES.items()),
        ],
        parts=parts,
        people=people_sentence(document["people"]),
        needs=document["needs"],
        moved=moved,
    )
    write_text(path, page)


def _pictures(audit: Audit, finding: Finding) -> list[tuple[str, str]]:
    """Name and picture of some of the videos of a finding: the background of places, else the frame in the middle."""
    found = []
    mask = person_mask() if finding.kind == "same-scene" else None
    for number in _some(audit, finding):
        row, inspection = audit.table.rows.row(number, named=True), audit.inspections[number]
        if not isinstance(inspection, Inspection):
            continue
        picture = _scene(row, inspection, mask) if finding.kind == "same-scene" else _middle(row, inspection)
        if picture is not None:
            size = (max(1, round(picture.shape[1] * _HEIGHT / picture.shape[0])), _HEIGHT)
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            found.append((row["name"], jpeg_data_uri(np.ascontiguousarray(small), quality=75)))
    return found


def _some(audit: Audit, finding: Finding) -> Sequence[int]:
    """Rows to show: of different groups first."""
    groups = audit.table.rows["group"].to_list()
    first = list({groups[number]: number for number in reversed(finding.rows)}.values())[::-1]
    return [*first, *(number for number in finding.rows if number not in set(first))][:_PICTURES]


def _scene(row: Mapping[str, Any], inspection: Inspection, mask: PersonMask | None) -> NDArray[np.uint8]:
    """The place without its people; without a mask of them, or a file that is still there, without what moves."""
    still_HWC = inspection.background
    if mask is None:
        return still_HWC
    height, width = still_HWC.shape[:2]
    spread = ClipSpec(frames=_SCENE_FRAMES, fps=None, height=height, width=width, fit="stretch")
    with suppress(VideoError):
        shown = ticks(row["path"], spec=spread, start_s=row["start_s"], end_s=row["end_s"])
        return scene_without_people(np.stack([frame_HWC for _, frame_HWC in shown]), mask)
    return still_HWC


def _middle(row: Mapping[str, Any], inspection: Inspection) -> NDArray[np.uint8] | None:
    """The frame in the middle of a video or its labelled part."""
    size = (_HEIGHT, max(8, round(_HEIGHT * inspection.facts.width / inspection.facts.height)))
    with suppress(VideoError):
        for frame in read_frames(row["path"], start_s=row["start_s"] + inspection.facts.duration_s / 2, size=size):
            return frame.pixels_HWC
    return None
