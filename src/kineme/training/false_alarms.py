"""False alarms of triggers per hour of background, at each threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from kineme.prediction.result import Segment
from kineme.training.timelines import ScoredVideo
from kineme.triggers.rule import DEFAULT_HOLD_S, Rule
from kineme.triggers.trigger import Trigger

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TOLERANCE_S = 1.0  # how far from an action a beginning still belongs to it
COOLDOWN_S = 5.0


class ThresholdMetrics(TypedDict):
    """What rules for every label do at one threshold.

    ``found`` is the share of true actions reported within a second of their time. Both intervals are of 95 %: of
    the rate as of a Poisson count, of the share as of independent actions.
    """

    threshold: float
    false_alarms: int
    per_hour: float
    per_hour_interval: list[float]
    found: float | None


class TriggerMetrics(TypedDict):
    """``triggers`` in ``metrics.json``: from validation videos that are labelled throughout."""

    videos: int
    groups: int
    actions: int
    background_hours: float
    hold_s: float
    cooldown_s: float
    thresholds: list[ThresholdMetrics]


def trigger_metrics(scored: Sequence[ScoredVideo], labels: Sequence[str]) -> TriggerMetrics | None:
    """Follow ``--on '* > THRESHOLD'`` over whole videos, at each threshold.

    A beginning is a false alarm where no true action of its label lies within a second of it.

    Args:
        scored: whole validation videos; those that are not labelled throughout are left out.
        labels: of the model.

    Returns:
        None where no background was labelled.
    """
    videos = [one for one in scored if one.video.throughout]
    background_s = sum(_background_s(one) for one in videos)
    if not background_s:
        return None
    hours = background_s / 3600
    actions = sum(len(one.video.true) for one in videos)
    rows: list[ThresholdMetrics] = []
    for threshold in THRESHOLDS:
        false = found = 0
        for one in videos:
            begun = [begin for label in labels for begin in _beginnings(one, label, labels, threshold)]
            false += sum(not any(_belongs(begin, label, true) for true in one.video.true) for begin, label in begun)
            found += sum(any(_belongs(begin, label, true) for begin, label in begun) for true in one.video.true)
        rows.append(
            {
                "threshold": threshold,
                "false_alarms": false,
                "per_hour": false / hours,
                "per_hour_interval": [count / hours for count in _poisson_interval(false)],
                "found": found / actions if actions else None,
            }
        )
    return {
        "videos": len(videos),
        "groups": len({one.video.group for one in videos}),
        "actions": actions,
        "background_hours": hours,
        "hold_s": DEFAULT_HOLD_S,
        "cooldown_s": COOLDOWN_S,
        "thresholds": rows,
    }


def _beginnings(one: ScoredVideo, label: str, labels: Sequence[str], threshold: float) -> list[tuple[float, str]]:
    trigger = Trigger(Rule(label, threshold), labels, COOLDOWN_S)
    found = []
    for number, time_s in enumerate(one.times_W.tolist()):
        is_known = one.open_set_scores_W is None or bool(one.open_set_scores_W[number] >= 0)
        change = trigger.push(time_s, one.probabilities_WK[number], is_known)
        if change and change.kind == "enter":
            found.append((change.start_s, label))
    return found


def _belongs(begin_s: float, label: str, true: Segment) -> bool:
    return label == true.label and true.start_s - TOLERANCE_S <= begin_s <= true.end_s + TOLERANCE_S


def _background_s(one: ScoredVideo) -> float:
    """Seconds of a video in which no labelled action happens."""
    covered_s, reached_s = 0.0, 0.0
    for true in sorted(one.video.true, key=lambda true: true.start_s):
        begin_s, end_s = max(true.start_s, reached_s), min(true.end_s, one.duration_s)
        covered_s += max(0.0, end_s - begin_s)
        reached_s = max(reached_s, end_s)
    return one.duration_s - covered_s


def _poisson_interval(count: int) -> tuple[float, float]:
    """The exact interval of 95 % of a Poisson mean; Garwood, "Fiducial limits for the Poisson distribution", 1936."""
    from scipy.stats import chi2

    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(0.975, 2 * count + 2)) / 2
