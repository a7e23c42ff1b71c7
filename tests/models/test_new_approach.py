"""A new approach is one file and one line: it runs under every command, though it works inside a backbone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers_checks import check_approach
from helpers_dataset import make_videos
from helpers_networks import moving_squares, network_of
from typer.testing import CliRunner

import kineme
from kineme import api
from kineme.models.registry import APPROACHES, make_approach
from kineme.models.tracing import on_tensorflow
from kineme.training.options import TrainOptions
from kineme.video.clips import read_clips
from kineme.video.spec import ClipSpec

pytestmark = pytest.mark.slow

SPEC = ClipSpec(frames=6, fps=8.0)


@pytest.fixture(scope="module", autouse=True)
def _registered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(APPROACHES, "tsm", "helpers_tsm:TSM")  # the line
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=6)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    options = TrainOptions(epochs=40, learning_rate=0.005, patience=40, flip=False)
    return api.train(data, tmp_path_factory.mktemp("runs") / "run", approach="tsm", spec=SPEC, options=options)


@pytest.fixture(scope="module")
def model(run):
    return kineme.load(run.folder)


def test_it_learns_what_order_alone_tells(run, model):
    assert (run.folder / "report.html").is_file()
    assert min(row["loss"] for row in run.history) < 0.3 < 0.6 < run.history[0]["loss"]
    clips, _ = moving_squares(2, SPEC)
    there, back = model.network.predict_on_batch(clips), model.network.predict_on_batch(clips[:, ::-1])
    assert np.abs(there - back).max() > 0.1
    assert make_approach("tsm").uses_order


def test_it_predicts_what_the_network_says_of_the_clips(data, model):
    video = next(data.glob("to-left/*.mp4"))
    logits_NK = model.network.predict_on_batch(np.stack([one.frames_THWC for one in read_clips(video, SPEC)]))
    expected_K = model.probabilities(logits_NK.mean(axis=0, keepdims=True))[0]
    np.testing.assert_allclose(model.predict(video, engine="keras").probabilities_K, expected_K, atol=1e-5)


@pytest.mark.parametrize("engine", ["keras", "auto"])
def test_a_carried_state_gives_the_answer_of_the_window(model, engine):
    frames = moving_squares(1, SPEC)[0][0]
    answers = []
    for mode in ("exact", "carried"):
        with model.stream(mode=mode, engine=engine) as stream:
            answers.append([stream.push(frame, number / SPEC.fps) for number, frame in enumerate(frames)][-1])
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
    np.testing.assert_allclose(
        answers[0], model.probabilities(model.network.predict_on_batch(frames[None]))[0], atol=1e-4
    )


@pytest.mark.skipif(not on_tensorflow(), reason="only TensorFlow compiles for LiteRT")
def test_exported_it_says_the_same(data, model, tmp_path):
    video = next(data.glob("to-right/*.mp4"))
    made = model.export("litert", tmp_path / "tsm.tflite", check=video)
    assert set(made.parts) == {"clip", "step", "frame"}
    again = kineme.load(tmp_path / "tsm.tflite")
    np.testing.assert_allclose(again.predict(video).probabilities_K, model.predict(video).probabilities_K, atol=1e-4)


def test_it_is_explained(data, model):
    found = model.explain(next(data.glob("to-left/*.mp4")))
    assert found.heat_NHW.max() > 0
    assert not found.warnings
    assert min(found.heat_NHW.shape[1:]) >= 7


def test_it_is_estimated_and_listed_with_what_it_is(data):
    needs = api.check(data, approach="tsm")["needs"]
    assert needs["training_seconds"] > 0
    assert needs["disk_bytes"] > 0
    assert "tsm on small-cnn" in needs["assumes"][0]
    from kineme.cli.main import app

    listed = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)["approaches"]
    (entry,) = (one for one in listed if one["name"] == "tsm")
    assert entry["what"].startswith("TSM: inside the per-frame network")
    assert entry["options"] == {"backbone": "small-cnn"}


def test_what_it_changes_in_the_backbone_is_in_its_features():
    plain, shifted = network_of("single-frame", SPEC), network_of("tsm", SPEC)
    clips, _ = moving_squares(1, SPEC)
    shifted.get_layer("backbone").set_weights(plain.get_layer("backbone").get_weights())
    features = [network.get_layer("backbone").predict_on_batch(clips) for network in (plain, shifted)]
    assert np.abs(features[0] - features[1]).max() > 1e-4


def test_it_passes_what_every_approach_must():
    check_approach("tsm")
