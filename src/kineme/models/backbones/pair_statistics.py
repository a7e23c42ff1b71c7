"""The features of people over a clip as one vector, by layers: for a linear head behind ``movenet``.

For each feature of the first two people, and of their relation: mean and standard deviation over the clip, and
the mean of each of its quarters, in order. Only instants at which somebody is seen count for them. Two people are read
where both are seen in over 40 % of the instants, the one on the left first; else the one who matters most alone.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from kineme.models.backbones.movenet import MOST_PEOPLE
from kineme.models.backbones.people_features import BETWEEN, PERSON
from kineme.models.backbones.people_symmetries import PAIR, SWAPPED
from kineme.models.backend import keras

_QUARTERS = 4
_TOGETHER = 0.4  # share of the instants in which both must be seen
_SIZES = (PERSON, PERSON, BETWEEN)
_FLAGS = np.cumsum(_SIZES) - 1  # the numbers that say of the first, the second and what lies between: it is there

ops = keras.ops


class PairStatistics(keras.layers.Layer):
    """features_BTD of people to (B, 1662): zeros where nobody is seen in the whole clip."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        order = np.concatenate([PAIR, np.asarray(SWAPPED.order_D)[PAIR]]).astype(np.int32)
        self._order = order
        self._sign = SWAPPED.sign_D[PAIR]

    def call(self, features_BTD: Any) -> Any:
        """Pool over time."""
        both_BTC = ops.take(features_BTD, self._order, axis=2)
        plain_BTC, swapped_BTC = both_BTC[:, :, : len(PAIR)], both_BTC[:, :, len(PAIR) :] * self._sign
        together_B11 = ops.mean(plain_BTC[:, :, -1:], axis=1, keepdims=True) > _TOGETHER
        way_B11 = ops.mean(features_BTD[:, :, MOST_PEOPLE * PERSON :][:, :, :1], axis=1, keepdims=True)
        x = ops.where(ops.logical_and(together_B11, way_B11 < 0.0), swapped_BTC, plain_BTC)
        alone = np.repeat([1.0, 0.0, 0.0], _SIZES).astype(np.float32)
        x = ops.where(together_B11, x, x * alone)
        seen_BTC = ops.concatenate(
            [ops.repeat(x[:, :, flag : flag + 1], size, axis=2) for flag, size in zip(_FLAGS, _SIZES, strict=True)],
            axis=2,
        )
        mean_B1C, count_B1C = _mean(x, seen_BTC)
        deviation_B1C = ops.sqrt(_mean(ops.square(x - mean_B1C), seen_BTC)[0] + 1e-6)
        deviation_B1C = deviation_B1C * ops.minimum(count_B1C, 1.0)
        frames = x.shape[1]
        edges = [round(frames * quarter / _QUARTERS) for quarter in range(_QUARTERS + 1)]
        parts = [mean_B1C, deviation_B1C]
        for begin, end in itertools.pairwise(edges):
            end = max(end, begin + 1)
            part_B1C, part_count_B1C = _mean(x[:, begin:end], seen_BTC[:, begin:end])
            parts.append(ops.where(part_count_B1C > 0.0, part_B1C, mean_B1C))
        is_flag = np.isin(np.arange(len(PAIR)), _FLAGS)
        parts[0] = ops.where(is_flag, count_B1C / frames, mean_B1C)  # how much of the clip they are seen
        return ops.concatenate(parts, axis=2)[:, 0]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Six numbers for each."""
        return (input_shape[0], (2 + _QUARTERS) * len(PAIR))


def _mean(values_BTC: Any, seen_BTC: Any) -> tuple[Any, Any]:
    """The mean over seen instants, zeros without any; and their number."""
    count_B1C = ops.sum(seen_BTC, axis=1, keepdims=True)
    return ops.sum(values_BTC * seen_BTC, axis=1, keepdims=True) / ops.maximum(count_B1C, 1.0), count_B1C
