"""Single frame: each frame is classified alone, and the scores are averaged.

    python examples/single_frame.py [FOLDER] [--epochs 40]

FOLDER holds a folder of videos for each action; without it, people are drawn. What is particular to this approach is
that it cannot use time: the script shuffles the frames, and the answers stay the same. It also shows what the network
says of single frames of one video before they are averaged.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import kineme
from drawn_people.make import make_dataset
from kineme.training.options import TrainOptions
from kineme.video.clips import ticks

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", type=Path)
parser.add_argument("--epochs", type=int, default=40)


def main() -> None:
    """Train, shuffle the frames, and look at the answers to single frames."""
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = asked.folder or Path(scratch, "videos")
        if asked.folder is None:
            make_dataset(data, clips=90, people=30, actions=["wave", "squat", "kick"], untrimmed=0)
        run = kineme.train(
            data,
            Path(scratch, "run"),
            approach="single-frame",
            options=TrainOptions(epochs=asked.epochs, learning_rate=2e-3),
        )
        test = run.metrics["test"]
        print(f"top-1 {test['top1']:.2f} on {test['n']} videos")
        print(f"the frames shuffled: {test['orders']['shuffled']['top1']:.2f}")

        model = kineme.load(run.folder)
        video = run.table.in_split("test").rows.row(0, named=True)
        print(f"\n{video['name']}: what single frames are taken for")
        for instant_s, frame_HWC in list(ticks(video["path"], model.card.spec))[::4]:
            still_BTHWC = np.repeat(frame_HWC[None, None], model.card.spec.frames, axis=1)  # a clip of one frame
            (probabilities_K,) = model.probabilities(np.asarray(model.network.predict_on_batch(still_BTHWC)))
            best = probabilities_K.argmax()
            print(f"{instant_s:5.2f} s  {model.labels[best]:10} {probabilities_K[best]:.2f}")


if __name__ == "__main__":
    main()
