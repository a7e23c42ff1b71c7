"""Writes annotations in the forms of other tools, so that labels can be taken elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from kineme.dataset.annotations import elan, label_studio, via
from kineme.dataset.annotations.segment import Segment
from kineme.dataset.split_csv import relative_to
from kineme.errors import KinemeError, UsageError
from kineme.files import write_csv, write_text
from kineme.text import file_stem
from kineme.video.frame_times import frame_times
from kineme.video.probe import probe

Target = Literal["csv", "elan", "label-studio", "via"]


def write_segments(videos: Mapping[Path, Sequence[Segment]], out: Path, target: str) -> list[Path]:
    """Write the segments of videos in a form that another tool reads.

    Args:
        videos: the segments of each video.
        out: the file; for ELAN, which has one for each video, the folder.
        target: ``"csv"``, ``"elan"``, ``"label-studio"`` or ``"via"``.

    Returns:
        The files written.

    Raises:
        UsageError: there is no such form.
        KinemeError: a video whose length or frames are needed cannot be read, or a file cannot be written.
    """
    if target not in get_args(Target):
        raise UsageError(f"the form must be one of {', '.join(get_args(Target))}, not {target!r}")
    if target == "csv":
        has_groups = any(one.group for segments in videos.values() for one in segments)
        rows = [
            [
                relative_to(str(video), out.parent),
                one.start_s,
                one.end_s,
                one.label,
                one.group or (video.name if has_groups else ""),
            ]
            for video, segments in videos.items()
            for one in segments
        ]
        write_csv(out, ["path", "start_s", "end_s", "label", "group"], rows)
        return [out]
    ended = {video: _ended(video, segments) for video, segments in videos.items()}
    if target == "elan":
        return _write_elan(ended, out)
    write_text(out, via.write(ended) if target == "via" else label_studio.write(ended, frame_times))
    return [out]


def _write_elan(videos: Mapping[Path, Sequence[Segment]], out: Path) -> list[Path]:
    if out.is_file():
        raise KinemeError(f"{out}: is a file; ELAN has a file for each video, so name a folder")
    written: list[Path] = []
    for video, segments in videos.items():
        stem, number = file_stem(video.stem), 1
        while (path := out / f"{stem if number == 1 else f'{stem}-{number}'}.eaf") in written:
            number += 1
        write_text(path, elan.write(video, segments))
        written.append(path)
    return written


def _ended(video: Path, segments: Sequence[Segment]) -> list[Segment]:
    """The segments in order of time, each with an end."""
    length_s = probe(video).duration_s if any(one.end_s is None for one in segments) else None
    ended = [replace(one, end_s=length_s) if one.end_s is None else one for one in segments]
    return sorted(ended, key=lambda one: (one.start_s, one.end_s or 0.0))
