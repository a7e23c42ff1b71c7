"""The demo: everything once, offline, in about three minutes, on people that are drawn."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kineme import api
from kineme.dataset.synthetic.make import make_dataset
from kineme.prediction.result import Prediction
from kineme.report.save import save_prediction
from kineme.training.options import TrainOptions
from kineme.training.run import Run

ACTIONS = ("wave", "jumping-jack", "punch", "squat", "sit-down", "stand-up")
CLIPS = 300
PEOPLE = CLIPS // len(ACTIONS)  # each does everything once: many people teach more than many takes
EPOCHS = 70


@dataclass(frozen=True)
class DemoResult:
    """What the demo made and measured.

    Args:
        videos: the folder of labelled videos.
        run: the training, with its figures.
        prediction: of a long video of somebody who is not in the set.
        right: share of the time of that video's actions in which it is labelled right.
        annotated: the long video with the labels drawn in.
    """

    videos: Path
    run: Run
    prediction: Prediction
    right: float
    annotated: Path


def run_demo(folder: Path, seed: int = 0) -> DemoResult:
    """Make a set, train LRCN from scratch, measure it on unseen people, and predict a long video of a stranger.

    Args:
        folder: where everything goes; made if need be, and used again if it holds a demo already.
        seed: of all that is drawn.

    Raises:
        KinemeError: something cannot be written.
    """
    table = make_dataset(folder / "videos", clips=CLIPS, people=PEOPLE, actions=ACTIONS, untrimmed=0, seed=seed)
    options = TrainOptions(epochs=EPOCHS, seed=seed)
    run = api.train(table, folder / "run", approach="lrcn", options=options, overwrite=True)
    # Another seed draws other people: whoever is in this video was in no split of the set.
    make_dataset(folder / "stranger", clips=1, people=1, actions=ACTIONS, untrimmed=1, seed=seed + 1)
    (video,) = (folder / "stranger" / "untrimmed").glob("*.mp4")
    model = api.load(folder / "run")
    prediction = model.predict(video)
    annotated = save_prediction(prediction, ("video", "json"), folder / "prediction", model)[0]
    right = _share_right(prediction, folder / "stranger" / "untrimmed" / "segments.csv")
    return DemoResult(folder / "videos", run, prediction, right, annotated)


def _share_right(prediction: Prediction, segments_csv: Path) -> float:
    """Share of the true segments' time, in steps of 0.1 s, in which the likeliest label is the true one."""
    with segments_csv.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    right = [
        prediction.labels[int(prediction.probabilities_at(float(time)).argmax())] == row["label"]
        for row in rows
        for time in np.arange(float(row["start_s"]), float(row["end_s"]), 0.1)
    ]
    return float(np.mean(right))
