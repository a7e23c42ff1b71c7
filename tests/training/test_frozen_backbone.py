"""Training on a frozen backbone: features computed once, the same in training and prediction, one file."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

import kineme
from kineme.models import weights
from kineme.models.registry import make_approach
from kineme.training.augment import Augmentation
from kineme.training.cache import FrameCache
from kineme.training.learner import make_learner
from kineme.training.options import TrainOptions
from kineme.video.write import VideoWriter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        weights.find("efficientnet-lite0") is None, reason="the package with EfficientNet's weights is not installed"
    ),
]
SPEC = kineme.ClipSpec(frames=6, fps=8.0, height=64, width=64)
VIEWS = 3  # of each training video: the default where frames are looked at one by one
CONFIG = {"backbone": "efficientnet-lite0", "units": 16, "dropout": 0.2}


def train(data, out, **changes):
    options = TrainOptions(**({"epochs": 25, "learning_rate": 3e-3, "flip": False} | changes))
    return kineme.train(data, out, approach="lrcn", config=CONFIG, spec=SPEC, options=options)


def write_growing(path, *, grows, person):
    """A bright square that grows or shrinks: features averaged over the frame cannot tell where, but how large."""
    background = np.random.default_rng(person).integers(0, 90, (64, 64, 3), np.uint8)
    sides = np.linspace(6, 58, 25).astype(int)
    with VideoWriter(path, width=64, height=64, fps=25) as writer:
        for side in sides if grows else sides[::-1]:
            frame = background.copy()
            frame[32 - side // 2 : 32 + side // 2, 32 - side // 2 : 32 + side // 2] = 225
            writer.write(frame)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for person in range(1, 9):
        for label in ("grow", "shrink"):
            write_growing(folder / label / f"person{person:02}_{label}.mp4", grows=label == "grow", person=person)
    return folder


@pytest.fixture(scope="module")
def strips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen-strips")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINEME_FRAME_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def run(data, strips, tmp_path_factory):
    return train(data, tmp_path_factory.mktemp("runs") / "first")


def test_it_learns_order_from_features_and_reports_as_any_other(run):
    assert run.metrics["test"]["top1"] == 1.0
    assert "background_only" in run.metrics["test"]["baselines"]
    assert (run.folder / "report.html").exists()


def test_a_second_training_computes_no_feature_again(run, data, strips, tmp_path):
    before = {path.name: path.stat().st_ino for path in strips.glob("*.strip")}
    assert before
    second = train(data, tmp_path / "second", seed=1, epochs=2)
    after = {path.name: path.stat().st_ino for path in strips.glob("*.strip")}
    shared = before.keys() & after.keys()
    assert {name: after[name] for name in shared} == {name: before[name] for name in shared}
    # Another seed splits otherwise, so only augmented views of people new to the training split may be added.
    trained = [set(one.table.in_split("train").rows["name"]) for one in (run, second)]
    assert len(after) - len(before) == VIEWS * len(trained[1] - trained[0])


def test_views_made_with_mirroring_are_not_taken_for_views_without(run, data, strips, tmp_path):
    before = {path.name for path in strips.glob("*.strip")}
    train(data, tmp_path / "mirrored", flip=True, epochs=1)
    new = {path.name for path in strips.glob("*.strip")} - before
    assert len(new) == VIEWS * len(run.table.in_split("train"))


def test_a_copy_of_the_data_gives_the_same_augmented_views(run, data, tmp_path):
    shutil.copytree(data, tmp_path / "elsewhere" / "copied")
    encoder, views = kineme.load(run.folder).encoder, []
    for number, folder in enumerate((data, tmp_path / "elsewhere" / "copied")):
        cache = FrameCache(SPEC, encoder, per_frame=1, folder=tmp_path / f"cache-{number}")
        table = kineme.scan(folder)
        _, items = cache.prepare(table, table.labels)
        cache.add_views(items[:1], Augmentation(), 1)
        views.append(cache.records(items[0], [0, 1], view=1))
    np.testing.assert_array_equal(*views)


def test_prediction_has_the_probabilities_that_evaluation_counted(run):
    model = kineme.load(run.folder)
    for item, evaluated_K in zip(run.test, run.test_probabilities_NK, strict=True):
        np.testing.assert_allclose(model.predict(item.path).probabilities_K, evaluated_K, atol=1e-4)
    again = kineme.evaluate(model, run.table)
    assert again["top1"] == run.metrics["test"]["top1"]
    assert again["confusion"] == run.metrics["test"]["confusion"]


def test_the_whole_network_gives_what_encoder_and_head_give(run):
    model = kineme.load(run.folder)
    clip = run.frame_cache.window(run.test[0], 0)
    features_TD = np.stack([one for _, one in model.encoder((0.0, frame) for frame in clip)])
    np.testing.assert_allclose(
        model.network.predict_on_batch(clip[None]), model.classifier.predict_on_batch(features_TD[None]), atol=1e-4
    )


def test_the_backbone_in_the_file_is_the_published_one_untouched(run):
    from kineme.models.backbones.efficientnet_lite0 import build, load_weights
    from kineme.models.backend import keras

    published = build(64, 64)
    load_weights(published, weights.require("efficientnet-lite0"))
    tensors = load_file(run.model_path)
    for weight in published.weights:
        np.testing.assert_array_equal(tensors[weight.path], keras.ops.convert_to_numpy(weight))


def test_networks_share_a_frozen_backbone_and_one_that_is_trained_has_its_own():
    approach = make_approach("late-fusion", {"backbone": "efficientnet-lite0"})
    first, second = (make_learner(approach, SPEC, 2) for _ in range(2))
    trained = make_learner(approach, SPEC, 2, finetune=True)
    backbone, same, other = (one.network.get_layer("backbone") for one in (first, second, trained))
    assert backbone is same
    assert other is not backbone
    assert not backbone.trainable_variables
    assert first.encoder.key == second.encoder.key
    assert first.network.get_layer("head") is not second.network.get_layer("head")
