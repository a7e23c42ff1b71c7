"""Features of poses are the same for the same video wherever they are made: training, prediction, a live stream."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from kineme.model import Model
from kineme.models import weights
from kineme.models.backbones.people_features import MOST_PEOPLE, PEOPLE_FEATURES, PERSON
from kineme.models.model_file import ModelCard, config_of
from kineme.models.network import build_network
from kineme.models.registry import find_backbone, make_approach, recommended
from kineme.people.encoder import open_encoder
from kineme.prediction.engines.select import open_engine
from kineme.prediction.explain.gradients import attribution_of
from kineme.prediction.windows import open_scorer
from kineme.training.cache import FrameCache
from kineme.video.clips import ticks
from kineme.video.decode import read_frames
from kineme.video.spec import ClipSpec
from kineme.video.write import VideoWriter

FRAMES, RATE = 12, 12


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Two photographs of a person that come closer; one is taken away for two frames."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    person = cv2.resize(
        cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), (154, 180), interpolation=cv2.INTER_AREA
    )
    video = tmp_path_factory.mktemp("pair") / "pair.mp4"
    with VideoWriter(video, width=426, height=240, fps=RATE) as writer:
        for number in range(FRAMES):
            frame = np.full((240, 426, 3), 128, np.uint8)
            frame[60:, 4 * number : 4 * number + 154] = person
            if number not in (5, 6):
                frame[60:, 240 - 3 * number : 394 - 3 * number] = person[:, ::-1]
            writer.write(frame)
    return video


@pytest.mark.parametrize("backbone", ["movenet", "blazepose"])
def test_training_prediction_and_stream_see_the_same_people(backbone, video, tmp_path):
    if os.environ.get("CI"):
        weights.pull(backbone)
    if weights.find(backbone) is None:
        pytest.skip(f"the weights of {backbone} are not on this machine: kineme models pull {backbone}")
    spec = ClipSpec(
        frames=4, fps=RATE, **{name: getattr(find_backbone(backbone).spec, name) for name in ("height", "width", "fit")}
    )
    approach = make_approach("pose-lstm", {**recommended("pose-lstm", backbone), "units": 4})
    network = build_network(approach, spec, 2)
    model = Model(network, ModelCard("pose-lstm", config_of(approach), spec, ("meet", "part")), "pair")

    cache = FrameCache(spec, open_encoder(network, approach), per_frame=1, folder=tmp_path)
    item = cache.whole(str(video))
    trained_TD = cache.records(item, list(range(item.ticks)))
    assert len(trained_TD) == FRAMES
    windows = open_scorer(model, "keras").iter_windows(video, ticks(video, spec), 1)
    predicted_TD = np.stack([features_TD[0] for _, features_TD in windows])
    np.testing.assert_array_equal(predicted_TD, trained_TD[: len(predicted_TD)])

    scores = [network.predict_on_batch(trained_TD[None, start : start + 4])[0] for start in range(FRAMES - 3)]
    live = []
    with model.stream(engine="keras") as stream:
        for frame in read_frames(video, size=(spec.height, spec.width), fit=spec.fit):
            stream.push(frame.pixels_HWC, frame.pts_s)
            live.append(stream.logits_K)
    np.testing.assert_allclose(live[3:], scores, atol=1e-5)
    if backbone == "movenet":
        seen_T2 = trained_TD[:, [PERSON - 1, 2 * PERSON - 1]]
        assert seen_T2[1:5].all()
        assert seen_T2.sum(axis=1).min() == 1
        assert trained_TD[4, MOST_PEOPLE * PERSON + 4 : MOST_PEOPLE * PERSON + 6].min() > 0, "they walk to each other"


def pair_model(people: str) -> Model:
    spec = ClipSpec(frames=6, height=256, width=256, fit="letterbox")
    approach = make_approach("pose-lstm", {**recommended("pose-lstm", "movenet"), "people": people, "units": 8})
    return Model(
        build_network(approach, spec, 3), ModelCard("pose-lstm", config_of(approach), spec, ("a", "b", "c")), ""
    )


def made_up() -> np.ndarray:
    """A clip of one person, and of two in its second half; the third frame is empty."""
    features = np.random.default_rng(0).normal(size=(6, PEOPLE_FEATURES)).astype(np.float32)
    features[:, PERSON - 1], features[:, 2 * PERSON - 1], features[:, -1] = 1, 1, 1
    features[:3, PERSON:], features[:, 2 * PERSON : MOST_PEOPLE * PERSON], features[2] = 0, 0, 0
    return features


@pytest.mark.parametrize("people", ["pair", "all"])
def test_compiled_parts_give_what_keras_gives(people):
    if weights.find("movenet") is None:
        pytest.skip("the weights of movenet are not on this machine: kineme models pull movenet")
    model, features = pair_model(people), made_up()
    wanted = model.network.predict_on_batch(features[None])
    engine = open_engine("litert", model)
    np.testing.assert_allclose(engine.function("window")(features[None])[0], wanted, atol=1e-5)
    step = engine.function("step")
    states = [np.zeros(shape, np.float32) for shape in step.input_shapes[1:]]
    for row in features:
        logits, *states = step(row[None], *states)
    np.testing.assert_allclose(logits, wanted, atol=1e-5)


def test_an_explanation_says_which_joint_of_which_person_spoke():
    if weights.find("movenet") is None:
        pytest.skip("the weights of movenet are not on this machine: kineme models pull movenet")
    model = pair_model("pair")
    spoke_TPL = attribution_of(model)(made_up(), 0).reshape(6, MOST_PEOPLE, -1)
    assert spoke_TPL[:, :2].max() > 0
    assert not spoke_TPL[2].any(), "nobody is there"
    assert not spoke_TPL[:2, 1].any(), "the second is not there yet"
    assert spoke_TPL[3:, 1].any()
    assert not spoke_TPL[:, 2:].any(), "a pair is two"
    assert model.card.backbone.pose is not None
    assert model.card.backbone.pose.names[17] == "person 2, nose"
