"""Does the timeline find the actions, and the pauses between them? On people who are not in training.

The demo's model (LRCN from scratch, six actions, 300 clips of drawn people) looks at untrimmed videos of other people:
four to seven actions each, with pauses of 1.5 to 4 s between them. Three marks:

- segment F1 at an overlap of 0.5 (intersection over union; Lea et al., CVPR 2017): at least 0.80;
- share of the time of pauses that is called background: at least 90 %;
- the ten drawn actions that were left out of training against clips of the six, by open-set score: area under the
  ROC curve at least 0.85.

Beside them stand the same network trained without background, by its highest probability (Hendrycks and Gimpel, ICLR
2017), and what chance gives. Intervals resample people. The thresholds are those of the model file; the settings of
the timeline were chosen on videos of other people still (seed 101 of the synthetic set).

    python benchmarks/timeline.py --out benchmarks/results/timeline.json
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from drawn_people.make import make_dataset
from kineme import api
from kineme.dataset.scan import scan
from kineme.demo import ACTIONS, CLIPS, EPOCHS, PEOPLE, read_segments
from kineme.files import write_json
from kineme.model import Model
from kineme.models.backend import versions
from kineme.prediction.result import Prediction, Segment
from kineme.prediction.segment_score import SegmentScore, score_segments
from kineme.prediction.timeline import segments
from kineme.progress import track
from kineme.training.options import TrainOptions

MARKS = {"segment_f1": 0.80, "pauses_called_background": 0.90, "auroc_of_unknown_actions": 0.85}
RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description="Timelines of untrimmed videos, and actions that were never learned.")
    parser.add_argument("--work", type=Path, help="folder for videos and models, used again (default: a temporary one)")
    parser.add_argument("--people", type=int, default=20, help="people with an untrimmed video each (default 20)")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kineme-timeline-") as temporary:
        result = measure(arguments.work or Path(temporary), arguments.people)
    for name, mark in MARKS.items():
        figure = result[name]
        low, high = figure["interval"]
        print(
            f"{name.replace('_', ' ')}: {figure['value']:.3f} ({low:.3f} to {high:.3f}), mark {mark}: {figure['met']}"
        )
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if all(result[name]["met"] for name in MARKS) else 1)


def measure(work: Path, people: int) -> dict[str, Any]:
    """All figures."""
    table = make_dataset(work / "videos", clips=CLIPS, people=PEOPLE, actions=ACTIONS, untrimmed=0, seed=0)
    long = make_dataset(work / "long", clips=1, people=people, actions=ACTIONS, untrimmed=people, seed=201).parent
    other = make_dataset(work / "other", clips=160, people=10, untrimmed=0, seed=202)
    run = work / "run"
    if not (run / "model.safetensors").exists():
        api.train(table, run, approach="lrcn", options=TrainOptions(epochs=EPOCHS, seed=0), overwrite=True)
    model = api.load(run)
    true = read_segments(long / "untrimmed" / "segments.csv")
    found = [model.predict(video) for video in track(list(true), "untrimmed videos")]
    scores = [score(one, one.segments, true) for one in found]
    plain = [score(one, without_background(one), true) for one in found]
    guessed = [score(one, guess(one, number), true) for number, one in enumerate(found)]
    f1, pauses = over_people(scores, lambda some: some.f1), over_people(scores, lambda some: some.pause_share)
    known_N, is_known_N, groups_N, highest_N, refused_N = clips(model, other)
    return {
        "date": datetime.date.today().isoformat(),
        "versions": versions(),
        "machine": {"cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"},
        "segment_f1": {
            **f1,
            "met": f1["value"] >= MARKS["segment_f1"],
            "counts": asdict(total(scores)),
            "videos": len(found),
            "without_background": total(plain).f1,
            "same_borders_random_labels": total(guessed).f1,
        },
        "pauses_called_background": {
            **pauses,
            "met": pauses["value"] >= MARKS["pauses_called_background"],
            "action_time_labelled_right": total(scores).right_share,
        },
        "auroc_of_unknown_actions": auroc(known_N, is_known_N, groups_N)
        | {"highest_probability": auroc(highest_N, is_known_N, groups_N), "chance": 0.5},
        "clips_called_background": {
            "of_known_actions": float(refused_N[is_known_N].mean()),
            "of_unknown_actions": float(refused_N[~is_known_N].mean()),
        },
    }


def score(one: Prediction, predicted: Sequence[Segment], true: dict[Path, list[Segment]]) -> SegmentScore:
    """Segments of a video against the true ones."""
    return score_segments(true[Path(one.source)], predicted, one.duration_s)


def total(scores: Sequence[SegmentScore]) -> SegmentScore:
    """Counts of several videos."""
    return sum(scores, SegmentScore())


def without_background(one: Prediction) -> tuple[Segment, ...]:
    """What the same windows give where each has its likeliest label."""
    times_W = one.window_times_W2.mean(axis=1)
    return segments(times_W, one.window_probabilities_WK, None, one.labels, one.duration_s)


def guess(one: Prediction, seed: int) -> list[Segment]:
    """The segments as they are, with labels drawn at random."""
    rng = np.random.default_rng(seed)
    return [part if part.is_background else replace(part, label=str(rng.choice(one.labels))) for part in one.segments]


def clips(model: Model, table: Path) -> tuple[NDArray[Any], ...]:
    """Of each clip: open-set score, whether its action was learned, person, highest probability, whether refused."""
    rows = scan(table).rows
    found = [model.predict(path) for path in track(rows["path"].to_list(), "clips of all actions")]
    known = [float(np.max(one.window_scores_W)) for one in found if one.window_scores_W is not None]
    is_known = np.isin(rows["label"].to_numpy(), model.labels)
    highest, refused = [one.probabilities_K.max() for one in found], [not one.actions for one in found]
    return np.array(known), is_known, rows["group"].to_numpy(), np.array(highest), np.array(refused)


def over_people(
    scores: Sequence[SegmentScore], figure: Callable[[SegmentScore], float], seed: int = 0
) -> dict[str, Any]:
    """A figure of the sum of scores, one a person, and its 95 % interval: percentile bootstrap over people."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(scores), size=(RESAMPLES, len(scores)))
    values = [figure(total([scores[number] for number in row])) for row in drawn]
    return {"value": figure(total(scores)), "interval": np.percentile(values, [2.5, 97.5]).tolist()}


def auroc(score_N: NDArray[Any], is_known_N: NDArray[Any], groups_N: NDArray[Any], seed: int = 0) -> dict[str, Any]:
    """Area under the ROC curve of known against unknown clips, and its 95 % interval: bootstrap over people."""
    rng = np.random.default_rng(seed)
    of_group = [np.flatnonzero(groups_N == group) for group in np.unique(groups_N)]
    values = []
    for row in rng.integers(len(of_group), size=(RESAMPLES, len(of_group))):
        drawn = np.concatenate([of_group[number] for number in row])
        values.append(roc_auc_score(is_known_N[drawn], score_N[drawn]))
    value = float(roc_auc_score(is_known_N, score_N))
    return {
        "value": value,
        "interval": np.percentile(values, [2.5, 97.5]).tolist(),
        "met": value >= MARKS["auroc_of_unknown_actions"],
        "known_clips": int(is_known_N.sum()),
        "unknown_clips": int((~is_known_N).sum()),
        "people": len(of_group),
    }


if __name__ == "__main__":
    main()
