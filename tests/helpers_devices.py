"""Trains an approach on one device and on two, in a process of its own: ``helpers_devices.py DATA OUT APPROACH``.

JAX reads how many devices it has when it starts, so this cannot run in the process of the tests. ``OUT/1.npz`` and
``OUT/2.npz`` hold the weights and the losses.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

SIZES = {"lrcn": 64, "late-fusion": 64, "single-frame": 64, "convlstm": 16, "early-fusion": 32, "slow-fusion": 32}
# Of 11 people, 17 videos are trained on: 12 clips a step and 6 of background, then 5 and 2. Ten epochs are 20 steps.
STEPS = {"epochs": 10, "batch_size": 12, "flip": False}


def train_on(devices: int, data: Path, approach: str) -> dict[str, np.ndarray]:
    """Weights and losses after 20 steps."""
    from kineme.api import scan
    from kineme.dataset.split import split
    from kineme.models.backend import seed_everything
    from kineme.models.registry import make_approach
    from kineme.training.background import learns_background
    from kineme.training.devices import shared_out
    from kineme.training.fit import train_once
    from kineme.training.items import parts_of
    from kineme.training.learner import make_learner
    from kineme.training.options import TrainOptions
    from kineme.video.spec import ClipSpec

    table = split(scan(data), seed=0, test=0.2, validation=0)
    spec = ClipSpec(frames=4, width=SIZES[approach], height=SIZES[approach])
    with shared_out(devices, data):
        seed_everything(0)
        learner = make_learner(make_approach(approach, None), spec, len(table.labels))
        cache = learner.cache()
        learned = train_once(
            learner,
            parts_of(*cache.prepare(table, table.labels)),
            cache,
            TrainOptions(**STEPS),
            checkpoint=None,
            settings={"labels": table.labels},
            background=learns_background(learner),
            label=None,
        )
        weights = {f"{n:03} {one.path}": np.array(one) for n, one in enumerate(learner.trained.weights)}
    return {**weights, "losses": np.array([row["loss"] for row in learned.history])}


if __name__ == "__main__":
    for count in (1, 2):
        np.savez(Path(sys.argv[2], f"{count}.npz"), **train_on(count, Path(sys.argv[1]), sys.argv[3]))
