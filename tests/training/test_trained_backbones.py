"""I3D behind an approach, and pretrained backbones that are trained further; at sizes far below their own."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers_dataset import make_videos
from safetensors.numpy import load_file

import kineme as package
from kineme.errors import UsageError
from kineme.models import weights
from kineme.models.model_file import read_card
from kineme.training.options import TrainOptions
from kineme.video.spec import ClipSpec

TINY = ClipSpec(frames=16, fps=16.0, height=32, width=32)
needs_i3d = pytest.mark.skipif(
    not weights.find("i3d-kinetics400"), reason="needs the weights: kineme models pull i3d-kinetics400"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=6)


@needs_i3d
@pytest.mark.parametrize("overlap", [0.5, 0.0])
def test_i3d_gives_its_features_window_by_window(data, tmp_path, overlap):
    run = package.train(
        data,
        tmp_path / "run",
        approach="single-frame",
        config={"backbone": "i3d"},
        spec=replace(TINY, overlap=overlap),
        options=TrainOptions(epochs=3, flip=False),
    )
    assert run.metrics["test"]["n"] == 2
    assert set(run.metrics["test"]["orders"]) == {"shuffled", "reversed", "frozen"}
    model = package.load(run.folder)
    assert model.stream().stride == TINY.frames // 2, "answers of a stream come as often"
    lines = (run.folder / "predictions.csv").read_text().splitlines()[1:]
    for line in lines:  # what evaluation measured on cached features is what prediction gives from the video
        name, *_, left, right = line.split(",")
        found = model.predict(data / name)
        np.testing.assert_allclose(found.probabilities_K, [float(left), float(right)], atol=1e-4)
        starts_s = found.window_times_W2[:, 0]
        assert len(starts_s) == next(item.ticks for item in run.test if item.name == name) > 1
        np.testing.assert_allclose(np.diff(starts_s[:-1]), (1 - overlap) * TINY.seconds, atol=1e-6)
    figures = package.evaluate(run.folder, data, frame_order="reversed")
    assert figures["top1"] == run.metrics["test"]["orders"]["reversed"]["top1"]


@needs_i3d
def test_i3d_features_of_shuffled_frames_are_not_shuffled_features(data):
    from kineme.models.registry import make_approach
    from kineme.training.learner import make_learner

    learner = make_learner(make_approach("single-frame", {"backbone": "i3d"}), TINY, 2)
    cache = learner.cache()
    table, items = cache.prepare(package.scan(data), ("to-left", "to-right"))
    item = items[0]
    as_filmed, frozen = cache.window(item, 0), cache.reordered(item, "frozen")
    assert as_filmed.shape == frozen.shape == (1, 1024)
    assert np.abs(as_filmed - frozen).max() > 0.05
    np.testing.assert_array_equal(frozen, cache.reordered(item, "frozen"))
    assert len(table) == 12


def test_fine_tuning_changes_the_backbone_less_than_the_head_and_first_layers_least(data, tmp_path):
    spec = ClipSpec(frames=4, fps=4.0, height=32, width=32)
    settings = {"approach": "lrcn", "config": {"backbone": "efficientnet-lite0"}, "spec": spec}
    runs = {
        name: package.train(
            data,
            tmp_path / name,
            options=TrainOptions(epochs=1, flip=False, learning_rate=1e-4, finetune=name == "tuned", views=0),
            **settings,
        )
        for name in ("frozen", "tuned")
    }
    before, after = (load_file(runs[name].model_path) for name in ("frozen", "tuned"))
    moved = {name: float(np.abs(after[name] - before[name]).max()) for name in before}
    stem, last, head = (
        next(change for name, change in moved.items() if part in name)
        for part in ("conv_stem/kernel", "conv_head/kernel", "lstm/lstm_cell/kernel")
    )
    assert 0 < stem < 0.3 * last
    assert last < 0.3 * 1e-4 * 5  # a tenth of the learning rate a step, a few steps
    assert head > 0
    statistics = [name for name in moved if "moving_" in name]
    assert statistics
    assert all(moved[name] == 0 for name in statistics)

    assert read_card(runs["tuned"].model_path).finetuned
    model = package.load(runs["tuned"].folder)
    figures = package.evaluate(runs["tuned"].folder, data)
    metrics = json.loads((runs["tuned"].folder / "metrics.json").read_text())
    assert figures["confusion"] == metrics["test"]["confusion"]
    frozen_key, tuned_key = (package.load(runs[name].folder).encoder.key for name in ("frozen", "tuned"))
    assert frozen_key != tuned_key  # its features are not the published network's
    assert model.encoder.key == tuned_key


def test_what_cannot_be_fine_tuned_says_so(data, tmp_path):
    with pytest.raises(UsageError, match=r"efficientnet-lite0, i3d.*motion-cnn is not one of them"):
        package.train(data, tmp_path / "run", approach="lrcn", options=TrainOptions(finetune=True))
