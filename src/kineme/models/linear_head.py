"""The linear head: statistics of the features over a clip, standardised, and one linear layer.

It is made of plain layers, so a model that ends in it runs, streams and exports like any other; its weights are
solved by :mod:`kineme.training.linear`.
"""

from __future__ import annotations

from typing import Any

from kineme.models.backbone import Backbone
from kineme.models.backend import keras
from kineme.models.carry import Carry
from kineme.models.layers import check_matrix, logits

_SMALLEST_VARIANCE = 1e-6  # keeps the gradient of the root finite where a feature stands still

ops = keras.ops


class TimeStatistics(keras.layers.Layer):
    """features_BTD to (B, 2 D): mean and standard deviation of each feature over time."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)

    def call(self, features_BTD: Any) -> Any:
        """Pool over time."""
        mean_B1D = ops.mean(features_BTD, axis=1, keepdims=True)
        variance_BD = ops.mean(ops.square(features_BTD - mean_B1D), axis=1)
        return ops.concatenate([mean_B1D[:, 0], _root(variance_BD)], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Two numbers for each feature."""
        return (input_shape[0], 2 * (input_shape[2] or 0))


class Standardize(keras.layers.Layer):
    """Features less their mean over the training clips, in units of their deviation there. Training sets both."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the two weights: as they are, they change nothing."""
        size = input_shape[-1]
        self.mean = self.add_weight((size,), "zeros", trainable=False, name="mean")
        self.factor = self.add_weight((size,), "ones", trainable=False, name="factor")

    def call(self, features_BD: Any) -> Any:
        """Standardise."""
        return (features_BD - self.mean) * self.factor

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """As many as there were."""
        return input_shape


def build_linear_head(
    feature_shape: tuple[int, ...], classes: int, backbone: Backbone, *, with_deviation: bool = True
) -> Any:
    """A Keras model from features (B, T, ...) to logits_BK, by the layers ``statistics``, ``standardize``, ``logits``.

    Args:
        feature_shape: (T, ...); further axes are flattened.
        classes: K.
        backbone: whose features they are. Where they are of people, the logits are zeros where nobody was found.
        with_deviation: see how features change over the clip, and not their mean alone.
    """
    features = keras.Input(feature_shape, name="features")
    x = features
    if len(feature_shape) > 2:
        x = keras.layers.Reshape((feature_shape[0], -1), name="flatten_frame")(x)
    pool = (backbone.statistics or TimeStatistics) if with_deviation else keras.layers.GlobalAveragePooling1D
    x = pool(name="statistics")(x)
    check_matrix(x.shape[-1], classes, "the linear head")
    x = logits(classes)(Standardize(name="standardize")(x))
    if backbone.sees == "landmarks":
        x = x * ops.cast(ops.any(ops.not_equal(features, 0.0), axis=(1, 2)), "float32")[:, None]
    return keras.Model(features, x, name="head")


def linear_step(head: Any, x: Any, carry: Carry) -> Any:
    """Logits (1, K) after one more frame ``x``, from the newest T frames, or as many as there are."""
    recent_1TD = carry.recent(carry.flat(x), carry.frames)
    count = carry.count()[1]
    ages_1T1 = ops.reshape(ops.arange(carry.frames, 0, -1, dtype="float32"), (1, -1, 1))  # the newest is 1 frame old
    is_seen_1T1 = ops.cast(ops.less_equal(ages_1T1, ops.reshape(count, (1, 1, 1))), "float32")
    mean_1D = ops.sum(recent_1TD * is_seen_1T1, axis=1) / count
    squares_1TD = ops.square(recent_1TD - ops.expand_dims(mean_1D, 1)) * is_seen_1T1
    pooled_1D = ops.concatenate([mean_1D, _root(ops.sum(squares_1TD, axis=1) / count)], axis=1)
    return head.get_layer("logits")(head.get_layer("standardize")(pooled_1D))


def _root(variance: Any) -> Any:
    return ops.sqrt(variance + _SMALLEST_VARIANCE)
