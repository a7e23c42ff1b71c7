"""Layers that read the numbers of several people in every way that makes no difference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.models.backend import keras

ops = keras.ops


class NumbersInTurn(keras.layers.Layer):
    """features (B, T, D) to (B*V, T, C): the numbers of each row in V orders, with signs.

    Args:
        order_VC: which numbers, in which order.
        sign_VC: the factor of each.
        kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, order_VC: NDArray[np.intp], sign_VC: NDArray[np.float32], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.order_VC, self.sign_VC = np.asarray(order_VC, np.int32), np.asarray(sign_VC, np.float32)

    def call(self, features_BTD: Any) -> Any:
        """Put them into each order."""
        frames = features_BTD.shape[1]
        signs_VC = ops.cast(self.sign_VC, features_BTD.dtype)
        numbers_BTVC = ops.take(features_BTD, self.order_VC, axis=-1) * signs_VC
        numbers_BVTC = ops.transpose(numbers_BTVC, (0, 2, 1, 3))
        return ops.reshape(numbers_BVTC, (-1, frames, self.order_VC.shape[1]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """V times as many rows, C long."""
        return (None, input_shape[1], self.order_VC.shape[1])


class MeanOverWays(keras.layers.Layer):
    """states (B*V, U) to (B, U): the mean over the ways of :class:`NumbersInTurn`.

    Args:
        ways: V.
        kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, ways: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ways = ways

    def call(self, states_NU: Any) -> Any:
        """Average."""
        return ops.mean(ops.reshape(states_NU, (-1, self.ways, states_NU.shape[-1])), axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One row for each clip."""
        return (None, input_shape[-1])


class MeanOverTime(keras.layers.Layer):
    """states (B, T, U) to (B, U): the mean over all frames, also those that an LSTM skipped, where its state waits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True  # it ends here

    def call(self, states_BTU: Any, mask: Any = None) -> Any:
        """Average."""
        return ops.mean(states_BTU, axis=1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None is left."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Without time."""
        return (input_shape[0], input_shape[-1])


class LargestOverPeople(keras.layers.Layer):
    """rows (B, T, P*C) of P people to (B, T, U): each person by the same weights, then the largest of each number.

    The last of a person's C numbers is 1, or 0 where the person is not there and does not count.

    Args:
        units: U.
        people: P.
        kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, units: int, people: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.people = units, people
        self.embed = keras.layers.Dense(units, activation="relu", name="embed")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights."""
        self.embed.build((None, None, self.people, (input_shape[-1] or 0) // self.people))

    def call(self, rows_BTD: Any) -> Any:
        """Embed, and take the largest."""
        numbers = rows_BTD.shape[-1] // self.people
        people_BTPC = ops.reshape(rows_BTD, (-1, rows_BTD.shape[1], self.people, numbers))
        return ops.max(self.embed(people_BTPC) * people_BTPC[..., -1:], axis=2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One row of U numbers for a frame."""
        return (input_shape[0], input_shape[1], self.units)
