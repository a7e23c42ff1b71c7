"""A model on joined backbones: its file, its predictions and its streams are those of its members together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers_video import numbered_video

import kineme
from kineme.errors import KinemeError, UsageError
from kineme.model import Model
from kineme.models import weights
from kineme.models.joined import mean_logits
from kineme.models.model_file import ModelCard, config_of, read_card, save_model
from kineme.models.network import build_network
from kineme.models.registry import find_backbone, make_approach
from kineme.prediction.windows import open_scorer
from kineme.video.clips import ticks
from kineme.video.decode import read_frames

NAME = "efficientnet-lite0+movenet"

pytestmark = pytest.mark.skipif(
    weights.find("movenet") is None, reason="the weights of movenet are not on this machine"
)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A joined model with heads drawn at random."""
    approach = make_approach("late-fusion", {"backbone": NAME, "head": "linear"})
    spec = replace(find_backbone(NAME).spec, frames=8, fps=8.0, height=64, width=64)
    network = build_network(approach, spec, 3, pretrained=True)
    path = tmp_path_factory.mktemp("joined") / "joined.safetensors"
    save_model(path, network, ModelCard("late-fusion", config_of(approach), spec, ("a", "b", "c")))
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("video") / "numbers.mp4", 60)


def test_a_joined_model_says_what_its_members_say_together(model_file: Path, video: Path) -> None:
    model = kineme.load(model_file)
    assert [one.card.backbone.name for one in model.members] == NAME.split("+")
    result = model.predict(video, engine="keras")
    each = []
    for one in model.members:
        scored = open_scorer(one, "keras").score(video, ticks(video, one.card.spec), None)
        each.append(np.array([logits_K for _, logits_K in scored]))
    wanted = model.probabilities(mean_logits(each))
    np.testing.assert_allclose(result.window_probabilities_WK, wanted, atol=1e-5)
    assert np.ptp(wanted[:, 0]) > 0, "numbers that change give windows that differ"
    assert not each[1].any(), "numbers are nobody, so that member is left out"


def test_a_stream_answers_as_the_windows_of_a_file(model_file: Path, video: Path) -> None:
    model = kineme.load(model_file)
    result, answers = model.predict(video, engine="keras"), []
    with model.stream(engine="keras", stride=4) as stream:
        before = None
        for frame in read_frames(video):
            probabilities_K = stream.push(frame.pixels_HWC, frame.pts_s)
            if stream.prediction_time_s != before:
                before = stream.prediction_time_s
                answers.append(probabilities_K)
    assert len(answers) >= 2
    # Frames that come as arrays are made small in another way than those of files.
    np.testing.assert_allclose(answers, result.window_probabilities_WK[: len(answers)], atol=0.02)


def test_the_file_says_what_its_members_are_and_refuses_others(model_file: Path, tmp_path: Path) -> None:
    card = read_card(model_file)
    document = json.loads(json.dumps(card.to_json()))
    assert [one["config"]["backbone"] for one in document["members"]] == NAME.split("+")
    assert ModelCard.from_json("f", json.dumps(document)) == card
    document["members"][1]["spec"]["frames"] = 4
    assert ModelCard.from_json("f", json.dumps(document)).members[1].spec.frames == 4, "the file decides, not the rule"
    document["members"].pop()
    with pytest.raises(KinemeError, match="it has 1 members and 2 backbones"):
        ModelCard.from_json("f", json.dumps(document))


def test_what_is_not_made_for_joined_models_says_so(model_file: Path, tmp_path: Path) -> None:
    model: Model = kineme.load(model_file)
    with pytest.raises(UsageError, match="kineme export does not take a model on joined backbones"):
        model.export(out=tmp_path / "model.tflite")
    with pytest.raises(UsageError, match="in mode 'exact'"):
        model.stream(mode="carried")
