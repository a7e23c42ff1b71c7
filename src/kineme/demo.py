"""The demo: everything once, offline, in about three minutes, on people that are drawn."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from drawn_people.make import make_dataset
from kineme import api
from kineme.files import sole_writer
from kineme.models.approaches.lrcn import LRCN
from kineme.prediction.result import Prediction, Segment
from kineme.prediction.segment_score import SegmentScore, score_segments
from kineme.report.save import save_prediction
from kineme.training.options import TrainOptions
from kineme.training.run import Run

ACTIONS = ("wave", "jumping-jack", "punch", "squat", "sit-down", "stand-up")
CLIPS = 300
PEOPLE = CLIPS // len(ACTIONS)  # each does everything once: many people teach more than many takes
EPOCHS = 70
STRANGERS = 5  # long videos; of one alone, luck would decide


@dataclass(frozen=True)
class DemoResult:
    """Files and metrics of the demo.

    Args:
        videos: the folder of labelled videos.
        run: the training, with its figures.
        predictions: of long videos of people who are not in the set, several actions with pauses in each.
        score: how well their segments agree with the true ones.
        annotated: the first of the long videos with the labels drawn in.
    """

    videos: Path
    run: Run
    predictions: list[Prediction]
    score: SegmentScore
    annotated: Path

    @property
    def prediction(self) -> Prediction:
        """Of the long video that is annotated."""
        return self.predictions[0]


def run_demo(folder: Path, seed: int = 0) -> DemoResult:
    """Make a set, train LRCN from scratch, measure it on unseen people, and say what strangers do when.

    Args:
        folder: where everything goes; made if need be, and used again if it holds a demo already.
        seed: of all that is drawn.

    Raises:
        KinemeError: something cannot be written.
    """
    with sole_writer(folder):
        table = make_dataset(folder / "videos", clips=CLIPS, people=PEOPLE, actions=ACTIONS, untrimmed=0, seed=seed)
        options = TrainOptions(epochs=EPOCHS, seed=seed)
        run = api.train(table, folder / "run", approach=LRCN.name, options=options, overwrite=True)
        # Another seed draws other people: whoever is in these videos was in no split of the set.
        strangers = folder / "strangers"
        make_dataset(strangers, clips=1, people=STRANGERS, actions=ACTIONS, untrimmed=STRANGERS, seed=seed + 1)
        model = api.load(folder / "run")
        true = read_segments(strangers / "untrimmed" / "segments.csv")
        predictions = [model.predict(video) for video in true]
        score = sum_of_scores(predictions, true)
        annotated = save_prediction(predictions[0], ("video", "json"), folder / "prediction", model)[0]
        return DemoResult(folder / "videos", run, predictions, score, annotated)


def read_segments(path: Path) -> dict[Path, list[Segment]]:
    """The true segments of each untrimmed video of a synthetic set, from its ``segments.csv``."""
    found: dict[Path, list[Segment]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            segment = Segment(float(row["start_s"]), float(row["end_s"]), row["label"], 1.0)
            found.setdefault(path.parent / row["path"], []).append(segment)
    return found


def sum_of_scores(predictions: list[Prediction], true: dict[Path, list[Segment]]) -> SegmentScore:
    """Scores of the videos, added up."""
    scores = [score_segments(true[Path(one.source)], one.segments, one.duration_s) for one in predictions]
    return sum(scores, SegmentScore())
