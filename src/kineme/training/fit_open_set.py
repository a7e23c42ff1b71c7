"""Fits the open-set detector: from known videos, with a threshold for a stated share of rejected ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kineme.models.open_set import (
    NOBODY,
    DistanceDetector,
    OpenSetDetector,
    action_logodds,
    at_least_action_doubt,
    knn_distance,
    named_distances,
)
from kineme.training.metrics import group_interval

REFUSED = 0.05  # share of videos of known actions that the threshold may refuse
FEW = 20  # validation videos: of fewer, a video has too few others to be near to
_MOST = 500  # windows kept in the model file


def fit_open_set(
    logits_WK: NDArray[np.floating[Any]],
    video_W: ArrayLike,
    trained_VK: NDArray[np.floating[Any]] | None = None,
    *,
    background: bool = False,
) -> tuple[OpenSetDetector, float]:
    """Keep the logits of windows of known actions, and find the threshold by how far each video lies from the others.

    A video is as known as its best window: in a long one, an action is found where its window is best.

    Args:
        logits_WK: of windows of validation videos.
        video_W: the number of the video of each, from 0; at least two.
        trained_VK: of windows of training videos, to be kept too; they lie closer together than those of others, so
            only where there are few others.
        background: whether the network has learned background, whose logit is 0.

    Returns:
        The detector, and the share of videos of known actions that it refuses at most (see :func:`fit_threshold`).
    """
    videos = np.asarray(video_W, np.int64)
    if trained_VK is not None:
        logits_WK = np.concatenate([logits_WK, trained_VK])
        videos = np.concatenate([videos, np.full(len(trained_VK), -1)])
    chosen = np.unique(np.linspace(0, len(logits_WK) - 1, min(len(logits_WK), _MOST)).round().astype(int))
    rows = [tuple(float(f"{value:.6g}") for value in row) for row in np.asarray(logits_WK)[chosen].tolist()]
    kept_WK, videos = np.array(rows), videos[chosen]
    own = np.flatnonzero(videos >= 0)
    distances_W = np.array([knn_distance(kept_WK[w], kept_WK[videos != videos[w]]) for w in own])
    scale = max(float(np.median(distances_W)), 1e-6)
    logodds = float(np.median(action_logodds(kept_WK[own]))) if background else None
    distances_W = at_least_action_doubt(distances_W / scale, kept_WK[own], logodds)
    best_V = [distances_W[videos[own] == video].min() for video in np.unique(videos[own])]
    threshold, refused = fit_threshold(best_V)
    return OpenSetDetector(tuple(rows), scale, threshold, logodds), refused


def fit_distances(
    scores_WS: NDArray[np.floating[Any]], video_W: ArrayLike, clips: int, *, background: bool = False
) -> tuple[DistanceDetector, float]:
    """Find the threshold of a head that keeps clips, as :func:`fit_open_set` does.

    Args:
        scores_WS: logits and distances of windows of videos that the head was not solved on.
        video_W: the number of the video of each, from 0.
        clips: that the head keeps of a class.
        background: see :func:`fit_open_set`.

    Returns:
        As :func:`fit_open_set`; the share is of videos in which somebody was found.
    """
    rows_WS: NDArray[np.float64] = np.asarray(scores_WS, np.float64)
    videos = np.asarray(video_W, np.int64)
    logits_WK, _ = np.split(rows_WS, 2, axis=1)
    logodds = float(np.median(action_logodds(logits_WK))) if background else None
    distances_W = named_distances(rows_WS, logodds)
    best_V = np.array([distances_W[videos == video].min() for video in np.unique(videos)])
    seen_V = best_V[best_V < NOBODY] if (best_V < NOBODY).any() else np.ones(1)
    threshold, refused = fit_threshold(seen_V)
    return DistanceDetector(clips, threshold, logodds), refused


def best_of_videos(
    detector: OpenSetDetector | DistanceDetector, scores_WS: NDArray[np.floating[Any]], video_W: ArrayLike
) -> NDArray[np.float64]:
    """Open-set score of the best window of each video, (N,)."""
    scores_W, video_W = detector.score(scores_WS), np.asarray(video_W)
    return np.array([scores_W[video_W == video].max() for video in np.unique(video_W)])


def fit_threshold(distances_M: ArrayLike, refused: float = REFUSED) -> tuple[float, float]:
    """The distance that refuses at most a stated share of known videos.

    It is the k-th largest of M videos that were not trained on, with k as large as ``k / (M + 1) <= refused`` allows:
    another such video then lies beyond it with a probability of at most ``k / (M + 1)``, whatever the distribution.
    Source: conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005). Videos of
    one person are alike, so it holds on average over people, and less exactly the fewer there are.

    Of fewer videos than that takes, it is the bound that another value of a normal distribution exceeds as seldom, or
    the largest if that is larger. On UT-Interaction with 6 to 14 videos, it refused 3 to 6 % of known ones; the largest
    alone refused 6 to 12 %.

    Args:
        distances_M: of validation videos, at least one.
        refused: share, 0 to 1.

    Returns:
        The threshold, and the share that it holds for.
    """
    from scipy.special import stdtrit  # quantiles of Student's t

    distances = -np.sort(-np.asarray(distances_M, np.float64))
    k = int(refused * (len(distances) + 1) + 1e-9)
    if k:
        return max(float(distances[k - 1]), 1e-6), k / (len(distances) + 1)
    if len(distances) < 2:
        return max(float(distances[0]), 1e-6), 0.5
    reach = float(stdtrit(len(distances) - 1, 1 - refused)) * math.sqrt(1 + 1 / len(distances))
    bound = float(distances.mean()) + reach * float(distances.std(ddof=1))
    return max(bound, float(distances[0]), 1e-6), refused


class RefusedShare(TypedDict):
    """Share of N that lies below the threshold, with its interval [low, high]."""

    share: float
    interval: list[float]
    n: int


def open_set_metrics(open_set_scores_N: NDArray[np.float64], groups_N: Sequence[str], *, seed: int = 0) -> RefusedShare:
    """How many of some videos, or windows, the threshold refuses.

    Args:
        open_set_scores_N: of videos that were not trained on.
        groups_N: their groups.
        seed: of the interval.
    """
    below_N = open_set_scores_N < 0
    interval = group_interval(below_N, groups_N, seed=seed)
    return {"share": float(below_N.mean()), "interval": list(interval), "n": len(below_N)}
