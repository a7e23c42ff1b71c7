"""The linear head: statistics of the features over a clip, standardised, and one linear layer.

It is made of plain layers, so a model that ends in it runs, streams and exports like any other; its weights are
solved by :mod:`kineme.training.linear`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.models.backbone import Backbone
from kineme.models.backend import keras
from kineme.models.carry import Carry
from kineme.models.joined import JoinedNetwork
from kineme.models.layers import check_matrix, logits
from kineme.models.open_set import NEIGHBOURS

NO_CLIP = -10.0  # added to the cosine of a place that holds no clip, so that it is never among the nearest
SMALLEST_SQUARE = 1e-12
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


class ClassDistances(keras.layers.Layer):
    """Standardised features (B, F) to distances (B, K): how far they are from the training clips of each class.

    The distance is 1 less the cosine of the angle, and that to a class the mean of those to its three nearest clips. It
    is given in standard deviations above the usual value for clips of the class. Training sets all weights.

    Args:
        classes: K.
        clips: R, that are kept of a class, three or more.
    """

    def __init__(self, classes: int, clips: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.classes, self.clips = classes, clips

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights: the clips as unit vectors, which of them are there, and how distances are standardised."""
        size = input_shape[-1]
        self.clips_KRF = self.add_weight((self.classes, self.clips, size), "zeros", trainable=False, name="clips")
        self.is_clip_KR = self.add_weight((self.classes, self.clips), "zeros", trainable=False, name="is_clip")
        self.usual = self.add_weight((1,), "zeros", trainable=False, name="usual")
        self.factor = self.add_weight((1,), "ones", trainable=False, name="factor")

    def call(self, features_BF: Any) -> Any:
        """Measure."""
        clips_MF = ops.reshape(self.clips_KRF, (self.classes * self.clips, -1))
        length_B1 = ops.sqrt(ops.sum(ops.square(features_BF), axis=1, keepdims=True) + SMALLEST_SQUARE)
        cosine_BM = ops.matmul(features_BF / length_B1, ops.transpose(clips_MF))
        cosine_BKR = ops.reshape(cosine_BM, (-1, self.classes, self.clips)) + NO_CLIP * (1.0 - self.is_clip_KR)[None]
        return (1.0 - ops.mean(ops.top_k(cosine_BKR, NEIGHBOURS)[0], axis=2) - self.usual) * self.factor

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """A distance for each class."""
        return (input_shape[0], self.classes)


def class_distances(
    features_WF: NDArray[np.float64], clips_KRF: NDArray[np.float32], is_clip_KR: NDArray[np.float32]
) -> NDArray[np.float64]:
    """What :class:`ClassDistances` gives before it standardises, (W, K)."""
    length_W1 = np.sqrt(np.square(features_WF).sum(axis=1, keepdims=True) + SMALLEST_SQUARE)
    cosine_WKR = np.einsum("wf,krf->wkr", features_WF / length_W1, clips_KRF, optimize=True)
    cosine_WKR += NO_CLIP * (1.0 - is_clip_KR)
    return np.asarray(1.0 - np.sort(cosine_WKR, axis=2)[:, :, -NEIGHBOURS:].mean(axis=2))


def with_distances(network: Any, backbone: Backbone, clips: int) -> Any:
    """A network with a linear head whose output is scores (B, 2 K): logits_BK, then :class:`ClassDistances`.

    Args:
        network: whose layers are used, with their weights.
        backbone: as of :func:`build_linear_head`.
        clips: that are kept of a class.
    """
    old = network.get_layer("head")
    standard = old.get_layer("standardize").output
    distances = ClassDistances(old.output.shape[-1], clips, name="distances")(standard)
    if backbone.sees == "landmarks":
        distances = distances * _is_anybody(old.input)
    head = keras.Model(old.input, ops.concatenate([old.output, distances], axis=1), name="head")
    before = network.get_layer("backbone")
    clip = keras.Input(before.input.shape[1:], dtype=before.input.dtype, name="clips")
    return keras.Model(clip, head(before(clip)), name="network")


def logits_alone(head: Any, classes: int) -> Any:
    """A head, or those of a joined model, without the distances that it may give beside so many logits."""
    if isinstance(head, JoinedNetwork):
        return JoinedNetwork({name: logits_alone(one, classes) for name, one in head.members.items()}, classes)
    if head.output.shape[-1] == classes:
        return head
    return keras.Model(head.input, head.output[:, :classes], name="head")


def scores_of(head: Any, standard_BF: Any) -> Any:
    """What a head makes of standardised features."""
    logits_BK = head.get_layer("logits")(standard_BF)
    if not any(layer.name == "distances" for layer in head.layers):
        return logits_BK
    return ops.concatenate([logits_BK, head.get_layer("distances")(standard_BF)], axis=1)


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
        x = x * _is_anybody(features)
    return keras.Model(features, x, name="head")


def linear_step(head: Any, x: Any, carry: Carry) -> Any:
    """Scores of the head after one more frame ``x``, from the newest T frames, or as many as there are."""
    recent_1TD = carry.recent(carry.flat(x), carry.frames)
    count = carry.count()[1]
    ages_1T1 = ops.reshape(ops.arange(carry.frames, 0, -1, dtype="float32"), (1, -1, 1))  # the newest is 1 frame old
    is_seen_1T1 = ops.cast(ops.less_equal(ages_1T1, ops.reshape(count, (1, 1, 1))), "float32")
    mean_1D = ops.sum(recent_1TD * is_seen_1T1, axis=1) / count
    squares_1TD = ops.square(recent_1TD - ops.expand_dims(mean_1D, 1)) * is_seen_1T1
    pooled_1D = ops.concatenate([mean_1D, _root(ops.sum(squares_1TD, axis=1) / count)], axis=1)
    return scores_of(head, head.get_layer("standardize")(pooled_1D))


def _is_anybody(features_BTD: Any) -> Any:
    """1 where somebody was found in a window, else 0, (B, 1)."""
    return ops.cast(ops.any(ops.not_equal(features_BTD, 0.0), axis=(1, 2)), "float32")[:, None]


def _root(variance: Any) -> Any:
    return ops.sqrt(variance + _SMALLEST_VARIANCE)
