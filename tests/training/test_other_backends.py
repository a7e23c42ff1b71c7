"""A whole training on the backend that KERAS_BACKEND names; on TensorFlow every other test does that."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_dataset import make_videos

import kineme as package
from kineme.models.backend import keras
from kineme.training.options import TrainOptions
from kineme.video.spec import ClipSpec

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="for the other backends: make test-jax, make test-torch"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=10)


def test_trains_measures_saves_loads_and_predicts(data, tmp_path):
    run = package.train(
        data,
        tmp_path / "run",
        approach="lrcn",
        spec=ClipSpec(frames=6),
        options=TrainOptions(epochs=25, flip=False, learning_rate=0.003),
    )
    assert run.metrics["test"]["top1"] == 1.0
    assert run.metrics["test"]["orders"]["reversed"]["top1"] < 0.5
    model = package.load(run.folder)
    for item, row_K in zip(run.test, run.test_probabilities_NK, strict=True):
        np.testing.assert_allclose(model.predict(item.path).probabilities_K, row_K, atol=1e-4)


def test_the_same_seed_gives_the_same_weights(data, tmp_path):
    weights = []
    for name in ("once", "again"):
        options = TrainOptions(epochs=2, flip=False)
        run = package.train(data, tmp_path / name, approach="lrcn", spec=ClipSpec(frames=6), options=options)
        weights.append([np.array(weight) for weight in package.load(run.folder).network.get_weights()])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_fine_tuning_steps_are_smaller_in_the_backbone(data, tmp_path):
    from kineme.models.registry import make_approach
    from kineme.training.fit import _prepare
    from kineme.training.learner import make_learner

    spec = ClipSpec(frames=3, fps=4.0, height=32, width=32)
    learner = make_learner(make_approach("lrcn", {"backbone": "efficientnet-lite0"}), spec, 2, finetune=True)
    _prepare(learner.network, 1e-4, learner.backbone_weights, background=False)
    before = [np.array(weight) for weight in learner.network.trainable_variables]
    clips = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32, 3), np.uint8)
    learner.network.train_on_batch(clips, np.array([0, 1, 0, 1]))
    moved = [
        float(np.abs(np.array(after) - then).max())
        for after, then in zip(learner.network.trainable_variables, before, strict=True)
    ]
    assert 0 < moved[0] <= 1.5e-6  # a hundredth of the learning rate, then a tenth, then all of it
    assert moved[learner.backbone_weights - 1] <= 1.5e-5
    assert 0.5e-4 < max(moved) <= 1.5e-4
