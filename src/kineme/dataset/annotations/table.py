"""A table with the columns ``start_s``, ``end_s``, ``label`` and perhaps ``path`` and ``group``; CSV or a workbook.

In place of times, ``start_frame`` and ``end_frame`` may hold the first and the last frame, counted from 0.
"""

from __future__ import annotations

import math

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.segment import Found, FrameNumber, Instant, frame
from kineme.dataset.clips_csv import COLUMNS, needed_cell
from kineme.dataset.labels import clean
from kineme.dataset.sheet import is_workbook, seconds
from kineme.dataset.table import listed
from kineme.errors import KinemeError

_NOT_USED = ("split", "fold", "labelled_throughout", "labelled_by")
_STARTS = ("start_s", "start_frame")


def _recognises(document: Document) -> bool:
    if is_workbook(document.path) or document.path.suffix.lower() in (".csv", ".tsv") or document.columns:
        return True
    columns = [cell.strip().lower() for cell in document.head[0][1]] if document.head else []
    return "label" in columns and any(name in columns for name in _STARTS)


def _read(document: Document) -> Found:
    sheet, found = document.sheet, Found()
    starts = [name for name in _STARTS if name in sheet.columns]
    if not starts or "label" not in sheet.columns:
        raise KinemeError(
            f"{document.path}: needs the columns start_s, end_s and label (or start_frame and end_frame); it has "
            f"{listed(sheet.columns)}; --columns label=NAME gives the column names"
        )
    others = [name for name in sheet.columns if name in COLUMNS and name in _NOT_USED]
    if others:
        found.left_out.append(f"{document.path}: not used: column {listed(others)}")
    has_groups = sheet.filled("group")
    for line, cells in sheet.rows:
        where = f"{document.path}, line {line}"
        label = clean(needed_cell(where, "label", cells))
        start, end = _span(where, cells, starts[0])
        video = needed_cell(where, "path", cells) if "path" in sheet.columns else ""
        group = clean(cells["group"]) if has_groups else None
        found.add(where, start, end, label, video=video, group=group)
    return found


def _span(where: str, cells: dict[str, str], start_column: str) -> tuple[Instant, Instant | None]:
    if start_column == "start_frame":
        last = cells.get("end_frame", "").strip()
        end = FrameNumber(frame(where, last).number + 1) if last else None
        return frame(where, cells["start_frame"].strip()), end
    try:
        end_s = seconds(cells["end_s"]) if cells.get("end_s", "").strip() else None
        start_s = seconds(cells["start_s"])
    except ValueError:
        raise KinemeError(f"{where}: times must be seconds, or 1:02:15.5, not {cells['start_s'][:40]!r}") from None
    if not 0 <= start_s < (math.inf if end_s is None else end_s):
        raise KinemeError(f"{where}: must begin at 0 or later and end after that, not {start_s:g} to {end_s}")
    return start_s, end_s


TABLE = Form("a table", "table", "a table with start_s, end_s and label", _recognises, _read)
