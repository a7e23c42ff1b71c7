"""Which copies and places make a test dishonest: the same video on two sides, in two groups, or with two labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kineme.dataset.audit.copies import NearDuplicate
from kineme.dataset.audit.finding import Finding, Severity
from kineme.dataset.audit.signature import WHOLE
from kineme.dataset.table import SPLITS, listed

Row = dict[str, Any]

_CRUMB = 0.1


def of_copies(
    rows: Sequence[Row], identical: Sequence[Sequence[int]], copies: Sequence[NearDuplicate]
) -> list[Finding]:
    """A finding for each set of identical files, and for each set of videos that show the same otherwise."""
    found = [_finding("duplicate", rows, those, "") for those in identical]
    for those, pairs in _joined(copies):
        others = {number for same in identical if set(same) & set(those) for number in same}
        found.append(_finding("near-duplicate", rows, sorted(set(those) | others), _changed(pairs)))
    return sorted(found, key=lambda one: one.rank)


def _finding(kind: str, rows: Sequence[Row], numbers: Sequence[int], how: str) -> Finding:
    """What it means that these rows show the same."""
    names = tuple(rows[number]["name"] for number in numbers)
    labels, groups, sides = (
        sorted({str(rows[number][key]) for number in numbers if rows[number][key] is not None})
        for key in ("label", "group", "split")
    )
    sides.sort(key=SPLITS.index)
    what = f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} and {len(names) - 1} others"
    same = f"{what} hold the same bytes" if kind == "duplicate" else f"{what} show the same{how}"
    severity: Severity = "error"
    if len(labels) > 1:
        kind = "two-labels"
        message = f"{same}, under the labels {listed(labels)}."
        advice = "Keep the one whose label is right; one of them teaches what is wrong."
    elif len(sides) > 1:
        message = f"{same}, on different sides of the split: {' and '.join(sides)}."
        advice = "Keep one of them, or put all into one group: what was learned by heart would count as recognised."
    elif len(groups) > 1 and not sides:
        message = f"{same}, in different groups: {listed(groups)}."
        advice = "Keep one of them, or put all into one group: one may be trained on and the other tested on."
    else:
        severity = "warning" if kind == "duplicate" else "note"
        message = f"{same}, within one group." if len(groups) == 1 else f"{same}, on one side of the split."
        advice = "Nothing leaks; but it counts twice, so keep one of them."
    return Finding(kind, severity, names, message, advice, tuple(numbers))


def _changed(pairs: Sequence[NearDuplicate]) -> str:
    """What was done to a copy, in brackets."""
    words = []
    if any(one.mirrored for one in pairs):
        words.append("mirrored")
    if any(_is_cropped(one) for one in pairs):
        words.append("cropped")
    if any(one.speed > 1.1 for one in pairs):
        words.append("at another speed")
    if any(one.share < 0.9 for one in pairs):
        words.append("in part")
    return f" ({', '.join(words)})" if words else ""


def _is_cropped(one: NearDuplicate) -> bool:
    return max(abs(edge - whole) for edge, whole in zip(one.window, WHOLE, strict=True)) > 0.03


def _joined(copies: Sequence[NearDuplicate]) -> list[tuple[list[int], list[NearDuplicate]]]:
    """Rows that hang together by pairs, with those pairs."""
    place: dict[int, int] = {}

    def root(of: int) -> int:
        while place.setdefault(of, of) != of:
            of = place[of]
        return of

    for one in copies:
        place[root(one.first)] = root(one.second)
    members: dict[int, list[int]] = {}
    for number in sorted(place):
        members.setdefault(root(number), []).append(number)
    return [(those, [one for one in copies if one.first in those]) for those in members.values()]


def of_places(rows: Sequence[Row], places: Sequence[Sequence[int]]) -> list[Finding]:
    """A finding for each place that several groups share."""
    classes = {row["label"] for row in rows}
    found: list[Finding] = []
    told: list[tuple[int, set[str]]] = []
    for those in places:  # the largest first
        groups = {rows[number]["group"] for number in those}
        if any(groups <= others and len(those) <= _CRUMB * size for size, others in told):
            continue  # some pictures more of a place that was told of: matching does not find every one
        told.append((len(those), groups))
        here = {rows[number]["label"] for number in those}
        sides = {rows[number]["split"] for number in those if rows[number]["split"]}
        all_groups = len({row["group"] for row in rows})
        message = f"{len(those)} videos of {len(groups)} of {all_groups} groups seem to be filmed in one place"
        if len(sides) > 1:
            message += ", on different sides of the split"
        if here == classes:
            severity: Severity = "note"
            message += "; every class was filmed there, so the place alone does not tell the class."
            advice = "The test message little about other places: add videos of some if it is to work there."
        else:
            severity = "warning"
            message += f"; of the classes, {listed(sorted(here))} {'was' if len(here) == 1 else 'were'} filmed there."
            advice = "Where the place tells the class, give these videos one group; compare with the background alone."
        names = tuple(rows[number]["name"] for number in those)
        found.append(Finding("same-scene", severity, names, message, advice, tuple(those)))
    return found
