"""The demo: everything once, offline, in about two minutes, on people that are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kineme import api
from kineme.dataset.synthetic.make import make_dataset
from kineme.prediction.result import Prediction
from kineme.report.save import save_prediction
from kineme.training.fit import TrainOptions
from kineme.training.run import Run

ACTIONS = ("wave", "jumping-jack", "punch", "squat", "sit-down", "stand-up")


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    videos: Path
    run: Run
    shuffled: dict[str, Any]
    prediction: Prediction
    annotated: Path


def run_demo(folder: Path, seed: int = 0) -> DemoResult:
    """Make a set, train LRCN, measure it on unseen people, and predict a long video of one of them.

    Args:
        folder: where everything goes; made if need be, and used again if it holds a demo already.
        seed: of all that is drawn.

    Raises:
        KinemeError: something cannot be written.
    """
    table = make_dataset(folder / "videos", clips=360, people=20, actions=ACTIONS, untrimmed=4, seed=seed)
    run = api.train(table, folder / "run", approach="lrcn", options=TrainOptions(seed=seed, flip=True), overwrite=True)
    shuffled = api.evaluate(folder / "run", table, frame_order="shuffled")
    tested = set(run.table.in_split("test").rows["group"])
    long_videos = sorted((folder / "videos" / "untrimmed").glob("*.mp4"))
    unseen = [path for path in long_videos if path.name.split("_")[0] in tested] or long_videos
    prediction = api.load(folder / "run").predict(unseen[0])
    annotated = save_prediction(prediction, ("video", "json"), folder / "prediction")[0]
    return DemoResult(folder / "videos", run, shuffled, prediction, annotated)
