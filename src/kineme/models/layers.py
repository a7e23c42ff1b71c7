"""Small layers and limits that several approaches share."""

from __future__ import annotations

import math
from typing import Any

from kineme.errors import UsageError
from kineme.models.backend import keras

_MOST_WEIGHTS = 2**28  # 1 GiB of float32 in one matrix: past that a size was mistyped, or a file is hostile


class MergeTimeIntoBatch(keras.layers.Layer):
    """(B, T, ...) to (B*T, ...): the frames of all clips become one batch.

    A per-frame network then runs once on that batch. ``TimeDistributed`` calls it T times instead, which trains
    about four times slower.
    """

    def call(self, clips_BT: Any) -> Any:
        """Merge batch and time."""
        return keras.ops.reshape(clips_BT, (-1, *clips_BT.shape[2:]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same frames in one batch."""
        return (None, *input_shape[2:])


class SplitTimeFromBatch(keras.layers.Layer):
    """(B*T, ...) back to (B, T, ...)."""

    def __init__(self, frames: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, frames_N: Any) -> Any:
        """Split batch and time."""
        return keras.ops.reshape(frames_N, (-1, self.frames, *frames_N.shape[1:]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same frames, T to a clip."""
        return (None, self.frames, *input_shape[1:])


class FrameDifference(keras.layers.Layer):
    """(B, T, ...) to (B, T, ...): each frame minus an earlier one, or minus the first frame at the start.

    What stands still vanishes. A frame needs no frame after it, so a stream can do the same.

    Args:
        over: how many frames earlier.
        kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, over: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.over = over

    def call(self, clips_BT: Any) -> Any:
        """Subtract the earlier frame."""
        early = min(self.over, clips_BT.shape[1])
        before = keras.ops.concatenate([clips_BT[:, :1]] * early + [clips_BT[:, : clips_BT.shape[1] - early]], axis=1)
        return clips_BT - before


class ClassToken(keras.layers.Layer):
    """features_BTD to (B, D): what a class token gathers from the frames by attention, each at its place.

    A learned position is added to each frame. The token, which is learned too, is the only one that asks: with one
    layer of attention nothing else would reach the output. It attends to itself as well, so it need not attend to any
    frame. ``D`` is shared among four heads, or as many fewer as divide it.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the token, the positions, and the matrices of keys and values."""
        _, frames, size = input_shape
        self.heads = math.gcd(4, size or 1)
        self.token = self.add_weight((1, 1, size), "random_normal", name="token")
        places = keras.initializers.RandomNormal(stddev=0.2)  # as far apart as the features of frames
        self.positions = self.add_weight((1, frames, size), places, name="positions")
        self.question = self.add_weight((self.heads, (size or 1) // self.heads), "glorot_uniform", name="question")
        self.keys = keras.layers.Dense(size, use_bias=False, name="keys")
        self.values = keras.layers.Dense(size, name="values")
        for dense in (self.keys, self.values):
            dense.build((None, (frames or 0) + 1, size))

    def call(self, features_BTD: Any) -> Any:
        """Attend."""
        ops = keras.ops
        token_B1D = ops.broadcast_to(self.token, (ops.shape(features_BTD)[0], 1, self.token.shape[-1]))
        x_BSD = ops.concatenate([token_B1D, features_BTD + self.positions], axis=1)
        split = (-1, x_BSD.shape[1], *self.question.shape)
        keys_BSHC, values_BSHC = (ops.reshape(dense(x_BSD), split) for dense in (self.keys, self.values))
        scores_BSH = ops.sum(keys_BSHC * self.question, axis=-1) / math.sqrt(split[-1])
        weights_BSH = ops.softmax(scores_BSH, axis=1)
        return ops.reshape(ops.sum(ops.expand_dims(weights_BSH, -1) * values_BSHC, axis=1), (-1, x_BSD.shape[-1]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One vector for each clip."""
        return (input_shape[0], input_shape[2])


class FrameAverage(keras.layers.Layer):
    """scores_BTK to logits_BK: the mean over frames, or, while training, the scores of one of them drawn at random."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, scores_BTK: Any, training: bool = False) -> Any:
        """Average, or draw."""
        if not training:
            return keras.ops.mean(scores_BTK, axis=1)
        frames = scores_BTK.shape[1]
        drawn_BT = keras.random.uniform(keras.ops.shape(scores_BTK)[:2], seed=self.seed_generator)
        shown_BT = keras.ops.one_hot(keras.ops.argmax(drawn_BT, axis=1), frames)
        return keras.ops.einsum("bt,btk->bk", shown_BT, scores_BTK)


class PoolingFirst(keras.Model):
    """Runs its layers with bias and ReLU after the pooling, on a sixteenth of the values: the same, in less time.

    Neither changes which of some values is the largest, so the largest may as well be found first.
    """

    def call(self, frames_NHWC: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Features_ND."""
        x = frames_NHWC
        for layer in self.layers[1:]:
            if isinstance(layer, keras.layers.Conv2D):
                x, convolution = layer.convolution_op(x, layer.kernel), layer
            elif isinstance(layer, keras.layers.MaxPooling2D):
                x = convolution.activation(keras.ops.add(layer(x), convolution.bias))
            else:
                x = layer(x, training=training) if isinstance(layer, keras.layers.Dropout) else layer(x)
        return x


class BatchNormalization(keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` with one fused operation a training step where TensorFlow has one.

    Keras computes mean, variance and result apart, and their gradients one by one: as long as all 3D convolutions
    of slow fusion together.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise maps, channels last, by the statistics of the batch while training."""
        fused = keras.backend.backend() == "tensorflow" and len(inputs.shape) > 3 and mask is None
        if not (fused and training and self.trainable and keras.backend.standardize_dtype(inputs.dtype) == "float32"):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        maps_NHWC = keras.ops.reshape(inputs, (-1, *inputs.shape[-3:]))
        result, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=maps_NHWC, scale=self.gamma, offset=self.beta, mean=[], variance=[], epsilon=self.epsilon
        )
        values = tf.cast(tf.size(maps_NHWC) // maps_NHWC.shape[-1], variance.dtype)
        variance *= (values - 1) / values  # what Keras keeps is that of the values, not an estimate from them
        for kept, found in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept.assign(kept * self.momentum + found * (1 - self.momentum))
        return keras.ops.reshape(result, keras.ops.shape(inputs))


def logits(classes: int) -> Any:
    """The last layer of every approach: one score for each class, float32 even in mixed precision."""
    return keras.layers.Dense(classes, dtype="float32", name="logits")


def check_matrix(inputs: int, outputs: int, what: str) -> None:
    """Refuse a weight matrix of an absurd size before it is allocated.

    Raises:
        UsageError: ``inputs * outputs`` is over 2**28.
    """
    if inputs * outputs > _MOST_WEIGHTS:
        raise UsageError(f"{what} would need {inputs} x {outputs} weights; choose a smaller size or fewer frames")
