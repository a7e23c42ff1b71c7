"""ConvLSTM: convolution and recurrence in one layer.

    python examples/convlstm.py [FOLDER] [--epochs 20]

FOLDER holds a folder of videos for each action; without it, people are drawn. What is particular to this approach is
its memory: the state of the recurrence is a set of pictures, so the network remembers *where* something moved. The
script prints one of these pictures as it fills while a clip is read.
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
from kineme.video.clips import ticks

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", type=Path)
parser.add_argument("--epochs", type=int, default=20)


def main() -> None:
    """Train, and print what the first layer remembers of a clip."""
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = asked.folder or Path(scratch, "videos")
        if asked.folder is None:
            make_dataset(data, clips=90, people=30, actions=["wave", "sit-down", "stand-up"], untrimmed=0)
        run = kineme.train(data, Path(scratch, "run"), approach="convlstm", options=TrainOptions(epochs=asked.epochs))
        test = run.metrics["test"]
        print(f"top-1 {test['top1']:.2f} on {test['n']} videos; shuffled {test['orders']['shuffled']['top1']:.2f}")

        model = kineme.load(run.folder)
        video = run.table.in_split("test").rows.row(0, named=True)
        frames_THWC = np.stack([frame for _, frame in ticks(video["path"], model.card.spec)])
        clip_BTHWC = frames_THWC[None, : model.card.spec.frames]
        head = model.network.get_layer("head")
        memory = keras.Model(head.input, head.get_layer("convlstm1").output)
        (states_THWC,) = np.asarray(memory(model.network.get_layer("backbone")(clip_BTHWC)))
        busiest = np.abs(states_THWC).mean(axis=(0, 1, 2)).argmax()
        for step in (1, len(states_THWC) // 2, len(states_THWC) - 1):
            picture_HW = np.abs(states_THWC[step, ::4, ::2, busiest])
            shades = np.clip(picture_HW / np.abs(states_THWC[..., busiest]).max() * 9.99, 0, 9).astype(int)
            print(f"\n{video['name']}, frame {step}: what one of its maps remembers")
            print("\n".join("".join(" .:-=+*#%@"[shade] for shade in row) for row in shades))


if __name__ == "__main__":
    main()
