"""From a folder of class folders, or a CSV, to a table of clips. No video is opened here."""

from __future__ import annotations

import csv
import math
import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from kineme.dataset.groups import NAME_RULES, guess_groups
from kineme.dataset.table import SCHEMA, SPLITS, ClipTable, Skipped, listed
from kineme.errors import KinemeError, UsageError
from kineme.video.container import VIDEO_SUFFIXES

CSV_IN_FOLDER = "clips.csv"

_OS_JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "system volume information"}
_COLUMNS = ("path", "label", "group", "split", "start_s", "end_s", "name", "fold", "labelled_throughout")
_YES_OR_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": None}
_SPLIT_FOLDERS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def scan(data: str | os.PathLike[str], *, group_column: str | None = None, fold_column: str | None = None) -> ClipTable:
    """List the labelled videos of a folder or a CSV.

    Args:
        data: a folder of ``class/video.*`` (folders inside a class folder are searched too); or a CSV with the
            columns path and label and perhaps group, split, fold, start_s, end_s, labelled_throughout, its paths
            relative to its own folder; or a folder that holds such a ``clips.csv``. ``start_s`` and ``end_s`` make a
            row a part of a longer video. ``labelled_throughout`` (yes or no, once for each video) says that every
            action in the video has a row, so that the time between its rows is background.
        group_column: the column of the CSV that holds the groups, where it is not ``group``.
        fold_column: the column of the CSV that holds the folds, if any.

    Returns:
        The table, sorted by name and start, with what was skipped and what to be warned of.

    Raises:
        KinemeError: there is nothing to use, or the CSV holds something that cannot be meant.
        UsageError: a column was given for a folder without a CSV.
    """
    source = Path(data)
    if source.is_dir() and (source / CSV_IN_FOLDER).is_file():
        source = source / CSV_IN_FOLDER
    if source.is_file():
        return read_csv(source, group_column=group_column, fold_column=fold_column)
    if not source.is_dir():
        raise KinemeError(f"{source}: no such folder or CSV file; check the path")
    for kind, column in (("group", group_column), ("fold", fold_column)):
        if column is not None:
            raise UsageError(f"{source}: a {kind} column needs a CSV, and this folder holds no {CSV_IN_FOLDER}")
    return _read_folder(source)


# A folder of class folders


def _read_folder(folder: Path) -> ClipTable:
    """The table of ``folder/class/.../video.*``."""
    skipped: list[Skipped] = []
    rows: list[dict[str, Any]] = []
    for file in _walk(folder, skipped):
        parts = file.relative_to(folder).parts
        if not _is_text(str(file)):
            readable = os.fsencode(file).decode(errors="replace")
            skipped.append(Skipped(readable, "its name is not valid text (UTF-8); rename it"))
        elif file.suffix.lower() not in VIDEO_SUFFIXES:
            skipped.append(Skipped(str(file), "not a video by its name"))
        elif len(parts) == 1:
            skipped.append(Skipped(str(file), "not in a class folder"))
        else:
            rows.append(_row(path=str(file), name="/".join(parts), label=parts[0]))
    if not rows:
        raise KinemeError(f"{folder}: {_why_empty(skipped)}")

    labels = {row["label"] for row in rows}
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
    return _table(rows, skipped, warnings, group_source=None)


def _walk(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """Every file below ``folder`` but hidden ones and junk, in order of name; links are followed, loops are not."""
    seen: set[str] = set()

    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(str(error.filename), f"cannot be read ({error.strerror})"))

    for root, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            skipped.append(Skipped(root, "a link to a folder that is read already"))
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
    loose = [item for item in skipped if item.reason == "not in a class folder"]
    if loose:
        return (
            f"holds {len(loose)} videos but no class folders; put them into one folder for each class, "
            f"or give a CSV with the columns path and label"
        )
    hint = "expected one folder for each class with its videos inside, or a CSV with the columns path and label"
    if skipped:
        return f"holds no video, only {len(skipped)} other files such as {Path(skipped[0].path).name}; {hint}"
    return f"holds no video; {hint}"


# A CSV


def read_csv(
    path: Path, *, group_column: str | None = None, fold_column: str | None = None, base: Path | None = None
) -> ClipTable:
    """The table of a CSV; see :func:`scan`.

    Args:
        path: the CSV.
        group_column: the column of the groups, where it is not ``group``.
        fold_column: the column of the folds, if any.
        base: look for the videos here by their ``name`` column, not by ``path``.

    Raises:
        KinemeError: as :func:`scan`, naming the line.
    """
    sheet = _read_sheet(path)
    group, fold = (column and column.strip().lower() for column in (group_column or "group", fold_column))
    has_groups = _all_or_none(path, sheet, str(group))
    for kind, column, name in (("groups", group_column, group), ("folds", fold_column, fold)):
        if column is not None and name not in sheet.columns:
            raise KinemeError(f"{path}: no column {column!r} for the {kind}; it has {listed(sheet.columns)}")
        if column is not None and not _all_or_none(path, sheet, str(name)):
            raise KinemeError(f"{path}: the column {column!r} for the {kind} is empty")
    has_split = _all_or_none(path, sheet, "split")
    warnings = []
    unused = [column for column in sheet.columns if column not in (*_COLUMNS, group, fold)]
    if unused:
        warnings.append(f"{path}: not used: column {listed(unused)}")

    folder = path.parent if base is None else base
    skipped: list[Skipped] = []
    rows: list[dict[str, Any]] = []
    throughout_by_path: dict[str, bool] = {}
    first_lines: dict[tuple[str, float, float | None], tuple[int, dict[str, Any]]] = {}
    for line, cells in sheet.lines:
        where = f"{path}, line {line}"
        written = _needed(where, "path", cells)
        _needed(where, "label", cells)
        if base is not None:
            written = cells.get("name") or written
        video = folder / written
        if ".." in Path(written).parts:  # resolved, for the folder may be reached through a link
            video = Path(os.path.normpath(folder.resolve() / written))
        start_s, end_s = _span(where, cells)
        row = _row(
            path=str(video),
            name=cells.get("name") or _name(video, folder, written),
            label=cells["label"],
            start_s=start_s,
            end_s=end_s,
            group=cells[str(group)].strip() if has_groups else None,
            fold=cells[fold].strip() if fold else None,
            split=_split_name(where, cells["split"]) if has_split else None,
        )
        throughout = _yes_or_no(where, "labelled_throughout", cells.get("labelled_throughout", ""))
        if throughout is not None and throughout_by_path.setdefault(row["path"], throughout) != throughout:
            raise KinemeError(f"{where}: labelled_throughout must be the same in all rows of {written}")
        first_line, first = first_lines.setdefault((os.path.normpath(video.absolute()), start_s, end_s), (line, row))
        if first is not row and any(first[key] != row[key] for key in ("label", "group", "split")):
            raise KinemeError(f"{where}: {written} is already in line {first_line}, with another label, group or split")
        if first is not row:
            skipped.append(Skipped(str(video), f"line {line} repeats line {first_line}"))
        elif video.is_file():
            rows.append(row)
        else:
            skipped.append(Skipped(str(video), "is a folder, not a video" if video.is_dir() else "no such file"))
    if not rows:
        raise KinemeError(
            f"{path}: none of its {len(skipped)} videos is there; the first was looked for at {skipped[0].path} "
            f"(paths are relative to {folder})"
        )
    rows = [{**row, "labelled_throughout": throughout_by_path.get(row["path"])} for row in rows]
    source = None if not has_groups else "the group column" if group == "group" else f"the column {group_column!r}"
    return _table(rows, skipped, warnings, group_source=source)


class _Sheet(NamedTuple):
    """The columns of a CSV, in lower case, and its rows with their line numbers."""

    columns: list[str]
    lines: list[tuple[int, dict[str, str]]]


def _read_sheet(path: Path) -> _Sheet:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=head.count), strict=True)
            columns = [cell.strip().lower() for cell in next(reader, [])]
            lines = [(reader.line_num, cells) for cells in reader if any(cells)]
    except UnicodeDecodeError as error:
        raise KinemeError(f"{path}: is not a CSV in UTF-8; save it again as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise KinemeError(f"{path}: is not a CSV that can be read ({error})") from error
    except OSError as error:
        raise KinemeError(f"{path}: cannot be read ({error.strerror})") from error
    for needed in ("path", "label"):
        if columns.count(needed) != 1:
            found = listed(columns) if any(columns) else "nothing"
            raise KinemeError(f"{path}: needs one column {needed!r} in its first line, which holds {found}")
    if not lines:
        raise KinemeError(f"{path}: lists no videos, only its first line")
    for line, cells in lines:
        if len(cells) > len(columns):
            raise KinemeError(
                f"{path}, line {line}: more cells than columns; a path with a comma needs quotes around it"
            )
    return _Sheet(columns, [(line, dict(zip_longest(columns, cells, fillvalue=""))) for line, cells in lines])


def _all_or_none(path: Path, sheet: _Sheet, column: str) -> bool:
    """Whether the column is filled in; one filled in only here and there is an error."""
    empty = [line for line, cells in sheet.lines if not cells.get(column, "").strip()]
    if empty and len(empty) < len(sheet.lines):
        raise KinemeError(f"{path}, line {empty[0]}: the {column} is empty; fill it in everywhere or nowhere")
    return not empty


def _needed(where: str, column: str, cells: dict[str, str]) -> str:
    if not cells[column].strip():
        raise KinemeError(f"{where}: the {column} is empty")
    return cells[column]


def _span(where: str, cells: dict[str, str]) -> tuple[float, float | None]:
    """``start_s`` and ``end_s`` of a row, seconds."""
    values: list[float | None] = []
    for column in ("start_s", "end_s"):
        text = cells.get(column, "").strip()
        try:
            values.append(float(text) if text else None)
        except ValueError:
            raise KinemeError(f"{where}: {column} must be a number of seconds, not {text!r}") from None
    start_s, end_s = values[0] or 0.0, values[1]
    if not 0 <= start_s < math.inf or (end_s is not None and not start_s < end_s < math.inf):
        raise KinemeError(f"{where}: start_s must be 0 or more and end_s greater, not {start_s:g} and {end_s}")
    return start_s, end_s


def _yes_or_no(where: str, column: str, text: str) -> bool | None:
    try:
        return _YES_OR_NO[text.strip().lower()]
    except KeyError:
        raise KinemeError(f"{where}: {column} must be yes or no, not {text!r}") from None


def _split_name(where: str, text: str) -> str:
    name = text.strip().lower()
    name = "validation" if name == "val" else name
    if name not in SPLITS:
        raise KinemeError(f"{where}: the split must be one of {', '.join(SPLITS)}, not {text!r}")
    return name


def _name(video: Path, folder: Path, written: str) -> str:
    """How a video of a CSV is called: relative to the folder of the CSV where it lies in there."""
    return video.relative_to(folder).as_posix() if video.is_relative_to(folder) else Path(written).as_posix()


# Both


def _row(*, path: str, name: str, label: str, **more: Any) -> dict[str, Any]:
    """One row of the table, the columns not given at their defaults."""
    empty = {"group": None, "start_s": 0.0, "end_s": None, "split": None, "fold": None, "labelled_throughout": None}
    return {"path": path, "name": name, "label": label, **empty, **more}


def _table(
    rows: list[dict[str, Any]], skipped: list[Skipped], warnings: list[str], *, group_source: str | None
) -> ClipTable:
    """Sort the rows, guess the groups where they are not given, and add the warnings every table may need."""
    rows.sort(key=lambda row: (row["name"], row["start_s"]))
    if group_source is None:
        groups, group_source = guess_groups([row["name"] for row in rows], [row["label"] for row in rows])
        rows = [{**row, "group": group} for row, group in zip(rows, groups, strict=True)]
        if group_source not in NAME_RULES:
            warnings.append(
                f"groups: {group_source}; where two videos show the same person or scene, one may be trained on and "
                f"the other tested on, and the accuracy is then too high; a CSV with a column 'group' prevents that"
            )
    alike = defaultdict(set)
    for row in rows:
        alike[row["label"].strip().casefold()].add(row["label"])
    for labels in alike.values():
        if len(labels) > 1:
            warnings.append(
                f"the labels {listed(sorted(labels))} differ only by case or spaces, and count as different classes"
            )
    skipped.sort(key=lambda item: item.path)
    return ClipTable(pl.DataFrame(rows, schema=SCHEMA), group_source, tuple(skipped), tuple(warnings))
