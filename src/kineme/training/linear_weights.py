"""The weights of a linear head, and how they are solved: multinomial logistic regression at its optimum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.lru import LRUCache
from kineme.models.joined import JoinedNetwork
from kineme.training.kept_clips import KeptClips

C = 0.01
_NEVER_SEEN = 5.0  # by how much a class without training clips is less likely than the least likely one
_NEWEST_BYTES = 64e6  # of kernels


@dataclass(frozen=True, eq=False)
class LinearWeights:
    """A solved head.

    Args:
        mean_F: of each pooled feature over the training windows.
        factor_F: 1 through its standard deviation there.
        kernel_FK: of the linear layer.
        bias_K: of the linear layer.
        kept: training clips, where the head tells how far a window is from these.
    """

    mean_F: NDArray[np.float64]
    factor_F: NDArray[np.float64]
    kernel_FK: NDArray[np.float64]
    bias_K: NDArray[np.float64]
    kept: KeptClips | None = None

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
        logits_WK = self.standardized(pooled_WF) @ self.kernel_FK + self.bias_K
        return (logits_WK * has_anybody(pooled_WF)[:, None]).astype(np.float32)

    def scores(self, pooled_WF: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits_WK of windows, and where clips are kept the distances to these beside them."""
        if not self.kept:
            return self.logits(pooled_WF)
        distances_WK = self.kept.distances(self.standardized(pooled_WF)) * has_anybody(pooled_WF)[:, None]
        return np.concatenate([self.logits(pooled_WF), distances_WK.astype(np.float32)], axis=1)

    def standardized(self, pooled_WF: NDArray[np.float32]) -> NDArray[np.float64]:
        """Features as the linear layer sees them."""
        return (pooled_WF.astype(np.float64) - self.mean_F) * self.factor_F

    def in_deviations(self, usual: float, deviation: float) -> LinearWeights:
        """The same, with distances in standard deviations above the usual."""
        return replace(self, kept=self.kept and self.kept.standardized(usual, deviation))

    @property
    def clips(self) -> int:
        """How many clips are kept of a class."""
        return self.kept.clips_KRF.shape[1] if self.kept else 0

    def assign_to(self, head: Any) -> None:
        """Write them into a head made by :func:`kineme.models.linear_head.build_linear_head`."""
        head.get_layer("standardize").set_weights([self.mean_F, self.factor_F])
        head.get_layer("logits").set_weights([self.kernel_FK, self.bias_K])
        if self.kept and any(layer.name == "distances" for layer in head.layers):
            self.kept.assign_to(head.get_layer("distances"))


@dataclass(frozen=True, eq=False)
class JoinedWeights:
    """The solved heads of the members of joined backbones, in order."""

    members: tuple[LinearWeights | JoinedWeights, ...]

    @property
    def clips(self) -> int:
        """How many clips each member keeps of a class."""
        return max(one.clips for one in self.members)

    def assign_to(self, heads: JoinedNetwork) -> None:
        """Write them into the heads."""
        for weights, head in zip(self.members, heads.members.values(), strict=True):
            weights.assign_to(head)


_newest = LRUCache[LinearWeights](_NEWEST_BYTES, lambda weights: weights.kernel_FK.nbytes)


def has_anybody(pooled_WF: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether there is anything in the features of each window: those of people are zeros where nobody is."""
    return np.asarray((pooled_WF != 0).any(axis=1))


def solve(
    pooled_WF: NDArray[np.float32], labels_W: NDArray[np.int64], weight_W: NDArray[np.float64], classes: int
) -> LinearWeights:
    """Multinomial logistic regression at its optimum.

    The newest results are kept: a model that was tried on folds is solved on the same folds again once it is chosen.

    Args:
        pooled_WF: features of windows.
        labels_W: class of each, 0 to K; K is background, whose logit is then 0.
        weight_W: how much each counts.
        classes: K.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    digest = hashlib.sha256(repr((pooled_WF.shape, classes)).encode())
    for array in (pooled_WF, labels_W, weight_W):
        digest.update(np.ascontiguousarray(array).data)

    def solved() -> LinearWeights:
        # One thread is the fastest for so little, by far where others use the cores, and rounds alike on every machine.
        with threadpool_limits(1, "blas"):
            return _solve(pooled_WF, labels_W, weight_W, classes)

    return _newest.get(digest.digest(), solved)


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
