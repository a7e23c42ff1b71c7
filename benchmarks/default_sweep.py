"""Does the default ever ship a model that loses to a simple rule? 30 drawn sets of different size and confounding.

One pool of drawn clips, of which each set takes some: two to six actions, four to sixteen people, few or many clips,
balanced or half of one class, with the people free of the actions, mostly telling them apart, or telling them apart
wholly. Every set is trained as ``kineme train`` does by default. What must hold: on no set does a rule that
the run printed (the most frequent class, the background alone, single frames) beat the shipped model beyond the
interval of its test figure.

    python benchmarks/default_sweep.py --out benchmarks/results/default-sweep.json

Features are computed once for the pool. ``--sets`` makes fewer, ``--fast`` uses single frames alone.
"""

from __future__ import annotations

import argparse
import collections
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import kineme
from drawn_people.make import make_dataset
from kineme.cli.output import print_table
from kineme.dataset.table import ClipTable
from kineme.files import write_json
from kineme.models.backend import versions
from kineme.text import percent

ACTIONS = ("sit-down", "stand-up", "wave", "punch", "squat", "clap")
PEOPLE, CLIPS = 16, 192
RULES = ("majority", "background_only", "single_frame")


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether the default ships a model that loses to a simple rule.")
    parser.add_argument("--work", type=Path, help="folder of the pool and the runs, used again (default: temporary)")
    parser.add_argument("--sets", type=int, default=30)
    parser.add_argument("--fast", action="store_true", help="features of single frames alone")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kineme-sweep-") as temporary:
        work = arguments.work or Path(temporary)
        pool = make_pool(work / "pool")
        results = [measure(pool, number, work / f"run{number}", arguments.fast) for number in range(arguments.sets)]
    print_table(
        ["set", "clips", "classes", "people", "confounded", "chosen", "top-1", "best rule", "loses"],
        [
            [
                one["set"],
                one["clips"],
                one["classes"],
                one["people"],
                one["confounding"],
                one.get("chosen", one.get("error")),
                percent(one.get("top1")),
                percent(one.get("best_rule")),
                "yes" if one.get("loses") else "",
            ]
            for one in results
        ],
    )
    print(collections.Counter(one.get("chosen", "none") for one in results))
    document = {"results": results, "versions": versions(), "machine": f"{platform.machine()}, {platform.system()}"}
    if arguments.out:
        write_json(arguments.out, document)
    sys.exit(any(one.get("loses") for one in results))


def make_pool(folder: Path) -> ClipTable:
    """The clips that all sets are taken from."""
    if not (folder / "clips.csv").exists():
        make_dataset(folder, clips=CLIPS, people=PEOPLE, actions=ACTIONS, untrimmed=0, seed=5, width=160, height=120)
    return kineme.scan(folder / "clips.csv")


def draw(pool: ClipTable, number: int) -> tuple[ClipTable, dict[str, Any]]:
    """One set: some rows of the pool, drawn by its number."""
    rng = np.random.default_rng(number)
    labels = rng.permutation(ACTIONS)[: rng.integers(2, len(ACTIONS) + 1)].tolist()
    everybody = sorted(pool.rows["group"].unique().to_list())
    people = rng.permutation(everybody)[: rng.integers(4, PEOPLE + 1)].tolist()
    confounding = ("none", "most", "all")[number % 3]
    own = {person: labels[place % len(labels)] for place, person in enumerate(people)}
    keep = {"none": 1.0, "most": 0.15, "all": 0.0}[confounding]
    half_of_one = bool(rng.random() < 0.3)
    chosen = []
    for row in pool.rows.iter_rows(named=True):
        if row["label"] not in labels or row["group"] not in people:
            continue
        wanted = 1.0 if row["label"] == own[row["group"]] else keep
        if half_of_one and row["label"] != labels[0]:
            wanted *= 1 / max(1, len(labels) - 1)
        chosen.append(rng.random() < wanted)
    is_in = pl.col("label").is_in(labels) & pl.col("group").is_in(people)
    rows = pool.rows.filter(is_in).filter(pl.Series(chosen, dtype=pl.Boolean))
    table = ClipTable(rows, pool.group_source)
    facts = {"set": number, "clips": len(table), "classes": len(table.labels), "people": len(people)}
    return table, facts | {"confounding": confounding, "half_of_one": half_of_one}


def measure(pool: ClipTable, number: int, out: Path, fast: bool) -> dict[str, Any]:
    """Train on one set and compare with the rules that the run printed."""
    table, facts = draw(pool, number)
    auto = kineme.AutoOptions(fast=fast)
    try:
        run = kineme.train(table, out, auto=auto, overwrite=True)
    except kineme.KinemeError as error:  # such as a class that one person alone does: one clear line
        return facts | {"error": str(error)}
    test, selection = run.metrics["test"], run.metrics["selection"]
    rules = {name: test["baselines"][name]["top1"] for name in RULES if name in test["baselines"]}
    best = max(rules.values())
    return facts | {
        "chosen": selection["chosen"],
        "reason": selection["reason"],
        "learned": selection["learned"],
        "candidates": selection["candidates"],
        "test_videos": test["n"],
        "top1": test["top1"],
        "top1_interval": test["top1_interval"],
        "rules": rules,
        "best_rule": best,
        "loses": best > test["top1_interval"][1],
    }


if __name__ == "__main__":
    main()
