"""Long videos and their labelled segments to a folder of clips that ``train`` takes."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kineme.dataset.scan import CSV_IN_FOLDER
from kineme.dataset.segments import Segment, read_segments
from kineme.errors import KinemeError
from kineme.files import write_csv
from kineme.progress import track
from kineme.video.cut import CutClip, Cutter

_CUTS = "cuts.csv"
_COLUMNS = ["path", "label", "group"]
_CUT_COLUMNS = ["path", "source", "asked_start_s", "asked_end_s", "start_s", "end_s", "frames", "how"]


@dataclass(frozen=True)
class SplitVideo:
    """What :func:`split_video` made.

    Args:
        table: the CSV of all clips of the folder.
        clips: those of this video, with their labels.
        warnings: what the user should know, one line each.
    """

    table: Path
    clips: tuple[tuple[CutClip, str], ...]
    warnings: tuple[str, ...]


def split_video(video: Path, segments_file: Path, out: Path, *, tier: str | None = None) -> SplitVideo:
    """Cut the labelled segments of a video into ``out/label/name``, and list them in ``out/clips.csv``.

    Several videos may be cut into one folder; the group of a clip is the video it is from. Done again, the clips of
    a video take the place of its earlier ones in the table. ``out/cuts.csv`` tells what became of each segment.

    Args:
        video: the source; it is only read.
        segments_file: as :func:`kineme.dataset.segments.read_segments` takes it.
        out: the folder.
        tier: as there.

    Raises:
        VideoError: the video cannot be read.
        KinemeError: the segments cannot be used, or something cannot be written.
    """
    segments, warnings = read_segments(segments_file, video, tier=tier)
    cutter = Cutter(video)
    spans = [_span(one, cutter.info.duration_s, warnings) for one in segments]
    table, cuts = _read(out / CSV_IN_FOLDER), _read(out / _CUTS)
    source = str(video.resolve())
    for row in cuts:
        if row["source"] != source and Path(row["source"]).name == video.name:
            raise KinemeError(f"{out}: holds clips of another video named {video.name}; choose another folder")

    clips = []
    for number, (one, (start_s, end_s)) in enumerate(zip(track(segments, "cutting"), spans, strict=True), 1):
        stem = out / folder_of(one.label) / f"{video.stem}_{number:03}"
        clips.append((cutter.cut(start_s, end_s, stem), one.label))
    paths = {clip.path.relative_to(out).as_posix() for clip, _ in clips}
    orphans = [row["path"] for row in table if row["group"] == video.name and row["path"] not in paths]
    if orphans:
        warnings.append(f"{out}: {len(orphans)} clips of an earlier run are listed no more, such as {orphans[0]}")

    rows = [[clip.path.relative_to(out).as_posix(), label, video.name] for clip, label in clips]
    kept = [[row[column] for column in _COLUMNS] for row in table if row["group"] != video.name]
    write_csv(out / CSV_IN_FOLDER, _COLUMNS, kept + rows)
    told = [_told(clip, one, source, out) for (clip, _), one in zip(clips, segments, strict=True)]
    kept = [[row[column] for column in _CUT_COLUMNS] for row in cuts if row["source"] != source]
    write_csv(out / _CUTS, _CUT_COLUMNS, kept + told)
    return SplitVideo(out / CSV_IN_FOLDER, tuple(clips), tuple(warnings))


def folder_of(label: str) -> str:
    """The name of a folder on any system that stands for a label."""
    safe = re.sub(r"[^\w .,()+-]+", "_", label).strip(" .")
    return safe or "_"


def _span(one: Segment, duration_s: float, warnings: list[str]) -> tuple[float, float]:
    """Start and end within the video."""
    if one.start_s >= duration_s:
        raise KinemeError(f"{one.where}: begins at {one.start_s:g} s, and the video ends at {duration_s:.2f} s")
    if one.end_s is not None and one.end_s > duration_s + 1.0:
        warnings.append(f"{one.where}: ends at {one.end_s:g} s, cut at the end of the video ({duration_s:.2f} s)")
    return one.start_s, duration_s if one.end_s is None else min(one.end_s, duration_s)


def _told(clip: CutClip, one: Segment, source: str, out: Path) -> list[object]:
    times = [round(time_s, 6) for time_s in (clip.start_s, clip.end_s)]
    how = "copied" if clip.copied else "encoded"
    asked_end_s = "" if one.end_s is None else one.end_s
    return [clip.path.relative_to(out).as_posix(), source, one.start_s, asked_end_s, *times, clip.frames, how]


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise KinemeError(f"{path}: cannot be read ({error})") from error
    columns = _CUT_COLUMNS if path.name == _CUTS else _COLUMNS
    if rows and not set(columns) <= set(rows[0]):
        raise KinemeError(f"{path}: is not a table of this command; choose another folder")
    return rows
