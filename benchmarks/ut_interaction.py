"""The approaches on UT-Interaction, by the protocol of its literature: every figure is of people never seen.

Two sets of 60 videos, six interactions, ten sequences (pairs of people) each. Within a set, one sequence is tested on
what was learned from the nine others, in turn. Across sets, one set is tested on what was learned from the other,
which was filmed in another place: harder. Beside the results stand the rules that need no video network.

    python benchmarks/ut_interaction.py DATA --out benchmarks/results/ut-interaction.json

Ten sequences are too few to hold some back for stopping, so every training runs 60 epochs. What is trained from
scratch is trained once, across sets only: it takes ten times as long and is nowhere near.

DATA is a folder with a clips.csv of the columns path, label, group (the sequence) and set. The folder given by
--work keeps every training that is finished, so an interrupted run continues where it stopped.

Source of the data and the protocol: Ryoo and Aggarwal, "UT-Interaction Dataset", ICPR 2010 contest on Semantic
Description of Human Activities.
"""

from __future__ import annotations

import argparse
import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from kineme import api
from kineme.cli.output import print_table
from kineme.dataset.folds import Protocol
from kineme.files import write_json
from kineme.training.options import TrainOptions

APPROACHES = ("single-frame", "late-fusion", "early-fusion", "slow-fusion", "lrcn", "convlstm")
ON_FEATURES = (
    *(f"{approach}:efficientnet-lite0" for approach in APPROACHES),
    "late-fusion:efficientnet-lite0,merge=mean",
    "pose-lstm",
    "late-fusion:i3d+movenet,head=linear",  # the default
    "pose-lstm:movenet",  # two people and what lies between them
    # I3D has read time itself: its features are put together in the three simplest ways.
    "single-frame:i3d",
    "late-fusion:i3d,merge=mean",
    "lrcn:i3d",
)
PARTS = ("set1", "set2", "across", "across from scratch")


def main() -> None:
    parser = argparse.ArgumentParser(description="The approaches on UT-Interaction, on people never seen.")
    parser.add_argument("data", type=Path, help="folder with clips.csv")
    parser.add_argument("--work", type=Path, default=Path("runs/ut-interaction"), help="folder of the trainings")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each candidate and fold")
    parser.add_argument("--only", nargs="*", help="candidates, as kineme compare takes them")
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"date": datetime.date.today().isoformat()}
    for part in arguments.parts:
        document = compare(arguments.data, part, arguments)
        result |= {name: document[name] for name in ("versions", "machine", "options")}
        result[part] = summary(document)
        show(part, result[part])
        if arguments.out:
            write_json(arguments.out, result)


def compare(data: Path, part: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The comparison of one part, as ``kineme compare`` makes it."""
    table = api.scan(data, fold_column="set")
    across, scratch = part.startswith("across"), part.endswith("scratch")
    if not across:
        table = replace(table, rows=table.rows.filter(pl.col("fold") == part))
    found = api.compare(
        table,
        arguments.work / part.replace(" ", "-"),
        approaches=arguments.only or (APPROACHES if scratch else ON_FEATURES),
        protocol=Protocol(kind="column" if across else "leave-one-group-out", column="set", validation=0),
        seeds=1 if scratch else arguments.seeds,
        options=TrainOptions(epochs=60, learning_rate=2e-3),
        name=f"UT-Interaction, {part}",
    )
    return found.document


def summary(document: dict[str, Any]) -> dict[str, Any]:
    """The figures of a comparison that a reader wants."""
    candidates = [
        {
            "name": one["name"],
            **({"error": one["error"]} if one["error"] else {name: one["test"][name] for name in _FIGURES}),
            "seed_top1": one.get("seed_top1"),
            "shuffled_top1": None if one["error"] else one["orders"]["shuffled"]["top1"],
            "p_against_best": one.get("against_best", {}).get("p"),
            "cost": one.get("cost"),
        }
        for one in document["candidates"]
    ]
    names = ("protocol", "baselines", "leaky", "best")
    return {"candidates": candidates, **{name: document[name] for name in names}}


_FIGURES = ("n", "groups", "top1", "top1_interval", "macro_f1", "macro_f1_interval", "interval_method")


def show(part: str, result: dict[str, Any]) -> None:
    """A table of one part, best first."""
    rules = [{"name": f"({name.replace('_', ' ')})", **figures} for name, figures in result["baselines"].items()]
    done = [one for one in [*result["candidates"], *rules] if "top1" in one]
    print_table(
        ["candidate", "top-1", "95 % interval", "each seed", "shuffled", "p against the best"],
        [
            [
                one["name"],
                f"{one['top1']:.3f}",
                "{:.3f} to {:.3f}".format(*one["top1_interval"]),
                " ".join(f"{value:.3f}" for value in one.get("seed_top1") or []),
                f"{one['shuffled_top1']:.3f}" if "shuffled_top1" in one else "",
                f"{one['p_against_best']:.3f}" if one.get("p_against_best") is not None else "",
            ]
            for one in sorted(done, key=lambda one: -one["top1"])
        ],
        title=f"UT-Interaction, {part}: {result['candidates'][0].get('n')} videos",
    )


if __name__ == "__main__":
    main()
