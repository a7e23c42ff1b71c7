"""Fine-tuning: pretrained layers get smaller learning rates than new ones, and the first layers the smallest.

Source: discriminative learning rates are from Howard and Ruder, "Universal Language Model Fine-tuning for Text
Classification", ACL 2018, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kineme.models.backend import keras

SLOWEST, SLOWER = 0.01, 0.1  # of the learning rate, for the first and the last layers of the backbone


def learning_rate_factors(variables: int, backbone_weights: int) -> list[float]:
    """Share of the learning rate of each of ``variables``, of which the first ``backbone_weights`` are pretrained."""
    factors = np.geomspace(SLOWEST, SLOWER, backbone_weights).tolist()
    return [*factors, *[1.0] * (variables - backbone_weights)]


class DiscriminativeAdam(keras.optimizers.Adam):  # type: ignore[misc]  # Keras has no types
    """Adam (Kingma and Ba, ICLR 2015) whose learning rate is scaled for each variable.

    Args:
        factors: share of the learning rate of each variable, in the order they are built with.
        options: of ``keras.optimizers.Adam``.
    """

    def __init__(self, factors: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self.factors = list(factors)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Adam's step for one variable."""
        super().update_step(gradient, variable, learning_rate * self.factors[self._get_variable_index(variable)])
