"""Builds the batches of training steps in the background, while the previous step runs.

Every number drawn comes from (seed, epoch, clip), so a batch is the same whoever makes it and whenever: an
interrupted training continues exactly where it was.
"""

from __future__ import annotations

import collections
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from kineme.errors import VideoError
from kineme.training.augment import Augmentation
from kineme.training.background import PARTLY, Background, negatives_per_batch
from kineme.training.cache import FrameCache
from kineme.training.items import Item

Batch = tuple[NDArray[Any], NDArray[np.int32], NDArray[np.float32]]
R = TypeVar("R")
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
    gaps: Sequence[Item] = (),
) -> Iterator[Batch]:
    """One random window of every item, in a new order each epoch.

    Args:
        items: what to learn from.
        cache: where windows come from.
        batch_size: clips a batch; the last may be smaller.
        seed: of order, windows and augmentation.
        epoch: number of the epoch; each has another order.
        augmentation: changes frames; None where the cache holds features.
        views: augmented views of each item in the cache; one of them or the plain one is drawn.
        class_weights_K: weight of a clip of each class.
        background: made of items; some of it, labelled K, is added to every batch.
        gaps: background that was filmed, labelled K; of as many as there are items, a window each.

    Yields:
        clips_BTHWC uint8, or features_BTD float32; labels_B int32; weights_B float32.
    """
    rng = np.random.default_rng([seed, epoch])
    drawn = rng.permutation(len(gaps))[: len(items)] if gaps else ()
    items = [*items, *(gaps[number] for number in drawn)]
    order = rng.permutation(len(items)).tolist()
    nothing = len(class_weights_K)  # the label of background
    weights = np.append(class_weights_K, np.float32(1.0))

    def positive(number: int) -> NDArray[Any]:
        rng = np.random.default_rng([seed, epoch, number])
        item = items[number]
        start, view = int(rng.integers(cache.last_start(item) + 1)), int(rng.integers(views + 1))
        if background and number in background and rng.random() < PARTLY:
            window = background.positive_window(number, view, rng)
        else:
            window = cache.window(item, start, view)
        return augmentation(window, rng) if augmentation else window

    def negative(made: Background, number: int) -> NDArray[Any]:
        rng = np.random.default_rng([seed, epoch, number, 1])
        window = made.negative_window(number, int(rng.integers(views + 1)), rng)
        return augmentation(window, rng) if augmentation else window

    def readable(make: Callable[[int], NDArray[Any]], number: int) -> list[NDArray[Any]]:
        try:
            return [make(number)]
        except VideoError as error:  # it is not on disk, and the file is not what it was: the others go on
            cache.lost[items[number].name] = error.reason
            return []

    def batch(numbers: list[int]) -> Batch | None:
        clips = [(items[number].label, window) for number in numbers for window in readable(positive, number)]
        if background:
            able = [number for number in numbers if number in background]
            make = functools.partial(negative, background)
            for number in able[: negatives_per_batch(len(able)) if able else 0]:
                clips += [(nothing, window) for window in readable(make, number)]
        if not clips:
            return None
        labels_B = np.array([label for label, _ in clips], np.int32)
        return np.stack([window for _, window in clips]), labels_B, weights[labels_B]

    starts = range(0, len(items), batch_size)
    made = prefetch_batches(batch, (order[start : start + batch_size] for start in starts))
    yield from (one for one in made if one is not None)


def prefetch_batches(make: Callable[[T], R], jobs: Iterable[T]) -> Iterator[R]:
    """``map(make, jobs)`` with a few results made ahead in threads; order is kept."""
    waiting: collections.deque[Future[R]] = collections.deque()
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
        clock: gives the time, in seconds.

    Attributes:
        seconds: waited so far.
    """

    def __init__(self, batches: Iterable[Batch], clock: Callable[[], float] = time.perf_counter) -> None:
        self._batches, self._clock = iter(batches), clock
        self.seconds = 0.0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        started = self._clock()
        try:
            return next(self._batches)
        finally:
            self.seconds += self._clock() - started


def class_weights(items: Sequence[Item], classes: int) -> NDArray[np.float32]:
    """Weights_K that make every class count alike in the loss; all 1 where the classes are of one size."""
    counts = np.bincount([item.label for item in items], minlength=classes)
    return (len(items) / (classes * np.maximum(counts, 1))).astype(np.float32)
