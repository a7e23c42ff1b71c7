"""How good a network is on videos it has not seen, through the very windows that prediction uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.models.scoring import score_clips
from kineme.progress import track
from kineme.training import metrics
from kineme.training.cache import Item, StripCache

FrameOrder = Literal["ordered", "shuffled", "reversed", "frozen"]


def score_items(
    network: Any,
    items: Sequence[Item],
    cache: StripCache,
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
        frame_order: ``"ordered"`` as filmed; ``"shuffled"``, ``"reversed"`` or ``"frozen"`` (the middle frame
            throughout) ask whether the network uses time at all.
        seed: of the shuffling.
        label: what the progress bar says; None shows none.

    Returns:
        logits_NK, float32, a row for each item.

    Raises:
        UsageError: an unknown frame order.
    """
    if frame_order not in get_args(FrameOrder):
        raise UsageError(f"frame order must be one of {', '.join(get_args(FrameOrder))}, not {frame_order!r}")
    windows_of: list[int] = []

    def windows() -> Iterator[NDArray[Any]]:
        for number, item in enumerate(track(items, label) if label else items):
            rng = np.random.default_rng([seed, number])
            starts = cache.evaluation_starts(item)
            windows_of.extend([number] * len(starts))
            for start in starts:
                yield reorder(cache.window(item, start), frame_order, rng)

    logits_WK = score_clips(network, windows())
    sums_NK = np.zeros((len(items), logits_WK.shape[1]), np.float64)
    np.add.at(sums_NK, windows_of, logits_WK)
    return (sums_NK / np.bincount(windows_of, minlength=len(items))[:, None]).astype(np.float32)


def reorder(frames_THWC: NDArray[Any], frame_order: FrameOrder, rng: np.random.Generator) -> NDArray[Any]:
    """A clip with its frames, or their features, in another order; see :func:`score_items`."""
    if frame_order == "shuffled":
        return frames_THWC[rng.permutation(len(frames_THWC))]
    if frame_order == "reversed":
        return frames_THWC[::-1]
    if frame_order == "frozen":
        return np.repeat(frames_THWC[len(frames_THWC) // 2][None], len(frames_THWC), axis=0)
    return frames_THWC


def figures(
    logits_NK: NDArray[np.float32],
    items: Sequence[Item],
    labels: tuple[str, ...],
    temperature: float,
    seed: int = 0,
) -> dict[str, Any]:
    """The figures of merit of ``metrics.json`` for scored videos."""
    return metrics.evaluate_scores(
        metrics.softmax(logits_NK, temperature),
        np.array([item.label for item in items]),
        [item.group for item in items],
        labels,
        seed=seed,
    )


def baseline_figures(train: Sequence[Item], test: Sequence[Item], pixels: StripCache, seed: int = 0) -> dict[str, Any]:
    """What needs no network: chance, the commonest class, and the nearest background without the people.

    Args:
        train: videos to learn from.
        test: videos to measure on.
        pixels: gives their frames.
        seed: of the intervals.
    """

    def background(item: Item) -> NDArray[np.float32]:
        return metrics.background(pixels.records(item, np.linspace(0, item.ticks - 1, 10).astype(int).tolist()))

    return metrics.baselines(
        np.array([item.label for item in train]),
        np.array([item.label for item in test]),
        np.stack([background(item) for item in train]),
        np.stack([background(item) for item in test]),
        groups_N=np.array([item.group for item in test]),
        seed=seed,
    )
