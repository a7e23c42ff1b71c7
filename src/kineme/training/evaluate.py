"""How good a network is on videos it has not seen, through the very windows that prediction uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.models.scoring import score_clips
from kineme.progress import track
from kineme.training import metrics
from kineme.training.cache import FrameCache
from kineme.training.frame_order import CHANGED_ORDERS, FrameOrder, check_order, reorder
from kineme.training.items import Item
from kineme.training.joined_cache import JoinedCache

_MOST_REORDERED = 100  # videos whose frames are put in another order for an encoder that sees time, and is slow


def score_items(
    network: Any,
    items: Sequence[Item],
    cache: FrameCache,
    *,
    frame_order: FrameOrder = "ordered",
    seed: int = 0,
    label: str | None = None,
) -> NDArray[np.float32]:
    """Logits of each video: the mean over its windows.

    Args:
        network: from what the cache holds, clips_BTHWC or features_BTD, to logits_BK.
        items: the videos.
        cache: where their frames come from.
        frame_order: see :func:`kineme.training.frame_order.reorder`. Where the features come from an encoder that
            sees time, they are computed anew from frames in that order, for the middle window of each video.
        seed: of the shuffling.
        label: what the progress bar says; None shows none.

    Returns:
        logits_NK, float32, a row for each item.

    Raises:
        UsageError: an unknown frame order.
    """
    return mean_of_windows(*score_windows(network, items, cache, frame_order=frame_order, seed=seed, label=label))


def mean_of_windows(logits_WK: NDArray[np.float32], item_W: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits_NK of videos, in the order of their numbers ``item_W``: the mean of those of their windows."""
    counts_N = np.bincount(item_W)
    sums_NK = np.zeros((len(counts_N), logits_WK.shape[1]), np.float64)
    np.add.at(sums_NK, item_W, logits_WK)
    return (sums_NK / counts_N[:, None]).astype(np.float32)


def score_windows(
    network: Any,
    items: Sequence[Item],
    cache: FrameCache,
    *,
    frame_order: FrameOrder = "ordered",
    view: int = 0,
    change: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    seed: int = 0,
    label: str | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits_WK of each window of each video, and the number of its video; arguments as for :func:`score_items`.

    ``view`` is the number of an augmented view of the videos, 0 as filmed; ``change`` is done to each window.
    """
    check_order(frame_order)
    if isinstance(cache, JoinedCache):
        return cache.score(
            lambda head, its, member: score_windows(
                head, its, member, frame_order=frame_order, view=view, seed=seed, label=label
            ),
            network,
            items,
        )
    recompute = frame_order != "ordered" and cache.encoder is not None and cache.encoder.is_temporal
    windows_of: list[int] = []

    def windows() -> Iterator[NDArray[Any]]:
        for number, item in enumerate(track(items, label)):
            if recompute:
                windows_of.append(number)
                yield cache.reordered(item, frame_order)
                continue
            rng = np.random.default_rng([seed, number])
            starts = cache.evaluation_starts(item)
            windows_of.extend([number] * len(starts))
            for start in starts:
                clip = cache.window(item, start, view)
                window = reorder(clip, frame_order, rng, cache.spec, cache.distinct(item, start))
                yield change(window) if change else window

    return score_clips(network, windows()), np.array(windows_of, np.int64)


def loss_and_accuracy(logits_NK: NDArray[np.float32], truth_N: NDArray[np.int64]) -> tuple[float, float]:
    """Mean cross-entropy and top-1."""
    from scipy.special import log_softmax

    losses_N = -log_softmax(logits_NK.astype(np.float64), axis=1)[np.arange(len(truth_N)), truth_N]
    return float(losses_N.mean()), float((logits_NK.argmax(axis=1) == truth_N).mean())


def classification_metrics(
    logits_NK: NDArray[np.float32],
    items: Sequence[Item],
    labels: tuple[str, ...],
    temperature: float,
    seed: int = 0,
) -> dict[str, Any]:
    """The metrics of ``metrics.json`` for scored videos; see :func:`metrics.evaluate_scores`."""
    return metrics.evaluate_scores(
        metrics.softmax(logits_NK, temperature),
        np.array([item.label for item in items]),
        [item.group for item in items],
        labels,
        seed=seed,
    )


def order_metrics(
    network: Any,
    items: Sequence[Item],
    cache: FrameCache,
    logits_NK: NDArray[np.float32],
    labels: tuple[str, ...],
    seed: int = 0,
    *,
    label: str | None = None,
) -> dict[str, Any]:
    """Whether a network uses time: the same test with frames shuffled, reversed and frozen.

    Args:
        network: as for :func:`score_items`.
        items: the test videos; an encoder that sees time is asked about 100 of them at most.
        cache: where their frames come from.
        logits_NK: their logits as filmed.
        labels: the K classes.
        seed: of the shuffling and of the intervals.
        label: what the progress bar says; None shows none.

    Returns:
        ``orders``: for ``shuffled``, ``reversed`` and ``frozen`` the ``top1``, its ``top1_interval`` and ``n``, the
        top-1 of the same videos as filmed (``top1_ordered``), and the ``p_value`` of the difference; and
        ``motion_reliance``: for each class, recall as filmed minus recall when shuffled (None without a video).
    """
    chosen = list(range(len(items)))
    if cache.encoder is not None and cache.encoder.is_temporal:
        chosen = sorted(set(np.linspace(0, len(items) - 1, min(len(items), _MOST_REORDERED)).astype(int).tolist()))
    asked = [items[number] for number in chosen]
    truth_N, groups_N = np.array([item.label for item in asked]), np.array([item.group for item in asked])
    predictions = {"ordered": logits_NK[chosen].argmax(axis=1)}
    orders: dict[str, Any] = {}
    for order in CHANGED_ORDERS:
        said = f"{label} ({order})" if label else None
        predictions[order] = score_items(network, asked, cache, frame_order=order, seed=seed, label=said).argmax(axis=1)
        right_N, ordered_N = predictions[order] == truth_N, predictions["ordered"] == truth_N
        orders[order] = {**metrics.reordered_accuracy(right_N, ordered_N, groups_N, seed=seed), "n": len(asked)}
    return {"orders": orders, "motion_reliance": metrics.shuffle_recall_drop(predictions, truth_N, labels)}
