"""The audit of a table: look at every video once, compare them all, and say what speaks against training on them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kineme.dataset.audit import faults, leaks
from kineme.dataset.audit.cache import InspectionCache
from kineme.dataset.audit.copies import NearDuplicate, find_near_duplicates
from kineme.dataset.audit.details import is_one_recording
from kineme.dataset.audit.finding import SEVERITIES, Finding, Severity
from kineme.dataset.audit.inspection import Broken, Inspection, read_details
from kineme.dataset.audit.scenes import same_places
from kineme.dataset.audit.signature import make_signature
from kineme.dataset.table import ClipTable
from kineme.errors import KinemeError, VideoError
from kineme.files import sha256_of
from kineme.progress import track
from kineme.video.spec import ClipSpec

_DETAILS_KEPT = 32  # videos, of about 2 MB each
_MANY = 100  # pairs: with more, progress is shown


@dataclass(frozen=True, eq=False)
class Audit:
    """The inspection of a table.

    Args:
        table: the inspected table.
        inspections: the inspection of each row, in its order.
        identical: sets of rows whose files hold the same bytes.
        copies: pairs of rows that look the same without being the same file; those that are ``certain`` are one
            recording.
        places: sets of rows of several groups that were filmed in one place; None where that was not asked.
        findings: all there is to say, the worst first.
    """

    table: ClipTable
    inspections: list[Inspection | Broken]
    identical: list[list[int]]
    copies: list[NearDuplicate]
    places: list[list[int]] | None
    findings: list[Finding]

    @property
    def broken(self) -> dict[str, str]:
        """Path and reason of each file that is of no use and may be quarantined."""
        return {
            row["path"]: reason
            for row, inspection in zip(self.table.rows.iter_rows(named=True), self.inspections, strict=True)
            if (reason := faults.useless(inspection)) is not None
        }

    @property
    def lengths_s(self) -> list[float]:
        """How long each of the usable videos is."""
        return [
            inspection.facts.duration_s
            for inspection in self.inspections
            if isinstance(inspection, Inspection) and not inspection.facts.beyond_use
        ]

    @property
    def decoding_s(self) -> float:
        """How long decoding all of them takes with as many threads as processors."""
        took_s = sum(inspection.facts.took_s for inspection in self.inspections if isinstance(inspection, Inspection))
        return took_s / min(8, os.cpu_count() or 1)


def audit(table: ClipTable, spec: ClipSpec, *, cache: InspectionCache | None = None) -> Audit:
    """Inspect every video and compare them all.

    Args:
        table: labelled videos, with a split or without.
        spec: the clip, to find videos that are too short.
        cache: where inspections are kept.
    """
    cache, rows = cache or InspectionCache(), table.rows.to_dicts()
    inspections = cache.inspect_all(rows)
    identical, copies = _compared(rows, inspections, cache)
    again = {number for those in identical for number in those[1:]} | {one.second for one in copies if one.certain}
    usable = [
        number
        for number, inspection in enumerate(inspections)
        if isinstance(inspection, Inspection) and number not in again and not faults.is_black(inspection)
    ]
    backgrounds = [
        inspection.background for number in usable if isinstance(inspection := inspections[number], Inspection)
    ]
    found = same_places(backgrounds, [rows[number]["group"] for number in usable])
    places = [[usable[number] for number in those] for those in found]
    findings = [
        *faults.of_files(rows, inspections, spec),
        *leaks.of_copies(rows, identical, copies),
        *leaks.of_parts(rows),
        *leaks.of_places(rows, places),
        *faults.of_classes(table),
        *faults.of_table(table),
    ]
    findings.sort(key=lambda one: one.rank)
    return Audit(table, inspections, identical, copies, places, findings)


def check_splits(folds: Sequence[ClipTable], *, allow: bool = False) -> list[Finding]:
    """Refuse splits with leaks: the same or nearly the same video on two sides, or with two labels.

    Args:
        folds: the same rows, split in one or several ways.
        allow: find leaks but do not refuse them.

    Returns:
        All duplicates, the worst first.

    Raises:
        KinemeError: there are leaks; the line names the first of them.
    """
    cache, rows = InspectionCache(), folds[0].rows.to_dicts()
    identical, copies = _compared(rows, cache.inspect_all(rows), cache)
    found: dict[tuple[str, ...], Finding] = {}
    for fold in folds:
        rows = fold.rows.to_dicts()
        for one in [*leaks.of_copies(rows, identical, copies), *leaks.of_parts(rows)]:
            found[one.names] = min(one, found.get(one.names, one), key=lambda each: each.rank)
    findings = sorted(found.values(), key=lambda one: one.rank)
    leaking = [one for one in findings if one.severity == "error"]
    if leaking and not allow:
        more = f" ({len(leaking) - 1} more leaks like this)" if len(leaking) > 1 else ""
        raise KinemeError(
            f"the data leaks: {leaking[0].message.removesuffix('.')}{more}; 'kineme check' shows all of them; "
            f"keep one of each, or allow them with --allow-leaks"
        )
    return findings


def _compared(
    rows: Sequence[dict[str, Any]], inspections: Sequence[Inspection | Broken], cache: InspectionCache
) -> tuple[list[list[int]], list[NearDuplicate]]:
    """Rows of the same bytes, and pairs of rows that show the same otherwise."""

    def compare() -> dict[str, Any]:
        usable = [number for number, inspection in enumerate(inspections) if faults.useless(inspection) is None]
        identical = _identical(rows, [number for number in usable if isinstance(inspections[number], Inspection)])
        repeated = {number for those in identical for number in those[1:]}
        signatures = {
            number: make_signature(inspection.thumbnails_THW, inspection.facts.duration_s)
            for number, inspection in enumerate(inspections)
            if isinstance(inspection, Inspection) and number not in repeated and not faults.is_black(inspection)
        }
        alike = find_near_duplicates(list(signatures.values()), [rows[number]["path"] for number in signatures])
        copies = _certified(rows, [one.renumbered(list(signatures)) for one in alike])
        return {"identical": identical, "copies": [asdict(one) for one in copies]}

    found = cache.compared(rows, compare)
    tuples = ("window", "begin", "end")
    copies = [NearDuplicate(**{**one, **{name: tuple(one[name]) for name in tuples}}) for one in found["copies"]]
    return found["identical"], copies


def _certified(rows: Sequence[dict[str, Any]], copies: Sequence[NearDuplicate]) -> list[NearDuplicate]:
    """The pairs, each marked as one recording or not; all videos concerned are read once more."""

    @lru_cache(maxsize=_DETAILS_KEPT)
    def details(number: int) -> NDArray[np.uint8]:
        return read_details(rows[number]["path"], rows[number]["start_s"], rows[number]["end_s"])

    certified = []
    for one in track(copies, "comparing details" if len(copies) >= _MANY else None):
        with suppress(VideoError):  # it has changed since it was inspected: nothing is proved
            one = replace(one, certain=is_one_recording(details(one.first), details(one.second), one))
        certified.append(one)
    return certified


def _identical(rows: Sequence[dict[str, Any]], usable: Sequence[int]) -> list[list[int]]:
    """Rows of the same part of files of the same bytes; only usable files of equal size are read."""
    by_size: dict[tuple[int, float, float | None], list[int]] = defaultdict(list)
    for number in usable:
        row = rows[number]
        with suppress(OSError):  # it is gone by now
            by_size[Path(row["path"]).stat().st_size, row["start_s"], row["end_s"]].append(number)
    by_content: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for key, numbers in by_size.items():
        if len(numbers) > 1:
            for number in numbers:
                by_content[*key, _digest(rows[number]["path"])].append(number)
    return sorted(those for those in by_content.values() if len(those) > 1)


def _digest(path: str) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return path  # like no other


class FindingDocument(TypedDict):
    """A :class:`kineme.dataset.audit.finding.Finding` as a document."""

    kind: str
    severity: Severity
    files: list[str]
    says: str
    advice: str


class DataDocument(TypedDict):
    """What a table holds; ``classes`` has the name, rows, groups and minutes of each class."""

    name: str
    videos: int
    parts: int
    groups: int
    group_source: str
    readable: int
    seconds: float
    classes: list[tuple[str, int, int, float]]


class AuditDocument(TypedDict):
    """What an audit found."""

    data: DataDocument
    findings: list[FindingDocument]
    counts: dict[Severity, int]


def document_of(audit: Audit, data: Path) -> AuditDocument:
    """The findings, as a document."""
    rows = audit.table.rows
    lengths_s = [one.facts.duration_s if isinstance(one, Inspection) else 0.0 for one in audit.inspections]
    classes = [
        (str(label), one.height, one["group"].n_unique(), round(float(one["length_s"].to_numpy().sum()) / 60, 1))
        for (label,), one in rows.with_columns(length_s=pl.Series(lengths_s)).group_by("label", maintain_order=True)
    ]
    home = data.resolve()
    return {
        "data": {
            "name": home.name if home.is_dir() else home.stem,
            "videos": rows["path"].n_unique(),
            "parts": audit.table.parts,
            "groups": rows["group"].n_unique(),
            "group_source": audit.table.group_source,
            "readable": len(audit.lengths_s),
            "seconds": round(sum(audit.lengths_s), 1),
            "classes": sorted(classes),
        },
        "findings": [
            {
                "kind": one.kind,
                "severity": one.severity,
                "files": list(one.names),
                "says": one.message,
                "advice": one.advice,
            }
            for one in audit.findings
        ],
        "counts": {name: sum(one.severity == name for one in audit.findings) for name in SEVERITIES},
    }
