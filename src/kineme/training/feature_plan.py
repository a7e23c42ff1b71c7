"""Which features the default approach uses on this machine: those whose weights are here and that fit the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kineme.dataset.table import ClipTable
from kineme.errors import KinemeError
from kineme.models import weights
from kineme.models.joined import member_specs
from kineme.models.registry import DEFAULT_BACKBONE, FAST_BACKBONE, JOINTS_BACKBONE, find_backbone
from kineme.text import duration
from kineme.training.feature_cost import forecast, wanted_features
from kineme.training.one_pass import Wanted
from kineme.training.options import AutoOptions
from kineme.video.spec import ClipSpec

JOIN = "+"
LONG_S = 3600.0  # features that take longer are announced first
_WORTH_SAYING_S = 10.0
_LESS = {JOINTS_BACKBONE: f"--backbone {JOINTS_BACKBONE} (joints alone)", FAST_BACKBONE: "--fast (single frames)"}


@dataclass(frozen=True)
class FeaturePlan:
    """The features that are computed of every video.

    Args:
        backbone: the frozen one, or several joined by ``+``; None without weights, or if no features are wanted.
        fast: the backbone of single frames, for the estimate beside it; None without its weights.
        missing: names of the weights that would have been used, and are not on this machine.
        costs: seconds by backbone.
        note: what the user should know of it before anything else; "" for nothing.
        wanted: what to make of each video.
    """

    backbone: str | None
    fast: str | None
    missing: tuple[str, ...]
    costs: dict[str, float]
    note: str = ""
    wanted: tuple[Wanted, ...] = ()

    @property
    def seconds(self) -> float:
        """That computing the features takes."""
        return self.costs.get(self.backbone or "", 0.0)


def wanted_weights(wish: AutoOptions) -> list[str]:
    """Names of the pretrained weights that are used, unless they are not on this machine or take too long."""
    return list(dict.fromkeys(_weights_of(part) for choice in _choices(wish) for part in choice.split(JOIN)))


def plan_features(
    table: ClipTable,
    spec_changes: Mapping[str, Any],
    wish: AutoOptions,
    *,
    others: Sequence[Wanted] = (),
    mirrored: bool,
    say: Callable[[str], None],
) -> FeaturePlan:
    """Choose the features, after measuring their cost here.

    Args:
        table: labelled videos.
        spec_changes: fields of the clip spec that are not to be each backbone's own.
        wish: what to look for. Within a budget, the best that fits; the cheapest where nothing does.
        others: other results made of the videos.
        mirrored: training takes the mirror images of videos, too.
        say: called with the expected time.
    """
    best_first = _choices(wish)
    parts = list(dict.fromkeys(part for choice in best_first for part in choice.split(JOIN)))
    here = [part for part in parts if weights.find(_weights_of(part)) is not None]
    missing = tuple(dict.fromkeys(_weights_of(part) for part in parts if part not in here))
    if not here:
        return FeaturePlan(None, None, missing, {}, wanted=tuple(others))
    choices = list(filter(None, dict.fromkeys(_joined(choice, here) for choice in best_first)))
    parts_of = {choice: _parts(choice, spec_changes) for choice in choices}
    asked = dict.fromkeys(part for those in parts_of.values() for part in those)
    wanted = {part: wanted_features(*part, len(table.labels), mirrored=mirrored) for part in asked}
    best = parts_of[choices[0]]
    if wish.budget_s is None and all(all(wanted[part].cache.is_kept(table)) for part in best):
        choices = choices[:1]  # there is nothing to wait for, so the others are not measured
    measured = dict.fromkeys(part for choice in choices for part in parts_of[choice])
    costs = forecast({part: wanted[part] for part in measured}, table, others)
    seconds = {choice: round(sum(costs[part] for part in parts_of[choice]), 1) for choice in choices}
    fitting = [choice for choice in choices if wish.budget_s is None or seconds[choice] <= wish.budget_s]
    chosen = fitting[0] if fitting else min(choices, key=lambda choice: seconds[choice])
    note = note_of(chosen, choices, seconds, wish.budget_s)
    if note:
        say(note)
    elif seconds[chosen] > _WORTH_SAYING_S:
        told = ", ".join(f"{choice} {duration(seconds[choice])}" for choice in choices)
        say(f"features will take about: {told} (measured on this machine; computed once and kept)")
    fast = FAST_BACKBONE if FAST_BACKBONE in here else None
    used = dict.fromkeys([*parts_of[chosen], *(parts_of.get(fast, []) if fast else [])])
    return FeaturePlan(chosen, fast, missing, seconds, note, (*others, *(wanted[part] for part in used)))


def _choices(wish: AutoOptions) -> list[str]:
    """Features, the best first."""
    live = f"{JOINTS_BACKBONE}{JOIN}{FAST_BACKBONE}"  # each costs a stream one frame
    choices = [live] if wish.goal == "live" else [DEFAULT_BACKBONE, JOINTS_BACKBONE]
    return [FAST_BACKBONE] if wish.fast else list(dict.fromkeys([*choices, FAST_BACKBONE]))


def _parts(choice: str, spec_changes: Mapping[str, Any]) -> list[tuple[str, ClipSpec]]:
    """The backbones of a choice, and the clip of each."""
    record = find_backbone(choice)
    spec = replace(record.spec, **spec_changes)
    if not record.members:
        return [(choice, spec)]
    return [(one.name, its) for one, its in zip(record.members, member_specs(record, spec), strict=True)]


def _joined(choice: str, here: Sequence[str]) -> str:
    """What of a choice is on this machine."""
    return JOIN.join(part for part in choice.split(JOIN) if part in here)


def _weights_of(backbone: str) -> str:
    found = find_backbone(backbone).weights
    if found is None:
        raise KinemeError(f"{backbone}: is not pretrained")
    return found.name


def note_of(chosen: str, choices: Sequence[str], seconds: Mapping[str, float], budget_s: float | None) -> str:
    """The first lines about the chosen features: those beyond the budget, or that they take long.

    Args:
        chosen: one of the choices.
        choices: the best first.
        seconds: that each takes.
        budget_s: that they may take; None for any.
    """
    if budget_s is not None and chosen != choices[0]:
        fits = "fits" if seconds[chosen] <= budget_s else "takes the least, though it does not fit"
        return (
            f"the budget of {duration(budget_s)} leaves out {choices[0]}, which would take "
            f"{duration(seconds[choices[0]])}; {chosen} {fits} ({duration(seconds[chosen])})"
        )
    if seconds[chosen] > LONG_S:
        less = [f"{_LESS[choice]} takes {duration(seconds[choice])}" for choice in choices if choice in _LESS]
        how = "".join(f", {one}" for one in [*less, "--budget 30m picks what fits"]) if choices[1:] else ""
        return f"features take about {duration(seconds[chosen])} here{how}"
    return ""
