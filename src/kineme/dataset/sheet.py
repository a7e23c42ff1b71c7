"""CSV files as people and programs write them: with commas, semicolons or tabs, and line numbers for messages."""

from __future__ import annotations

import csv
import io
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from kineme.errors import KinemeError

_MOST_BYTES = 50_000_000


class Sheet(NamedTuple):
    """The columns of a CSV, in lower case, and its rows, each with its line number. ``path`` is for messages."""

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


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        KinemeError: it cannot be read, is no such text, or is far too large for what people write.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise KinemeError(f"{path}: has more than {_MOST_BYTES // 1_000_000} MB, too much for a table")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise KinemeError(
            f"{path}: is not a CSV or other text in UTF-8; save it again as UTF-8 ('CSV UTF-8')"
        ) from error
    except OSError as error:
        raise KinemeError(f"{path}: cannot be read ({error.strerror})") from error
    if "\0" in text:  # no name of a file can hold it
        raise KinemeError(f"{path}: is not a CSV or other text; it holds bytes of value 0")
    return text


def read_sheet(path: Path) -> Sheet:
    """The CSV of a file; see :func:`parse_sheet` and :func:`read_text`."""
    return parse_sheet(path, read_text(path))


def columns_of(text: str) -> list[str]:
    """The cells of the first line, in lower case."""
    return [cell.strip().strip('"').lower() for cell in _first_line(text).split(_delimiter(text))]


def parse_sheet(path: Path, text: str) -> Sheet:
    """A CSV as columns and rows; empty rows are left out.

    Raises:
        KinemeError: it is no CSV, or a row has more cells than there are columns.
    """
    rows = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
        columns = [cell.strip().lower() for cell in next(reader, [])]
        for cells in reader:
            if len(cells) > len(columns) and any(cells):
                raise KinemeError(
                    f"{path}, line {reader.line_num}: more cells than columns; a path or label with a comma needs "
                    f"quotes around it"
                )
            if any(cells):
                rows.append((reader.line_num, dict(zip_longest(columns, cells, fillvalue=""))))
    except csv.Error as error:
        raise KinemeError(f"{path}: is not a CSV that can be read ({error})") from error
    return Sheet(path, columns, rows)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _delimiter(text: str) -> str:
    return max(",;\t", key=_first_line(text).count)
