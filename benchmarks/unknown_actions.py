"""How well the default tells actions that it has not learned: each class is left out of training in turn.

Every group is tested in turn on what was learned from the others without the class that is left out; its clips of that
class are then the unknown ones. The score is the one that models use (:mod:`kineme.models.open_set`), of the best
window of each clip. Printed is how well it ranks known before unknown clips (AUROC: 0.5 is chance), with a 95 %
interval from resampling the groups, beside the probability of the class that is named. With all classes learned, the
same heads give the calibration error of clips of groups that they have not seen.

    python benchmarks/unknown_actions.py DATA --column set --value set1

DATA is a folder of class folders or a CSV. Features are computed once and kept; mirrored copies are not learned from.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pairs import record
from sklearn.metrics import roc_auc_score

from kineme import api
from kineme.cli.output import print_table
from kineme.files import write_json
from kineme.models.open_set import named_distances
from kineme.models.registry import DEFAULT_BACKBONE, default_candidate
from kineme.models.scoring import softmax
from kineme.training.evaluate import mean_of_windows
from kineme.training.joined_cache import Windows, joined_windows
from kineme.training.learner import make_learner
from kineme.training.linear import PooledWindows, pool_windows
from kineme.training.metrics import calibration_error, fit_temperature
from kineme.training.trials import parse_candidate

_RESAMPLED = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description="How well the default tells actions that it has not learned.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--column", help="use the rows in which this column of the CSV ...")
    parser.add_argument("--value", help="... has this value")
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE)
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    members = pooled(arguments.data, arguments.column, arguments.value, arguments.backbone)
    result = {**measure(members), "calibration": calibration(members)}
    print_table(
        ["score", "AUROC", "95 % interval"],
        [
            [name, f"{one['auroc']:.3f}", "{:.3f} to {:.3f}".format(*one["interval"])]
            for name, one in result["scores"].items()
        ],
        title=f"{result['known']} known and {result['unknown']} unknown clips, {result['closed']:.3f} correct",
    )
    print("calibration error {calibration_error:.3f}, {top1:.3f} correct of {n} clips".format(**result["calibration"]))
    if arguments.out:
        about = record("keras", "tensorflow", "scikit-learn", backbone=arguments.backbone, value=arguments.value)
        write_json(arguments.out, {**about, **result})


def pooled(data: Path, column: str | None, value: str | None, backbone: str) -> list[PooledWindows]:
    """The windows of all clips for each member of the backbone."""
    table = api.scan(data, fold_column=column)
    if column:
        table = replace(table, rows=table.rows.filter(pl.col("fold") == value))
    candidate = parse_candidate(default_candidate(backbone), {"brightness": "auto"})  # as training does
    learner = make_learner(candidate.approach, candidate.spec, len(table.labels))
    cache: Any = learner.cache()
    _, items = cache.prepare(table, table.labels)
    if not learner.members:
        return [pool_windows(learner, items, cache, mirrored=False)]
    return [
        pool_windows(member, [item.members[number] for item in items], its, mirrored=False)
        for number, (member, its) in enumerate(zip(learner.members, cache.caches, strict=True))
    ]


def measure(members: list[PooledWindows]) -> dict[str, Any]:
    """The figures of the scores over all classes and groups."""
    rows = np.concatenate(list(tests(members)))
    groups = rows["group"]
    scores = {"distance": rows["distance"], "1 - probability": rows["doubt"]}
    rng = np.random.default_rng(0)
    names = np.unique(groups)
    draws = [
        np.concatenate([np.flatnonzero(groups == name) for name in rng.choice(names, len(names))])
        for _ in range(_RESAMPLED)
    ]
    return {
        "known": int((~rows["unknown"]).sum()),
        "unknown": int(rows["unknown"].sum()),
        "closed": float(rows["right"][~rows["unknown"]].mean()),
        "scores": {
            name: {
                "auroc": float(roc_auc_score(rows["unknown"], score_N)),
                "interval": np.quantile(
                    [roc_auc_score(rows["unknown"][one], score_N[one]) for one in draws], [0.025, 0.975]
                ).tolist(),
            }
            for name, score_N in scores.items()
        },
    }


def calibration(members: list[PooledWindows]) -> dict[str, Any]:
    """The calibration error over all clips, each predicted without its group; temperatures come from inner folds."""
    labels_N, groups_N = members[0].labels_N, np.array(members[0].groups_N)
    classes = len(np.unique(labels_N))
    shares_NK = np.zeros((len(labels_N), classes))
    for group in np.unique(groups_N):
        trained, tested = np.flatnonzero(groups_N != group), np.flatnonzero(groups_N == group)
        found = [chosen(one, trained, classes).solve_out_of_fold(classes) for one in members]
        logits_NK = mean_of_windows(*logits([(one.scores_WS, one.item_W) for one in found], classes))
        temperature = fit_temperature(logits_NK, labels_N[trained])
        asked = [chosen(one, tested, classes) for one in members]
        each = [
            (one.weights.scores(windows.pooled_WF), windows.item_W) for one, windows in zip(found, asked, strict=True)
        ]
        shares_NK[tested] = softmax(mean_of_windows(*logits(each, classes)), temperature)
    return {
        "calibration_error": calibration_error(shares_NK, labels_N),
        "top1": float((shares_NK.argmax(axis=1) == labels_N).mean()),
        "n": len(labels_N),
    }


def logits(each: list[Windows], classes: int) -> Windows:
    """Logits of all members together, and the number of the clip of each window."""
    scores_WS, item_W = joined_windows(each, 0, classes)
    return scores_WS[:, :classes], item_W


def tests(members: list[PooledWindows]) -> Iterator[NDArray[Any]]:
    """For each class left out and each group, what its clips got: see the types of the columns."""
    labels_N, groups_N = members[0].labels_N, np.array(members[0].groups_N)
    kind = [("group", groups_N.dtype), ("unknown", bool), ("right", bool), ("distance", float), ("doubt", float)]
    for left_out in np.unique(labels_N):
        for group in np.unique(groups_N):
            trained_N = (groups_N != group) & (labels_N != left_out)
            tested = np.flatnonzero(groups_N == group)
            scores_WS, item_W = scored(members, trained_N, tested, left_out)
            classes = scores_WS.shape[1] // 2
            found = np.zeros(len(tested), kind)
            for place, number in enumerate(tested):
                of_clip = scores_WS[item_W == place]
                shares_K = softmax(of_clip[:, :classes].mean(axis=0))
                truth = labels_N[number] - (labels_N[number] > left_out)
                found[place] = (
                    group,
                    labels_N[number] == left_out,
                    shares_K.argmax() == truth,
                    named_distances(of_clip.astype(np.float64)).min(),
                    1 - shares_K.max(),
                )
            yield found


def scored(
    members: list[PooledWindows], trained_N: NDArray[np.bool_], tested: NDArray[np.int64], left_out: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores of the windows of some clips by heads that have learned from others, and the place of each one's clip."""
    classes = len(np.unique(members[0].labels_N)) - 1
    each = []
    for windows in members:
        weights = chosen(windows, np.flatnonzero(trained_N), left_out).solve_out_of_fold(classes).weights
        one = chosen(windows, tested, left_out)
        each.append((weights.scores(one.pooled_WF), one.item_W))
    return joined_windows(each, 0, classes)


def chosen(windows: PooledWindows, clips: NDArray[np.int64], left_out: int) -> PooledWindows:
    """The windows of some clips, with the classes numbered anew."""
    place_N = np.full(len(windows.labels_N), -1)
    place_N[clips] = np.arange(len(clips))
    is_in_W = place_N[windows.item_W] >= 0
    labels_N = windows.labels_N[clips]
    return PooledWindows(
        windows.pooled_WF[is_in_W],
        place_N[windows.item_W[is_in_W]],
        windows.is_plain_W[is_in_W],
        labels_N - (labels_N > left_out),
        [windows.groups_N[clip] for clip in clips],
    )


if __name__ == "__main__":
    main()
