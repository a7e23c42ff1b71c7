"""Does the default ever ship a model that loses to a simple rule? 30 drawn sets of different size and confounding.

One pool of drawn clips, of which each set takes some: two to six actions, four to eight people, few or many clips,
balanced or half of one class, with the people free of the actions, mostly telling them apart, or telling them apart
wholly. On every set a model is chosen and trained as ``kineme train`` does, without its report. What must hold: on no
set does a rule that the run printed (the most frequent class, the background alone, single frames) beat the shipped
model beyond the interval of its test figure.

    python benchmarks/default_sweep.py --fast --out benchmarks/results/default-sweep.json

Features are computed once for the pool. ``--fast`` uses those of single frames, which takes minutes of processor time;
without it, I3D and joints take about as many as there are clips. ``--people 16 --clips 192`` draws a larger pool.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pairs import record

import kineme
from drawn_people.make import make_dataset
from kineme.cli.output import print_table
from kineme.dataset.table import ClipTable
from kineme.files import write_json
from kineme.text import percent
from kineme.training.auto import choose_for_run
from kineme.training.run import Run, train

ACTIONS = ("sit-down", "stand-up", "wave", "punch", "squat", "clap")
RULES = ("majority", "background_only", "single_frame")


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether the default ships a model that loses to a simple rule.")
    parser.add_argument("--work", type=Path, help="folder of the pool and the runs, used again (default: temporary)")
    parser.add_argument("--sets", type=int, default=30)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--fast", action="store_true", help="features of single frames alone")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kineme-sweep-") as temporary:
        work = arguments.work or Path(temporary)
        pool = make_pool(work / "pool", arguments.people, arguments.clips)
        about, results = record("keras", "tensorflow", "scikit-learn", fast=arguments.fast), []
        for number in range(arguments.sets):
            results.append(measure(pool, number, work / f"run{number}", arguments.fast))
            if arguments.out:  # after each set, so that a run that is stopped leaves the finished ones
                write_json(arguments.out, about | summary(results))
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
    found = summary(results)
    print(found["chosen"], f"{found['processor_s']} s of processor time")
    sys.exit(found["loses"] > 0)


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """What was chosen, on how many sets it loses, and the figures of each set."""
    return {
        "chosen": dict(collections.Counter(one.get("chosen", "none") for one in results)),
        "loses": sum(one.get("loses", False) for one in results),
        "processor_s": round(time.process_time()),
        "results": results,
    }


def make_pool(folder: Path, people: int, clips: int) -> ClipTable:
    """The clips that all sets are taken from."""
    if not (folder / "clips.csv").exists():
        make_dataset(folder, clips=clips, people=people, actions=ACTIONS, untrimmed=0, seed=5, width=160, height=120)
    return kineme.scan(folder / "clips.csv")


def draw(pool: ClipTable, number: int) -> tuple[ClipTable, dict[str, Any]]:
    """One set: some rows of the pool, drawn by its number."""
    rng = np.random.default_rng(number)
    labels = rng.permutation(ACTIONS)[: rng.integers(2, len(ACTIONS) + 1)].tolist()
    everybody = sorted(pool.rows["group"].unique().to_list())
    people = rng.permutation(everybody)[: rng.integers(4, len(everybody) + 1)].tolist()
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


def trained(table: ClipTable, out: Path, wish: kineme.AutoOptions) -> Run:
    """What ``kineme train`` does, without a report."""
    how: dict[str, Any] = {"options": kineme.TrainOptions(), "test": 0.2, "validation": 0.2, "allow_leaks": False}
    how |= {"resume": False, "overwrite": True}
    choice = choose_for_run(table, out, spec=None, wish=wish, say=print, **how)
    candidate = choice.candidate
    how |= {"approach": candidate.approach_name, "config": candidate.config, "spec": candidate.spec}
    return train(choice.table, out, selection=choice.selection, **how)


def measure(pool: ClipTable, number: int, out: Path, fast: bool) -> dict[str, Any]:
    """Train on one set and compare with the rules that the run printed."""
    table, facts = draw(pool, number)
    try:
        run = trained(table, out, kineme.AutoOptions(fast=fast))
    except kineme.KinemeError as error:  # such as a class that one person alone does: one clear line
        return facts | {"error": str(error)}
    test, selection = run.metrics["test"], run.metrics["selection"]
    print(facts, selection["chosen"], f"{test['top1']:.2f}", flush=True)
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
