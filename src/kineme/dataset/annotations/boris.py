"""BORIS, tables of events: "tabular events" with a row for each start and stop, or "aggregated events".

https://boris.readthedocs.io/ ; older versions begin with facts of the observation, and the table comes after them.
"""

from __future__ import annotations

from collections import defaultdict

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.segment import Found, instant
from kineme.dataset.sheet import Sheet, sheet_of

_VIDEO = ("media file name", "media file path", "media file")
_STATE = ("behavior type", "status")
_START, _STOP = ("start (s)", "start"), ("stop (s)", "stop")


def _sheet(document: Document) -> Sheet | None:
    """The table of events, wherever it begins."""
    for at, (_, cells) in enumerate(document.head):
        names = {cell.strip().lower() for cell in cells}
        if "behavior" in names and (names & {"time", *_START}) and names & set(_STATE):
            width = max((place for place, cell in enumerate(cells, 1) if cell.strip()), default=0)
            return sheet_of(document.path, [(line, row[:width]) for line, row in document.rows[at:]])
    return None


def _read(document: Document) -> Found:
    sheet, found = _sheet(document), Found()
    assert sheet is not None
    start = _one_of(sheet, _START)
    if start is None:
        _events(sheet, found)
        return found
    stop, video, state = _one_of(sheet, _STOP), _one_of(sheet, _VIDEO), _one_of(sheet, _STATE)
    for line, cells in sheet.rows:
        where = f"{sheet.path}, line {line}"
        if state and cells[state].strip().upper() == "POINT":
            found.left_out.append(f"{where}: {cells['behavior']!r} is a point in time, left out")
            continue
        times = [_time(where, cells.get(name or "", "")) for name in (start, stop)]
        begins, ends = times if None not in times else (None, None)
        found.add(where, begins, ends, cells["behavior"], tier=_tier(cells), video=cells[video] if video else "")
    return found


def _events(sheet: Sheet, found: Found) -> None:
    """Pair each START with the next STOP of the same subject and behaviour in the same video."""
    video, state = _one_of(sheet, _VIDEO), _one_of(sheet, _STATE)
    began: dict[tuple[str, str, str, str], list[tuple[str, float | None]]] = defaultdict(list)
    for line, cells in sheet.rows:
        where = f"{sheet.path}, line {line}"
        kind, time_s = cells[state or ""].strip().upper(), _time(where, cells.get("time", ""))
        name = cells[video] if video else ""
        key = (cells.get("observation id", ""), name, cells.get("subject", ""), cells["behavior"])
        if kind == "START":
            began[key].append((where, time_s))
        elif kind == "STOP" and began[key]:
            place, start_s = began[key].pop(0)
            found.add(place, start_s, time_s, cells["behavior"], tier=_tier(cells), video=name)
        else:
            reason = "stops without a start" if kind == "STOP" else "is a point in time"
            found.left_out.append(f"{where}: {cells['behavior']!r} {reason}, left out")
    for key, left in began.items():
        for where, _ in left:
            found.left_out.append(f"{where}: {key[3]!r} starts and never stops, left out")


def _tier(cells: dict[str, str]) -> str:
    """The subject where there is one: two subjects are two tracks."""
    subject = cells.get("subject", "").strip()
    return "" if subject.lower() == "no focal subject" else subject


def _one_of(sheet: Sheet, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in sheet.columns), None)


def _time(where: str, text: str) -> float | None:
    return None if text.strip().upper() in ("", "NA", "NAN") else instant(where, text)


BORIS = Form("BORIS", "table", "BORIS events (Behavior, Status)", lambda document: _sheet(document) is not None, _read)
