"""Early fusion: the first layer sees all frames at once.

    python examples/early_fusion.py [FOLDER] [--epochs 40]

FOLDER holds a folder of videos for each action; without it, people are drawn. What is particular to this approach is
its first layer: time is joined with the colours, so a filter spans the whole clip. The script prints the shapes, and
how the weight of a filter is spread over the clip.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import kineme
from drawn_people.make import make_dataset
from kineme.training.options import TrainOptions

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", type=Path)
parser.add_argument("--epochs", type=int, default=40)


def main() -> None:
    """Train, and look at the first layer."""
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = asked.folder or Path(scratch, "videos")
        if asked.folder is None:
            make_dataset(data, clips=120, people=40, actions=["squat", "sit-down", "stand-up"], untrimmed=0)
        run = kineme.train(
            data, Path(scratch, "run"), approach="early-fusion", options=TrainOptions(epochs=asked.epochs)
        )
        test = run.metrics["test"]
        print(f"top-1 {test['top1']:.2f} on {test['n']} videos; reversed {test['orders']['reversed']['top1']:.2f}")

        model = kineme.load(run.folder)
        for layer in model.network.get_layer("head").layers:
            print(f"{layer.name:22} {tuple(layer.output.shape[1:])}")
        frames = model.card.spec.frames
        weights_HWIO = np.asarray(model.network.get_layer("head").get_layer("conv1").get_weights()[0])
        height, width, joined, filters = weights_HWIO.shape
        by_frame = weights_HWIO.reshape(height, width, frames, joined // frames, filters)
        strength_T = np.abs(by_frame[..., 0]).mean(axis=(0, 1, 3))
        print("\nfilter 1, mean weight on each frame:")
        for number, strength in enumerate(strength_T):
            print(f"frame {number:2} {'#' * round(30 * strength / strength_T.max())}")


if __name__ == "__main__":
    main()
