"""The videos of a training, ready to give windows, and which split each belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kineme.dataset.table import SPLITS, ClipTable
from kineme.training.parts import Row, Stretch, by_video


@dataclass(frozen=True)
class Item:
    """One row of a table, ready to give windows.

    Args:
        name: as shown to people.
        path: the video.
        label: index into the table's labels.
        group: what must not straddle a split.
        start_s: where the labelled part begins.
        end_s: where it ends; None is the video's end.
        stretch: what of the file the entry holds; more than the part where that is shorter than a clip.
        ticks: number of fine ticks in the entry.
        members: the same as each member of joined backbones has it.
    """

    name: str
    path: str
    label: int
    group: str
    start_s: float
    end_s: float | None
    stretch: Stretch
    ticks: int
    members: tuple[Item, ...] = ()


def parts_of(table: ClipTable, items: Sequence[Item]) -> dict[str, list[Item]]:
    """The items of each split."""
    parts: dict[str, list[Item]] = {name: [] for name in SPLITS}
    for item, name in zip(items, table.rows["split"], strict=True):
        parts[name].append(item)
    return parts


def gaps_of(table: ClipTable, items: Sequence[Item]) -> dict[str, list[Item]]:
    """Items of background by the split that all rows of their video are in."""
    splits = {whom: {row["split"] for row in rows} for whom, rows in by_video(table.rows.to_dicts()).items()}
    return {name: [item for item in items if splits[item.path, item.stretch.track] == {name}] for name in SPLITS}


def shown_name(row: Row) -> str:
    """A row as people know it: the video, and which part of it."""
    if row["end_s"] is None and not row["start_s"]:
        return str(row["name"])
    end = "the end" if row["end_s"] is None else f"{row['end_s']} s"
    return f"{row['name']} ({row['start_s']} s to {end})"
