"""How the default approach chose its model, in sentences and one table, at the top of a run's report and output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kineme.report.verdict import (
    BASELINES,
    baseline_top1,
    between,
    is_interval,
    listed,
    nbsp_percent,
    percent,
    pluralize,
)

COLUMNS = ("tried on folds of the training groups", "top-1", "95 % interval", "against the default")
_RULES = {"background_only": "the background alone", "majority": "always predicting the most frequent class"}
_FEW_GROUPS, _FEW_CLIPS = 6, 10
_SMALL = 0.02  # of the picture
_MOSTLY = 0.7
_SLOW = 2.0  # looks a second: fewer, and something faster is named


def opening(metrics: Mapping[str, Any]) -> list[str]:
    """What must be read before any figure, the most important first; nothing where the figure stands for itself.

    Args:
        metrics: the document of ``metrics.json``.
    """
    selection = metrics.get("selection")
    lines = _of_selection(selection) if selection else []
    return [nbsp_percent(line) for line in filter(None, [*lines, _beaten(metrics["test"])])]


def _of_selection(selection: Mapping[str, Any]) -> list[str]:
    """What the choice itself says."""
    lines = []
    missing, features = selection["missing_weights"], selection["features"]
    if missing:
        pull = f"kineme models pull {' '.join(missing)}"
        without = "from scratch, without pretrained features" if not features else f"on {features} alone"
        lines.append(f"Trained {without}: weights of {listed(missing)} are not on this machine. To use them: {pull}")
    chosen = _figures(selection, selection["chosen"])
    default = _of_role(selection, "default")
    if selection["one_class_groups"]:
        lines.append(
            "Each group holds one class, so places or people alone distinguish the classes, and no test "
            "can show which of them was learned: film each action in several places, and several actions in each."
        )
    if selection["learned"] is False:
        lines.append(_nothing_learned(selection, chosen))
    elif selection["role"] == "simple" and chosen and default:
        lines.append(
            "Single frames are enough here: one picture is enough to distinguish your actions. On the folds they "
            f"classified {percent(chosen['top1'])} correctly, {default['what']} {percent(default['top1'])}."
        )
    elif selection["role"] == "other" and chosen and default:
        lines.append(
            f"{_capital(chosen['what'])} was kept instead of {default['what']}: on the folds it is clearly better, "
            f"{percent(_score(chosen))} against {percent(_score(default))}."
        )
    background = _of_role(selection, "background")
    if selection["learned"] and background and chosen and background["top1"] >= chosen["top1"]:
        lines.append(
            f"The background alone does as well on the folds ({percent(background['top1'])}): places alone "
            "distinguish your classes."
        )
    return lines


def _nothing_learned(selection: Mapping[str, Any], chosen: Mapping[str, Any] | None) -> str:
    """That nothing was learned, and why as far as that can be known."""
    default = _of_role(selection, "default", "live") or chosen
    figures = ""
    if default and "top1" in default:
        figures = (
            f": on folds of the training groups {default['what']} classified {percent(default['top1'])} correctly "
            f"(95 % interval {between(default['top1_interval'])}), and guessing {percent(selection['guessing'])}"
        )
    reasons = []
    if selection["groups"] < _FEW_GROUPS:
        reasons.append(f"there are only {pluralize(selection['groups'], 'groups')} to learn from")
    if selection["clips_per_class"] < _FEW_CLIPS:
        reasons.append(f"a class has only {pluralize(selection['clips_per_class'], 'clips')} to learn from")
    if selection["one_class_share"] >= _MOSTLY:
        reasons.append("most groups hold one class, so places alone distinguish the classes")
    background = _of_role(selection, "background")
    of_default = default.get("top1", 1.0) if default else 1.0
    if background and background["top1"] > of_default and background["top1_interval"][0] > selection["guessing"]:
        share = percent(background["top1"])
        reasons.append(f"the background alone gives {share}, so places distinguish the classes")
    moving = selection.get("moving_share")
    if moving is not None and moving < _SMALL:
        reasons.append(f"the moving region is small ({percent(moving)} of the picture)")
    if not reasons:
        reasons = ["labels that do not match the videos", "differences too small for these features"]
    why = f" Possible reasons: {'; '.join(reasons)}."
    kept = " The model always predicts by class frequency." if selection["role"] == "guess" else ""
    said = "The model is not measurably better than guessing"
    if default and default.get("top1", 0.0) >= (1 + selection["guessing"]) / 2 and not kept:
        said = "There is too little data to show that the model is better than guessing"
    return f"{said}{figures}.{why}{kept}"


def _beaten(test: Mapping[str, Any]) -> str:
    """Which simple rule does better on the test videos, if one does."""
    found = [(name, top1) for name in BASELINES if (top1 := baseline_top1(test, name)) is not None]
    name, top1 = max(found, key=lambda one: one[1], default=("", 0.0))
    if top1 <= test["top1"]:
        return ""
    interval = test.get("top1_interval")
    within = is_interval(interval) and top1 <= interval[1]
    chance = ", a difference that may be chance" if within else ""
    rule = _RULES.get(name, BASELINES[name])
    return f"On the test videos {rule} does better: {percent(top1)} against {percent(test['top1'])}{chance}."


def rows(selection: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """The table of the candidates, under :data:`COLUMNS`; the shipped one is marked."""
    found = []
    for one in selection["candidates"]:
        mark = " (kept)" if one["name"] == selection["chosen"] else ""
        name = f"{one['what']}{mark}"
        if "top1" not in one:
            found.append((name, "", "", one["not_measured"]))
            continue
        segments = f"; segment F1 {percent(one['segment_f1'])}" if "segment_f1" in one else ""
        against = _p_value(one["p"]) if "p" in one else "the default" if one["role"] == "default" else ""
        found.append((name, percent(one["top1"]), f"{between(one['top1_interval'])}{segments}", against))
    return [tuple(map(nbsp_percent, row)) for row in found]  # type: ignore[misc]


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def why(selection: Mapping[str, Any]) -> str:
    """One sentence: the choice and the reason."""
    what = f"Chosen: {selection['what']} ({selection['chosen']})"
    if selection["not_tried"]:
        return f"{what}. No other approach was tried: {selection['not_tried']}."
    return f"{what}, since {selection['reason']} ({selection['folds']} folds, {selection['clips']} clips)."


def live(selection: Mapping[str, Any]) -> str:
    """How often a stream of the model is answered here, and faster models if that is seldom; "" if unknown."""
    rate = selection.get("looks_per_second")
    if rate is None:
        return ""
    often = f"about {rate:.0f} answers per second" if rate >= 10 else f"about {rate:.2g} answers per second"
    if rate < 1:
        often = f"an answer about every {1 / rate:.2g} seconds"
    said = f"Live: {often} from a stream on this machine."
    if rate >= _SLOW:
        return said
    fast = [one for one in selection["candidates"] if one["role"] in ("simple", "live") and "top1" in one]
    best = max(fast, key=lambda one: one["top1"], default=None)
    if best is None:
        return f"{said} --for live trains a model that follows a stream at the cost of one frame."
    return nbsp_percent(
        f"{said} At the cost of one frame: {best['what']}, {percent(best['top1'])} on the folds; --for live takes the "
        "best of that kind."
    )


def _of_role(selection: Mapping[str, Any], *roles: str) -> Mapping[str, Any] | None:
    """The first candidate that has one of these roles."""
    return next((one for one in selection["candidates"] if one["role"] in roles), None)


def _figures(selection: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    return next((one for one in selection["candidates"] if one["name"] == name and "top1" in one), None)


def _score(figures: Mapping[str, Any]) -> float:
    return float(figures.get("segment_f1", figures["top1"]))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
