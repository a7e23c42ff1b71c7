"""The page of a comparison of approaches, and the same verdict in sentences for the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kineme.files import write_text
from kineme.models.registry import make_approach
from kineme.report import plots, verdict
from kineme.report.scatter import MOST_NAMES, Dot, accuracy_against_cost
from kineme.report.template import render
from kineme.report.verdict import is_number, listed, nbsp_percent, percent, pluralize

_FEWEST_ANSWERS = 3  # of each class of a pair, for an accuracy of telling the two apart
_A_COIN, _TELLS = 0.65, 0.85  # up to the one a pair is not told apart, from the other on it is
_BY_ORDER = 0.1  # recall that must be lost by shuffling for order to be what tells
_UNCHANGED = 0.05  # top-1 may change by as much in another order for a candidate that does not know it
_MOST_PAIRS = 3  # pairs described in sentences; the page's table has them all
_MOST_LISTED = 4  # names in a sentence
_SIGNIFICANT = 0.05


def write_comparison(path: str | os.PathLike[str], document: Mapping[str, Any]) -> None:
    """Write what ``kineme compare`` found as one self-contained page.

    Args:
        path: the file to write; commands on the page name the folder it lies in.
        document: the document of ``comparison.json``.

    Raises:
        KinemeError: the file cannot be written.
    """
    data, ranked = document["data"], _ranked(document)
    labels, names = data["labels"], [one["name"] for one in ranked]
    opening, *findings = sentences(document)
    best = ranked[0] if ranked else None
    winner = Path(path).parent / Path(document["winner"]).parent if document.get("winner") else None
    page = render(
        "comparison.html.j2",
        title=f"{pluralize(len(document['candidates']), 'candidates')} compared on {data['name']}",
        subtitle=f"{_kind(document)} {_seeds(document)}",
        headline=opening,
        findings=findings,
        caveats=[*caveats(document), *data["warnings"]],
        interval_method=best["test"].get("interval_method") if best else None,
        data=data,
        labels=labels,
        names=names,
        rows=[_row(document, one) for one in ranked],
        failed=[(one["name"], one["error"]) for one in document["candidates"] if one.get("error")],
        bars=plots.bars(_bars(document), long_names=True),
        leaky=document.get("leaky") or {},
        cost=_cost(document),
        numbered_dots=len([one for one in ranked if is_number(_cost_of(one))]) > MOST_NAMES,
        pairs=[(pair.first, pair.second, dict([*pair.blind, *pair.others])) for pair in order_pairs(document)],
        recalls=[(label, [one["test"]["per_class"][label].get("recall") for one in ranked]) for label in labels],
        shuffle_recall_drops=[
            (label, [(one.get("motion_reliance") or {}).get(label) for one in ranked]) for label in labels
        ],
        top1s=[one["test"]["top1"] for one in ranked],
        lost=[verdict.lost_when_shuffled(_test(document, one)) for one in ranked],
        best=best,
        confusion=plots.confusion_matrix(best["test"]["confusion"], labels) if best else None,
        confused=verdict.confused_pairs(best["test"]["confusion"], labels) if best else [],
        others=[(one["name"], plots.confusion_matrix(one["test"]["confusion"], labels)) for one in ranked[1:]],
        numbered=len(labels) > plots.MOST_NAMES,
        skipped=[(one["path"], one["reason"]) for one in data["skipped"]],
        skipped_words=pluralize(len(data["skipped"]), "videos"),
        protocol=document["protocol"],
        kind=_kind(document),
        seeds=_seeds(document),
        group=_one(data["group_noun"]),
        winner=winner,
        how_to_use=_how_to_use(winner),
        settings=[_settings(one) for one in document["candidates"]],
        versions=document.get("versions") or {},
        machine=document.get("machine"),
        seconds=document.get("seconds"),
    )
    write_text(path, page)


def sentences(document: Mapping[str, Any]) -> list[str]:
    """The verdict in plain words: which is best and how surely, beside what, and who reads the order of frames.

    Args:
        document: the document of ``comparison.json``.

    Returns:
        The answer first, one finding each. What speaks against it is in :func:`caveats`.
    """
    ranked = _ranked(document)
    if not ranked:
        return ["No candidate could be trained."]
    best, noun = ranked[0], document["data"]["group_noun"]
    test, name = _test(document, best), best["name"]
    score = verdict.score(test, group_noun=noun)
    first = f"comes out first of {len(ranked)}" if len(ranked) > 1 else "is the only candidate"
    found = [f"{name} {first}: {score[0].lower()}{score[1:]} {_against(ranked)}".strip()]
    found += [verdict.baseline_sentence(test), _leaky_claim(document)]
    if _order_blind(best):
        found.append(f"{name} processes each frame separately: it ignores the order of frames.")
    else:
        found.append(verdict.time_use(test, name))
    pairs = order_pairs(document)
    found += [_pair_sentence(pair) for pair in pairs[:_MOST_PAIRS]]
    if len(pairs) > _MOST_PAIRS:
        found.append(f"The same goes for {pluralize(len(pairs) - _MOST_PAIRS, 'more pairs')} of actions.")
    return [nbsp_percent(sentence) for sentence in found if sentence]


def caveats(document: Mapping[str, Any]) -> list[str]:
    """Every reason to trust the verdict less, one sentence or two each.

    Args:
        document: the document of ``comparison.json``.
    """
    ranked, noun = _ranked(document), document["data"]["group_noun"]
    found = []
    failed = sum(bool(one.get("error")) for one in document["candidates"])
    if failed:
        found.append(f"{pluralize(failed, 'candidates')} failed and could not be compared.")
    if ranked:
        test = _test(document, ranked[0])
        others = [one["against_best"] for one in ranked[1:] if one.get("against_best")]
        if len(ranked) > 1:
            found.append(
                f"The best was chosen on the same videos that it is measured on, so its accuracy is slightly too high, "
                f"and more so with more candidates (here {len(ranked)}). For an accuracy to quote, run “kineme "
                f"evaluate” with the winner on videos that took no part."
            )
        least_p = 2.0 ** (1 - test["groups"])  # all signs alike, either way round
        if others and least_p * len(others) > _SIGNIFICANT and not any(one["distinguishable"] for one in others):
            found.append(
                f"With {pluralize(test['groups'], noun)} the paired test can hardly detect a difference, "
                f"however large it is: “not distinguishable” says little here."
            )
        if len(document["protocol"]["seeds"]) == 1 and len(ranked) > 1:
            found.append("Each was trained once, with one seed: another start may change the order of the close ones.")
        found += verdict.caveats(test, group_noun=noun)
    return [nbsp_percent(sentence) for sentence in found]


class OrderPair(NamedTuple):
    """Two classes that only the order of frames tells apart, and how often each candidate tells them apart.

    Args:
        first: a label.
        second: another.
        blind: name and accuracy of each candidate that cannot know the order of frames.
        others: name and accuracy of each other candidate, best first; None where too few answers tell.
    """

    first: str
    second: str
    blind: list[tuple[str, float | None]]
    others: list[tuple[str, float | None]]


def order_pairs(document: Mapping[str, Any]) -> list[OrderPair]:
    """The pairs of classes that no order-blind candidate tells apart better than a coin might, and another does.

    Another counts where it also loses recall on the two when their frames are shuffled: a pair that it tells apart
    in any order is a hard one, but not one of order.

    Args:
        document: the document of ``comparison.json``. Without an order-blind candidate there are no such pairs.
    """
    labels, ranked = document["data"]["labels"], _ranked(document)
    blind, others = [one for one in ranked if _order_blind(one)], [one for one in ranked if not _order_blind(one)]
    pairs = []
    for i, j in combinations(range(len(labels)), 2):
        told = {one["name"]: _telling_apart(one["test"]["confusion"], i, j) for one in ranked}
        not_told = [told[one["name"]] for one in blind]
        readers = [
            one
            for one in others
            if (told[one["name"]] or 0) >= _TELLS and _shuffle_recall_drop(one, labels[i], labels[j]) >= _BY_ORDER
        ]
        if readers and any(map(is_number, not_told)) and all(share is None or share <= _A_COIN for share in not_told):
            by_share = sorted(others, key=lambda one: -(told[one["name"]] or 0))
            pairs.append(
                OrderPair(
                    labels[i],
                    labels[j],
                    [(one["name"], told[one["name"]]) for one in blind],
                    [(one["name"], told[one["name"]]) for one in by_share],
                )
            )
    return sorted(pairs, key=lambda pair: -(pair.others[0][1] or 0) + max(share or 0 for _, share in pair.blind))


def _telling_apart(confusion: Sequence[Sequence[int]], i: int, j: int) -> float | None:
    """Accuracy among the answers that are one of the two classes, both counting the same, so that a coin gives 0.5."""
    of_i, of_j = confusion[i][i] + confusion[i][j], confusion[j][j] + confusion[j][i]
    if min(of_i, of_j) < _FEWEST_ANSWERS:
        return None
    return (confusion[i][i] / of_i + confusion[j][j] / of_j) / 2


def _shuffle_recall_drop(candidate: Mapping[str, Any], *labels: str) -> float:
    """Mean recall lost by shuffling over the labels; infinite where it was not tested, so that it decides nothing."""
    known = [(candidate.get("motion_reliance") or {}).get(label) for label in labels]
    numbers = [value for value in known if is_number(value)]
    return sum(numbers) / len(numbers) if numbers else float("inf")


def _order_blind(candidate: Mapping[str, Any]) -> bool:
    """Whether it cannot know the order of frames: by its approach, and by what shuffling changes.

    The approach alone does not decide, since a backbone may itself look at several frames.
    """
    uses_order = make_approach(candidate["approach"], candidate.get("config")).uses_order
    lost = verdict.lost_when_shuffled({**candidate["test"], "orders": candidate.get("orders")})
    return not uses_order and abs(lost or 0.0) <= _UNCHANGED


def _ranked(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The candidates that were trained, the best first."""
    done = [one for one in document["candidates"] if not one.get("error")]
    return sorted(done, key=lambda one: (one["name"] != document.get("best"), -one["test"]["top1"]))


def _test(document: Mapping[str, Any], candidate: Mapping[str, Any]) -> dict[str, Any]:
    """The candidate's ``test`` as ``metrics.json`` has it, with baselines and orders."""
    return {**candidate["test"], "baselines": document.get("baselines"), "orders": candidate.get("orders")}


# Sentences


def _against(ranked: Sequence[Mapping[str, Any]]) -> str:
    """How surely the first of the ranked is the best."""
    near, worse = ([one["name"] for one in ranked[1:] if _standing(one) == kind] for kind in ("near", "worse"))
    are = "are" if len(near) > 1 else "is"
    close = f"{_some(near)} {are} not distinguishable from it on these videos" if near else ""
    if near and not worse:
        return f"{close}: the best one is unknown."
    all_worse = listed(worse) if len(worse) <= _MOST_LISTED else f"the other {len(worse)}"
    behind = f"{all_worse} {'are' if len(worse) > 1 else 'is'} worse" if worse else ""
    return "; ".join(filter(None, (close, behind))) + "." if near or worse else ""


def _some(names: Sequence[str]) -> str:
    """The names as a list in words, of many only the first."""
    if len(names) <= _MOST_LISTED:
        return listed(names)
    return f"{', '.join(names[: _MOST_LISTED - 1])} and {len(names) - _MOST_LISTED + 1} others"


def _standing(candidate: Mapping[str, Any]) -> Literal["best", "near", "worse"]:
    against = candidate.get("against_best")
    return "best" if not against else "worse" if against["distinguishable"] else "near"


def _leaky_claim(document: Mapping[str, Any]) -> str:
    leaky, noun = document.get("leaky") or {}, document["data"]["group_noun"]
    if not is_number(leaky.get("top1")):
        return ""
    honest = next(one["test"]["top1"] for one in _ranked(document) if one["name"] == leaky["candidate"])
    claim = (
        f"A leaky random split, with the same {noun} in training and test, would have claimed {percent(leaky['top1'])}"
    )
    points = round(100 * leaky["top1"]) - round(100 * honest)
    if points > 0:
        return f"{claim} for {leaky['candidate']}: {pluralize(points, 'points')} more than it reaches on new {noun}."
    return f"{claim} for {leaky['candidate']}, no more than it reaches on new {noun}."


def _pair_sentence(pair: OrderPair) -> str:
    told = [f"{name} ({percent(share)})" for name, share in pair.others if share is not None and share >= _TELLS]
    blind = [
        f"{name} {'in' if number else 'is right in'} {percent(share)}"
        for number, (name, share) in enumerate((name, share) for name, share in pair.blind if share is not None)
    ]
    return (
        f"One frame cannot distinguish {pair.first} from {pair.second}: {_some(blind)} (guessing: 50 %). "
        f"{_some(told)} can: {'it reads' if len(told) == 1 else 'they read'} the order of frames."
    )


def _one(group_noun: str) -> str:
    """What one group is called: "person"."""
    return pluralize(1, group_noun).removeprefix("1 ")


def _kind(document: Mapping[str, Any]) -> str:
    """How training and test were kept apart, in a sentence."""
    protocol, noun = document["protocol"], document["data"]["group_noun"]
    one, column = _one(noun), protocol.get("column")
    return {
        "split": f"One split: every candidate was trained on the same videos and tested on the same other {noun}.",
        "folds": f"{protocol.get('folds')}-fold cross-validation: the {noun} were divided into {protocol.get('folds')} "
        f"parts, and each part was tested by models trained on the others.",
        "leave-one-group-out": f"Leave one {one} out: each {one} was tested by models trained on all the others.",
        "column": f"By the {f'column “{column}”' if column else 'fold column'}: the videos of each of its values were "
        f"tested by models trained on the others.",
    }[protocol["kind"]]


def _seeds(document: Mapping[str, Any]) -> str:
    seeds = document["protocol"]["seeds"]
    if len(seeds) == 1:
        return f"One seed ({seeds[0]})."
    return f"{len(seeds)} seeds ({', '.join(map(str, seeds))}), whose predictions are pooled."


# What the page draws and lists


def _bars(document: Mapping[str, Any]) -> list[plots.Bar]:
    ranked, leaky = _ranked(document), document.get("leaky") or {}
    rows = [plots.Bar(one["name"], one["test"]["top1"], one["test"].get("top1_interval")) for one in ranked]
    if is_number(leaky.get("top1")):
        name = f"leaky split (not a fair figure): {leaky['candidate']}"
        rows.append(plots.Bar(name, leaky["top1"], leaky.get("top1_interval"), "claim"))
    return rows + plots.baseline_bars(document)


def _cost_of(candidate: Mapping[str, Any]) -> Any:
    return (candidate.get("cost") or {}).get("ms_per_frame")


def _cost(document: Mapping[str, Any]) -> str | None:
    """Accuracy against cost, None where no cost is known."""
    dots = [
        Dot(one["name"], rank, _cost_of(one), one["test"]["top1"], one["test"].get("top1_interval"), _standing(one))
        for rank, one in enumerate(_ranked(document), 1)
        if is_number(_cost_of(one)) and _cost_of(one) > 0
    ]
    return accuracy_against_cost(dots, xlabel="milliseconds per frame") if dots else None


def _row(document: Mapping[str, Any], candidate: Mapping[str, Any]) -> dict[str, Any]:
    """A candidate's row of the table."""
    test, seeds, against = candidate["test"], candidate.get("seed_top1") or (), candidate.get("against_best")
    words = {"best": "best", "near": "not distinguishable", "worse": "worse"}[_standing(candidate)]
    return {
        "name": candidate["name"],
        "top1": test["top1"],
        "interval": verdict.between(test["top1_interval"]) if verdict.is_interval(test.get("top1_interval")) else "",
        "macro_f1": test["macro_f1"],
        "seeds": verdict.between([min(seeds), max(seeds)]) if len(seeds) > 1 else None,
        "p": _p(against["p"]) if against else None,
        "standing": words,
        "shuffled": ((candidate.get("orders") or {}).get("shuffled") or {}).get("top1"),
        **dict.fromkeys(("training_seconds", "ms_per_frame", "parameters", "memory_mb")),
        **(candidate.get("cost") or {}),
    }


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _settings(candidate: Mapping[str, Any]) -> tuple[str, ...]:
    """Name, backbone, clip and options of a candidate."""
    spec, backbone = candidate.get("spec") or {}, candidate.get("backbone") or "–"
    if candidate.get("pretrained") is not None:
        backbone += ", pretrained" if candidate["pretrained"] else ", from scratch"
    rate = f"{spec['fps']:g} a second" if spec.get("fps") else "spread over the video"
    clip = f"{spec['frames']} frames, {rate}, {spec['width']} × {spec['height']} pixels" if spec else "–"
    options = {key: value for key, value in (candidate.get("config") or {}).items() if key != "backbone"}
    return candidate["name"], backbone, clip, ", ".join(f"{key}={value}" for key, value in options.items()) or "–"


def _how_to_use(winner: Path | None) -> list[str]:
    if winner is None:
        return []
    return [
        "# recognise the action in a video of your own, and write it into the picture",
        f"kineme predict VIDEO --model {winner} --save video,json",
        "# measure the winner on labelled videos that took no part in the comparison",
        f"kineme evaluate {winner} NEW_DATA --split all",
    ]
