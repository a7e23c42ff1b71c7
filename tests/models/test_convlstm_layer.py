"""The folded ConvLSTM layer against Keras' own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kineme.models.backend import keras
from kineme.models.convlstm_layer import FoldedConvLSTM2D

KERAS = keras.layers.ConvLSTM2D
BATCH = 3


def pair(shape: tuple[int, ...], **options: Any) -> tuple[Any, Any]:
    """Keras' layer and ours with the same weights, both built."""
    theirs, ours = KERAS(4, (3, 2), seed=7, **options), FoldedConvLSTM2D(4, (3, 2), seed=7, **options)
    for layer in (theirs, ours):
        layer.build((BATCH, *shape))
    rng = np.random.default_rng(1)
    theirs.set_weights([rng.normal(0, 0.4, weight.shape) for weight in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    return theirs, ours


def maps(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(BATCH, *shape)).astype(np.float32)


def frame_mask(frames: int) -> np.ndarray | None:
    """Padding at the end, at the start, and holes; None where Keras' own layer fails on any mask."""
    if keras.backend.backend() == "jax":
        return None
    mask = np.ones((BATCH, frames), bool)
    mask[0, 3:] = mask[1, :2] = mask[2, 1::2] = False
    return mask


class Inputs(keras.layers.Layer):
    """Adds a weight as large as its input, so that a step of training tells the gradient of the input."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.offset = self.add_weight(shape=(BATCH, *shape[1:]), initializer="zeros")

    def call(self, x: Any) -> Any:
        return x + self.offset


def step_of_training(layer: Any, x: np.ndarray, mask: np.ndarray | None) -> tuple[float, list[np.ndarray]]:
    """The loss in training mode, and the gradients of the input and of each weight."""
    inputs = keras.Input(batch_shape=x.shape)
    counts = keras.Input(batch_shape=x.shape[:2], dtype="bool")
    states = layer(Inputs()(inputs), mask=None if mask is None else counts)
    network = keras.Model([inputs, counts], keras.ops.reshape(states, (BATCH, -1)))
    network.compile(keras.optimizers.SGD(1.0), "mse")
    before = network.get_weights()
    target = np.random.default_rng(2).normal(size=(BATCH, *network.output.shape[1:])).astype(np.float32)
    loss = network.train_on_batch([x, np.ones(x.shape[:2], bool) if mask is None else mask], target)
    return float(loss), [old - new for old, new in zip(before, network.get_weights(), strict=True)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("frames", "options"),
    [
        (5, {}),
        (5, {"return_sequences": True, "padding": "same"}),
        (5, {"return_sequences": True, "recurrent_dropout": 0.4}),
        (5, {"dropout": 0.3, "recurrent_dropout": 0.4, "use_bias": False}),
        (40, {"return_sequences": True, "dropout": 0.3, "recurrent_dropout": 0.4}),
        (40, {"padding": "same"}),
    ],
)
def test_results_and_gradients_equal_keras(frames, options, masked):
    x, mask = maps(frames, 7, 6, 2), frame_mask(frames) if masked else None
    theirs, ours = pair(x.shape[1:], **options)
    expected, result = (keras.ops.convert_to_numpy(layer(x, mask=mask)) for layer in (theirs, ours))
    np.testing.assert_allclose(result, expected, atol=1e-5)
    (expected_loss, expected_gradients), (loss, gradients) = (
        step_of_training(layer, x, mask) for layer in (theirs, ours)
    )
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert len(gradients) == (3 if options.get("use_bias") is False else 4)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        assert np.abs(expected_gradient).max() > 1e-4
        np.testing.assert_allclose(gradient, expected_gradient, atol=1e-5)


def test_dropped_values_change_from_call_to_call_and_only_while_training():
    x = maps(4, 6, 6, 2)
    _, ours = pair(x.shape[1:], recurrent_dropout=0.5)
    first, second = (keras.ops.convert_to_numpy(ours(x, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-2
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(ours(x)) for _ in range(2)))


@pytest.mark.parametrize(
    "options",
    [
        {"strides": 2, "padding": "same"},
        {"dilation_rate": 2},
        {"go_backwards": True, "return_sequences": True},
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    ],
)
def test_further_arguments_mean_what_they_mean_in_keras(options):
    x, mask = maps(4, 8, 7, 2), frame_mask(4)
    theirs, ours = pair(x.shape[1:], **options)
    expected, result = (keras.ops.convert_to_numpy(layer(x, mask=mask)) for layer in (theirs, ours))
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("frames", [6, 40])
def test_masked_frames_might_as_well_not_be_there(frames):
    x, mask = maps(frames, 6, 6, 2), np.ones((BATCH, frames), bool)
    mask[:, [1, 4]] = False
    _, ours = pair(x.shape[1:], return_sequences=True)
    states = keras.ops.convert_to_numpy(ours(x, mask=mask))
    np.testing.assert_allclose(states[:, mask[0]], keras.ops.convert_to_numpy(ours(x[:, mask[0]])), atol=1e-5)
    np.testing.assert_array_equal(states[:, [1, 4]], states[:, [0, 3]])


@pytest.mark.parametrize("frames", [6, 40])
def test_a_clip_read_in_two_parts_ends_in_the_state_of_the_whole(frames):
    x = maps(frames, 6, 6, 2)
    _, ours = pair(x.shape[1:], return_state=True)
    whole = ours(x)
    _, *state = ours(x[:, :2])
    for part, expected in zip(ours(x[:, 2:], initial_state=state), whole, strict=True):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (part, expected)), atol=1e-5)


def test_weights_have_the_same_names_shapes_and_first_values_as_in_keras():
    keras.utils.set_random_seed(3)
    theirs = KERAS(5, 3, name="layer")
    theirs.build((None, 4, 8, 8, 2))
    keras.utils.set_random_seed(3)
    ours = FoldedConvLSTM2D(5, 3, name="layer")
    ours.build((None, 4, 8, 8, 2))
    assert [weight.path for weight in ours.weights] == [weight.path for weight in theirs.weights]
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert ours.get_weights()[2].tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10  # the forget gate starts open
    theirs.set_weights(ours.get_weights())
    x = maps(4, 8, 8, 2)
    np.testing.assert_allclose(*(keras.ops.convert_to_numpy(layer(x)) for layer in (theirs, ours)), atol=1e-5)
