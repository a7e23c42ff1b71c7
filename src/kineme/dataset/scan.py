"""From a folder of class folders, or a CSV, to a table of clips. No video is opened here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kineme.dataset.clips_csv import read_clips_csv
from kineme.dataset.table import ClipTable, Skipped, build_table, clip_row, listed
from kineme.errors import KinemeError, UsageError
from kineme.video.container import VIDEO_SUFFIXES

CSV_IN_FOLDER = "clips.csv"

_OS_JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "system volume information"}
_SPLIT_FOLDERS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def scan(data: str | os.PathLike[str], *, group_column: str | None = None, fold_column: str | None = None) -> ClipTable:
    """List the labelled videos of a folder or a CSV.

    Args:
        data: a folder of ``class/video.*`` (folders inside a class folder are searched too); or a CSV with the
            columns path and label and perhaps group, split, fold, start_s, end_s, labelled_throughout, labelled_by, its
            paths relative to its own folder; or a folder that holds such a ``clips.csv``. ``start_s`` and ``end_s``
            make a row a part of a longer video. ``labelled_throughout`` (yes or no, once for each video) says that
            every action in the video has a row, so that the time between its rows is background. ``labelled_by``
            (person, model+person or model) says who gave the label: what no person has confirmed is never tested on.
        group_column: the column of the CSV that holds the groups, where it is not ``group``.
        fold_column: the column of the CSV that holds the folds, if any.

    Returns:
        The table, sorted by name and start, with skipped files and warnings.

    Raises:
        KinemeError: there is nothing to use, or the CSV holds something that cannot be meant.
        UsageError: a column was given for a folder without a CSV.
    """
    source = Path(data)
    if source.is_dir() and (source / CSV_IN_FOLDER).is_file():
        source = source / CSV_IN_FOLDER
    if source.is_file() and source.suffix.lower() in VIDEO_SUFFIXES:
        raise KinemeError(f"{source}: is a video; give a folder with a folder of videos for each action, or a CSV")
    if source.is_file():
        return read_clips_csv(source, group_column=group_column, fold_column=fold_column)
    if not source.is_dir():
        raise KinemeError(f"{source}: no such folder or CSV file; check the path")
    for kind, column in (("group", group_column), ("fold", fold_column)):
        if column is not None:
            raise UsageError(f"{source}: a {kind} column needs a CSV, and this folder holds no {CSV_IN_FOLDER}")
    return _read_folder(source)


def _read_folder(folder: Path) -> ClipTable:
    """The table of ``folder/class/.../video.*``."""
    skipped: list[Skipped] = []
    rows: list[dict[str, Any]] = []
    for file in walk(folder, skipped):
        parts = file.relative_to(folder).parts
        if not _is_text(str(file)):
            readable = os.fsencode(file).decode(errors="replace")
            skipped.append(Skipped(readable, "its name is not valid text (UTF-8); rename it"))
        elif file.suffix.lower() not in VIDEO_SUFFIXES:
            skipped.append(Skipped(str(file), "not a video by its name", "no-video"))
        elif len(parts) == 1:
            skipped.append(Skipped(str(file), "not in a class folder", "no-class"))
        else:
            rows.append(clip_row(path=str(file), name="/".join(parts), label=parts[0]))
    if not rows:
        raise KinemeError(f"{folder}: {_why_empty(skipped)}")

    labels = {row["name"].partition("/")[0] for row in rows}
    if len(labels) > 1 and {label.lower() for label in labels} <= _SPLIT_FOLDERS:
        raise KinemeError(
            f"{folder}: its folders {listed(sorted(labels))} look like splits, not classes; "
            f"give one of them, or a CSV with the columns path, label and split"
        )
    warnings = []
    barren = sorted(
        child.name
        for child in folder.iterdir()
        if child.is_dir() and not _is_junk(child.name) and child.name not in labels
    )
    if barren:
        warnings.append(f"no video in the folder {listed(barren)}: not a class")
    return build_table(rows, skipped, warnings, group_source=None)


def walk(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """Every file below ``folder`` but hidden ones and junk, in order of name; links are followed, loops are not."""
    seen: set[str] = set()

    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(str(error.filename), f"cannot be read ({error.strerror})"))

    for root, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            skipped.append(Skipped(root, "a link to a folder that is read already", "again"))
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        for name in sorted(files):
            if not _is_junk(name):
                yield Path(root, name)


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _OS_JUNK


def _is_text(name: str) -> bool:
    """False for the names that some old archives leave behind, which no table or terminal can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _why_empty(skipped: list[Skipped]) -> str:
    """Why a folder yields no labelled video, and what to do."""
    loose = [item for item in skipped if item.kind == "no-class"]
    if loose:
        return (
            f"holds {len(loose)} videos but no class folders; put them into one folder for each class, "
            f"or give a CSV with the columns path and label"
        )
    hint = "expected one folder for each class with its videos inside, or a CSV with the columns path and label"
    if skipped:
        return f"holds no video, only {len(skipped)} other files such as {Path(skipped[0].path).name}; {hint}"
    return f"holds no video; {hint}"
