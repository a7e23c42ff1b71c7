"""Faults of single files, of classes and of the table as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kineme.dataset.audit.finding import Finding, Severity
from kineme.dataset.audit.inspection import Broken, Inspection
from kineme.dataset.labels import BACKGROUND, look_alikes
from kineme.dataset.split import split
from kineme.dataset.table import ClipTable, SkipKind, listed, look_alike_warning, no_groups_warning
from kineme.errors import KinemeError
from kineme.video.spec import ClipSpec

_BLACK, _DARK_SHARE = 20.0, 0.5  # grey level of the 99th percentile of a black picture; share of a video that may be
_FROZEN = 5.0  # grey levels: the most that any cell of a frozen video changes, by what encoding does to it
_UNEVEN = 0.02  # share of unevenly long frames
_UNBALANCED = 3.0
_MOVED = ("zero-length", "unreadable", "audio-only", "truncated")  # kinds of Broken that may be quarantined

# What is inside, by FFmpeg's name, and the suffixes that promise it; the first is the one to give.
_SUFFIXES = {
    "mov": (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v"),
    "avi": (".avi", ".divx", ".amv"),
    "matroska": (".mkv", ".webm"),
    "mpegts": (".ts", ".mts", ".m2ts", ".m2t", ".mpg", ".mpeg"),
    "mpeg": (".mpg", ".mpeg", ".mpe", ".vob", ".m1v", ".m2v"),
    "mpegvideo": (".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".vob"),
    "flv": (".flv", ".f4v"),
    "asf": (".wmv", ".asf"),
    "ogg": (".ogv", ".ogm"),
    "gif": (".gif",),
}
_STARTS = {  # bytes that a video's file begins with, from which place on
    "mov": (4, b"ftyp"),
    "avi": (8, b"AVI "),
    "matroska": (0, b"\x1a\x45\xdf\xa3"),
    "flv": (0, b"FLV"),
    "asf": (0, b"\x30\x26\xb2\x75"),
    "ogg": (0, b"OggS"),
}


def useless(inspection: Inspection | Broken) -> str | None:
    """Why a file may be quarantined; None where it is of some use, or is not at fault."""
    if isinstance(inspection, Broken):
        return inspection.reason if inspection.kind in _MOVED else None
    return inspection.facts.damage[0] if inspection.facts.beyond_use else None


def is_black(inspection: Inspection) -> bool:
    """Whether half of a video or more is black."""
    return _black_share(inspection) >= _DARK_SHARE


def is_frozen(inspection: Inspection) -> bool:
    """Whether nothing changes from the beginning to the end."""
    return bool(np.ptp(inspection.thumbnails_THW.astype(np.float32), axis=0).max() <= _FROZEN)


def _black_share(inspection: Inspection) -> float:
    return float(np.mean(np.percentile(inspection.thumbnails_THW, 99, axis=(1, 2)) <= _BLACK))


# Files


class _Trait(NamedTuple):
    """What may be true of a readable video, with what to say of several and of one."""

    kind: str
    severity: Severity
    is_true: Callable[[Inspection], bool]
    many: str
    one: str
    advice: str


_TRAITS = (
    _Trait(
        "black",
        "warning",
        is_black,
        "{n} {noun} are black for half of their length or more.",
        "{name} is black for half of its length or more.",
        "Look at them; a black clip teaches nothing but its label.",
    ),
    _Trait(
        "frozen",
        "warning",
        lambda one: is_frozen(one) and not is_black(one),
        "Nothing moves in {n} {noun} from beginning to end.",
        "Nothing moves in {name} from beginning to end.",
        "Look at them: a still picture is no action.",
    ),
    _Trait(
        "variable-rate",
        "note",
        lambda one: one.facts.uneven > _UNEVEN,
        "{n} {noun} have a variable frame rate.",
        "{name} has a variable frame rate.",
        "Nothing: frames are taken by their time stamps.",
    ),
    _Trait(
        "edited",
        "note",
        lambda one: one.facts.cuts > 0,
        "{n} {noun} are edited: they go from one shot to another.",
        "{name} is edited: it goes from one shot to another.",
        "A clip that crosses a cut mixes two shots. Cut them there, or name the shots as parts in a clips.csv.",
    ),
    _Trait(
        "rotated",
        "note",
        lambda one: one.facts.rotation != 0,
        "{n} {noun} are stored turned, as telephones do.",
        "{name} is stored turned, as telephones do.",
        "Nothing: they are turned upright when they are read.",
    ),
)


def of_files(
    rows: Sequence[dict[str, Any]], inspections: Sequence[Inspection | Broken], spec: ClipSpec
) -> list[Finding]:
    """Faults of single files: each broken file by itself, milder faults together."""
    found = []
    seen: list[tuple[int, Inspection]] = []
    for number, (row, inspection) in enumerate(zip(rows, inspections, strict=True)):
        name = row["name"]
        reason = useless(inspection)
        if isinstance(inspection, Broken) or reason is not None:
            kind = inspection.kind if isinstance(inspection, Broken) else "truncated"
            reason = reason or (inspection.reason if isinstance(inspection, Broken) else "")
            advice = "Check the path and your permissions." if kind == "missing" else _BROKEN_ADVICE
            found.append(Finding(kind, "error", (name,), f"{name}: {reason}.", advice, (number,)))
            continue
        seen.append((number, inspection))
        if inspection.facts.damage:
            kind = "truncated" if inspection.facts.cut else "damaged"
            advice = "Nothing, if the rest shows the action; otherwise find a whole copy."
            found.append(Finding(kind, "warning", (name,), f"{name}: {inspection.facts.damage[0]}.", advice, (number,)))
    for trait in _TRAITS:
        found += _together(rows, [number for number, inspection in seen if trait.is_true(inspection)], trait)
    wrong: dict[str, list[int]] = defaultdict(list)
    for number, inspection in seen:
        if proper := _proper_suffix(Path(rows[number]["path"]).suffix, inspection.facts.container):
            wrong[proper].append(number)
    for proper, numbers in sorted(wrong.items()):
        inside = f"{proper} inside, whatever the name says."
        advice = f"Training reads them; other programs may not. Rename them to end in {proper}."
        texts = (f"{{n}} {{noun}} are {inside}", f"{{name}} is {inside}", advice)
        found += _together(rows, numbers, _Trait("wrong-extension", "warning", lambda one: True, *texts))
    return [*found, *_too_short(rows, seen, spec)]


def _together(rows: Sequence[dict[str, Any]], numbers: Sequence[int], trait: _Trait) -> list[Finding]:
    """One finding for all the rows that have a trait."""
    if not numbers:
        return []
    names = tuple(dict.fromkeys(rows[number]["name"] for number in numbers))
    noun = "videos" if len(names) == len(numbers) else "parts of videos"
    text = (trait.one if len(numbers) == 1 else trait.many).format(n=len(numbers), noun=noun, name=names[0])
    return [Finding(trait.kind, trait.severity, names, text, trait.advice, tuple(numbers))]


_BROKEN_ADVICE = "Replace it by a whole copy, or move it away with --fix; training leaves it out."


def _too_short(rows: Sequence[dict[str, Any]], seen: Sequence[tuple[int, Inspection]], spec: ClipSpec) -> list[Finding]:
    """Whole videos shorter than a clip, and labelled parts much shorter than one."""
    if spec.seconds is None:
        return []
    lengths = {number: inspection.facts.duration_s for number, inspection in seen}
    parts = {number for number in lengths if rows[number]["start_s"] > 0 or rows[number]["end_s"] is not None}
    least_s, least_part_s = spec.seconds - 1 / (spec.fps or 1), spec.seconds / 2
    short = [number for number in lengths if lengths[number] < (least_part_s if number in parts else least_s)]
    return [
        *_short_labels(rows, {number: lengths[number] for number in short if number in parts}, spec.seconds),
        *_short_videos(rows, {number: lengths[number] for number in short if number not in parts}, spec),
    ]


def _short_labels(rows: Sequence[dict[str, Any]], short: dict[int, float], seconds: float) -> list[Finding]:
    if not short:
        return []
    which = "1 label is" if len(short) == 1 else f"{len(short)} labels are"
    message = (
        f"{which} shorter than half a clip of {seconds:.2g} s (the shortest {min(short.values()):.2g} s): "
        f"such clips show mostly the time around the action."
    )
    advice = "Fewer --frames or a higher --fps make a clip shorter; or label from before an action until after it."
    names = tuple(dict.fromkeys(rows[number]["name"] for number in short))
    return [Finding("short-labels", "warning", names, message, advice, tuple(short))]


def _short_videos(rows: Sequence[dict[str, Any]], short: dict[int, float], spec: ClipSpec) -> list[Finding]:
    if not short or spec.seconds is None:
        return []
    ways = {"hold": "The last frame of a short video is repeated", "loop": "A short video is repeated from its start"}
    half = sum(length < spec.seconds / 2 for length in short.values())
    severity: Severity = "warning" if half or spec.short == "refuse" else "note"
    names = tuple(rows[number]["name"] for number in short)
    which = f"{names[0]} is" if len(short) == 1 else f"{len(short)} videos are"
    less = f"; {half} of them shorter than half of it" if half and len(short) > 1 else ""
    shortest = min(short.values())
    message = f"{which} shorter than a clip of {spec.seconds:.2g} s{less} (the shortest {shortest:.2g} s)."
    advice = f"{ways.get(spec.short, 'Those are left out')}; fewer --frames or a higher --fps make a clip shorter."
    return [Finding("too-short", severity, names, message, advice, tuple(short))]


def _proper_suffix(suffix: str, container: str) -> str | None:
    """The suffix that the content of a file asks for, where it has another."""
    suffix = suffix.lower()
    if not any(suffix in suffixes for suffixes in _SUFFIXES.values()):
        return None
    names = [name for name in container.split(",") if name in _SUFFIXES]
    if not names or any(suffix in _SUFFIXES[name] for name in names):
        return None
    return _SUFFIXES[names[0]][0]


# Classes and the table


def of_classes(table: ClipTable) -> list[Finding]:
    """Faults of the classes: their sizes, groups and names."""
    rows = table.rows
    videos = {label: rows.filter(rows["label"] == label).height for label in table.labels}
    groups = {label: rows.filter(rows["label"] == label)["group"].n_unique() for label in table.labels}
    found = []
    least, most = min(videos, key=lambda label: videos[label]), max(videos, key=lambda label: videos[label])
    if videos[most] >= _UNBALANCED * videos[least]:
        noun = "parts" if table.parts else "videos"
        message = f"The classes are unbalanced: {most!r} has {videos[most]} {noun} and {least!r} has {videos[least]}."
        advice = "Training weighs them alike; add videos of the small classes, or merge rare classes."
        found.append(Finding("unbalanced", "warning", (least, most), message, advice))
    if rows["split"].null_count():
        for count, severity, end in ((1, "error", "both learned and tested"), (2, "warning", "also validated")):
            few = tuple(label for label in table.labels if groups[label] == count)
            if few:
                which = f"The class {few[0]!r} has" if len(few) == 1 else f"The classes {listed(few)} have"
                message = f"{which} {'one group' if count == 1 else 'two groups'} only, and cannot be {end}."
                advice = "Add videos of other people or scenes, or leave it out."
                found.append(Finding("few-groups", severity, few, message, advice))  # type: ignore[arg-type]
    for labels in look_alikes(table.labels):
        message = f"The classes {listed(labels)} look alike (case, spaces, dashes), and count as different ones."
        found.append(Finding("similar-names", "warning", tuple(labels), message, "Give them one name."))
    for label in table.labels:
        if label.casefold() == BACKGROUND:
            message = f"The class {label!r} is shown as time in which no known action happens, and never as an action."
            advice = "Nothing, if that is what these videos show; otherwise give the class another name."
            found.append(Finding("background-class", "note", (label,), message, advice))
    return found


def of_table(table: ClipTable) -> list[Finding]:
    """What the scan skipped and warned of, and whether a split by group exists."""
    found = []
    reasons: dict[tuple[str, SkipKind], list[str]] = defaultdict(list)
    for one in table.skipped:
        reasons[one.reason, one.kind].append(one.path)
    for (reason, skip_kind), paths in sorted(reasons.items()):
        videos = [path for path in paths if skip_kind == "no-video" and _is_video(Path(path))]
        for path in videos:
            message = f"{path}: is a video by its content but not by its name, and is not used."
            found.append(Finding("wrong-extension", "warning", (path,), message, "Name it as one: .mp4."))
        rest = tuple(path for path in paths if path not in videos)
        if rest:
            which = f"{rest[0]} is" if len(rest) == 1 else f"{len(rest)} files are"
            severity: Severity = "warning" if skip_kind in ("no-class", "unusable") else "note"
            found.append(Finding("not-used", severity, rest, f"{which} not used: {reason}."))
    said = {look_alike_warning(labels) for labels in look_alikes(table.labels)}  # by of_classes, with more of it
    for line in table.warnings:
        if line not in said:
            is_of_groups = line == no_groups_warning(table.group_source)
            kind: tuple[str, Severity] = ("no-groups", "warning") if is_of_groups else ("table", "note")
            found.append(Finding(*kind, (), f"{line[:1].upper()}{line[1:]}."))
    try:
        split(table)
    except KinemeError as error:
        message = f"This data cannot be split by group: {error}."
        found.append(Finding("no-split", "error", (), message, "Training would refuse it."))
    return found


def _is_video(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return any(head[place:].startswith(start) for place, start in _STARTS.values())
