"""Which features the default approach uses on this machine: those whose weights are here and that fit the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kineme.dataset.table import ClipTable
from kineme.errors import KinemeError
from kineme.models import weights
from kineme.models.registry import DEFAULT_BACKBONE, FAST_BACKBONE, JOINTS_BACKBONE, find_backbone
from kineme.text import duration
from kineme.training.feature_cost import forecast

JOIN = "+"
LONG_S = 3600.0  # features that take longer are told of first
_WORTH_SAYING_S = 10.0


@dataclass(frozen=True)
class FeaturePlan:
    """What is computed of every video.

    Args:
        backbone: the frozen one, or several joined by ``+``; None where there are no weights, or none are wanted.
        fast: the backbone of single frames, for what is told beside it; None without its weights.
        missing: names of the weights that would have been used, and are not on this machine.
        costs: seconds by backbone.
        note: what the user should know of it before anything else; "" for nothing.
    """

    backbone: str | None
    fast: str | None
    missing: tuple[str, ...]
    costs: dict[str, float]
    note: str = ""


def wanted_weights(*, fast: bool = False, live: bool = False) -> list[str]:
    """Names of the pretrained weights that the default approach uses."""
    backbones = (
        [FAST_BACKBONE] if fast else [JOINTS_BACKBONE, FAST_BACKBONE] if live else [DEFAULT_BACKBONE, FAST_BACKBONE]
    )
    names = [_weights_of(part) for joined in backbones for part in joined.split(JOIN)]
    return list(dict.fromkeys(names))


def plan_features(
    table: ClipTable,
    spec_changes: Mapping[str, Any],
    *,
    fast: bool,
    budget_s: float | None,
    say: Callable[[str], None],
) -> FeaturePlan:
    """Choose the features, after measuring here what they take.

    Args:
        table: labelled videos.
        spec_changes: fields of the clip spec that are not to be each backbone's own.
        fast: single frames alone.
        budget_s: seconds that they may take; the last choice, single frames, is taken whatever it takes.
        say: told what they will take.
    """
    parts = list(dict.fromkeys([*DEFAULT_BACKBONE.split(JOIN), FAST_BACKBONE]))
    here = [part for part in parts if weights.find(_weights_of(part)) is not None]
    missing = tuple(_weights_of(part) for part in parts if part not in here)
    single = FAST_BACKBONE if FAST_BACKBONE in here else None
    if fast or not here:
        return FeaturePlan(single, single, missing, {})
    costs = {part: forecast(part, replace(find_backbone(part).spec, **spec_changes), table) for part in here}
    choices = [_joined(choice, here) for choice in (DEFAULT_BACKBONE, JOINTS_BACKBONE, FAST_BACKBONE)]
    choices = [choice for choice in dict.fromkeys(choices) if choice]
    seconds = {choice: sum(costs[part].seconds for part in choice.split(JOIN)) for choice in choices}
    fitting = [choice for choice in choices if budget_s is None or seconds[choice] <= budget_s]
    chosen = fitting[0] if fitting else min(choices, key=lambda choice: seconds[choice])
    note = _note(chosen, choices, seconds, budget_s)
    if note or seconds[choices[0]] > _WORTH_SAYING_S:
        told = ", ".join(f"{choice} {duration(seconds[choice])}" for choice in choices)
        say(f"features will take about: {told} (measured on this machine; computed once and kept)")
    if note:
        say(note)
    return FeaturePlan(chosen, single, missing, {name: round(value, 1) for name, value in seconds.items()}, note)


def _joined(choice: str, here: Sequence[str]) -> str:
    """What of a choice is on this machine."""
    return JOIN.join(part for part in choice.split(JOIN) if part in here)


def _weights_of(backbone: str) -> str:
    found = find_backbone(backbone).weights
    if found is None:
        raise KinemeError(f"{backbone}: is not pretrained")
    return found.name


def _note(chosen: str, choices: Sequence[str], seconds: dict[str, float], budget_s: float | None) -> str:
    if budget_s is not None and chosen != choices[0]:
        fits = "fits" if seconds[chosen] <= budget_s else "takes the least, though it does not fit"
        return (
            f"the budget of {duration(budget_s)} leaves out {choices[0]}, which would take "
            f"{duration(seconds[choices[0]])}; {chosen} {fits} ({duration(seconds[chosen])})"
        )
    if seconds[chosen] > LONG_S:
        less = " and ".join(f"{choice} alone {duration(seconds[choice])}" for choice in choices if choice != chosen)
        how = f"; {less} (--fast takes {FAST_BACKBONE}, --budget 30m what fits)" if less else ""
        return f"features take about {duration(seconds[chosen])} here{how}"
    return ""
