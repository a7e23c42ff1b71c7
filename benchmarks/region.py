"""I3D on the region of people beside the whole frame, on UT-Interaction: each alone, and both averaged.

Two sets of 60 videos, six interactions, ten sequences each. Within a set, one sequence is tested on what was learned
from the nine others, in turn; across sets, one set is tested on what was learned from the other. The head is linear
and solved to its optimum, so there are no seeds. Where both are averaged, that is of their probabilities.

    python benchmarks/region.py DATA --mirrored --out benchmarks/results/region.json

DATA is a folder with a clips.csv of the columns path, label, group (the sequence) and set. I3D's features take long
(15 minutes on two quiet cores for each region) and are kept, so an interrupted run continues where it stopped.

Source of the data and the protocol: see ``ut_interaction.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pairs import record
from scipy.special import softmax

from kineme import api
from kineme.cli.output import print_table
from kineme.dataset.table import ClipTable
from kineme.files import write_json
from kineme.models.registry import find_backbone, make_approach
from kineme.training.evaluate import mean_of_windows
from kineme.training.learner import Learner, make_learner
from kineme.training.linear import PooledWindows, pool_windows
from kineme.training.metrics import accuracy_with_interval
from kineme.video.spec import Region

REGIONS: tuple[Region, ...] = ("frame", "people")
Chosen = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description="Regions on UT-Interaction, on people never seen.")
    parser.add_argument("data", type=Path, help="folder with clips.csv")
    parser.add_argument("--regions", nargs="*", default=REGIONS, choices=get_args(Region))
    parser.add_argument("--mirrored", action="store_true", help="learn from mirror images too, for twice the time")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    table = api.scan(arguments.data, fold_column="set")
    seen = {region: features(table, region, arguments.mirrored) for region in arguments.regions}
    result = record("keras", "tensorflow", "scikit-learn", mirrored=arguments.mirrored)
    result["rows"] = measured("region", table, seen, with_mean=True)
    if arguments.out:
        write_json(arguments.out, result)


def features(table: ClipTable, region: Region, mirrored: bool) -> PooledWindows:
    """The pooled features of all videos, in the order of the table."""
    approach = make_approach("late-fusion", {"backbone": "i3d", "head": "linear"})
    spec = replace(find_backbone("i3d").spec, region=region)
    return pooled(make_learner(approach, spec, len(table.labels)), table, mirrored, region)


def pooled(learner: Learner, table: ClipTable, mirrored: bool, label: str) -> PooledWindows:
    """The pooled features of all videos by a learner, in the order of the table; ``label`` is shown with progress."""
    cache = learner.cache()
    readable, items = cache.prepare(table, table.labels)
    print(*readable.warnings, sep="\n")
    return pool_windows(learner, items, cache, mirrored=mirrored, label=label)


def measured(
    what: str, table: ClipTable, seen: dict[str, PooledWindows], *, with_mean: bool = False
) -> list[dict[str, Any]]:
    """A row for each part of the protocol and each kind of features, which are printed too.

    Args:
        what: distinguishes the kinds; the key of a kind in its rows.
        table: of the videos, with their set as ``fold``.
        seen: the features by the name of their kind.
        with_mean: add a kind ``averaged``, the mean of the probabilities of all.
    """
    windows, rows = next(iter(seen.values())), []
    for part, of_part, tests in parts(table.rows["fold"].to_numpy(), windows.groups_N):
        by_kind = {kind: predicted(one, of_part, tests) for kind, one in seen.items()}
        if with_mean:
            by_kind["averaged"] = np.mean(list(by_kind.values()), axis=0)
        tested = np.any(tests, axis=0)
        groups = [group for group, is_tested in zip(windows.groups_N, tested, strict=True) if is_tested]
        for kind, probabilities_NK in by_kind.items():
            right = (probabilities_NK.argmax(axis=1) == windows.labels_N)[tested]
            rows.append({"part": part, what: kind, "n": len(right), **accuracy_with_interval(right, groups)})
    columns = ("part", what, "top1", "top1_interval", "n")
    print_table(list(columns), [[str(row[name]) for name in columns] for row in rows])
    return rows


def parts(sets_N: NDArray[Any], groups_N: list[str]) -> Iterator[tuple[str, Chosen, list[Chosen]]]:
    """Each part of the protocol: its name, its videos, and those of them that are tested, fold by fold."""
    groups = np.array(groups_N)
    for name in np.unique(sets_N):
        in_set = sets_N == name
        yield str(name), in_set, [in_set & (groups == group) for group in np.unique(groups[in_set])]
    yield "across", np.ones(len(sets_N), bool), [sets_N == name for name in np.unique(sets_N)]


def predicted(windows: PooledWindows, of_part: Chosen, tests: list[Chosen]) -> NDArray[np.float64]:
    """Probabilities_NK of the videos of a part, each by a head that has not seen its fold."""
    classes = int(windows.labels_N.max()) + 1
    probabilities_NK = np.zeros((len(windows.labels_N), classes))
    for tested in tests:
        weights = windows.solve(classes, of_part & ~tested)
        logits_NK = mean_of_windows(
            weights.logits(windows.pooled_WF[windows.is_plain_W]), windows.item_W[windows.is_plain_W]
        )
        probabilities_NK[tested] = softmax(logits_NK[tested], axis=1)
    return probabilities_NK


if __name__ == "__main__":
    main()
