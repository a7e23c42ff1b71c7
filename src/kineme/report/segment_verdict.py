"""Explains the metrics of whole videos in sentences: the headline if rows are parts of longer videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kineme.report.verdict import between, is_interval, listed, nbsp_percent, percent, pluralize

_FEW_GROUPS = 5


def segment_headline(segments: Mapping[str, Any], *, group_noun: str = "groups") -> str:
    """How many of the labelled parts a model finds in whole videos, and by luck.

    Args:
        segments: the ``segments`` object of ``metrics.json``.
        group_noun: what a group is, in the plural ("people", "scenes").
    """
    half, loose = (segments["overlaps"][overlap] for overlap in ("0.5", "0.3"))
    interval = half["f1_interval"]
    within = f" (95 % interval {between(interval)})" if is_interval(interval) else ""
    where = f"{pluralize(segments['videos'], 'whole videos')} of {pluralize(segments['groups'], group_noun)}"
    found = f"it finds {half['true_positives']:,} of {pluralize(segments['actions'], 'actions')}"
    wrong = f"{pluralize(half['false_positives'], 'segments')} of the {segments['predicted']:,} it reports are wrong"
    return nbsp_percent(
        f"In {where} it never saw, {found}, and {wrong}: segment F1 {percent(half['f1'])}{within}, where chance gives "
        f"{percent(half['chance_f1'])}. A segment counts from an overlap of 0.5 on; from 0.3 on, F1 is "
        f"{percent(loose['f1'])}."
    )


def segment_caveats(segments: Mapping[str, Any], *, group_noun: str = "groups") -> list[str]:
    """What speaks against the headline, or limits it; arguments as for :func:`segment_headline`."""
    found = []
    if not segments["labelled_throughout"]:
        found.append(
            "Nothing says that the videos are labelled throughout: a segment that is right but not labelled counts as "
            "wrong here, so look at the recall, "
            f"{percent(segments['overlaps']['0.5']['recall'])}."
        )
    if segments["groups"] < _FEW_GROUPS:
        found.append(
            f"Only {pluralize(segments['groups'], group_noun)} could be tested: whatever the interval says, others may "
            "fare quite differently."
        )
    missed = [label for label, row in segments["per_class"].items() if row["n"] and not row["recall"]]
    if missed:
        found.append(f"Not one {listed(missed)} was found.")
    return [nbsp_percent(line) for line in found]
