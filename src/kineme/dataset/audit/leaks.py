"""Which copies and places make a test dishonest: the same video on two sides, in two groups, or with two labels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from scipy.cluster.hierarchy import DisjointSet

from kineme.dataset.audit.copies import NearDuplicate
from kineme.dataset.audit.finding import Finding, Severity
from kineme.dataset.audit.signature import WHOLE
from kineme.dataset.table import SPLITS, listed, named_person

Row = dict[str, Any]

_CRUMB = 0.1


def of_copies(
    rows: Sequence[Row], identical: Sequence[Sequence[int]], copies: Sequence[NearDuplicate]
) -> list[Finding]:
    """A finding for each set of identical files, and for each set of videos that show the same otherwise."""
    found = [_finding("duplicate", rows, those, "") for those in identical]
    for those, pairs in _joined([one for one in copies if one.certain]):
        others = {number for same in identical if set(same) & set(those) for number in same}
        found.append(_finding("near-duplicate", rows, sorted(set(those) | others), _changed(pairs)))
    found += [_look_alikes(rows, those) for those, _ in _joined([one for one in copies if not one.certain])]
    return sorted(found, key=lambda one: one.rank)


def _look_alikes(rows: Sequence[Row], numbers: Sequence[int]) -> Finding:
    """Videos that look the same and may well be different takes."""
    names = tuple(rows[number]["name"] for number in numbers)
    what = f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} and {len(names) - 1} others"
    message = f"{what} look alike: one place, and hardly any movement or a similar one. They may be different takes."
    advice = "Nothing, if they are; give takes of one person or place one group."
    return Finding("look-alike", "note", names, message, advice, tuple(numbers))


def _finding(kind: str, rows: Sequence[Row], numbers: Sequence[int], how: str) -> Finding:
    """The consequence if these rows show the same."""
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
        advice = "Keep the one with the correct label; the other is a wrong training example."
    elif len(sides) > 1:
        message = f"{same}, on different sides of the split: {' and '.join(sides)}."
        advice = "Keep one of them, or put all into one group; otherwise memorised videos count as recognised."
    elif len(groups) > 1 and not sides:
        message = f"{same}, in different groups: {listed(groups)}."
        advice = "Keep one of them, or put all into one group: one may be trained on and the other tested on."
    else:
        severity = "warning" if kind == "duplicate" else "note"
        message = f"{same}, within one group." if len(groups) == 1 else f"{same}, on one side of the split."
        advice = "Nothing leaks; but it counts twice, so keep one of them."
    return Finding(kind, severity, names, message, advice, tuple(numbers))


def _changed(pairs: Sequence[NearDuplicate]) -> str:
    """The changes of a copy, in brackets."""
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
    sets = DisjointSet({number for one in copies for number in (one.first, one.second)})
    for one in copies:
        sets.merge(one.first, one.second)
    members = sorted(sorted(those) for those in sets.subsets())
    return [(those, [one for one in copies if one.first in those]) for those in members]


def of_parts(rows: Sequence[Row]) -> list[Finding]:
    """A finding for each video whose parts overlap or lie on both sides of the split, the worst first."""
    by_path: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_path[row["path"]].append(number)
    found = [_of_one_recording(rows, numbers) for numbers in by_path.values() if len(numbers) > 1]
    return sorted((one for one in found if one is not None), key=lambda one: one.rank)


def _of_one_recording(rows: Sequence[Row], numbers: Sequence[int]) -> Finding | None:
    """What speaks against the parts of one video."""
    name = (rows[numbers[0]]["name"],)
    side = "split" if all(rows[number]["split"] for number in numbers) else "group"
    where = "on different sides of the split" if side == "split" else "in different groups"
    for one, other in _overlapping(rows, numbers):
        spans = f"{_shown(rows[one])} and {_shown(rows[other])} of {name[0]} overlap"
        if rows[one][side] != rows[other][side]:
            advice = "Put them into one group: the same frames would be learned and tested."
            return Finding("overlapping-parts", "error", name, f"{spans}, {where}.", advice, (one, other))
        if rows[one]["label"] != rows[other]["label"] and not _are_of_two_people(rows[one], rows[other]):
            labels = listed(sorted({rows[one]["label"], rows[other]["label"]}))
            message = f"{spans}, under the labels {labels}."
            advice = "Nothing, if both actions are done at once; otherwise set the times right."
            return Finding("overlapping-parts", "warning", name, message, advice, (one, other))
    if len({rows[number][side] for number in numbers}) == 1:
        return None
    message = f"Parts of {name[0]} are {where}: the place, and perhaps the person, is known from the training."
    advice = "Give all parts of a video one group, unless different people are in them."
    return Finding("split-recording", "warning", name, message, advice, tuple(numbers))


def _are_of_two_people(one: Row, other: Row) -> bool:
    """Whether each of two rows names a person in the video, and not the same: then both may do something at once."""
    people = [named_person(one), named_person(other)]
    return people[0] != people[1] and (None,) not in people


def _overlapping(rows: Sequence[Row], numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of parts of a video that have at least half of the shorter one in common."""
    ends = {number: math.inf if rows[number]["end_s"] is None else rows[number]["end_s"] for number in numbers}
    spans = sorted((rows[number]["start_s"], ends[number], number) for number in numbers)
    for place, (start_s, end_s, one) in enumerate(spans):
        for other_start_s, other_end_s, other in spans[place + 1 :]:
            if other_start_s >= end_s:
                break
            common_s = min(end_s, other_end_s) - other_start_s
            if math.isinf(common_s) or common_s >= min(end_s - start_s, other_end_s - other_start_s) / 2:
                yield one, other


def _shown(row: Row) -> str:
    return f"{row['start_s']:g} s to " + ("the end" if row["end_s"] is None else f"{row['end_s']:g} s")


def of_places(rows: Sequence[Row], places: Sequence[Sequence[int]]) -> list[Finding]:
    """A finding for each place that several groups share."""
    classes = {row["label"] for row in rows}
    found: list[Finding] = []
    seen: list[tuple[int, set[str]]] = []
    for those in places:  # the largest first
        groups = {rows[number]["group"] for number in those}
        if any(groups <= others and len(those) <= _CRUMB * size for size, others in seen):
            continue  # a few more pictures of a place found before: matching does not find every one
        seen.append((len(those), groups))
        here = {rows[number]["label"] for number in those}
        sides = {rows[number]["split"] for number in those if rows[number]["split"]}
        all_groups = len({row["group"] for row in rows})
        names = tuple(dict.fromkeys(rows[number]["name"] for number in those))
        message = f"{len(names)} videos of {len(groups)} of {all_groups} groups seem to be filmed in one place"
        if len(sides) > 1:
            message += ", on different sides of the split"
        if here == classes:
            severity: Severity = "note"
            message += "; every class was filmed there, so the place alone does not reveal the class."
            advice = "The test says little about other places: if the model is to work there, add videos of some."
        else:
            severity = "warning"
            message += f"; of the classes, {listed(sorted(here))} {'was' if len(here) == 1 else 'were'} filmed there."
            advice = "Where the place reveals the class, give them one group, and compare with the background alone."
        found.append(Finding("same-scene", severity, names, message, advice, tuple(those)))
    return found
