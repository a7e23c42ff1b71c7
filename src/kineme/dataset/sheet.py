"""Tables as people and programs write them: CSV with commas, semicolons or tabs in usual encodings, or a workbook."""

from __future__ import annotations

import csv
import datetime
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from kineme.dataset.labels import clean
from kineme.errors import KinemeError, UsageError

_MOST_BYTES = 50_000_000
_MOST_UNPACKED = 500_000_000  # of a workbook, which is a zip file
_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

Rows = list[tuple[int, list[str]]]


class Sheet(NamedTuple):
    """The columns of a table, in lower case, and its rows, each with its line number. ``path`` is for messages."""

    path: Path
    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]

    def filled(self, column: str) -> bool:
        """Whether a column is filled in.

        Raises:
            KinemeError: it is filled in here and there only.
        """
        empty = [line for line, cells in self.rows if not cells.get(column, "").strip()]
        if empty and len(empty) < len(self.rows):
            raise KinemeError(f"{self.path}, line {empty[0]}: the {column} is empty; fill it in everywhere or nowhere")
        return not empty


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook of Excel or LibreOffice, by its name."""
    return path.suffix.lower() in _WORKBOOKS


def read_text(path: Path) -> str:
    """The text of a file in UTF-8 or UTF-16, else in Windows-1252, which older programs of the West write.

    Raises:
        KinemeError: it cannot be read, is no text, or is far too large for what people write.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise KinemeError(f"{path}: has more than {_MOST_BYTES // 1_000_000} MB, too much for a table")
        content = path.read_bytes()
    except OSError as error:
        raise KinemeError(f"{path}: cannot be read ({error.strerror})") from error
    for encoding in (_UTF16.get(content[:2]) or _without_mark(content) or "utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if any(one < " " and one not in "\t\n\r\f\v\x1c\x1d\x1e\x1f" for one in text):
            break
        return text.replace("\r\n", "\n").replace("\r", "\n")
    raise KinemeError(f"{path}: is not a CSV or other text; save it again as UTF-8 ('CSV UTF-8')")


def read_rows(path: Path) -> Rows:
    """The rows of a CSV or of the first sheet of a workbook, with their line numbers; empty ones are left out.

    Raises:
        KinemeError: it cannot be read.
    """
    return _rows_of_workbook(path) if is_workbook(path) else rows_of_text(path, read_text(path))


def read_sheet(path: Path) -> Sheet:
    """The table of a file; see :func:`read_rows` and :func:`sheet_of`."""
    return sheet_of(path, read_rows(path))


def rows_of_text(path: Path, text: str) -> Rows:
    """A CSV as rows; see :func:`read_rows`.

    Raises:
        KinemeError: it is no CSV.
    """
    rows: Rows = []
    head, _, rest = text.partition("\n")
    told = head.strip().lower()
    skipped = told.startswith("sep=") and len(told) == 5  # as Excel writes it
    body, delimiter = (rest, told[-1]) if skipped else (text, max(",;\t", key=head.count))
    try:
        reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
        rows += [(reader.line_num + skipped, cells) for cells in reader if any(cells)]
    except csv.Error as error:
        raise KinemeError(f"{path}: is not a CSV that can be read ({error})") from error
    return rows


def sheet_of(path: Path, rows: Rows, columns: Mapping[str, str] | None = None) -> Sheet:
    """Rows under the names of the first one.

    Args:
        path: for messages.
        rows: the names, and the others.
        columns: what columns are called: Kineme's names to those of the file.

    Raises:
        KinemeError: a row has more cells than there are columns.
        UsageError: there is no such column.
    """
    names = [_name(cell) for cell in (rows[0][1] if rows else [])]
    for ours, theirs in (columns or {}).items():
        if _name(theirs) not in names:
            raise UsageError(f"{path}: has no column {theirs!r}; it has {', '.join(map(repr, names))}")
        names = [ours if name == _name(theirs) else name for name in names]
    found = []
    for line, cells in rows[1:]:
        if any(cells[len(names) :]):
            raise KinemeError(
                f"{path}, line {line}: more cells than columns; a path or label with a comma needs quotes around it"
            )
        found.append((line, dict(zip_longest(names, cells[: len(names)], fillvalue=""))))
    return Sheet(path, names, found)


def seconds(text: str) -> float:
    """Seconds of ``"75"``, ``"75,5"``, ``"1:15"``, ``"1:15.5"`` or ``"1:02:15"``; ValueError for anything else."""
    *larger, last = text.strip().replace(",", ".").split(":")
    if len(larger) > 2 or len(text) > 100:
        raise ValueError(text)
    value = float(last)
    for scale, part in zip((60, 3600), reversed(larger), strict=False):
        value += scale * int(part)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _name(cell: str) -> str:
    return clean(cell).lower()


def _without_mark(content: bytes) -> str | None:
    """UTF-16 that says not that it is: every second byte of Western text is 0."""
    head = content[:200]
    if len(head) < 4 or b"\0" not in head:
        return None
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > len(head) // 3 and not even:
        return "utf-16-le"
    return "utf-16-be" if even > len(head) // 3 and not odd else None


def _rows_of_workbook(path: Path) -> Rows:
    from python_calamine import CalamineError, load_workbook

    try:
        size = path.stat().st_size
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                size = max(size, sum(one.file_size for one in packed.infolist()))
        if size > _MOST_UNPACKED:
            raise KinemeError(f"{path}: has more than {_MOST_UNPACKED // 1_000_000} MB, too much for a table")
        with load_workbook(path) as book:
            rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except OSError as error:
        raise KinemeError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (CalamineError, zipfile.BadZipFile, IndexError) as error:
        raise KinemeError(f"{path}: is not a workbook that can be read ({str(error)[:200]})") from error
    return [(line, cells) for line, row in enumerate(rows, 1) if any(cells := _cells(row))]


def _cells(row: Sequence[Any]) -> list[str]:
    """Cells as text: whole numbers without a fraction, durations and times of day as clock times."""
    cells = []
    for value in row:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        elif isinstance(value, datetime.timedelta):
            value = value.total_seconds()
        elif isinstance(value, datetime.time):
            value = f"{value.hour}:{value.minute:02}:{value.second + value.microsecond / 1e6:09.6f}"
        cells.append(str(value))
    return cells
