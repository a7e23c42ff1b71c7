"""A guess of which videos belong together, to be corrected by whoever knows: a table that ``train`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scipy.cluster.hierarchy import DisjointSet

from kineme.dataset.groups import ONE_PER_VIDEO
from kineme.dataset.split_csv import relative_to
from kineme.files import write_csv

if TYPE_CHECKING:
    from kineme.dataset.audit.audit import Audit

BY_GROUP, BY_COPY, BY_PLACE, ALONE = "its name or table", "the same recording", "the same place", "nothing found"


def suggest_groups(seen: Audit) -> list[tuple[str, str]]:
    """The group that each row seems to belong to, and why.

    Groups that names or the table give are kept, and joined where they share a recording. Only if there are no groups,
    videos of one place are one group: people who are known may well have been filmed in one room.

    Args:
        seen: from :func:`kineme.dataset.audit.audit.audit`.

    Returns:
        Group and reason of each row, in the order of the table.
    """
    rows = seen.table.rows.to_dicts()
    unknown = seen.table.group_source == ONE_PER_VIDEO
    sets = DisjointSet(range(len(rows)))
    why = [ALONE if unknown else BY_GROUP] * len(rows)

    def join(numbers: list[int], reason: str) -> None:
        for number in numbers:
            sets.merge(numbers[0], number)
            why[number] = reason

    if unknown:
        for place in seen.places or []:
            join(place, BY_PLACE)
    else:
        first = {row["group"]: number for number, row in reversed(list(enumerate(rows)))}
        for number, row in enumerate(rows):
            sets.merge(first[row["group"]], number)
    for numbers in [*seen.identical, *([one.first, one.second] for one in seen.copies if one.certain)]:
        join(numbers, BY_COPY)
    names = {sets[number]: rows[number]["group"] for number in reversed(range(len(rows)))}
    return [(names[sets[number]], why[number]) for number in range(len(rows))]


def write_groups(seen: Audit, path: Path) -> int:
    """Write ``path,label,group,start_s,end_s,group_from`` and return the number of groups.

    Raises:
        KinemeError: the file cannot be written.
    """
    guesses = suggest_groups(seen)
    rows = [
        [relative_to(row["path"], path.parent), row["label"], group, row["start_s"], row["end_s"], reason]
        for row, (group, reason) in zip(seen.table.rows.to_dicts(), guesses, strict=True)
    ]
    rows.sort(key=lambda row: (str(row[2]), str(row[0])))  # what is one group stands together, to be looked through
    write_csv(path, ["path", "label", "group", "start_s", "end_s", "group_from"], rows)
    return len({group for group, _ in guesses})
