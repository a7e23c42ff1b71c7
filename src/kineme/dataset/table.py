"""The table of clips: one row for each labelled video or part of a video, and what became of the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from kineme.errors import KinemeError, UsageError

SPLITS = ("train", "validation", "test")

SCHEMA: dict[str, type[pl.DataType]] = {
    "path": pl.String,
    "name": pl.String,
    "label": pl.String,
    "group": pl.String,
    "start_s": pl.Float64,
    "end_s": pl.Float64,
    "split": pl.String,
    "fold": pl.String,
    "labelled_throughout": pl.Boolean,
}


@dataclass(frozen=True)
class Skipped:
    """A file or row that is not used, and why."""

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class ClipTable:
    """Labelled videos, or parts of videos, with their groups and, once made, their split.

    Args:
        rows: one row each, in the order of ``name`` and ``start_s``. ``path`` can be opened from the current
            folder; ``name`` is shown to people and is relative to the data folder, with forward slashes;
            ``label``; ``group``; ``start_s`` (0.0 unless given) and ``end_s`` (null: to the end), seconds; ``split``
            is ``"train"``, ``"validation"``, ``"test"`` or null; ``fold``: what is tested together when every
            value of a column is tested in turn, or null; ``labelled_throughout``: whether everything that happens in
            the video is labelled, so that the time between its parts is background, or null where nobody said; it is
            the same in all rows of a video.
        group_source: where the groups come from, one readable phrase.
        skipped: what was found and is not used.
        warnings: what the user should know, one line each.
    """

    rows: pl.DataFrame
    group_source: str
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels, sorted: the order of a model's outputs."""
        return tuple(sorted(set(self.rows["label"])))

    def in_split(self, name: str) -> ClipTable:
        """The rows of one split (perhaps none).

        Raises:
            UsageError: ``name`` is not a split.
        """
        if name not in SPLITS:
            raise UsageError(f"split must be one of {', '.join(SPLITS)}, not {name!r}")
        return replace(self, rows=self.rows.filter(pl.col("split") == name))

    def __len__(self) -> int:
        return self.rows.height

    def fingerprint(self) -> str:
        """SHA-256 (hex) over names, labels, groups, spans, file sizes and what is labelled throughout.

        Where the folder lies, the order of the rows and the split do not count.

        Raises:
            KinemeError: a file is no longer there.
        """
        lines = []
        for row in self.rows.iter_rows(named=True):
            try:
                size = Path(row["path"]).stat().st_size
            except OSError as error:
                raise KinemeError(f"{row['path']}: cannot be read any more ({error.strerror})") from error
            throughout = [True] if row["labelled_throughout"] else []
            kept = [row[key] for key in ("name", "label", "group", "start_s", "end_s")]
            lines.append(json.dumps([*kept, size, *throughout]))
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def listed(names: Sequence[str]) -> str:
    """Names in quotes for a message, at most six of them."""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(repr(name) for name in names[:6]) + more
