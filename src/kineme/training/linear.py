"""Solving a linear head: multinomial logistic regression on features pooled over windows, to its optimum.

Nothing is drawn at random and no video is held back, so the same videos give the same model. Temperature and
thresholds come from predictions on grouped folds within the training videos, each made by a head that was solved
without that fold; the head that is kept is then solved on all of them.

The regularisation is fixed: C = 0.01 on standardised features was as good as choosing it by inner folds where places
are apart, and better where most places hold one class.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from kineme.models.backend import keras
from kineme.models.registry import find_backbone
from kineme.progress import progress
from kineme.training.augment import Mirror
from kineme.training.cache import FrameCache
from kineme.training.evaluate import loss_and_accuracy, mean_of_windows, score_windows
from kineme.training.folds import MOST_FOLDS, grouped_folds
from kineme.training.items import Item
from kineme.training.joined_cache import JoinedCache, joined_windows
from kineme.training.kept_clips import KeptClips, clips_to_keep, keep_clips
from kineme.training.learner import Learner
from kineme.training.linear_weights import JoinedWeights, LinearWeights, has_anybody, solve

FEWEST_WITH_PEOPLE = 0.5  # share of the clips in which somebody must be found for joints to be learned from
FARTHEST = 2.0  # a cosine distance; those to a class without clips are larger


@dataclass(frozen=True, eq=False)
class PooledWindows:
    """Pooled features of windows of videos: what a linear head learns from.

    Args:
        pooled_WF: float32, as :class:`kineme.models.linear_head.TimeStatistics` gives them.
        item_W: number of the video of each window.
        is_plain_W: whether it is as filmed, and not mirrored.
        labels_N: class of each video; K is background.
        groups_N: of each video.
    """

    pooled_WF: NDArray[np.float32]
    item_W: NDArray[np.int64]
    is_plain_W: NDArray[np.bool_]
    labels_N: NDArray[np.int64]
    groups_N: list[str]

    def with_people(self, clips: int) -> tuple[PooledWindows, float]:
        """The same, and the share of the first so many videos in which there is anybody.

        Where that is too small, the features are zeros everywhere: detections in a few clips are mistakes, or
        somebody who walks by.
        """
        share = len(np.unique(self.item_W[has_anybody(self.pooled_WF) & (self.item_W < clips)])) / max(clips, 1)
        if share >= FEWEST_WITH_PEOPLE:
            return self, share
        return replace(self, pooled_WF=np.zeros_like(self.pooled_WF)), share

    def solve(
        self, classes: int, chosen_N: NDArray[np.bool_] | None = None, *, looks_at_features: bool = True
    ) -> LinearWeights:
        """The head that is best on these videos, or on the chosen ones; every video counts alike, however long."""
        clips = clips_to_keep(self.labels_N, classes)
        size = self.pooled_WF.shape[1]
        if not looks_at_features:
            labels_N = self.labels_N if chosen_N is None else self.labels_N[chosen_N]
            return LinearWeights.of_prior(size, labels_N, classes)
        used_W = has_anybody(self.pooled_WF)
        if chosen_N is not None:
            used_W &= chosen_N[self.item_W]
        if not used_W.any():
            return replace(LinearWeights.of_nobody(size, classes), kept=KeptClips.of_nobody(classes, clips, size))
        item_W = self.item_W[used_W]
        views = 1 if self.is_plain_W.all() else 2
        weight_W = views / np.bincount(item_W, minlength=len(self.labels_N))[item_W]
        labels_W = self.labels_N[item_W]
        background = np.unique(item_W[labels_W == classes])
        if len(background):  # there may be hours of it
            actions = len(np.unique(item_W)) - len(background)
            weight_W[labels_W == classes] *= min(1.0, actions / len(background))
        weights = solve(self.pooled_WF[used_W], labels_W, weight_W, classes)
        plain_W = used_W & self.is_plain_W
        standard_WF = weights.standardized(self.pooled_WF[plain_W])
        return replace(weights, kept=keep_clips(standard_WF, self.item_W[plain_W], self.labels_N, classes, clips))

    def solve_out_of_fold(
        self, classes: int, *, looks_at_features: bool = True, advance: Callable[[], object] = lambda: None
    ) -> OutOfFold:
        """The head that is best on all videos, and what others say that were solved without a fold of these.

        Args:
            classes: K.
            looks_at_features: see :meth:`solve`.
            advance: called after each.
        """
        plain_W = self.is_plain_W & (self.labels_N[self.item_W] < classes)
        item_W = self.item_W[plain_W]
        scores_WS = np.zeros((len(item_W), (1 + looks_at_features) * classes), np.float32)
        folds: list[tuple[NDArray[np.int64], LinearWeights]] = []
        for held_out in grouped_folds(self.labels_N, self.groups_N):
            chosen_N = np.ones(len(self.labels_N), bool)
            chosen_N[held_out] = False
            weights = self.solve(classes, chosen_N, looks_at_features=looks_at_features)
            is_held_out = ~chosen_N[item_W]
            scores_WS[is_held_out] = weights.scores(self.pooled_WF[plain_W][is_held_out])
            folds.append((held_out, weights))
            advance()
        weights = self.solve(classes, looks_at_features=looks_at_features)
        advance()
        if not folds:
            return OutOfFold(weights, [], scores_WS[:0], item_W[:0])
        if weights.kept:
            usual, deviation = _usual(
                scores_WS[:, classes:], self.labels_N[item_W], has_anybody(self.pooled_WF[plain_W])
            )
            scores_WS[:, classes:] = (scores_WS[:, classes:] - usual) / deviation * scores_WS.any(axis=1, keepdims=True)
            weights = weights.in_deviations(usual, deviation)
            folds = [(numbers, one.in_deviations(usual, deviation)) for numbers, one in folds]
        return OutOfFold(weights, folds, scores_WS, item_W)


def _usual(
    distances_WK: NDArray[np.float32], labels_W: NDArray[np.int64], is_seen_W: NDArray[np.bool_]
) -> tuple[float, float]:
    """How far windows usually are from the clips of their own class, and the standard deviation of that."""
    distances_W = distances_WK[np.arange(len(labels_W)), labels_W][is_seen_W]
    distances_W = distances_W[distances_W < FARTHEST]  # a fold may have held no clip of the class
    if not len(distances_W):
        return 0.0, 1.0
    return float(distances_W.mean()), max(float(distances_W.std()), 1e-3)


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What :meth:`PooledWindows.solve_out_of_fold` gives.

    Args:
        weights: solved on all videos.
        folds: numbers of the videos of each fold, and the head that was solved without them.
        scores_WS: of the windows as filmed, by heads that were solved without their groups: see :class:`LinearResult`.
        item_W: number of the video of each.
    """

    weights: LinearWeights
    folds: list[tuple[NDArray[np.int64], LinearWeights]]
    scores_WS: NDArray[np.float32]
    item_W: NDArray[np.int64]


def pool_windows(
    learner: Learner, items: Sequence[Item], cache: FrameCache, *, mirrored: bool, label: str | None = None
) -> PooledWindows:
    """The pooled features of the windows that evaluation sees of each video, and of their mirror images."""
    head = learner.trained
    pool = keras.Model(head.input, head.get_layer("statistics").output)
    found = [score_windows(pool, items, cache, label=label)]
    mirror = find_backbone(learner.approach.backbone).mirror
    if mirrored and mirror:
        found.append(score_windows(pool, items, cache, change=mirror))
    elif mirrored:
        cache.add_views(items, Mirror(), 1)
        found.append(score_windows(pool, items, cache, view=1, label=label))
    return PooledWindows(
        pooled_WF=np.concatenate([pooled_WF for pooled_WF, _ in found]),
        item_W=np.concatenate([item_W for _, item_W in found]),
        is_plain_W=np.repeat([True, False][: len(found)], [len(item_W) for _, item_W in found]),
        labels_N=np.array([item.label for item in items], np.int64),
        groups_N=[item.group for item in items],
    )


@dataclass(frozen=True, eq=False)
class LinearResult:
    """What :func:`fit_linear` gives.

    Args:
        weights: solved on all videos.
        held_out: the videos of which there are out-of-fold predictions; background is not among them.
        scores_WS: out-of-fold logits of their windows; then, unless the head looks at no feature, distances to classes.
        item_W: number of the video of each window.
        folds: numbers of the videos of each fold, and the head that was solved without them.
        history: one row, as of one epoch.
        notes: what the user should know of it.
    """

    weights: LinearWeights | JoinedWeights
    held_out: list[Item]
    scores_WS: NDArray[np.float32]
    item_W: NDArray[np.int64]
    folds: Sequence[tuple[NDArray[np.int64], LinearWeights | JoinedWeights]]
    history: list[dict[str, float]]
    notes: tuple[str, ...] = ()


def fit_linear(
    learner: Learner,
    items: Sequence[Item],
    cache: FrameCache,
    *,
    mirrored: bool,
    gaps: Sequence[Item] = (),
    label: str | None = "training",
) -> LinearResult:
    """Solve the learner's head on videos, and predict each of them by a head that has not seen its group.

    Args:
        learner: behind a frozen backbone.
        items: the videos.
        cache: holds them.
        mirrored: learn from their mirror images, too.
        gaps: background that was filmed, labelled K.
        label: what the progress bar says; None shows none.
    """
    if learner.members:
        return _fit_joined(learner, items, cast("JoinedCache", cache), mirrored=mirrored, gaps=gaps, label=label)
    started = time.perf_counter()
    windows = pool_windows(learner, [*items, *gaps], cache, mirrored=mirrored)
    windows, share = windows.with_people(len(items))
    note = (
        f"people were found in {share:.0%} of the clips, too few to learn from their joints: "
        f"{learner.approach.backbone} is left out of the model"
    )
    with progress(label, MOST_FOLDS + 1) as advance:
        found = windows.solve_out_of_fold(
            learner.classes, looks_at_features=learner.approach.looks_at_features, advance=advance
        )
    found.weights.assign_to(learner.trained)
    logits_WK = found.scores_WS[:, : learner.classes]
    history = _history(found.weights, windows, logits_WK, found.item_W, time.perf_counter() - started)
    return LinearResult(
        found.weights,
        list(items) if found.folds else [],
        found.scores_WS,
        found.item_W,
        [(numbers[numbers < len(items)], weights) for numbers, weights in found.folds],
        [history],
        () if share >= FEWEST_WITH_PEOPLE else (note,),
    )


def _fit_joined(
    learner: Learner,
    items: Sequence[Item],
    cache: JoinedCache,
    *,
    mirrored: bool,
    gaps: Sequence[Item],
    label: str | None,
) -> LinearResult:
    """The heads of all members, each solved for itself; out of fold they answer together."""
    started = time.perf_counter()
    found = []
    for number, (member, its) in enumerate(zip(learner.members, cache.caches, strict=True)):
        said = f"{label} ({member.approach.backbone})" if label else None
        items_of, gaps_of = ([one.members[number] for one in several] for several in (items, gaps))
        found.append(fit_linear(member, items_of, its, mirrored=mirrored, gaps=gaps_of, label=said))
    scores_WS, item_W = joined_windows([(one.scores_WS, one.item_W) for one in found], cache.leader, learner.classes)
    folds = [
        (each[0][0], JoinedWeights(tuple(weights for _, weights in each)))
        for each in zip(*(one.folds for one in found), strict=True)
    ]
    rows = [one.history[0] for one in found]
    history = rows[0] | {"loss": float(np.mean([row["loss"] for row in rows]))}
    history["accuracy"] = float(np.mean([row["accuracy"] for row in rows]))
    if len(item_W):
        truth_N = np.array([item.label for item in items])
        logits_NK = mean_of_windows(scores_WS[:, : learner.classes], item_W)
        history["val_loss"], history["val_accuracy"] = loss_and_accuracy(logits_NK, truth_N)
    history["seconds"] = round(max(time.perf_counter() - started, 1e-3), 3)
    weights = JoinedWeights(tuple(one.weights for one in found))
    notes = tuple(note for one in found for note in one.notes)
    return LinearResult(weights, list(items) if folds else [], scores_WS, item_W, folds, [history], notes)


def _history(
    weights: LinearWeights,
    windows: PooledWindows,
    logits_WK: NDArray[np.float32],
    item_W: NDArray[np.int64],
    seconds: float,
) -> dict[str, float]:
    """The fit as a row like that of an epoch; its validation figures are those of the folds."""
    known_W = windows.labels_N[windows.item_W] < weights.kernel_FK.shape[1]
    loss, accuracy = loss_and_accuracy(
        weights.logits(windows.pooled_WF[known_W]), windows.labels_N[windows.item_W[known_W]]
    )
    row = {"epoch": 1, "loss": loss, "accuracy": accuracy}
    if len(item_W):
        logits_NK = mean_of_windows(logits_WK, item_W)
        row["val_loss"], row["val_accuracy"] = loss_and_accuracy(logits_NK, windows.labels_N[: len(logits_NK)])
    return row | {"learning_rate": 0.0, "feed_share": 0.0, "seconds": round(max(seconds, 1e-3), 3)}
