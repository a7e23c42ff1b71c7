"""Open-set detection: whether scores show one of the labels at all, by their distance from clips that do.

Networks with a linear head measure the distance in their features (:class:`DistanceDetector`), others in their logits
(:class:`OpenSetDetector`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 3
MOST_CLIPS = 60  # that a network keeps of a class
NOBODY = 1e6  # the distance of a window in which nobody was found
_DOUBT = 1.25  # of the distance, for each unit of log-odds; chosen on drawn people of seed 101


@dataclass(frozen=True)
class OpenSetDetector:
    """Logits of some windows of known actions, and how far from all of them is too far.

    The distance is the mean of those to the three nearest, in units of how far such windows lie from each other.
    Source: Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022,
    https://arxiv.org/abs/2204.06507. They measure it in the features before the logits; in the logits it needs nothing
    of a network but its scores. Unlike the highest probability or the energy of the logits, it also detects inputs
    that are classified with confidence because they lie beyond everything that was learned.

    A network that has learned background says itself how sure it is that there is an action at all: its logit of
    background is 0. Where it is less sure than in such windows, the distance is at least by how much.

    Args:
        logits: of the windows, M x K.
        scale: the distance that counts as 1.
        threshold: the distance from which on a window shows none of the labels.
        median_action_logodds: of an action against background in such windows; None where background was not learned.

    Raises:
        ValueError: shapes or values that make no sense.
    """

    logits: tuple[tuple[float, ...], ...]
    scale: float
    threshold: float
    median_action_logodds: float | None = None

    def __post_init__(self) -> None:
        if len({len(row) for row in self.logits}) != 1 or not np.isfinite(self._table).all():
            raise ValueError("the logits of known actions must be numbers, as many in each row")
        if not (0 < self.scale < 1e9 and 0 < self.threshold < 1e9):
            raise ValueError("scale and threshold of known actions must be positive")
        if self.median_action_logodds is not None and not np.isfinite(self.median_action_logodds):
            raise ValueError("the log-odds of known actions must be a number")

    def score(self, logits_NK: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """How far each row lies within the threshold, (N,): from 0 on it shows one of the labels."""
        rows_NK: NDArray[np.float64] = np.asarray(logits_NK, np.float64)
        distances_N = np.array([knn_distance(row_K, self._table) for row_K in rows_NK])
        return self.threshold - at_least_action_doubt(distances_N / self.scale, rows_NK, self.median_action_logodds)

    @functools.cached_property
    def _table(self) -> NDArray[np.float64]:
        return np.array(self.logits, np.float64)

    def to_json(self) -> dict[str, Any]:
        """A document; :meth:`from_json` makes an equal object of it."""
        return {
            "logits": self.logits,
            "unit": self.scale,
            "threshold": self.threshold,
            "sure": self.median_action_logodds,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any] | None) -> OpenSetDetector | None:
        """Read :meth:`to_json`'s document; None for none.

        Raises:
            KeyError: a part is missing.
            TypeError: a part is of another type.
            ValueError: a part makes no sense.
        """
        if document is None:
            return None
        logits = tuple(tuple(float(value) for value in row) for row in document["logits"])
        logodds = document.get("sure")  # older files lack it
        return cls(
            logits,
            float(document["unit"]),
            float(document["threshold"]),
            None if logodds is None else float(logodds),
        )


@dataclass(frozen=True)
class DistanceDetector:
    """How far from the training clips of the class that it names a window may be, for a network that says how far.

    Its scores are logits, then distances: :class:`kineme.models.linear_head.ClassDistances`. For the last argument see
    :class:`OpenSetDetector`.

    Args:
        clips: that the network keeps of a class.
        threshold: the distance from which on a window shows none of the labels.
        median_action_logodds: of an action against background; None where background was not learned.

    Raises:
        ValueError: values that make no sense.
    """

    clips: int
    threshold: float
    median_action_logodds: float | None = None

    def __post_init__(self) -> None:
        if not NEIGHBOURS <= self.clips <= MOST_CLIPS:
            raise ValueError(f"a network keeps {NEIGHBOURS} to {MOST_CLIPS} clips of a class")
        if not 0 < self.threshold < 1e9:
            raise ValueError("the threshold of known actions must be positive")
        if self.median_action_logodds is not None and not np.isfinite(self.median_action_logodds):
            raise ValueError("the log-odds of known actions must be a number")

    def score(self, scores_NS: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """How far each row lies within the threshold, (N,): from 0 on it shows one of the labels."""
        return self.threshold - named_distances(np.asarray(scores_NS, np.float64), self.median_action_logodds)

    def to_json(self) -> dict[str, Any]:
        """A document; :func:`detector_of` makes an equal object of it."""
        return {"clips": self.clips, "threshold": self.threshold, "sure": self.median_action_logodds}


def detector_of(document: dict[str, Any] | None) -> OpenSetDetector | DistanceDetector | None:
    """Read the document of a detector; None for none.

    Raises:
        KeyError: a part is missing.
        TypeError: a part is of another type.
        ValueError: a part makes no sense.
    """
    if document is None or "clips" not in document:
        return OpenSetDetector.from_json(document)
    logodds = document.get("sure")
    return DistanceDetector(
        int(document["clips"]), float(document["threshold"]), None if logodds is None else float(logodds)
    )


def named_distances(scores_NS: NDArray[np.float64], median_action_logodds: float | None = None) -> NDArray[np.float64]:
    """Of scores, logits and distances side by side: the distance to the class that is named, (N,).

    Where nobody was found in a window, all scores are zeros, and it is far from everything.
    """
    logits_NK, distances_NK = np.split(scores_NS, 2, axis=1)
    distances_N = np.take_along_axis(distances_NK, logits_NK.argmax(axis=1)[:, None], axis=1)[:, 0]
    distances_N = np.where((scores_NS != 0).any(axis=1), distances_N, NOBODY)
    return at_least_action_doubt(distances_N, logits_NK, median_action_logodds)


def knn_distance(row_K: NDArray[np.float64], logits_MK: NDArray[np.float64]) -> float:
    """Mean distance of a row to its three nearest neighbours."""
    squares_M = np.square(logits_MK - row_K).sum(axis=1)
    return float(np.sqrt(np.sort(squares_M)[:NEIGHBOURS]).mean())


def action_logodds(logits_NK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds that there is an action, of a network whose logit of background is 0, (N,)."""
    return np.asarray(np.logaddexp.reduce(logits_NK, axis=1))


def at_least_action_doubt(
    distances_N: NDArray[np.float64], logits_NK: NDArray[np.float64], median_action_logodds: float | None
) -> NDArray[np.float64]:
    """Distances, (N,), not less than the network's own doubt; see :class:`OpenSetDetector`."""
    if median_action_logodds is None:
        return distances_N
    return np.maximum(distances_N, _DOUBT * (median_action_logodds - action_logodds(logits_NK)))
