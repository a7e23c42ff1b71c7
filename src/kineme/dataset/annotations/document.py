"""An annotation file, opened once: its text, and its content as XML, JSON or a table, parsed on first use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from kineme.dataset.sheet import Sheet, is_workbook, read_rows, read_text, rows_of_text, sheet_of
from kineme.errors import KinemeError

Row = tuple[int, list[str]]
_HEAD = 200


@dataclass(frozen=True)
class Document:
    """A file that may hold annotations.

    Args:
        path: of the file.
        text: that it holds; "" for a workbook.
        columns: for a table, what its columns are called that are not called as Kineme calls them: ours to theirs.
    """

    path: Path
    text: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``"XML"``, ``"JSON"``, or ``"table"`` for all else, be it a table or lines of text."""
        if self.text.startswith("<"):
            return "XML"
        return "JSON" if self.text.startswith(("{", "[")) else "table"

    @cached_property
    def xml(self) -> ElementTree.Element:
        """The root of a document without a DOCTYPE, and so without entities that could grow or reach out."""

        def refuse(*doctype: object) -> None:
            raise KinemeError(f"{self.path}: has a DOCTYPE, which no file of annotations needs; it is not read")

        guard = expat.ParserCreate()
        guard.StartDoctypeDeclHandler = refuse
        try:
            guard.Parse(self.text, True)
            return ElementTree.fromstring(self.text)  # noqa: S314 - a DOCTYPE was refused above
        except (expat.ExpatError, ElementTree.ParseError, ValueError) as error:
            raise KinemeError(f"{self.path}: is not XML that can be read ({error})") from error

    @cached_property
    def json(self) -> Any:
        """The JSON document; of JSON lines, a list of them."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            lines = [line for line in self.text.splitlines() if line.strip()]
            if len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines):
                return [self.parse(line) for line in lines]
            raise self._bad_json(error) from error

    def parse(self, text: str) -> Any:
        """A piece of JSON inside the file."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._bad_json(error) from error

    def _bad_json(self, error: Exception) -> KinemeError:
        return KinemeError(f"{self.path}: holds JSON that cannot be read ({str(error)[:200]})")

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of a table with their line numbers, its first line among them; empty rows are left out."""
        return read_rows(self.path) if is_workbook(self.path) else rows_of_text(self.path, self.text)

    @cached_property
    def head(self) -> list[Row]:
        """The first rows of a table; empty if the document is not a table."""
        try:
            return self.rows[:_HEAD]
        except KinemeError:
            return []

    @cached_property
    def sheet(self) -> Sheet:
        """The table under the names of its first line, with ``columns`` called as Kineme calls them."""
        return sheet_of(self.path, self.rows, self.columns)


def open_document(path: Path, columns: Mapping[str, str] | None = None) -> Document:
    """Open a file.

    Raises:
        KinemeError: it cannot be read, or is far too large for what people write.
    """
    return Document(path, "" if is_workbook(path) else read_text(path).lstrip(), columns or {})
