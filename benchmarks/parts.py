"""Are the parts found in whole videos that were trained on from a table of parts, and is the headline true?

60 untrimmed videos of 20 drawn people (four to seven of four actions each, with pauses), with the drawn truth as tight
labels: a table with ``start_s`` and ``end_s``, and nothing is cut. Trained with ``--labelled-throughout`` and, beside
it, without; by ``lrcn`` from scratch and by the default. Two marks each:

- segment F1 at an overlap of 0.5 (intersection over union) on the whole test videos: at least 0.75;
- the headline of the run within 0.10 of the F1 that this script measures: it predicts the test videos from the model
  file and matches segments by a rule of its own.

    python benchmarks/parts.py --out benchmarks/results/parts.json
"""

from __future__ import annotations

import argparse
import csv
import platform
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from drawn_people.make import make_dataset
from kineme import api
from kineme.files import write_csv, write_json
from kineme.models.backend import versions
from kineme.training.options import TrainOptions

PEOPLE, VIDEOS, ACTIONS = 20, 60, ("wave", "punch", "sit-down", "stand-up")
MARK, FARTHEST, OVERLAP = 0.75, 0.10, 0.5
APPROACHES = {"lrcn from scratch": "lrcn", "default": None}


def main() -> None:
    parser = argparse.ArgumentParser(description="Segments of whole videos, after training on their parts.")
    parser.add_argument("--work", type=Path, help="folder for videos and runs, used again (default: a temporary one)")
    parser.add_argument("--epochs", type=int, default=100, help="most epochs (default 100)")
    parser.add_argument("--views", type=int, help="augmented views behind the frozen backbone (default: the usual)")
    parser.add_argument("--only", choices=APPROACHES, help="one approach alone")
    parser.add_argument("--throughout-only", action="store_true", help="leave out the trainings without the word")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    options = TrainOptions(epochs=arguments.epochs, views=arguments.views)
    with tempfile.TemporaryDirectory(prefix="kineme-parts-") as temporary:
        work = arguments.work or Path(temporary)
        table = make_table(work)
        names = [arguments.only] if arguments.only else list(APPROACHES)
        results = [
            measure(work, table, name, throughout, options)
            for name, throughout in product(names, (True, False))
            if throughout or not arguments.throughout_only
        ]
    for one in results:
        said = "labelled throughout" if one["labelled_throughout"] else "nothing said"
        print(f"{one['approach']}, {said}: F1 {one['own_f1']:.3f}, headline {one['headline']:.3f}")
    document = {"mark": MARK, "farthest": FARTHEST, "results": results, "versions": versions()}
    if arguments.out:
        write_json(arguments.out, {**document, "machine": f"{platform.machine()}, {platform.system()}"})
    told = [one for one in results if one["labelled_throughout"]]
    met = all(one["own_f1"] >= MARK and abs(one["own_f1"] - one["headline"]) <= FARTHEST for one in told)
    sys.exit(0 if met else 1)


def make_table(work: Path) -> Path:
    """The videos, and the table of their parts."""
    folder = make_dataset(work / "set", clips=len(ACTIONS), people=PEOPLE, actions=ACTIONS, untrimmed=VIDEOS, seed=7)
    with (folder.parent / "untrimmed" / "segments.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            (f"set/untrimmed/{row['path']}", row["label"], row["path"].split("_")[0], row["start_s"], row["end_s"])
            for row in csv.DictReader(file)
        ]
    write_csv(work / "parts.csv", ("path", "label", "group", "start_s", "end_s"), rows)
    return work / "parts.csv"


def measure(work: Path, table: Path, name: str, throughout: bool, options: TrainOptions) -> dict[str, Any]:
    """Train once, and measure twice."""
    out = work / f"{name.replace(' ', '-')}-{'throughout' if throughout else 'unsaid'}"
    run = api.train(
        table, out, approach=APPROACHES[name], options=options, labelled_throughout=throughout, overwrite=True
    )
    segments = run.metrics["segments"]
    half = segments["overlaps"][f"{OVERLAP:g}"]
    return {
        "approach": name,
        "labelled_throughout": throughout,
        "own_f1": own_f1(out, table),
        "headline": half["f1"],
        "interval": half["f1_interval"],
        "chance": half["chance_f1"],
        "loose": segments["overlaps"]["0.3"]["f1"],
        "parts_top1": run.metrics["test"]["top1"],
        "actions": segments["actions"],
        "videos": segments["videos"],
    }


def own_f1(run: Path, table: Path) -> float:
    """Segment F1 from the model file, the split and the table alone."""
    with (run / "split.csv").open(encoding="utf-8", newline="") as file:
        tested = {row["name"] for row in csv.DictReader(file) if row["split"] == "test"}
    with table.open(encoding="utf-8", newline="") as file:
        truth: dict[str, list[tuple[float, float, str]]] = {}
        for row in csv.DictReader(file):
            truth.setdefault(row["path"], []).append((float(row["start_s"]), float(row["end_s"]), row["label"]))
    model = api.load(run)
    found = predicted = 0
    for name in sorted(tested):
        left = list(truth[name])
        for one in model.predict(table.parent / name).segments:
            if one.label == "background":
                continue
            predicted += 1
            same = [other for other in left if one.label == other[2]]
            hit = next((other for other in same if iou(one.start_s, one.end_s, other) >= OVERLAP), None)
            if hit:
                left.remove(hit)
                found += 1
    return 2 * found / (predicted + sum(len(truth[name]) for name in tested))


def iou(start_s: float, end_s: float, other: tuple[float, float, str]) -> float:
    """Intersection over union of two spans of time."""
    both = min(end_s, other[1]) - max(start_s, other[0])
    return max(0.0, both) / (max(end_s, other[1]) - min(start_s, other[0]))


if __name__ == "__main__":
    main()
