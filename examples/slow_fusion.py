"""Slow fusion: a 3D CNN, every layer of which has seen a little more time than the one before.

    python examples/slow_fusion.py [FOLDER] [--epochs 12]

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
from kineme.dataset.synthetic.make import make_dataset
from kineme.training.options import TrainOptions

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", type=Path)
parser.add_argument("--epochs", type=int, default=12)


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
        maps = keras.Model(head.input, [head.get_layer(name).output for name in names])
        rng = np.random.default_rng(0)
        clip_BTHWC = rng.random((1, *head.input.shape[1:]), np.float32)
        before = maps(clip_BTHWC)
        seen = np.zeros((len(names), clip_BTHWC.shape[1]), int)  # layer, frame: its middle step answers to that frame
        for frame in range(clip_BTHWC.shape[1]):
            changed = clip_BTHWC.copy()
            changed[0, frame] -= changed[0, frame].mean() - rng.random(changed[0, frame].shape, np.float32)
            for layer, (one, other) in enumerate(zip(before, maps(changed), strict=True)):
                middle = one.shape[1] // 2
                seen[layer, frame] = np.abs(np.asarray(one - other))[0, middle].max() > 1e-3
        for name, row in zip(names, seen, strict=True):
            print(f"{name}: the middle step answers to frames {''.join('#' if one else '.' for one in row)}")


if __name__ == "__main__":
    main()
