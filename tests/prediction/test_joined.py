"""A model on joined backbones: its file, its predictions and its streams are those of its members together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers_joined import SPEC, save_joined, someone_walks
from helpers_stream import stream_file
from helpers_video import numbered_video

import kineme
from kineme.errors import KinemeError, UsageError
from kineme.model import Model
from kineme.models import weights
from kineme.models.joined import mean_scores, member_specs, steps_of
from kineme.models.model_file import ModelCard, config_of, read_card, save_model
from kineme.models.network import build_network
from kineme.models.registry import find_backbone, make_approach
from kineme.prediction.windows import open_scorer
from kineme.training.joined_cache import joined_windows
from kineme.video.clips import ticks
from kineme.video.decode import Decoder, read_frames

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
    wanted = model.probabilities(mean_scores(each, 3))
    np.testing.assert_allclose(result.window_probabilities_WK, wanted, atol=1e-5)
    assert np.ptp(wanted[:, 0]) > 0, "numbers that change give windows that differ"
    assert not each[1].any(), "numbers are nobody, so that member is left out"


@pytest.mark.parametrize("region", ["frame", "people", "person"])
def test_a_stream_answers_as_the_windows_of_a_file(region: str, tmp_path: Path) -> None:
    """Each member has its own pace, size, region of its own aspect, and light."""
    path = save_joined(
        tmp_path / "j.safetensors", {"movenet": 1, "efficientnet-lite0": 2}, region=region, brightness="auto"
    )
    video = someone_walks(tmp_path / "dark.mp4", 3, light=(0.1, 0.1, 0.25, 0.25, 0.25, 0.1))
    model = kineme.load(path)
    wanted = model.predict(video, engine="keras")
    assert not wanted.cuts
    stream = model.stream(engine="keras", stride=SPEC.default_stride)
    answers = stream_file(stream, video, model.card.spec)
    np.testing.assert_allclose(answers, wanted.window_probabilities_WK, atol=1e-5)
    assert np.ptp(answers[:, 0]) > 1e-3
    frame = next(read_frames(video))
    with pytest.raises(UsageError, match="'convert' must be a Converter"):
        stream.push(frame, 0.0, convert=lambda one: one.pixels_HWC)
    with model.stream(engine="keras") as of_arrays:
        assert [of_arrays.push(frame.pixels_HWC, number / 8) is None for number in range(8)] == [True] * 7 + [False]


def test_a_stream_says_of_each_person_what_the_file_says(tmp_path: Path) -> None:
    path = save_joined(tmp_path / "j.safetensors", {"movenet": 1, "efficientnet-lite0": 2}, region="person")
    video = someone_walks(tmp_path / "walk.mp4", 4)
    model = kineme.load(path)
    (person,) = model.predict(video, engine="keras", people=True).people or ()
    windows = zip(person.window_times_W2, person.window_probabilities_WK, strict=True)
    of_file = {round(float(times[1]), 4): shares_K for times, shares_K in windows}
    answers = []
    with model.stream(people=True, engine="keras", stride=SPEC.default_stride) as stream, Decoder(video) as decoder:
        convert = decoder.converter(size=(SPEC.height, SPEC.width), fit=SPEC.fit)
        for one in decoder.iter_frames():
            for seen in stream.push(one.frame, one.pts_s, convert=convert):
                if seen.probabilities_K is not None and seen.probabilities_K is not (answers or [None])[-1]:
                    answers.append(seen.probabilities_K)
                    np.testing.assert_allclose(seen.probabilities_K, of_file[round(one.pts_s, 4)], atol=1e-5)
    assert len(answers) >= 3


def test_the_file_says_what_its_members_are_and_refuses_others(model_file: Path, tmp_path: Path) -> None:
    card = read_card(model_file)
    document = json.loads(json.dumps(card.to_json()))
    assert [one["config"]["backbone"] for one in document["members"]] == NAME.split("+")
    assert ModelCard.from_json("f", json.dumps(document)) == card
    document["members"][1]["spec"]["frames"] = 4
    assert ModelCard.from_json("f", json.dumps(document)).members[1].spec.frames == 4, "the file decides, not the rule"
    document["members"][1]["spec"]["fps"] = 3.0
    with pytest.raises(KinemeError, match="a member of 3 frames a second does not fit into 8"):
        ModelCard.from_json("f", json.dumps(document))
    document["members"].pop()
    with pytest.raises(KinemeError, match="it has 1 members and 2 backbones"):
        ModelCard.from_json("f", json.dumps(document))


def test_all_windows_are_those_of_the_leader() -> None:
    """A member may have one more, where a rounded duration gives it one more tick."""
    rows_WK = np.log(np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]], np.float32))
    leader = rows_WK[:2], np.array([0, 1])
    other = rows_WK[[0, 2, 1]], np.array([0, 0, 1])
    logits_WK, item_W = joined_windows([leader, other], 0, 2)
    assert item_W.tolist() == [0, 1]
    np.testing.assert_allclose(np.exp(logits_WK), [[0.8, 0.2], [0.6, 0.4]], atol=1e-6)
    assert joined_windows([leader, other], 1, 2)[1].tolist() == [0, 0, 1]


@pytest.mark.parametrize("overlap", [0.5, 0.0])
@pytest.mark.parametrize(("frames", "wanted"), [(64, [1, 4]), (15, [1, 1]), (30, [1, 3]), (12, [1, 3])])
def test_the_windows_of_members_begin_together(frames: int, wanted: list[int], overlap: float) -> None:
    backbone = find_backbone("i3d+movenet")
    spec = replace(backbone.spec, frames=frames, overlap=overlap)
    assert steps_of(backbone, spec) == wanted
    strides = [one.default_stride * step for one, step in zip(member_specs(backbone, spec), wanted, strict=True)]
    assert strides == [spec.default_stride] * 2
    assert not any(spec.stream_stride % step for step in wanted)


def test_no_state_is_carried_where_a_member_keeps_none(model_file: Path) -> None:
    model: Model = kineme.load(model_file)
    for people in (False, True):
        with pytest.raises(UsageError, match="late-fusion on movenet reads whole windows in order: use mode='exact'"):
            model.stream(mode="carried", people=people)
