"""Does an explanation show where and when the action is? On people who are not in training, who are drawn.

The demo's model (LRCN from scratch, six actions, 300 clips) looks at untrimmed videos of other people: four to seven
actions each, with pauses between them. Each action that a video holds is explained. Two marks:

- when: the spans that decided overlap the action (intersection over union, IoU) by 0.5 or more on average;
- where: the share of the heat map on the person's box is at least 3 times the share of the frame's area that the box
  takes, frame by frame.

What decided are the instants with at least 30 % of the largest attribution
(``kineme.prediction.explain.explain.SALIENT_SHARE``).
That share, and what a window counts, were chosen on videos of other people still (seed 101 of the synthetic set).

Sanity check (Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018): the same network with random weights.
*When* must fall to what spans of the same length give at a random place. *Where* must fall to what the network is
shown. The demo's network is shown what changed from frame to frame, which lies on the person already, so its chance is
the share of those changes on the box. With ``--frames``, the default of ``kineme train`` stands beside it, an LSTM on
EfficientNet, which is shown the frames themselves: its chance is 1. That takes half an hour more.

    python benchmarks/explain.py --out benchmarks/results/explain.json
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers_boxes import true_boxes

from drawn_people.make import make_dataset
from kineme import api
from kineme.demo import ACTIONS, CLIPS, EPOCHS, PEOPLE, read_segments
from kineme.files import write_json
from kineme.model import Model
from kineme.models.backend import seed_everything, versions
from kineme.models.network import build_network
from kineme.prediction.explain.explain import SALIENT_SHARE, Explanation
from kineme.prediction.result import Segment
from kineme.progress import track
from kineme.training.options import TrainOptions
from kineme.video.clips import ticks

MARKS = {"when_iou": 0.5, "where_ratio": 3.0}
RESAMPLES = 2000
BACKBONES = {"sees changes": "motion-cnn", "sees frames": "efficientnet-lite0"}


@dataclass(frozen=True)
class Score:
    """Of one explanation: person, label, and figures by name."""

    person: str
    label: str
    figures: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether explanations show where and when actions are.")
    parser.add_argument("--work", type=Path, help="folder for videos and models, used again (default: a temporary one)")
    parser.add_argument("--people", type=int, default=20, help="people with an untrimmed video each (default 20)")
    parser.add_argument("--random", type=int, default=2, help="networks with random weights (default 2)")
    parser.add_argument("--few", type=int, default=5, help="people for random weights and EfficientNet (default 5)")
    parser.add_argument("--frames", action="store_true", help="also try a network that is shown the frames themselves")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kineme-explain-") as temporary:
        work = arguments.work or Path(temporary)
        result = measure(work, arguments.people, arguments.random, arguments.few, frames=arguments.frames)
    for name, found in result["networks"].items():
        for who, figures in ((name, found), (f"{name}, random weights", found["random_weights"])):
            for what, figure in figures.items():
                if isinstance(figure, dict) and "interval" in figure:
                    low, high = figure["interval"]
                    print(f"{who}: {what.replace('_', ' ')} {figure['value']:.2f} ({low:.2f} to {high:.2f})")
    for name, mark in MARKS.items():
        print(f"{name.replace('_', ' ')}: mark {mark}, {'met' if result['met'][name] else 'missed'}")
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if all(result["met"].values()) else 1)


def measure(work: Path, people: int, random: int, few: int, *, frames: bool) -> dict[str, Any]:
    """All figures."""
    table = make_dataset(work / "videos", clips=CLIPS, people=PEOPLE, actions=ACTIONS, untrimmed=0, seed=0)
    long = make_dataset(work / "long", clips=1, people=people, actions=ACTIONS, untrimmed=people, seed=301).parent
    true = read_segments(long / "untrimmed" / "segments.csv")
    boxes = {path: (fps, boxes_T4) for path, fps, boxes_T4 in true_boxes(long)}
    some = list(true)[:few]

    def scores(model: Model, paths: list[Path], name: str) -> list[Score]:
        return [one for path in track(paths, name) for one in score(model, path, true[path], boxes[path])]

    networks = {}
    for name, backbone in BACKBONES.items():
        if backbone != "motion-cnn" and not frames:
            continue
        run = work / ("run" if backbone == "motion-cnn" else f"run-{backbone}")
        if not (run / "model.safetensors").exists():
            options = TrainOptions(epochs=EPOCHS, seed=0)
            api.train(table, run, approach="lrcn", config={"backbone": backbone}, options=options, overwrite=True)
        model = api.load(run)
        found = scores(model, list(true) if backbone == "motion-cnn" else some, name)
        drawn = [
            one
            for seed in range(random)
            for one in scores(randomised(model, seed), some, f"{name}, random weights {seed}")
        ]
        networks[name] = {
            "approach": f"lrcn on {backbone}",
            "test_top1": model.card.provenance["test"]["top1"],
            "explanations": len(found),
            "people": len({one.person for one in found}),
            **summary(found),
            "random_weights": {"networks": random, "explanations": len(drawn), **summary(drawn)},
            "by_label": {
                label: {what: mean([one for one in found if one.label == label], what) for what in found[0].figures}
                for label in ACTIONS
            },
        }
    demo = networks["sees changes"]
    return {
        "date": datetime.date.today().isoformat(),
        "versions": versions(),
        "machine": {"cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"},
        "people": people,
        "decided": f"at least {SALIENT_SHARE:g} of the largest value",
        "networks": networks,
        "met": {
            "when_iou": demo["when_iou"]["value"] >= MARKS["when_iou"],
            "where_ratio": demo["where_ratio"]["value"] >= MARKS["where_ratio"],
        },
    }


def randomised(model: Model, seed: int) -> Model:
    """The same network as before training, its backbone too; it looks at the same windows."""
    seed_everything(seed)
    network = build_network(model.card.architecture, model.card.spec, len(model.labels))
    card = replace(model.card, open_set=None, finetuned=True)
    return Model(network, card, f"random {seed}", stride=1 if model.card.open_set else model.stride)


def score(model: Model, path: Path, true: list[Segment], boxes: tuple[float, NDArray[Any]]) -> list[Score]:
    """Scores of the explanations of each action that a video holds."""
    spec = model.card.spec
    before, changes = None, []
    for _, frame_HWC in ticks(path, spec):
        grey_HW = frame_HWC.mean(axis=2, dtype=np.float32)
        changes.append(np.zeros_like(grey_HW) if before is None else np.abs(grey_HW - before))
        before = grey_HW
    found = []
    for label in sorted({one.label for one in true}):
        told = model.explain(path, label=label, engine="keras")
        wanted_N = inside(told, [one for one in true if one.label == label])
        said_N = told.is_salient
        gradient_N = told.attributions["gradient"]
        segments_N = inside(told, [one for one in told.prediction.segments if one.label == label])
        assert told.heat_NHW is not None
        weights_N = told.heat_NHW.sum(axis=(1, 2))
        shares_N4 = shares(told, *boxes)
        changes_NHW = np.stack(changes)
        changes_NHW *= (weights_N / np.maximum(changes_NHW.sum(axis=(1, 2)), 1e-9))[:, None, None]
        figures = {
            "when_iou": iou(said_N, wanted_N),
            "when_iou_by_gradient": iou(gradient_N >= SALIENT_SHARE * max(gradient_N.max(), 1e-12), wanted_N),
            "when_iou_of_random_place": at_random(said_N, wanted_N),
            "when_iou_of_predicted_segments": iou(segments_N, wanted_N),
            "where_ratio": on_box(told.heat_NHW, shares_N4),
            "where_ratio_of_changes": on_box(changes_NHW, shares_N4),
        }
        figures["where_ratio_over_changes"] = figures["where_ratio"] / figures["where_ratio_of_changes"]
        found.append(Score(path.stem.partition("_")[0], label, figures))
    return found


def inside(told: Explanation, segments: list[Segment]) -> NDArray[np.bool_]:
    """Which instants lie, by their middles, in one of the segments."""
    middles_N = (told.times_N + told.ends) / 2
    return np.any([(middles_N >= one.start_s) & (middles_N < one.end_s) for one in segments], axis=0) & np.ones(
        len(middles_N), bool
    )


def iou(one_N: NDArray[np.bool_], other_N: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((one_N & other_N).sum() / max(1, (one_N | other_N).sum()))


def at_random(said_N: NDArray[np.bool_], wanted_N: NDArray[np.bool_]) -> float:
    """The mean overlap of the same spans, moved along the video by every distance, round its end."""
    return float(np.mean([iou(np.roll(said_N, by), wanted_N) for by in range(len(said_N))]))


def shares(told: Explanation, fps: float, boxes_T4: NDArray[Any]) -> NDArray[np.float64]:
    """The person's box at each instant as shares of the frame, (N, 4): left, top, right, bottom."""
    numbers_N = np.clip((told.times_N * fps + 1e-6).astype(int), 0, len(boxes_T4) - 1)
    return np.asarray(boxes_T4[numbers_N] / np.array([320, 240, 320, 240]))


def on_box(maps_NHW: NDArray[Any], shares_N4: NDArray[np.float64]) -> float:
    """The share of maps on boxes, over what it would be if each map were spread evenly over its frame."""
    rows, columns = maps_NHW.shape[1:]
    across_NW = covered(shares_N4[:, 0], shares_N4[:, 2], columns)
    down_NH = covered(shares_N4[:, 1], shares_N4[:, 3], rows)
    on = float(np.einsum("nhw,nh,nw->", maps_NHW, down_NH, across_NW))
    area_N = down_NH.mean(axis=1) * across_NW.mean(axis=1)
    evenly = float((maps_NHW.sum(axis=(1, 2)) * area_N).sum())
    return on / evenly if evenly else 1.0


def covered(low_N: NDArray[Any], high_N: NDArray[Any], places: int) -> NDArray[np.float64]:
    """How much of each of so many places in a row lies between two shares of its length, (N, places)."""
    edges = np.arange(places + 1) / places
    within = np.minimum(edges[None, 1:], high_N[:, None]) - np.maximum(edges[None, :-1], low_N[:, None])
    return np.asarray(np.clip(within * places, 0, 1))


def summary(scores: list[Score]) -> dict[str, Any]:
    """Means of the figures, and their 95 % intervals: percentile bootstrap over people."""
    if not scores:
        return {}
    rng = np.random.default_rng(0)
    of_person = [[one for one in scores if one.person == person] for person in sorted({one.person for one in scores})]
    drawn = rng.integers(len(of_person), size=(RESAMPLES, len(of_person)))
    found = {}
    for what in scores[0].figures:
        sums = np.array([[sum(one.figures[what] for one in some), len(some)] for some in of_person])
        values = sums[drawn].sum(axis=1)
        interval = np.percentile(values[:, 0] / values[:, 1], [2.5, 97.5]).tolist()
        found[what] = {"value": mean(scores, what), "interval": interval}
    return found


def mean(scores: list[Score], what: str) -> float:
    """Of one figure."""
    return float(np.mean([one.figures[what] for one in scores])) if scores else float("nan")


if __name__ == "__main__":
    main()
