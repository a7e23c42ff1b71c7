"""Does a model use the order of frames? Drawn actions in two pairs, each of which differs only in order.

Sitting down is standing up played backwards, and picking up is putting down. Each model is tested on people it never
saw, in order and with the frames shuffled and reversed. Without order, at most one of each pair can be right: 50 %.

    python benchmarks/order.py --out benchmarks/results/order.json

The folder given by --work keeps the videos and every training that is finished. The default and the one from
scratch take most of the time.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pairs import mark, record

import kineme
from drawn_people.make import make_dataset
from kineme.cli.output import print_table
from kineme.files import write_json

ACTIONS = ("sit-down", "stand-up", "pick-up", "put-down")
PEOPLE, CLIPS = 60, 240
MODELS: dict[str, dict[str, Any]] = {
    "default": {},
    "late-fusion:efficientnet-lite0,merge=attention": {
        "approach": "late-fusion",
        "config": {"backbone": "efficientnet-lite0", "merge": "attention"},
    },
    "late-fusion:efficientnet-lite0,merge=mean": {
        "approach": "late-fusion",
        "config": {"backbone": "efficientnet-lite0", "merge": "mean"},
    },
    "lrcn": {"approach": "lrcn", "options": kineme.TrainOptions(epochs=80)},
}
MARKS = {
    "default": {"in order": {"least": 0.95}, "shuffled": {"most": 0.6}},
    "late-fusion:efficientnet-lite0,merge=attention": {"in order": {"least": 0.9}, "shuffled": {"most": 0.6}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Actions that differ only in order, in order and shuffled.")
    parser.add_argument("--only", nargs="*", default=MODELS, choices=MODELS, metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--work", type=Path, default=Path("runs/order"), help="folder of videos and trainings")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    table = make_dataset(arguments.work / "videos", clips=CLIPS, people=PEOPLE, actions=ACTIONS, untrimmed=0)
    result = record("keras", "tensorflow", data={"clips": CLIPS, "people": PEOPLE, "actions": ACTIONS, "seed": 0})
    models: dict[str, Any] = {}
    for name in arguments.only:
        models[name] = figures(trained(table, arguments.work / name.replace(":", "-").replace(",", "-"), MODELS[name]))
        models[name]["marks"] = {
            order: mark(models[name][order]["top1"], **bounds) for order, bounds in MARKS.get(name, {}).items()
        }
        if arguments.out:
            write_json(arguments.out, {**result, "models": models})
    orders = ("in order", "shuffled", "reversed", "frozen")
    print_table(
        ["model", *orders],
        [[name, *(shown(one[order]) for order in orders)] for name, one in models.items()],
        title="Top-1 on people never seen, with its 95 % interval",
    )


def trained(table: Path, folder: Path, how: dict[str, Any]) -> dict[str, Any]:
    """``test`` of the metrics of a training, which is not repeated if it is finished."""
    metrics = folder / "metrics.json"
    if not metrics.is_file():
        kineme.train(table, folder, overwrite=True, **how)
    test: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))["test"]
    return test


def figures(test: dict[str, Any]) -> dict[str, Any]:
    """Top-1 with its interval by order of frames, and how many videos and people."""
    orders = {"in order": test, **test["orders"]}
    return {"n": test["n"], "groups": test["groups"]} | {
        order: {"top1": one["top1"], "top1_interval": one["top1_interval"]} for order, one in orders.items()
    }


def shown(one: dict[str, Any]) -> str:
    """A figure for people."""
    low, high = one["top1_interval"]
    return f"{one['top1']:.3f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
