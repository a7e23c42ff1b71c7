"""Long videos and their labelled segments to a folder of clips that ``train`` takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kineme.dataset.annotations.read import read_segments, read_segments_by_video
from kineme.dataset.annotations.segment import Segment
from kineme.dataset.scan import CSV_IN_FOLDER
from kineme.dataset.sheet import read_sheet
from kineme.errors import KinemeError
from kineme.files import sole_writer, write_csv
from kineme.progress import track
from kineme.text import file_stem
from kineme.video.cut import CutClip, Cutter

_CUTS = "cuts.csv"
_COLUMNS = ["path", "label", "group"]
_CUT_COLUMNS = ["path", "source", "asked_start_s", "asked_end_s", "start_s", "end_s", "frames", "how"]
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no names of files on Windows


@dataclass(frozen=True)
class CutVideos:
    """What :func:`split_video` or :func:`split_sheet` made.

    Args:
        table: the CSV of all clips of the folder.
        clips: those cut now, with their labels.
        warnings: what the user should know, one line each.
        errors: why a video could not be cut, one line each.
    """

    table: Path
    clips: tuple[tuple[CutClip, str], ...]
    warnings: tuple[str, ...]
    errors: tuple[str, ...] = ()


def split_video(
    video: Path,
    segments_file: Path,
    out: Path,
    *,
    tier: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> CutVideos:
    """Cut the labelled segments of a video into ``out/label/name``, and list them in ``out/clips.csv``.

    Several videos may be cut into one folder. The group of a clip is the one that the segments file gives it, else the
    video it is from. Done again, the clips of a video take the place of its earlier ones in the table.
    ``out/cuts.csv`` tells what became of each segment.

    Args:
        video: the source; it is only read.
        segments_file: as :func:`kineme.dataset.annotations.read.read_segments` takes it.
        out: the folder.
        tier: as :func:`kineme.dataset.annotations.read.read_segments` takes it.
        columns: as :func:`kineme.dataset.annotations.read.read_segments` takes it.

    Raises:
        VideoError: the video cannot be read.
        KinemeError: the segments cannot be used, or something cannot be written.
    """
    segments, warnings = read_segments(segments_file, video, tier=tier, columns=columns)
    with sole_writer(out):
        folder = _ClipFolder(out)
        clips = folder.cut(video, segments, stem=video.stem, group=video.name)
        return CutVideos(folder.table, tuple(clips), (*warnings, *folder.warnings))


def split_sheet(
    sheet: Path, out: Path, *, tier: str | None = None, columns: Mapping[str, str] | None = None
) -> CutVideos:
    """Cut all videos that a file of annotations names, as :func:`split_video` does one.

    A video that cannot be cut is reported in ``errors``, and the others are cut all the same.

    Raises:
        KinemeError: the file cannot be used, no video could be cut, or something cannot be written.
    """
    by_video, warnings = read_segments_by_video(sheet, tier=tier, columns=columns)
    stems = Counter(video.stem for video in by_video)
    with sole_writer(out):
        folder = _ClipFolder(out)
        clips: list[tuple[CutClip, str]] = []
        errors = []
        for video, segments in by_video.items():
            name = (
                video.relative_to(sheet.parent).as_posix() if video.is_relative_to(sheet.parent) else video.as_posix()
            )
            stem = video.stem if stems[video.stem] == 1 else re.sub(r"[^\w.-]+", "-", name).strip("-.")
            try:
                clips += folder.cut(video, segments, stem=stem, group=name)
            except KinemeError as error:
                errors.append(str(error))
    if not clips:
        raise KinemeError("; ".join(errors[:3]))
    return CutVideos(folder.table, tuple(clips), (*warnings, *folder.warnings), tuple(errors))


def folder_of(label: str) -> str:
    """The name of a folder on any system that stands for a label."""
    safe = re.sub(r"[^\w .,()+-]+", "_", label).encode()[:120].decode(errors="ignore").strip(" .")
    return f"_{safe}" if not safe or _RESERVED.fullmatch(safe) else safe


@dataclass
class _ClipFolder:
    """A folder of clips with its two tables, which are written anew after each video."""

    out: Path
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = self.out / CSV_IN_FOLDER
        self._clips = _read(self.table, _COLUMNS)
        self._cuts = _read(self.out / _CUTS, _CUT_COLUMNS)

    def cut(self, video: Path, segments: list[Segment], *, stem: str, group: str) -> list[tuple[CutClip, str]]:
        """Cut the segments of one video into ``out/label/stem_NNN`` and note them in the tables."""
        source, stem = str(video.resolve()), file_stem(stem)
        if any(_stem_of(row["path"]) == stem for row in self._cuts if row["source"] != source):
            raise KinemeError(f"{self.out}: holds clips of another video named {video.name}; choose another folder")
        cutter = Cutter(video)
        spans = [self._span(one, cutter.info.duration_s) for one in segments]
        clips = []
        for number, (one, (start_s, end_s)) in enumerate(zip(track(segments, "cutting"), spans, strict=True), 1):
            clips.append(cutter.cut(start_s, end_s, self.out / folder_of(one.label) / f"{stem}_{number:03}"))
        earlier = {row["path"] for row in self._cuts if row["source"] == source}
        paths = [clip.path.relative_to(self.out).as_posix() for clip in clips]
        if orphans := sorted(earlier - set(paths)):
            self.warnings.append(
                f"{self.out}: {len(orphans)} clips of an earlier run are listed no more, such as {orphans[0]}"
            )
        self._clips = [row for row in self._clips if row["path"] not in earlier]
        self._cuts = [row for row in self._cuts if row["source"] != source]
        for path, clip, one in zip(paths, clips, segments, strict=True):
            self._clips.append({"path": path, "label": one.label, "group": one.group or group})
            self._cuts.append({"path": path, "source": source, **_cut_row(clip, one)})
        write_csv(self.table, _COLUMNS, [[row[name] for name in _COLUMNS] for row in self._clips])
        write_csv(self.out / _CUTS, _CUT_COLUMNS, [[row[name] for name in _CUT_COLUMNS] for row in self._cuts])
        return list(zip(clips, (one.label for one in segments), strict=True))

    def _span(self, one: Segment, duration_s: float) -> tuple[float, float]:
        """Start and end within the video."""
        if one.start_s >= duration_s:
            raise KinemeError(f"{one.where}: begins at {one.start_s:g} s, and the video ends at {duration_s:.2f} s")
        if one.end_s is not None and one.end_s > duration_s + 1.0:
            self.warnings.append(
                f"{one.where}: ends at {one.end_s:g} s, cut at the end of the video ({duration_s:.2f} s)"
            )
        return one.start_s, duration_s if one.end_s is None else min(one.end_s, duration_s)


def _cut_row(clip: CutClip, one: Segment) -> dict[str, str]:
    return {
        "asked_start_s": str(one.start_s),
        "asked_end_s": "" if one.end_s is None else str(one.end_s),
        "start_s": str(round(clip.start_s, 6)),
        "end_s": str(round(clip.end_s, 6)),
        "frames": str(clip.frames),
        "how": "copied" if clip.copied else "encoded",
    }


def _stem_of(path: str) -> str:
    """What stands for the video in the name of a clip: ``party`` of ``jump/party_001.mp4``."""
    return Path(path).stem.rpartition("_")[0]


def _read(path: Path, columns: list[str]) -> list[dict[str, str]]:
    """The rows of a table of an earlier run; none where there is no table yet."""
    if not path.is_file():
        return []
    sheet = read_sheet(path)
    if not set(columns) <= set(sheet.columns):
        raise KinemeError(f"{path}: is not a table of this command; choose another folder")
    return [cells for _, cells in sheet.rows]
