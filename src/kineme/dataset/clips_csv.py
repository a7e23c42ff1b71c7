"""From a CSV of labelled videos, or of parts of them, to a table of clips. No video is opened here."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from kineme.dataset.labels import clean
from kineme.dataset.sheet import Sheet, read_sheet, seconds
from kineme.dataset.table import (
    BY_MODEL,
    BY_PERSON,
    CONFIRMED,
    SPLITS,
    ClipTable,
    Skipped,
    build_table,
    clip_row,
    listed,
    named_person,
)
from kineme.errors import KinemeError

COLUMNS = (
    *("path", "label", "group", "split", "start_s", "end_s", "name", "fold", "labelled_throughout", "labelled_by"),
    *("track", "person_box"),
)

_YES_OR_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": None}


def read_clips_csv(
    path: Path, *, group_column: str | None = None, fold_column: str | None = None, base: Path | None = None
) -> ClipTable:
    """The table of a CSV; see :func:`kineme.dataset.scan.scan`.

    Args:
        path: the CSV.
        group_column: the column of the groups, where it is not ``group``.
        fold_column: the column of the folds, if any.
        base: look for the videos here by their ``name`` column, not by ``path``.

    Raises:
        KinemeError: as :func:`kineme.dataset.scan.scan`, naming the line.
    """
    sheet = read_sheet(path)
    _check_columns(sheet)
    group, fold = (column and column.strip().lower() for column in (group_column or "group", fold_column))
    for kind, given, column in (("groups", group_column, group), ("folds", fold_column, fold)):
        if given is not None and column not in sheet.columns:
            raise KinemeError(f"{path}: no column {given!r} for the {kind}; it has {listed(sheet.columns)}")
        if given is not None and not sheet.filled(str(column)):
            raise KinemeError(f"{path}: the column {given!r} for the {kind} is empty")
    columns = {"fold": fold, "group": group if sheet.filled(str(group)) else None}
    columns["split"] = "split" if sheet.filled("split") else None
    unused = [column for column in sheet.columns if column not in (*COLUMNS, group, fold)]
    warnings = [f"{path}: not used: column {listed(unused)}"] if unused else []

    folder = path.parent if base is None else base
    skipped: list[Skipped] = []
    rows: list[dict[str, Any]] = []
    throughout: dict[str, bool] = {}
    first_lines: dict[tuple[object, ...], tuple[int, dict[str, Any]]] = {}
    for line, cells in sheet.rows:
        where = f"{path}, line {line}"
        row = _row(where, cells, folder, columns, by_name=base is not None)
        said = _yes_or_no(where, "labelled_throughout", cells.get("labelled_throughout", ""))
        if said is not None and throughout.setdefault(row["path"], said) != said:
            raise KinemeError(f"{where}: labelled_throughout must be the same in all rows of {cells['path']}")
        span = os.path.normpath(Path(row["path"]).absolute()), row["start_s"], row["end_s"], *named_person(row)
        first_line, first = first_lines.setdefault(span, (line, row))
        if any(first[key] != row[key] for key in ("label", "group", "split")):
            raise KinemeError(
                f"{where}: {cells['path']} is already in line {first_line}, with another label, group or split"
            )
        if first is not row:
            skipped.append(Skipped(row["path"], f"line {line} repeats line {first_line}", "again"))
        elif reason := _why_missing(Path(row["path"])):
            skipped.append(Skipped(row["path"], reason))
        else:
            rows.append(row)
    if not rows:
        raise KinemeError(
            f"{path}: none of its {len(skipped)} videos is there; the first was looked for at {skipped[0].path} "
            f"(paths are relative to {folder})"
        )
    rows = [{**row, "labelled_throughout": throughout.get(row["path"])} for row in rows]
    source = "the group column" if group == "group" else f"the column {group_column!r}"
    return build_table(rows, skipped, warnings, group_source=source if columns["group"] else None)


def _check_columns(sheet: Sheet) -> None:
    for needed in ("path", "label"):
        if sheet.columns.count(needed) != 1:
            found = listed(sheet.columns) if any(sheet.columns) else "nothing"
            raise KinemeError(f"{sheet.path}: needs one column {needed!r} in its first line, which holds {found}")
    if not sheet.rows:
        raise KinemeError(f"{sheet.path}: lists no videos, only its first line")


def _row(
    where: str, cells: dict[str, str], folder: Path, columns: dict[str, str | None], *, by_name: bool
) -> dict[str, Any]:
    """One row of the table; ``columns`` names those of group, fold and split, where there are any."""
    written, label = needed_cell(where, "path", cells), clean(needed_cell(where, "label", cells))
    if by_name:
        written = cells.get("name") or written
    video = video_of(written, folder)
    start_s, end_s = _span(where, cells)
    group, fold, split = (cells[column] if (column := columns[key]) else None for key in ("group", "fold", "split"))
    labelled_by = cells.get("labelled_by", "").strip().lower() or None
    if labelled_by not in (None, BY_PERSON, CONFIRMED, BY_MODEL):
        raise KinemeError(
            f"{where}: labelled_by must be {BY_PERSON}, {CONFIRMED} or {BY_MODEL}, not {cells['labelled_by'][:40]!r}"
        )
    return clip_row(
        path=str(video),
        name=cells.get("name") or _name(video, folder, written),
        label=label,
        start_s=start_s,
        end_s=end_s,
        group=clean(group) if group else None,
        fold=clean(fold) if fold else None,
        split=_split_name(where, split) if split else None,
        labelled_by=labelled_by,
        track=_track(where, cells.get("track", "")),
        person_box=_box(where, cells.get("person_box", "")),
    )


def _why_missing(file: Path) -> str | None:
    """Why there is no file to open; None where there is one."""
    try:
        if file.is_file():
            return None
        return "is a folder, not a video" if file.is_dir() else "no such file"
    except OSError as error:  # such as a name that is too long
        return f"cannot be found ({error.strerror})"


def video_of(written: str, folder: Path) -> Path:
    """The file that a cell means, which is relative to ``folder``."""
    if ".." in Path(written).parts:  # resolved, for the folder may be reached through a link
        return Path(os.path.normpath(folder.resolve() / written))
    return folder / written


def needed_cell(where: str, column: str, cells: dict[str, str]) -> str:
    """The cell of a column that must not be empty."""
    if not clean(cells[column]):
        raise KinemeError(f"{where}: the {column} is empty")
    return cells[column]


def _span(where: str, cells: dict[str, str]) -> tuple[float, float | None]:
    """``start_s`` and ``end_s`` of a row, seconds."""
    values: list[float | None] = []
    for column in ("start_s", "end_s"):
        text = cells.get(column, "").strip()
        try:
            values.append(seconds(text) if text else None)
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


def _track(where: str, text: str) -> int | None:
    if not text.strip():
        return None
    if not text.strip().isdecimal():
        raise KinemeError(f"{where}: track must be the number of a person, not {text!r}")
    return int(text)


def _box(where: str, text: str) -> list[float] | None:
    """A cell that holds ``"x0 y0 x1 y1"``."""
    if not text.strip():
        return None
    try:
        left, top, right, bottom = box = [float(side) for side in text.replace(",", " ").split()]
    except ValueError:
        box, left, top, right, bottom = [], 0.0, 0.0, 0.0, 0.0
    if not (left < right and top < bottom and all(map(math.isfinite, box))):
        raise KinemeError(
            f"{where}: person_box must be 'x0 y0 x1 y1' in pixels, with x0 < x1 and y0 < y1, not {text!r}"
        )
    return box


def _split_name(where: str, text: str) -> str:
    name = text.strip().lower()
    name = "validation" if name == "val" else name
    if name not in SPLITS:
        raise KinemeError(f"{where}: the split must be one of {', '.join(SPLITS)}, not {text!r}")
    return name


def _name(video: Path, folder: Path, written: str) -> str:
    """How a video of a CSV is called: relative to the folder of the CSV where it lies in there."""
    return video.relative_to(folder).as_posix() if video.is_relative_to(folder) else Path(written).as_posix()
