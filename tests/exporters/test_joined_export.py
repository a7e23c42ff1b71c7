"""Exports of models on joined backbones: each member has its own parts, and together they say what the model says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers_video import numbered_video

import kineme
from kineme.exporters.agreement import TOLERANCE
from kineme.models import formats, weights
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.network import build_network
from kineme.models.open_set import DistanceDetector
from kineme.models.registry import find_backbone, make_approach
from kineme.people.region import region_clips

NAMES = ["efficientnet-lite0", "movenet"]

pytestmark = pytest.mark.skipif(
    weights.find("movenet") is None, reason="the weights of movenet are not on this machine"
)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A joined model with heads drawn at random, a calibration, and clips that it keeps of each class."""
    approach = make_approach("late-fusion", {"backbone": "+".join(NAMES), "head": "linear"})
    spec = replace(find_backbone("efficientnet-lite0").spec, frames=4, fps=8.0, height=64, width=64)
    network = build_network(approach, spec, 3, pretrained=True, clips_of_class=4)
    rng = np.random.default_rng(7)
    for head in network.heads.members.values():
        layer = head.get_layer("distances")
        clips_KRF = rng.normal(0, 0.03, layer.get_weights()[0].shape)
        layer.set_weights([clips_KRF, np.ones((3, 4)), np.full(1, 0.9), np.full(1, 5.0)])
    path = tmp_path_factory.mktemp("joined") / "joined.safetensors"
    card = ModelCard("late-fusion", config_of(approach), spec, ("a", "b", "c"), temperature=1.7)
    save_model(path, network, replace(card, open_set=DistanceDetector(4, 1.0)))
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("video") / "numbers.mp4", 30)


def test_one_file_predicts_and_streams_what_the_model_does(model_file: Path, video: Path, tmp_path: Path) -> None:
    model = kineme.load(model_file)
    found = model.export(out=tmp_path / "model.tflite", check=video)
    assert {"efficientnet-lite0.frame", "efficientnet-lite0.window", "movenet.window"} <= set(found.parts)
    assert set(found.differences) == {"efficientnet-lite0.windows", "efficientnet-lite0.carried", "movenet.windows"}
    again = kineme.load(found.path)
    assert [one.card.backbone.name for one in again.members] == NAMES
    wanted, given = model.predict(video, engine="keras"), again.predict(video)
    np.testing.assert_allclose(given.window_probabilities_WK, wanted.window_probabilities_WK, atol=1e-4)
    assert np.ptp(wanted.window_probabilities_WK[:, 0]) > 0
    assert given.window_scores_W is not None
    assert wanted.window_scores_W is not None
    np.testing.assert_allclose(given.window_scores_W, wanted.window_scores_W, atol=1e-3)
    assert np.ptp(wanted.window_scores_W) > 0
    frame_HWC = np.full((64, 64, 3), 90, np.uint8)
    answers = []
    for one, engine in ((model, "keras"), (again, "auto")):
        with one.stream(engine=engine) as stream:
            answers.append([stream.push(frame_HWC, number / 8) for number in range(6)][-1])
    np.testing.assert_allclose(*answers, atol=1e-4)


def test_a_folder_says_how_its_members_are_joined(model_file: Path, video: Path, tmp_path: Path) -> None:
    model = kineme.load(model_file)
    found = model.export("litert", tmp_path / "folder", check=video)
    told = json.loads((found.path / "export.json").read_text(encoding="utf-8"))
    assert {name: part["member"] for name, part in told["parts"].items() if name.endswith(".clip")} == {
        f"{name}.clip": name for name in NAMES
    }
    assert max(found.differences.values()) <= TOLERANCE
    text = (found.path / "README.md").read_text(encoding="utf-8")
    for said in (
        "Leave out a member whose `logits` are all zero",
        f"the power of {1 / 1.7:.6g}",
        "`movenet.clip.tflite`",
    ):
        assert said in text

    # The rule of the model card, by the first member alone: numbers are nobody, whom the other leaves out.
    clip = next(region_clips(video, model.members[0].card.spec)).frames_THWC[None]
    given = formats.FORMATS["litert"].open(found.path / f"{NAMES[0]}.clip.tflite", 1)({"clip": clip})
    powers_K = given["probabilities"][0] ** (1 / 1.7)
    wanted_K = model.predict(video, engine="keras").window_probabilities_WK[0]
    np.testing.assert_allclose(powers_K / powers_K.sum(), wanted_K, atol=1e-4)
    nobody = np.zeros(told["parts"]["movenet.clip"]["inputs"][0]["shape"], np.float32)
    run = formats.FORMATS["litert"].open(found.path / "movenet.clip.tflite", 1)
    assert not run({"landmarks": nobody})["logits"].any()
