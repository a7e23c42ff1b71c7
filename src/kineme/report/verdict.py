"""Explains the metrics of an evaluation in sentences: the result first, then its caveats.

The report page opens with these sentences; the command line prints the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeGuard

_FEW_GROUPS = 5  # fewer than this, and the interval itself is too narrow
_WIDE = 0.2  # an interval wider than this says little
_CLOSE = 0.1  # a baseline within this of the result explains too much of it
_MISCALIBRATED = 0.1
_TELLS_UNKNOWN = 0.7  # top-1 below which no score told unknown actions better than chance, on real scenes never seen
_MOST_OF_IT = 0.5  # of what it knows beyond guessing, lost without the order of frames
_FEWEST_HELD_OUT = 19  # videos; of fewer, the threshold for unknown actions is a guess at their distribution
_FEWEST_CALIBRATED = 50  # test videos; of fewer, the calibration error is mostly noise
SIGNIFICANT = 0.05

BASELINES = {
    "single_frame": "single frames (logistic regression on ImageNet features)",
    "background_only": "background only",
    "majority": "most frequent class",
    "chance": "guessing",
}  # what a result is shown beside, and what each is called
ORDERS = {"shuffled": "shuffled", "reversed": "played backwards", "frozen": "the middle frame only"}


def headline(test: Mapping[str, Any], *, group_noun: str = "groups", leaky: bool = False) -> str:
    """How good a model is, compared with the baselines, and whether it uses time: two or three sentences.

    Args:
        test: the ``test`` object of ``metrics.json``.
        group_noun: what a group is, in the plural ("people", "scenes").
        leaky: whether groups of the test videos may also be in the training set.
    """
    return " ".join(
        filter(None, (score(test, group_noun=group_noun, leaky=leaky), baseline_sentence(test), time_use(test)))
    )


def score(test: Mapping[str, Any], *, group_noun: str = "groups", leaky: bool = False) -> str:
    """One sentence: how often it is right, on what. Arguments as for :func:`headline`."""
    videos = pluralize(test["n"], "videos")
    groups = pluralize(test["groups"], group_noun)
    if leaky:
        where = f"On {videos} of {groups}, which it may have seen in training"
    elif test["groups"] == test["n"]:
        where = f"On {videos} it never saw"
    else:
        where = f"On {videos} of {groups} it never saw"
    interval = test.get("top1_interval")
    within = f" (95 % interval {between(interval)})" if is_interval(interval) else ""
    return nbsp_percent(f"{where}, it classifies {percent(test['top1'])} of cases correctly{within}.")


def baseline_sentence(test: Mapping[str, Any]) -> str:
    """One sentence: the accuracy of the ``baselines`` of ``test``; "" without baselines."""
    top1s = {name: baseline_top1(test, name) for name in BASELINES}
    chance, majority = top1s["chance"], top1s["majority"]
    if majority is not None and chance is not None and majority <= chance + 0.05:
        top1s["majority"] = None  # balanced classes: it says nothing more than guessing does
    words = {
        "chance": "guessing gives",
        "majority": "always predicting the most frequent class",
        "background_only": "the background alone",
        "single_frame": BASELINES["single_frame"],
    }
    found = [(words[name], top1s[name]) for name in words if top1s[name] is not None]
    joined = "; ".join(f"{name} {percent(top1)}" for name, top1 in found if top1 is not None)
    return nbsp_percent(f"{joined[0].upper()}{joined[1:]}.") if joined else ""


def time_use(test: Mapping[str, Any], name: str = "it") -> str:
    """One sentence: the accuracy with shuffled frames, and its meaning; "" if that was not tested.

    It says no more than the paired test over groups supports, and nothing of a model that may be guessing.

    Args:
        test: the ``test`` object of ``metrics.json``; its ``orders`` are looked at.
        name: of the model.
    """
    orders = test.get("orders") or {}
    shuffled = orders.get("shuffled") or {}
    if not is_number(shuffled.get("top1")):
        return ""
    ordered, p_value = shuffled.get("top1_ordered", test["top1"]), shuffled.get("p_value")
    guessing = _guessing(test)
    instead = (
        f"With its frames shuffled, {name} classifies {percent(shuffled['top1'])} correctly instead of "
        f"{percent(ordered)}"
    )
    if _lower_end(test) <= guessing:
        return nbsp_percent(
            f"{instead}: it is not clearly better than guessing, so this says nothing about the use of time."
        )
    if not is_number(p_value):
        return nbsp_percent(f"{instead}.")
    if p_value >= SIGNIFICANT or shuffled["top1"] >= ordered:
        why = f"a difference that may be due to chance (p = {p_value:.2f})" if p_value < 1 else "no less"
        return nbsp_percent(f"{instead}, {why}: this test does not show that it uses the order of frames.")
    how_sure = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    if (ordered - shuffled["top1"]) / max(ordered - guessing, 1e-9) >= _MOST_OF_IT:
        return nbsp_percent(f"{instead} ({how_sure}): it relies on motion and order.")
    frozen = orders.get("frozen") or {}
    interval = frozen.get("top1_interval")
    if is_interval(interval) and interval[0] > guessing:
        alone = f"; from the middle frame alone it classifies {percent(frozen['top1'])} correctly"
        return nbsp_percent(f"{instead} ({how_sure}): it uses motion and order{alone}.")
    return nbsp_percent(f"{instead} ({how_sure}): it uses motion and order.")


def _guessing(test: Mapping[str, Any]) -> float:
    """Top-1 that needs no video: of guessing, or of always answering the most frequent class."""
    chance = baseline_top1(test, "chance") or 1 / max(len(test["per_class"]), 2)
    return max(chance, baseline_top1(test, "majority") or 0.0)


def _lower_end(test: Mapping[str, Any]) -> float:
    """The lower end of the interval of top-1; top-1 itself without an interval."""
    interval = test.get("top1_interval")
    return interval[0] if is_interval(interval) else float(test["top1"])


def refusal(unknown: Mapping[str, Any]) -> str:
    """How often known actions and background are refused, in sentences, from ``unknown`` of ``metrics.json``."""
    actions, background = unknown["actions_refused"], unknown["background_refused"]

    def share(figures: Mapping[str, Any]) -> str:
        return f"{percent(figures['share'])} (95 % interval {between(figures['interval'])})"

    text = (
        f"Of {pluralize(actions['n'], 'test videos')} it rejects {share(actions)} as no known action; the threshold "
        f"was set on videos held out of training to reject at most {percent(unknown['refused_at_most'])}."
    )
    if unknown.get("held_out", _FEWEST_HELD_OUT) < _FEWEST_HELD_OUT:
        text += (
            f" With only {unknown['held_out']} of them it had to be set wide, so it also accepts many unknown actions: "
            "learn from more videos before you rely on it."
        )
    if background:
        text += (
            f" Of {background['n']} windows without an action, made from the same videos by repeating frames, it "
            f"rejects {share(background)}."
        )
    return nbsp_percent(text)


def _leak(test: Mapping[str, Any], group_noun: str) -> str:
    """The meaning of a leaky split, with the figure of a split by groups if there is one."""
    text = f"The split is leaky: the same {group_noun} may be in training and in test, so the figure says little"
    honest = test.get("honest") or {}
    if not is_number(honest.get("top1")):
        why = f" The result of a split by groups is not known: {honest['reason']}." if honest.get("reason") else ""
        return f"{text} about new ones.{why or ' Train without the random split for one that does.'}"
    within = f" (95 % interval {between(honest['top1_interval'])})" if is_interval(honest.get("top1_interval")) else ""
    text += (
        f" about new ones. Trained in the same way but tested on {pluralize(honest['groups'], group_noun)} it never "
        f"saw, it classifies {percent(honest['top1'])} correctly{within}: rely on that figure."
    )
    points = round(100 * (float(test["top1"]) - float(honest["top1"])))
    if is_interval(honest.get("top1_interval")) and honest["top1_interval"][1] < _lower_end(test):
        text += f" The difference of {points} points comes from having seen these {group_noun} in training."
    return nbsp_percent(text)


def caveats(test: Mapping[str, Any], *, group_noun: str = "groups", leaky: bool = False) -> list[str]:
    """Every reason to trust the figure less, each one sentence or two with what to do about it.

    Args:
        test: the ``test`` object of ``metrics.json``.
        group_noun: what a group is, in the plural ("people", "scenes").
        leaky: whether groups of the test videos may also be in the training set.
    """
    found = []
    top1, interval = float(test["top1"]), test.get("top1_interval")
    add = "Add more videos" if group_noun == "videos" else f"Add videos of other {group_noun}"
    if leaky:
        found.append(_leak(test, group_noun))
    if test["groups"] < _FEW_GROUPS:
        found.append(
            f"Only {pluralize(test['groups'], group_noun)} could be tested: whatever the interval says, "
            f"others may fare quite differently. {add}."
        )
    if is_interval(interval) and interval[1] - interval[0] > _WIDE:
        less = "" if test["groups"] == test["n"] else f"; more videos of the same {group_noun} help less"
        found.append(
            f"The interval is wide: the true figure may be anything from {between(interval)}. "
            f"Test on more {group_noun} to know it better{less}."
        )
    background = baseline_top1(test, "background_only")
    if background is not None and background >= top1 - _CLOSE:
        found.append(
            f"The background alone gives {percent(background)}, against {percent(top1)} for the model: it may have "
            f"learned places rather than movements. Film each action in several places, and several actions in each."
        )
    majority = baseline_top1(test, "majority")
    if majority is not None and majority >= _lower_end(test):
        found.append(
            f"Always predicting the most frequent class gives {percent(majority)}, against {percent(top1)} for the "
            f"model, which is not clearly better. {add}."
        )
    missing = [label for label, figures in test.get("per_class", {}).items() if not figures.get("n")]
    if missing:
        found.append(f"Not tested at all, since the test set has no video of it: {', '.join(missing)}.")
    if "as_used" in test and top1 < _TELLS_UNKNOWN:
        found.append(
            f"With {percent(top1)} of the known actions correct, unknown actions cannot be detected either: the same "
            f"features would have to distinguish them."
        )
    error = test.get("calibration_error")
    if is_number(error) and error > _MISCALIBRATED and test["n"] >= _FEWEST_CALIBRATED:
        found.append(
            f"Its probabilities are off by {percent(error)} on average (calibration error): "
            f"a probability of “90 %” does not mean that nine in ten are correct."
        )
    return [nbsp_percent(sentence) for sentence in found]


def confused_pairs(
    confusion: Sequence[Sequence[int]], labels: Sequence[str], count: int = 10
) -> list[tuple[str, str, int, float]]:
    """The most frequent mistakes.

    Args:
        confusion: counts (K, K); rows are the truth, columns are the predictions.
        labels: the K names.
        count: how many pairs at most.

    Returns:
        Truth, predicted label, number of videos, and their share of the videos of the true class.
    """
    pairs = [
        (labels[truth], labels[predicted], int(number), number / sum(row))
        for truth, row in enumerate(confusion)
        for predicted, number in enumerate(row)
        if truth != predicted and number
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], -pair[3]))[:count]


def percent(share: float) -> str:
    """``0.934`` as ``"93 %"``; "100 %" and "0 %" only for exactly 1 and 0."""
    rounded = round(share * 100)
    if (rounded == 100 and share < 1) or (rounded == 0 and share > 0):
        return f"{min(max(share * 100, 0.1), 99.9):.1f} %"
    return f"{rounded} %"


def between(interval: Sequence[float]) -> str:
    """``(0.88, 0.97)`` as ``"88 to 97 %"``."""
    low, high = percent(interval[0]), percent(interval[1])
    return f"{low.removesuffix(' %')} to {high}"


def pluralize(number: int, plural: str) -> str:
    """``(1, "people")`` as ``"1 person"``, ``(6, "people")`` as ``"6 people"``."""
    if number != 1:
        return f"{number:,} {plural}"
    return f"1 {'person' if plural == 'people' else plural.removesuffix('s')}"


def nbsp_percent(sentence: str) -> str:
    """The sentence with figures that stay on one line with their "%"."""
    return sentence.replace(" %", "\u00a0%")


def listed(names: Sequence[str]) -> str:
    """``["a", "b", "c"]`` as ``"a, b and c"``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def is_number(value: object) -> TypeGuard[float]:
    """Whether ``value`` is a finite number (figures of classes without test videos are not)."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_interval(value: object) -> TypeGuard[Sequence[float]]:
    """Whether ``value`` is a pair of finite numbers."""
    return isinstance(value, Sequence) and len(value) == 2 and all(is_number(end) for end in value)


def baseline_top1(test: Mapping[str, Any], name: str) -> float | None:
    """Top-1 of one of the ``baselines`` of ``test``, None where it has none."""
    value = ((test.get("baselines") or {}).get(name) or {}).get("top1")
    return float(value) if is_number(value) else None


def lost_when_shuffled(test: Mapping[str, Any]) -> float | None:
    """Top-1 as filmed minus top-1 with the frames shuffled, None where ``test`` has no such ``orders``."""
    value = ((test.get("orders") or {}).get("shuffled") or {}).get("top1")
    return float(test["top1"] - value) if is_number(value) else None
