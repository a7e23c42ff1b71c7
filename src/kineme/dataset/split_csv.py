"""The ``split.csv`` of a run: which videos were trained on, validated and tested, found again where they lie now."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from kineme.dataset.clips_csv import read_clips_csv
from kineme.dataset.table import ClipTable
from kineme.files import write_csv

_COLUMNS = ["path", "label", "group", "start_s", "end_s", "split", "name"]
_WHERE_KNOWN = ["labelled_throughout", "labelled_by", "track", "person_box"]


def write_split_csv(table: ClipTable, path: str | os.PathLike[str]) -> None:
    """Write the rows as ``path,label,group,start_s,end_s,split,name``.

    ``labelled_throughout``, ``labelled_by``, ``track`` and ``person_box`` follow where they are known.
    ``path`` is written relative to the folder of the CSV, so that :func:`kineme.dataset.scan.scan` reads the file
    as it reads any CSV; ``name`` finds the videos again after the data has moved (:func:`read_split_csv`).

    Raises:
        KinemeError: the file cannot be written.
    """
    columns = [*_COLUMNS, *(name for name in _WHERE_KNOWN if table.rows[name].count())]
    folder = Path(path).parent
    rows = table.rows.with_columns(pl.col("person_box").cast(pl.List(pl.String)).list.join(" ")).select(columns)
    write_csv(path, columns, ([relative_to(row[0], folder), *row[1:]] for row in rows.iter_rows()))


def read_split_csv(path: str | os.PathLike[str], data: str | os.PathLike[str]) -> ClipTable:
    """Read the split of a run against the data where it lies now.

    Args:
        path: a file of :func:`write_split_csv`.
        data: the folder of the videos, or the CSV that lists them.

    Raises:
        KinemeError: the file cannot be used, or none of its videos is there (single ones go to ``skipped``).
    """
    folder = Path(data)
    return read_clips_csv(Path(path), base=folder if folder.is_dir() else folder.parent)


def relative_to(path: str, folder: Path) -> str:
    """``path`` seen from ``folder``; absolute where there is no way between the two (drives of Windows)."""
    try:
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:
        return Path(path).absolute().as_posix()
