"""Solving a linear head: multinomial logistic regression on features pooled over windows, to its optimum.

Nothing is drawn at random and no video is held back, so the same videos give the same model. Temperature and
thresholds come from predictions on grouped folds within the training videos, each made by a head that was solved
without that fold; the head that is kept is then solved on all of them.

The regularisation is fixed: C = 0.01 on standardised features was as good as choosing it by inner folds where places
are apart, and better where most places hold one class.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kineme.models.backend import keras
from kineme.models.joined import JoinedNetwork
from kineme.models.registry import find_backbone
from kineme.progress import progress
from kineme.training.augment import Mirror
from kineme.training.cache import FrameCache
from kineme.training.evaluate import loss_and_accuracy, mean_of_windows, score_windows
from kineme.training.folds import grouped_folds
from kineme.training.items import Item
from kineme.training.joined_cache import JoinedCache, joined_windows
from kineme.training.learner import Learner

C = 0.01
FEWEST_WITH_PEOPLE = 0.5  # share of the clips in which somebody must be found for joints to be learned from
_NEVER_SEEN = 5.0  # by how much a class without training clips is less likely than the least likely one


@dataclass(frozen=True, eq=False)
class LinearWeights:
    """A solved head.

    Args:
        mean_F: of each pooled feature over the training windows.
        factor_F: 1 through its standard deviation there.
        kernel_FK: of the linear layer.
        bias_K: of the linear layer.
    """

    mean_F: NDArray[np.float64]
    factor_F: NDArray[np.float64]
    kernel_FK: NDArray[np.float64]
    bias_K: NDArray[np.float64]

    @classmethod
    def of_nobody(cls, features: int, classes: int) -> LinearWeights:
        """Where there is nothing to learn from: all classes are alike."""
        return cls(np.zeros(features), np.ones(features), np.zeros((features, classes)), np.zeros(classes))

    @classmethod
    def of_prior(cls, features: int, labels_N: NDArray[np.int64], classes: int) -> LinearWeights:
        """That answers how frequent each class is among these videos, whatever it sees."""
        counts_K = np.bincount(labels_N[labels_N < classes], minlength=classes)
        return replace(cls.of_nobody(features, classes), bias_K=np.log(np.maximum(counts_K, 0.5) / len(labels_N)))

    def logits(self, pooled_WF: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits_WK of windows."""
        standard_WF = (pooled_WF.astype(np.float64) - self.mean_F) * self.factor_F
        logits_WK = standard_WF @ self.kernel_FK + self.bias_K
        return (logits_WK * has_anybody(pooled_WF)[:, None]).astype(np.float32)

    def assign_to(self, head: Any) -> None:
        """Write them into a head made by :func:`kineme.models.linear_head.build_linear_head`."""
        head.get_layer("standardize").set_weights([self.mean_F, self.factor_F])
        head.get_layer("logits").set_weights([self.kernel_FK, self.bias_K])


@dataclass(frozen=True, eq=False)
class JoinedWeights:
    """The solved heads of the members of joined backbones, in order."""

    members: tuple[LinearWeights | JoinedWeights, ...]

    def assign_to(self, heads: JoinedNetwork) -> None:
        """Write them into the heads."""
        for weights, head in zip(self.members, heads.members.values(), strict=True):
            weights.assign_to(head)


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
        if not looks_at_features:
            labels_N = self.labels_N if chosen_N is None else self.labels_N[chosen_N]
            return LinearWeights.of_prior(self.pooled_WF.shape[1], labels_N, classes)
        used_W = has_anybody(self.pooled_WF)
        if chosen_N is not None:
            used_W &= chosen_N[self.item_W]
        if not used_W.any():
            return LinearWeights.of_nobody(self.pooled_WF.shape[1], classes)
        item_W = self.item_W[used_W]
        views = 1 if self.is_plain_W.all() else 2
        weight_W = views / np.bincount(item_W, minlength=len(self.labels_N))[item_W]
        labels_W = self.labels_N[item_W]
        background = np.unique(item_W[labels_W == classes])
        if len(background):  # there may be hours of it
            actions = len(np.unique(item_W)) - len(background)
            weight_W[labels_W == classes] *= min(1.0, actions / len(background))
        return solve(self.pooled_WF[used_W], labels_W, weight_W, classes)


def has_anybody(pooled_WF: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether there is anything in the features of each window: those of people are zeros where nobody is."""
    return np.asarray((pooled_WF != 0).any(axis=1))


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


def solve(
    pooled_WF: NDArray[np.float32], labels_W: NDArray[np.int64], weight_W: NDArray[np.float64], classes: int
) -> LinearWeights:
    """Multinomial logistic regression at its optimum.

    Args:
        pooled_WF: features of windows.
        labels_W: class of each, 0 to K; K is background, whose logit is then 0.
        weight_W: how much each counts.
        classes: K.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # One thread is the fastest for so little, by far where others use the cores, and rounds alike on every machine.
    with threadpool_limits(1, "blas"):
        return _solve(pooled_WF, labels_W, weight_W, classes)


def _solve(
    pooled_WF: NDArray[np.float32], labels_W: NDArray[np.int64], weight_W: NDArray[np.float64], classes: int
) -> LinearWeights:
    from sklearn.linear_model import LogisticRegression

    features_WF = pooled_WF.astype(np.float64)
    share_W = weight_W / weight_W.sum()
    mean_F = share_W @ features_WF
    deviation_F = np.sqrt(share_W @ np.square(features_WF - mean_F))
    factor_F = np.where(deviation_F > 1e-6, 1 / np.maximum(deviation_F, 1e-6), 0.0)
    standard_WF = (features_WF - mean_F) * factor_F
    total = classes + bool((labels_W == classes).any())
    kernel_FK, bias_K = np.zeros((len(mean_F), total)), np.zeros(total)
    seen = np.unique(labels_W)
    if len(seen) > 1:
        basis_FR = None
        if len(standard_WF) < len(mean_F):  # the solution is a sum of the rows: it is looked for among those
            basis_FR, triangle_RW = np.linalg.qr(standard_WF.T)
            standard_WF = triangle_RW.T
        found = LogisticRegression(C=C, max_iter=10_000, tol=1e-8)
        found.fit(standard_WF, labels_W, sample_weight=weight_W)
        coefficients_SR, intercept_S = found.coef_, found.intercept_
        if len(seen) == 2:  # one row stands for both
            coefficients_SR = np.concatenate([-coefficients_SR, coefficients_SR]) / 2
            intercept_S = np.concatenate([-intercept_S, intercept_S]) / 2
        kernel_FK[:, seen] = coefficients_SR.T if basis_FR is None else basis_FR @ coefficients_SR.T
        bias_K[seen] = intercept_S
    unseen = np.setdiff1d(np.arange(total), seen)
    bias_K[unseen] = bias_K[seen].min() - _NEVER_SEEN
    if total > classes:
        kernel_FK, bias_K = kernel_FK[:, :classes] - kernel_FK[:, classes:], bias_K[:classes] - bias_K[classes]
    return LinearWeights(mean_F, factor_F, kernel_FK, bias_K)


@dataclass(frozen=True, eq=False)
class LinearResult:
    """What :func:`fit_linear` gives.

    Args:
        weights: solved on all videos.
        held_out: the videos of which there are out-of-fold predictions; background is not among them.
        logits_WK: out-of-fold logits of their windows.
        item_W: number of the video of each window.
        folds: numbers of the videos of each fold, and the head that was solved without them.
        history: one row, as of one epoch.
        notes: what the user should know of it.
    """

    weights: LinearWeights | JoinedWeights
    held_out: list[Item]
    logits_WK: NDArray[np.float32]
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
    folds = grouped_folds(windows.labels_N, windows.groups_N)
    plain = windows.is_plain_W & (windows.labels_N[windows.item_W] < learner.classes)
    logits_WK = np.zeros((len(plain), learner.classes), np.float32)
    solved: list[tuple[NDArray[np.int64], LinearWeights | JoinedWeights]] = []
    with progress(label, len(folds) + 1) as advance:
        for held_out in folds:
            chosen_N = np.ones(len(windows.labels_N), bool)
            chosen_N[held_out] = False
            weights = windows.solve(learner.classes, chosen_N, looks_at_features=learner.approach.looks_at_features)
            is_held_out = plain & ~chosen_N[windows.item_W]
            logits_WK[is_held_out] = weights.logits(windows.pooled_WF[is_held_out])
            solved.append((held_out[held_out < len(items)], weights))
            advance()
        weights = windows.solve(learner.classes, looks_at_features=learner.approach.looks_at_features)
        advance()
    weights.assign_to(learner.trained)
    logits_WK, item_W = logits_WK[plain], windows.item_W[plain]
    if not folds:
        logits_WK, item_W = logits_WK[:0], item_W[:0]
    history = _history(weights, windows, logits_WK, item_W, time.perf_counter() - started)
    notes = () if share >= FEWEST_WITH_PEOPLE else (note,)
    return LinearResult(weights, list(items) if folds else [], logits_WK, item_W, solved, [history], notes)


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
    logits_WK, item_W = joined_windows([(one.logits_WK, one.item_W) for one in found], cache.leader)
    folds = [
        (each[0][0], JoinedWeights(tuple(weights for _, weights in each)))
        for each in zip(*(one.folds for one in found), strict=True)
    ]
    rows = [one.history[0] for one in found]
    history = rows[0] | {"loss": float(np.mean([row["loss"] for row in rows]))}
    history["accuracy"] = float(np.mean([row["accuracy"] for row in rows]))
    if len(item_W):
        truth_N = np.array([item.label for item in items])
        history["val_loss"], history["val_accuracy"] = loss_and_accuracy(mean_of_windows(logits_WK, item_W), truth_N)
    history["seconds"] = round(max(time.perf_counter() - started, 1e-3), 3)
    weights = JoinedWeights(tuple(one.weights for one in found))
    notes = tuple(note for one in found for note in one.notes)
    return LinearResult(weights, list(items) if folds else [], logits_WK, item_W, folds, [history], notes)


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
