"""The table of clips: one row for each labelled video or part of a video, and what became of the rest."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from kineme.dataset.groups import NAME_RULES, guess_groups
from kineme.dataset.labels import look_alikes, visible
from kineme.errors import KinemeError, UsageError

SPLITS = ("train", "validation", "test")

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "path": pl.String,
    "name": pl.String,
    "label": pl.String,
    "group": pl.String,
    "start_s": pl.Float64,
    "end_s": pl.Float64,
    "split": pl.String,
    "fold": pl.String,
    "labelled_throughout": pl.Boolean,
    "labelled_by": pl.String,
    "track": pl.Int64,
    "person_box": pl.List(pl.Float64),
}

BY_MODEL = "model"  # in ``labelled_by``: a model proposed the row, and no person has confirmed it
BY_PERSON, CONFIRMED = "person", "model+person"


SkipKind = Literal["unusable", "no-video", "no-class", "again"]


@dataclass(frozen=True)
class Skipped:
    """A file or row that is not used.

    Args:
        path: the file.
        reason: why, for people.
        kind: why, for programs: ``"no-video"`` by its name, ``"no-class"`` that it could belong to, listed
            ``"again"``, or ``"unusable"``.
    """

    path: str
    reason: str
    kind: SkipKind = "unusable"


@dataclass(frozen=True, eq=False, repr=False)
class ClipTable:
    """Labelled videos, or parts of videos, with their groups and, once made, their split.

    Args:
        rows: one row each, in the order of ``name`` and ``start_s``. ``path`` can be opened from the current
            folder; ``name`` is shown to people and is relative to the data folder, with forward slashes;
            ``label``; ``group``; ``start_s`` (0.0 unless given) and ``end_s`` (null: to the end), seconds; ``split``
            is ``"train"``, ``"validation"``, ``"test"`` or null; ``fold``: rows that are tested together when every
            value of a column is tested in turn, or null; ``labelled_throughout``: whether everything that happens in
            the video is labelled, so that the time between its parts is background, or null where nobody said; it is
            the same in all rows of a video; ``labelled_by``: ``"person"``, ``"model+person"`` (proposed by a model and
            confirmed by a person), ``"model"`` (not confirmed: such a row is never tested on), or null;
            ``track``: the person that the row is about, by the id that
            :func:`kineme.find_people` gives; ``person_box``: the same by where the person is, x0, y0, x1, y1 in pixels.
            Both are null where nobody said.
        group_source: where the groups come from, one readable phrase.
        skipped: files that were found and are not used.
        warnings: what the user should know, one line each.

    Example:
        >>> table = kineme.scan("my-videos")
        >>> table.rows["group"].n_unique()
        8
    """

    rows: pl.DataFrame
    group_source: str
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        what = f"{len(self)} rows, {self.rows['group'].n_unique()} groups, {len(self.labels)} labels: "
        return f"ClipTable({what}{listed(self.labels)})"

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels, sorted: the order of a model's outputs."""
        return tuple(sorted(set(self.rows["label"])))

    @property
    def parts(self) -> int:
        """How many rows are parts of longer videos; the others are whole videos."""
        return self.rows.filter((pl.col("start_s") > 0) | pl.col("end_s").is_not_null()).height

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
        """SHA-256 (hex) over names, labels, groups, spans, persons, file sizes and the videos labelled throughout.

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
            person = [row[key] for key in ("track", "person_box") if row[key] is not None]
            kept = [row[key] for key in ("name", "label", "group", "start_s", "end_s")]
            lines.append(json.dumps([*kept, size, *throughout, *person]))
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def listed(names: Sequence[str]) -> str:
    """Names in quotes for a message, at most six of them."""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(repr(name) for name in names[:6]) + more


def named_person(row: Mapping[str, Any]) -> tuple[object, ...]:
    """Whom a row says that it is about: its track, then the sides of its box; ``(None,)`` where it says nothing."""
    return row["track"], *(row["person_box"] or ())


def clip_row(*, path: str, name: str, label: str, **more: Any) -> dict[str, Any]:
    """One row of the table, the columns not given at their defaults."""
    return {**dict.fromkeys(SCHEMA), "path": path, "name": name, "label": label, "start_s": 0.0, **more}


def build_table(
    rows: list[dict[str, Any]], skipped: list[Skipped], warnings: list[str], *, group_source: str | None
) -> ClipTable:
    """Sort the rows, guess the groups where they are not given, and add the warnings every table may need."""
    rows = sorted(rows, key=lambda row: (row["name"], row["start_s"]))
    classes: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        classes[visible(row["label"])].add(row["label"])
    for shown, labels in classes.items():
        if len(labels) > 1:
            warnings.append(
                f"the labels {listed(sorted(labels))} differ only by invisible characters, and are one class"
            )
            rows = [{**row, "label": shown} if row["label"] in labels else row for row in rows]
    if group_source is None:
        groups, group_source = guess_groups([row["name"] for row in rows], [row["label"] for row in rows])
        rows = [{**row, "group": group} for row, group in zip(rows, groups, strict=True)]
        if group_source not in NAME_RULES:
            warnings.append(no_groups_warning(group_source))
    warnings += [look_alike_warning(labels) for labels in look_alikes({row["label"] for row in rows})]
    skipped = sorted(skipped, key=lambda item: item.path)
    return ClipTable(pl.DataFrame(rows, schema=SCHEMA), group_source, tuple(skipped), tuple(warnings))


def no_groups_warning(group_source: str) -> str:
    """The warning if nothing says which videos belong together."""
    return (
        f"groups: {group_source}; where two videos show the same person or scene, one may be trained on and "
        f"the other tested on, and the accuracy is then too high; a CSV with a column 'group' prevents that "
        f"(kineme check --write-groups proposes one)"
    )


def look_alike_warning(labels: Sequence[str]) -> str:
    """What to be warned of where labels are taken for one another."""
    return f"the labels {listed(labels)} look alike (case, spaces, dashes), and count as different classes"
