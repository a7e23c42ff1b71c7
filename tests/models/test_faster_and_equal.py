"""What is computed in another way than Keras does, to take less time, gives the results and gradients of Keras."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_networks import SMALL, moving_squares, network_of

from kineme.models.backbones.small_cnn import frame_network
from kineme.models.backend import keras, seed_everything
from kineme.models.layers import BatchNormalization

layers = keras.layers


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def three_steps(build: Callable[[], Any], x: np.ndarray) -> tuple[list[float], list[np.ndarray], np.ndarray]:
    """Losses of three steps of training, all weights and statistics after them, and what is then answered."""
    keras.utils.set_random_seed(5)
    network = build()
    network.compile(keras.optimizers.SGD(0.1), "mse")
    target = np.random.default_rng(1).normal(size=(len(x), *network.output.shape[1:])).astype(np.float32)
    losses = [float(network.train_on_batch(x, target)) for _ in range(3)]
    return losses, network.get_weights(), network.predict_on_batch(x)


def assert_equal_training(ours: Callable[[], Any], theirs: Callable[[], Any], x: np.ndarray) -> None:
    losses, weights, answers = three_steps(ours, x)
    expected_losses, expected_weights, expected_answers = three_steps(theirs, x)
    assert expected_losses[2] < expected_losses[0]
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    np.testing.assert_allclose(answers, expected_answers, rtol=2e-5, atol=1e-5)
    for ours_after, theirs_after in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(ours_after, theirs_after, atol=1e-5)


def test_pooling_before_bias_and_relu_trains_the_frame_network_as_pooling_after_them():
    def as_written() -> Any:
        network = frame_network(64, 64)
        return keras.Model(network.input, network.output)  # its layers, one after the other

    assert type(frame_network(64, 64)).call is not type(as_written()).call
    assert_equal_training(lambda: frame_network(64, 64), as_written, noise(6, 64, 64, 3))


def test_fused_batch_normalisation_trains_as_that_of_keras():
    def build(normalise: Any) -> Any:
        clips = keras.Input((4, 6, 5, 2))
        x = normalise(momentum=0.9)(layers.Conv3D(3, 3, use_bias=False)(clips))
        return keras.Model(clips, layers.GlobalMaxPooling3D()(x))

    x = 3 + 2 * noise(4, 4, 6, 5, 2)
    assert_equal_training(lambda: build(BatchNormalization), lambda: build(layers.BatchNormalization), x)


def answers_after_training() -> np.ndarray:
    seed_everything(0)
    network = network_of("lrcn")
    network.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    clips, labels = moving_squares(8, SMALL)
    for _ in range(5):
        network.train_on_batch(clips, labels)
    return network.predict_on_batch(clips)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="oneDNN is TensorFlow's")
def test_onednn_which_is_switched_on_changes_nothing_that_is_learned():
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"  # by importing the backend, unless the user has set it
    without = f"""
import json, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]}
from {Path(__file__).stem} import answers_after_training
print(json.dumps(answers_after_training().tolist()))
"""
    done = subprocess.run(
        [sys.executable, "-c", without],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    answers, expected = answers_after_training(), np.array(json.loads(done.stdout.splitlines()[-1]))
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(answers, expected, atol=1e-3)
    if platform.machine() in ("x86_64", "AMD64"):
        assert (answers != expected).any()  # else the setting did nothing
