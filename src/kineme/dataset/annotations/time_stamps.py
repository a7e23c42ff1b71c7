"""Lines of text with a time stamp and a label each, as under videos on YouTube."""

from __future__ import annotations

import re

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.segment import Found
from kineme.dataset.sheet import seconds
from kineme.errors import KinemeError

_CLOCK = r"(?:\d+:)?\d{1,3}:\d{2}(?:[.,]\d+)?"
_LINE = re.compile(rf"\W*?(?P<start>{_CLOCK})\b(?:\W*?(?:[-–—]|\bto\b)\s*(?P<end>{_CLOCK})\b)?\W*?(?P<label>\w.*)?")


def _read(document: Document) -> Found:
    stamps: list[tuple[str, float, float | None, str]] = []
    found = Found()
    for number, line in enumerate(document.text.splitlines(), 1):
        where = f"{document.path}, line {number}"
        if match := _LINE.fullmatch(line.strip()):
            try:
                start_s, end_s = (seconds(match[name]) if match[name] else None for name in ("start", "end"))
            except ValueError:
                raise KinemeError(f"{where}: holds an invalid time") from None
            if stamps and (start_s or 0.0) < stamps[-1][1]:
                raise KinemeError(f"{where}: {match['start']} comes after a later time; put the stamps in order")
            stamps.append((where, start_s or 0.0, end_s, match["label"] or ""))
        elif line.strip():
            found.left_out.append(f"{where}: begins with no time stamp, left out")
    ends: list[float | None] = [*(start_s for _, start_s, *_ in stamps[1:]), None][: len(stamps)]
    for (where, start_s, end_s, label), next_s in zip(stamps, ends, strict=True):
        if label.strip():
            found.add(where, start_s, next_s if end_s is None else end_s, label)
    return found


TIME_STAMPS = Form("time stamps", "table", "lines such as '0:15 jump'", lambda document: True, _read)
