"""Explanations: of a network whose deciding frames and place are known, and of every approach that has maps."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from helpers_dataset import kineme
from helpers_networks import SMALL, inputs_for, moving_squares, network_of
from helpers_stream import model_of
from PIL import Image

from kineme.errors import UsageError
from kineme.model import Model
from kineme.models.backbones.landmarks import FEATURES, LANDMARK_COUNT, LANDMARKS
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.registry import make_approach
from kineme.prediction.explain.explain import log_odds, spans_of, spread
from kineme.prediction.explain.gradients import Joints, cut_at_maps, gradient_of
from kineme.report.explain_drawing import lay_heat
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec
from kineme.video.write import VideoWriter

SPEC = ClipSpec(frames=8, fps=4.0, height=64, width=64)
LAMP_S = (2.5, 3.25)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Six dark seconds in which a lamp goes on for 0.75 s, in the upper left quarter."""
    path = tmp_path_factory.mktemp("film") / "lamp.mp4"
    noise = np.random.default_rng(0).integers(0, 20, (96, 128, 3), np.uint8)
    with VideoWriter(path, width=128, height=96, fps=20) as writer:
        for number in range(120):
            frame = noise.copy()
            if LAMP_S[0] <= number / 20 < LAMP_S[1]:
                frame[8:40, 8:56] = 240
            writer.write(frame)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A single-frame network, made and not trained, that says "lamp" of what is bright anywhere."""
    network = network_of("single-frame", SPEC)
    weights = [np.zeros(weight.shape, np.float32) for weight in network.get_weights()]
    weights[0][1, 1, :, 0] = 1 / 3
    for kernel in weights[2:8:2]:
        kernel[1, 1, 0, 0] = 1
    weights[-2][0], weights[-1][:] = (-8, 8), (2, -2)
    network.set_weights(weights)
    card = ModelCard("single-frame", config_of(make_approach("single-frame")), SPEC, ("dark", "lamp"))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, network, card)
    return Model.from_file(path)


def test_the_deciding_frames_and_their_place_are_found(model, film):
    told = []
    found = model.explain(film, label="lamp", engine="keras", on_progress=told.append)
    said = model.predict(film, engine="keras")
    assert (found.label, found.prediction.label) == ("lamp", "dark")
    assert found.probability == pytest.approx(dict(said.top)["lamp"])
    np.testing.assert_array_equal(found.prediction.window_probabilities_WK, said.window_probabilities_WK)
    assert told == sorted(told)
    assert told[-1] == 1.0

    np.testing.assert_allclose(found.times_N, np.arange(24) / 4)  # every tick of the clip spec
    assert found.heat_NHW.shape == (24, 16, 16)
    assert found.method == "occlusion"
    (span,) = found.salient_spans
    assert span[:2] == pytest.approx(LAMP_S, abs=0.26)  # a tick
    is_on = (found.times_N >= LAMP_S[0]) & (found.times_N < LAMP_S[1])
    assert found.attributions["gradient"][is_on].sum() > 0.8 * found.attributions["gradient"].sum()
    assert found.heat_NHW[is_on, :7, :7].sum() > 0.95 * found.heat_NHW[is_on].sum()
    # In the dark, the other way round: holding the lamp's frames still makes it likelier.
    other = model.explain(film, engine="keras")
    assert other.label == "dark"
    assert (
        other.attributions["occlusion"][11] > 0
        or other.attributions["occlusion"].max() <= 0
        or not other.is_salient[10:13].any()
    )


@pytest.mark.parametrize("name", ["early-fusion", "slow-fusion", "convlstm", "lrcn"])
def test_every_approach_is_cut_at_maps_and_stays_the_same(name):
    model = model_of(name)
    front, rest = cut_at_maps(model.network, model.card)
    clips, _ = moving_squares(3, SMALL)
    maps = front.predict_on_batch(clips)
    assert maps.ndim == 5
    assert maps.shape[1] in (6, 3)
    assert min(maps.shape[2:4]) >= 7
    logits_BK = model.network.predict_on_batch(clips)
    np.testing.assert_allclose(rest.predict_on_batch(maps), logits_BK, rtol=1e-4, atol=1e-4)
    # The gradient says by how much a small step of the maps raises the log-odds.
    gradient = gradient_of(rest, logits_BK.shape[1])(maps, 1)
    step = gradient * np.float32(0.01 / np.linalg.norm(gradient))
    odds = [log_odds(rest.predict_on_batch(maps + sign * step), 1).sum() for sign in (1, -1)]
    assert odds[0] - odds[1] == pytest.approx(
        2 * float((gradient * step).sum()), rel=0.25
    )  # a step may cross the kink of a ReLU


def test_the_joint_that_moves_is_the_one_that_speaks():
    network = network_of("pose-lstm")
    card = ModelCard("pose-lstm", config_of(make_approach("pose-lstm")), SMALL, ("left", "right"))
    wrist = LANDMARKS.index("left wrist")
    features_TD = np.full((6, FEATURES), 0.2, np.float32)
    features_TD[:, 2 * LANDMARK_COUNT : 4 * LANDMARK_COUNT] = 0  # velocities
    features_TD[:, -1] = 1
    features_TD[2] = 0  # nobody was found
    features_TD[3:, 2 * wrist] = 0.9
    joints = Joints(network, card)
    both = sum(joints(features_TD, column) for column in (0, 1))
    assert both.shape == (6, LANDMARK_COUNT)
    assert not both[2].any()
    assert both[:, wrist].sum() > 0.999 * both.sum() > 0
    assert inputs_for(network, moving_squares(1, SMALL)[0]).shape[-1] == FEATURES


def test_spans_cover_a_window_and_spread_over_its_frames():
    for frames in (1, 2, 6, 16, 20, 64):
        for heavy in (False, True):
            spans = spans_of(frames, heavy=heavy)
            assert (spans[0][0], spans[-1][1]) == (0, frames)
            assert {tick for span in spans for tick in range(*span)} == set(range(frames))
    assert spread(np.array([1.0, 3.0]), [(0, 2), (1, 3)], 3).tolist() == [1, 2, 3]


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_a_heat_map_lies_where_the_model_saw_it(fit):
    """The spot of the map is where the model's picture of the frame has it."""
    spec = ClipSpec(frames=2, height=64, width=64, fit=fit)
    shares_HW = np.zeros((16, 16), np.float32)
    shares_HW[8, 4] = 1  # 4.5 / 16 from the left of the model's picture
    drawn = lay_heat(np.full((100, 200, 3), 90, np.uint8), shares_HW, spec)
    brightest = drawn.astype(int).sum(axis=2)
    y, x = (float(np.mean(at)) for at in np.nonzero(brightest == brightest.max()))
    wanted = {"stretch": 4.5 / 16 * 200, "crop": 50 + 4.5 / 16 * 100, "letterbox": 4.5 / 16 * 200}[fit]
    assert x == pytest.approx(wanted, abs=2)
    assert y == pytest.approx(50 + {"stretch": 3.1, "crop": 3.1, "letterbox": 6.25}[fit], abs=2)
    assert (drawn[50, 10].sum() < 120) == (fit == "crop")  # what it never sees is darker


def test_the_command_writes_picture_video_and_document(model, film, tmp_path):
    done = kineme(
        "explain", model.path, film, "--label", "lamp", "--save", "png,mp4,json", "--out", tmp_path, "--json",
        "--engine", "keras", "--start", "1", "--end", "5",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    saved = json.loads((tmp_path / "lamp-explained.json").read_text())
    maps = saved.pop("heat_maps")
    assert saved == said
    assert (said["label"], said["source"]) == ("lamp", str(film))
    assert said["decided"][0]["start_s"] == pytest.approx(LAMP_S[0] - 1, abs=0.26)  # times count from --start
    assert len(said["times_s"]) == len(said["strips"]["occlusion"]) == len(said["strips"]["gradient"]) == 16
    values = np.frombuffer(base64.b64decode(maps["data"]), np.uint8).reshape(maps["shape"])
    assert values.shape == (16, 16, 16)
    assert values.max() == 255
    assert Image.open(tmp_path / "lamp-explained.png").size[0] == 1680
    info = probe(tmp_path / "lamp-explained.mp4")
    assert (info.width, info.duration_s) == (128, pytest.approx(4.0))
    frames = [frame.pixels_HWC for frame in read_frames(tmp_path / "lamp-explained.mp4")]
    assert info.height > 96 + 40  # the strip is below the picture
    heads = [int(frame[120:].min(axis=2).sum(axis=0).argmax()) for frame in (frames[0], frames[40], frames[-1])]
    assert heads == sorted(heads)  # the playhead goes on


def test_what_cannot_be_explained_is_told_in_one_line(model, film, tmp_path):
    with pytest.raises(UsageError, match="label 'sun': the model does not know it; it knows dark, lamp"):
        model.explain(film, label="sun")
    for arguments, says in (
        (("--label", "sun"), "the model does not know it"),
        (("--save", "gif"), "choose from png, mp4, json"),
    ):
        done = kineme("explain", model.path, film, *arguments, "--out", tmp_path)
        assert done.returncode == 2
        assert says in done.stderr
    assert not list(tmp_path.iterdir())
