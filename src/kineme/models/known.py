"""Whether logits show one of the labels at all: how far they lie from those of windows that do."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NEAREST = 3


@dataclass(frozen=True)
class Known:
    """Logits of some windows of known actions, and how far from all of them is too far.

    The distance is the mean of those to the three nearest, in units of how far such windows lie from each other.
    Source: Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022. They measure it in the
    features before the logits; in the logits it needs nothing of a network but its answer. Unlike the highest
    probability or the energy of the logits, it also tells what is named surely because it lies beyond all that was
    learned.

    Args:
        logits: of the windows, M x K.
        unit: the distance that counts as 1.
        threshold: the distance from which on a window shows none of the labels.

    Raises:
        ValueError: shapes or values that make no sense.
    """

    logits: tuple[tuple[float, ...], ...]
    unit: float
    threshold: float

    def __post_init__(self) -> None:
        if len({len(row) for row in self.logits}) != 1 or not np.isfinite(self._table).all():
            raise ValueError("the logits of what is known must be numbers, as many in each row")
        if not (0 < self.unit < 1e9 and 0 < self.threshold < 1e9):
            raise ValueError("unit and threshold of what is known must be positive")

    def knownness(self, logits_NK: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """How far each row lies within the threshold, (N,): from 0 on it shows one of the labels."""
        logits_NK = np.asarray(logits_NK, np.float64)
        return self.threshold - np.array([nearness(row_K, self._table) for row_K in logits_NK]) / self.unit

    @functools.cached_property
    def _table(self) -> NDArray[np.float64]:
        return np.array(self.logits, np.float64)

    def to_json(self) -> dict[str, Any]:
        """A document; :meth:`from_json` makes an equal object of it."""
        return {"logits": self.logits, "unit": self.unit, "threshold": self.threshold}

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
        return cls(logits, float(document["unit"]), float(document["threshold"]))


def nearness(row_K: NDArray[np.float64], logits_MK: NDArray[np.float64]) -> float:
    """Mean distance of a row to the three nearest of others."""
    squares_M = np.square(logits_MK - row_K).sum(axis=1)
    return float(np.sqrt(np.sort(squares_M)[:_NEAREST]).mean())
