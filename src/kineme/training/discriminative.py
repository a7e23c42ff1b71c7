"""Fine-tuning: what came trained learns more slowly than what is new, and its first layers most slowly of all.

Source: discriminative learning rates are from Howard and Ruder, "Universal Language Model Fine-tuning for Text
Classification", ACL 2018, section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kineme.models.backend import keras

SLOWEST, SLOWER = 0.01, 0.1  # of the learning rate, for the first and the last layers of the backbone


def learning_rate_factors(trainable_variables: list[Any], backbone_weights: int) -> dict[str, float]:
    """Path of each of the first ``backbone_weights`` variables to its share of the learning rate."""
    factors = np.geomspace(SLOWEST, SLOWER, backbone_weights)
    return {
        variable.path: float(factor)
        for variable, factor in zip(trainable_variables[:backbone_weights], factors, strict=True)
    }


class DiscriminativeAdam(keras.optimizers.Adam):  # type: ignore[misc]  # Keras has no types
    """Adam (Kingma and Ba, ICLR 2015) whose learning rate is scaled for each variable.

    Args:
        factors: path of a variable to its share of the learning rate, 1 where it is not named.
        options: of ``keras.optimizers.Adam``.
    """

    def __init__(self, factors: Mapping[str, float], **options: Any) -> None:
        super().__init__(**options)
        self.factors = dict(factors)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Adam's step for one variable."""
        super().update_step(gradient, variable, learning_rate * self.factors.get(variable.path, 1.0))
