"""From items to batches: what a training step takes, made in the background while the last step runs.

Every number drawn comes from (seed, epoch, clip), so a batch is the same whoever makes it and whenever: an
interrupted training goes on exactly where it was.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from kineme.training.augment import Augmentation
from kineme.training.background import PARTLY, Background, negatives_per_batch
from kineme.training.cache import FrameCache, Item

Batch = tuple[NDArray[Any], NDArray[np.int32], NDArray[np.float32]]
T = TypeVar("T")

_PREFETCH = 3  # batches made ahead: enough to hide a slow one, little enough to keep memory small
REPORT_WAIT_ABOVE = 0.1  # share of the time spent waiting for batches from which on it is they that hold training up


def training_batches(
    items: Sequence[Item],
    cache: FrameCache,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    augmentation: Augmentation | None,
    views: int = 0,
    class_weights_K: NDArray[np.float32],
    background: Background | None = None,
) -> Iterator[Batch]:
    """One random window of every item, in a new order each epoch.

    Args:
        items: what to learn from.
        cache: where windows come from.
        batch_size: clips a batch; the last may be smaller.
        seed: of order, windows and augmentation.
        epoch: likewise.
        augmentation: changes frames; None where the cache holds features.
        views: augmented views of each item in the cache; one of them or the plain one is drawn.
        class_weights_K: weight of a clip of each class.
        background: of the items; some of it, labelled K, is added to every batch.

    Yields:
        clips_BTHWC uint8, or features_BTD float32; labels_B int32; weights_B float32.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(items))

    def clip(number: int) -> NDArray[Any]:
        rng = np.random.default_rng([seed, epoch, number])
        item = items[number]
        start, view = int(rng.integers(cache.last_start(item) + 1)), int(rng.integers(views + 1))
        partly = background is not None and rng.random() < PARTLY
        window = (
            background.positive_window(number, view, rng) if background and partly else cache.window(item, start, view)
        )
        return augmentation(window, rng) if augmentation else window

    def negative(made: Background, number: int) -> NDArray[Any]:
        rng = np.random.default_rng([seed, epoch, number, 1])
        window = made.negative_window(number, int(rng.integers(views + 1)), rng)
        return augmentation(window, rng) if augmentation else window

    def batch(numbers: NDArray[np.int64]) -> Batch:
        labels_B = np.array([items[number].label for number in numbers], np.int32)
        clips, weights_B = [clip(int(number)) for number in numbers], class_weights_K[labels_B]
        if background:
            count = negatives_per_batch(len(numbers))
            clips += [negative(background, int(number)) for number in numbers[:count]]
            labels_B = np.append(labels_B, np.full(count, len(class_weights_K), np.int32))
            weights_B = np.append(weights_B, np.ones(count, np.float32))
        return np.stack(clips), labels_B, weights_B

    starts = range(0, len(items), batch_size)
    yield from in_background(batch, (order[start : start + batch_size] for start in starts))


def in_background(make: Callable[[T], Batch], jobs: Iterable[T]) -> Iterator[Batch]:
    """``map(make, jobs)`` with a few results made ahead in threads; order is kept."""
    waiting: collections.deque[Future[Batch]] = collections.deque()
    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(make, job))
                if len(waiting) > _PREFETCH:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class TimedIterator:
    """Passes batches on, and counts how long was waited for them.

    Args:
        batches: what to pass on.

    Attributes:
        seconds: waited so far.
    """

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = iter(batches)
        self.seconds = 0.0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        started = time.perf_counter()
        try:
            return next(self._batches)
        finally:
            self.seconds += time.perf_counter() - started


def class_weights(items: Sequence[Item], classes: int) -> NDArray[np.float32]:
    """Weights_K that make every class count alike in the loss; all 1 where the classes are of one size."""
    counts = np.bincount([item.label for item in items], minlength=classes)
    return (len(items) / (classes * np.maximum(counts, 1))).astype(np.float32)
