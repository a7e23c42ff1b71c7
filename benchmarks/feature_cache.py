"""What the feature cache is worth: the first training behind a frozen backbone against the second.

Both see the same videos from the start to the end of one epoch: the first decodes them and computes their features,
as filmed and in one augmented view; the second finds them in the cache. The network is compiled before, so that
neither pays for it. The features must be equal, which is checked.

    python benchmarks/feature_cache.py DATA --out benchmarks/results/feature-cache.json
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from kineme import api
from kineme.dataset.split import split
from kineme.files import write_json
from kineme.models.backend import seed_everything, versions
from kineme.models.registry import make_approach
from kineme.training.augment import Augmentation
from kineme.training.cache import FrameCache
from kineme.training.feed import class_weights, training_batches
from kineme.training.items import parts_of
from kineme.training.learner import make_learner
from kineme.training.options import resolve_approach

MARK = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description="A second training on cached features against the first.")
    parser.add_argument("data", type=Path, help="folder or CSV of labelled videos")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    table = split(api.scan(arguments.data))
    approach, config, spec = resolve_approach("lrcn", {"backbone": "efficientnet-lite0"})
    seed_everything(0)
    learner = make_learner(make_approach(approach, config), spec, len(table.labels))
    learner.trained.compile("adam", "sparse_categorical_crossentropy")
    clips_BTD = np.zeros((16, *learner.trained.input.shape[1:]), np.float32)
    for size in (16, len(table.in_split("train")) % 16 or 16):  # the last batch may be smaller
        learner.trained.train_on_batch(clips_BTD[:size], np.zeros(size))
    learner.encoder.network.predict_on_batch(np.zeros((32, spec.height, spec.width, 3), np.uint8))

    def train_once(folder: Path) -> tuple[float, list[Any]]:
        cache = FrameCache(spec, learner.encoder, per_frame=1, folder=folder)
        started = time.perf_counter()
        readable, items = cache.prepare(table, table.labels)
        train = parts_of(readable, items)["train"]
        cache.add_views(train, Augmentation(), 1)
        weights_K = class_weights(train, len(table.labels))
        batches = training_batches(
            train, cache, batch_size=16, seed=0, epoch=0, augmentation=None, views=1, class_weights_K=weights_K
        )
        seen = []
        for features_BTD, labels_B, weights_B in batches:
            learner.trained.train_on_batch(features_BTD, labels_B, sample_weight=weights_B)
            seen.append(features_BTD)
        return len(train) / (time.perf_counter() - started), seen

    with tempfile.TemporaryDirectory(prefix="kineme-features-") as folder:
        first, features = train_once(Path(folder))
        second, again = train_once(Path(folder))
    equal = all(np.array_equal(one, other) for one, other in zip(features, again, strict=True))
    result = {
        "date": datetime.date.today().isoformat(),
        "versions": versions(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "videos": len(table),
        "first_clips_per_second": round(first, 2),
        "second_clips_per_second": round(second, 1),
        "ratio": round(second / first, 1),
        "equal_features": equal,
        "mark": MARK,
        "met": equal and second / first >= MARK,
    }
    sys.stdout.write(
        f"first {first:.2f} clips/s, second {second:.1f} clips/s: {second / first:.0f} times; "
        f"features {'equal' if equal else 'DIFFERENT'}\n"
    )
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if result["met"] else 1)


if __name__ == "__main__":
    main()
