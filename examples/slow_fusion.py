"""Slow fusion: a 3D CNN, every layer of which has seen a little more time than the one before.

    python examples/slow_fusion.py [FOLDER] [--epochs 16]

FOLDER holds a folder of videos for each action; without it, people are drawn. What is particular to this approach is
how time is fused: layer by layer. The script measures it on the trained network: it changes one frame, and looks at
how many steps of time of each layer answer.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np

import kineme
from drawn_people.make import make_dataset
from kineme.training.options import TrainOptions

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", type=Path)
parser.add_argument("--epochs", type=int, default=16)


def main() -> None:
    """Train, and measure what each layer has seen of time."""
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = asked.folder or Path(scratch, "videos")
        if asked.folder is None:
            make_dataset(data, clips=120, people=40, actions=["squat", "sit-down", "stand-up"], untrimmed=0)
        run = kineme.train(
            data, Path(scratch, "run"), approach="slow-fusion", options=TrainOptions(epochs=asked.epochs)
        )
        test = run.metrics["test"]
        print(f"top-1 {test['top1']:.2f} on {test['n']} videos; reversed {test['orders']['reversed']['top1']:.2f}\n")

        head = kineme.load(run.folder).network.get_layer("head")
        names = [f"conv{number}" for number in (1, 2, 3, 4)]
        start = head.get_layer("conv1").input  # what comes before it takes the clip's mean away, which mixes all frames
        layers = keras.Model(start, [head.get_layer(name).output for name in names])
        clip_BTHWC = np.zeros((1, *start.shape[1:]), np.float32)
        before = layers(clip_BTHWC)
        seen = np.zeros((len(names), clip_BTHWC.shape[1]), bool)  # layer, frame: its middle step answers to that frame
        for frame in range(clip_BTHWC.shape[1]):
            changed = clip_BTHWC.copy()
            changed[0, frame] = np.random.default_rng(0).random(changed[0, frame].shape)
            for layer, (one, other) in enumerate(zip(before, layers(changed), strict=True)):
                seen[layer, frame] = np.abs(np.asarray(one - other))[0, one.shape[1] // 2].max() > 0
        for name, row in zip(names, seen, strict=True):
            print(f"{name}: the middle step answers to frames {''.join('#' if one else '.' for one in row)}")


if __name__ == "__main__":
    main()
