"""Pose LSTM: an LSTM reads how a body is held and how it moves, and never sees a pixel.

    kineme models pull blazepose             once, 36 MB
    python examples/pose_lstm.py [FOLDER] [--epochs 60]

FOLDER holds a folder of videos for each action; without it, people are drawn. What is particular to this approach is
that it learns from 33 landmarks of a body: the script says in how many frames a body was found, and draws the skeleton
on a video that training never saw.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import kineme
from drawn_people.make import make_dataset
from kineme.report.save import save_prediction
from kineme.training.options import TrainOptions
from kineme.video.clips import ticks

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", type=Path)
parser.add_argument("--epochs", type=int, default=60)


def main() -> None:
    """Train on landmarks, and show them."""
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = asked.folder or Path(scratch, "videos")
        if asked.folder is None:
            make_dataset(data, clips=60, people=20, actions=["wave", "squat", "stand-up"], untrimmed=0)
        run = kineme.train(data, Path(scratch, "run"), approach="pose-lstm", options=TrainOptions(epochs=asked.epochs))
        test = run.metrics["test"]
        print(f"top-1 {test['top1']:.2f} on {test['n']} videos; shuffled {test['orders']['shuffled']['top1']:.2f}")

        model = kineme.load(run.folder)
        video = run.table.in_split("test").rows.row(0, named=True)
        features_TD = np.stack([row for _, row in model.poses(ticks(video["path"], model.card.spec))])
        found_T = features_TD.any(axis=1)  # a row of zeros: nobody was found
        print(f"{video['name']}: a body in {found_T.sum()} of {len(found_T)} frames, as {features_TD.shape[1]} numbers")
        result = model.predict(video["path"])
        (written,) = save_prediction(result, ("video",), Path("skeleton"), model)
        print(f"called {result.label} with {result.top[0][1]:.2f}; the skeleton is drawn in {written}")


if __name__ == "__main__":
    main()
