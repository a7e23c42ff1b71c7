"""LRCN: a CNN looks at every frame, an LSTM reads what it saw in order.

    python examples/lrcn.py [FOLDER] [--epochs 40]

FOLDER holds a folder of videos for each action; without it, people are drawn. What is particular to this approach is
that it can be asked after every frame, at the cost of one frame: the script prints how sure it becomes as a person
sits down or stands up, which the order of the frames alone tells apart.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import kineme
from drawn_people.make import make_dataset
from kineme.training.options import TrainOptions
from kineme.video.decode import read_frames

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", type=Path)
parser.add_argument("--epochs", type=int, default=40)


def main() -> None:
    """Train, measure on people never seen, and follow one of them frame by frame."""
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = asked.folder or Path(scratch, "videos")
        if asked.folder is None:
            make_dataset(data, clips=120, people=40, actions=["squat", "sit-down", "stand-up"], untrimmed=0)
        run = kineme.train(
            data,
            Path(scratch, "run"),
            approach="lrcn",
            config={"backbone": "motion-cnn", "units": 32},  # the CNN, and the size of the LSTM's state
            options=TrainOptions(epochs=asked.epochs),
        )
        test = run.metrics["test"]
        print(f"top-1 {test['top1']:.2f} on {test['n']} videos; shuffled {test['orders']['shuffled']['top1']:.2f}")

        model = kineme.load(run.folder)
        video = run.table.in_split("test").rows.row(0, named=True)
        print(f"\n{video['name']}, frame by frame:")
        with model.stream(mode="carried") as stream:
            for number, frame in enumerate(read_frames(video["path"])):
                probabilities_K = stream.push(frame.pixels_HWC, frame.pts_s)
                if probabilities_K is not None and number % 10 == 0:
                    best = probabilities_K.argmax()
                    print(f"{frame.pts_s:5.2f} s  {model.labels[best]:10} {'#' * round(30 * probabilities_K[best])}")


if __name__ == "__main__":
    main()
