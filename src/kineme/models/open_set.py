"""Whether logits show one of the labels at all: how far they lie from those of windows that do."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NEAREST = 3
_DOUBT = 1.25  # of the distance, for each unit of log-odds; chosen on drawn people of seed 101


@dataclass(frozen=True)
class Known:
    """Logits of some windows of known actions, and how far from all of them is too far.

    The distance is the mean of those to the three nearest, in units of how far such windows lie from each other.
    Source: Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022. They measure it in the
    features before the logits; in the logits it needs nothing of a network but its answer. Unlike the highest
    probability or the energy of the logits, it also tells what is named surely because it lies beyond all that was
    learned.

    A network that has learned background says itself how sure it is that there is an action at all: its logit of
    background is 0. Where it is less sure than of such windows, the distance is at least by how much.

    Args:
        logits: of the windows, M x K.
        unit: the distance that counts as 1.
        threshold: the distance from which on a window shows none of the labels.
        sure: median log-odds of an action against background in such windows; None where background was not learned.

    Raises:
        ValueError: shapes or values that make no sense.
    """

    logits: tuple[tuple[float, ...], ...]
    unit: float
    threshold: float
    sure: float | None = None

    def __post_init__(self) -> None:
        if len({len(row) for row in self.logits}) != 1 or not np.isfinite(self._table).all():
            raise ValueError("the logits of what is known must be numbers, as many in each row")
        if not (0 < self.unit < 1e9 and 0 < self.threshold < 1e9):
            raise ValueError("unit and threshold of what is known must be positive")
        if self.sure is not None and not np.isfinite(self.sure):
            raise ValueError("how sure a network is of what is known must be a number")

    def knownness(self, logits_NK: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """How far each row lies within the threshold, (N,): from 0 on it shows one of the labels."""
        rows_NK: NDArray[np.float64] = np.asarray(logits_NK, np.float64)
        distances_N = np.array([nearness(row_K, self._table) for row_K in rows_NK])
        return self.threshold - with_doubt(distances_N / self.unit, rows_NK, self.sure)

    @functools.cached_property
    def _table(self) -> NDArray[np.float64]:
        return np.array(self.logits, np.float64)

    def to_json(self) -> dict[str, Any]:
        """A document; :meth:`from_json` makes an equal object of it."""
        return {"logits": self.logits, "unit": self.unit, "threshold": self.threshold, "sure": self.sure}

    @classmethod
    def from_json(cls, document: dict[str, Any] | None) -> Known | None:
        """Read :meth:`to_json`'s document; None for none.

        Raises:
            KeyError: a part is missing.
            TypeError: a part is of another type.
            ValueError: a part makes no sense.
        """
        if document is None:
            return None
        logits = tuple(tuple(float(value) for value in row) for row in document["logits"])
        sure = document.get("sure")  # files of before do not have it
        return cls(logits, float(document["unit"]), float(document["threshold"]), None if sure is None else float(sure))


def nearness(row_K: NDArray[np.float64], logits_MK: NDArray[np.float64]) -> float:
    """Mean distance of a row to the three nearest of others."""
    squares_M = np.square(logits_MK - row_K).sum(axis=1)
    return float(np.sqrt(np.sort(squares_M)[:_NEAREST]).mean())


def action_odds(logits_NK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds that there is an action, of a network whose logit of background is 0, (N,)."""
    return np.asarray(np.logaddexp.reduce(logits_NK, axis=1))


def with_doubt(
    distances_N: NDArray[np.float64], logits_NK: NDArray[np.float64], sure: float | None
) -> NDArray[np.float64]:
    """Distances, (N,), not less than the network's own doubt; see :class:`Known`."""
    return distances_N if sure is None else np.maximum(distances_N, _DOUBT * (sure - action_odds(logits_NK)))
