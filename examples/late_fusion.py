"""Late fusion: one network looks at every frame by itself; a trained layer at the end merges what they saw.

    python examples/late_fusion.py [FOLDER] [--epochs 40]

FOLDER holds a folder of videos for each action; without it, people are drawn. What is particular to this approach is
how the frames are merged. The script trains three ways: the two frames at the ends, as first published; all frames side
by side; and all frames averaged, where order is lost. Reversing the frames tells which of them noticed the order.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import kineme
from drawn_people.make import make_dataset
from kineme.training.options import TrainOptions

WAYS = {
    "the two at the ends": {"frames": "two"},
    "all, side by side": {"frames": "all", "merge": "concat"},
    "all, averaged": {"frames": "all", "merge": "mean"},
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", type=Path)
parser.add_argument("--epochs", type=int, default=40)


def main() -> None:
    """Train three ways of merging, and turn the frames round."""
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = asked.folder or Path(scratch, "videos")
        if asked.folder is None:
            make_dataset(data, clips=90, people=45, actions=["sit-down", "stand-up"], untrimmed=0)
        print(f"{'frames merged':20} {'test videos':>11} {'as filmed':>10} {'reversed':>9}")
        for number, (words, config) in enumerate(WAYS.items()):
            run = kineme.train(
                data,
                Path(scratch, f"run{number}"),
                approach="late-fusion",
                config={**config, "backbone": "motion-cnn"},  # it sees what changed since the frame before
                options=TrainOptions(epochs=asked.epochs, learning_rate=2e-3),
            )
            test = run.metrics["test"]
            print(f"{words:20} {test['n']:11} {test['top1']:10.2f} {test['orders']['reversed']['top1']:9.2f}")


if __name__ == "__main__":
    main()
