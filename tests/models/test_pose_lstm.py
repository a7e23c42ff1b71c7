"""The head of pose-lstm on made-up landmark features."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.errors import UsageError
from kineme.models.approaches.pose_lstm import PoseLSTM
from kineme.models.backbones.landmarks import FEATURES
from kineme.models.backbones.people_features import MOST_PEOPLE, PEOPLE_FEATURES, PERSON
from kineme.models.backbones.people_symmetries import IN_MIRROR, SWAPPED
from kineme.models.backend import keras, seed_everything
from kineme.models.model_file import ModelCard, config_of
from kineme.models.network import build_network
from kineme.prediction.engines.keras import KerasFunction
from kineme.prediction.engines.steps import step_part
from kineme.video.spec import ClipSpec


def gestures(count: int, frames: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One number that rises (1) or falls (0) over time, at random heights, amid noise; some frames are missing."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 0.1, (count, frames, FEATURES)).astype(np.float32)
    labels = np.arange(count, dtype=np.int32) % 2
    ramp = np.linspace(-1, 1, frames)
    features[:, :, 31] = rng.normal(0, 0.2, (count, 1)) + np.where(labels[:, None] == 1, ramp, -ramp)
    features[..., -1] = 1
    features[:, 3] = 0
    return features, labels


@pytest.mark.parametrize(("frames", "classes"), [(2, 2), (20, 7)])
def test_gives_float32_logits_at_several_sizes(frames: int, classes: int) -> None:
    head = PoseLSTM(units=16).build_head((frames, FEATURES), classes)
    logits = head.predict_on_batch(gestures(3, frames=max(frames, 4))[0][:, :frames])
    assert logits.shape == (3, classes)
    assert logits.dtype == np.float32


def test_missing_frames_are_skipped() -> None:
    seed_everything(1)
    head = PoseLSTM().build_head((None, FEATURES), 3)
    features = gestures(4)[0][:, 4:]
    nobody = np.zeros((4, 2, FEATURES), np.float32)
    with_gaps = np.concatenate((nobody, features[:, :2], nobody, features[:, 2:], nobody), axis=1)
    np.testing.assert_allclose(head.predict_on_batch(with_gaps), head.predict_on_batch(features), atol=1e-5)
    assert np.ptp(head.predict_on_batch(features), axis=0).min() > 1e-3, "otherwise the comparison says nothing"


def test_a_clip_without_anybody_gets_the_same_finite_scores_beside_any_other() -> None:
    head = PoseLSTM().build_head((8, FEATURES), 3)
    empty = np.zeros((1, 8, FEATURES), np.float32)
    alone = head.predict_on_batch(empty)
    among = head.predict_on_batch(np.concatenate((gestures(3)[0], empty)))[3:]
    assert np.isfinite(alone).all()
    np.testing.assert_allclose(alone, among, atol=1e-6)


@pytest.mark.slow
def test_learns_the_order_of_frames() -> None:
    seed_everything(0)
    head = PoseLSTM(units=32, dropout=0.0).build_head((8, FEATURES), 2)
    head.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    features, labels = gestures(128)
    for _ in range(60):
        head.train_on_batch(features, labels)
    unseen, truth = gestures(40, seed=1)
    assert (head.predict_on_batch(unseen).argmax(1) == truth).mean() >= 0.95
    assert (head.predict_on_batch(unseen[:, ::-1]).argmax(1) == truth).mean() <= 0.1


def test_mixed_precision_gives_float32_logits_close_to_full_precision() -> None:
    features, _ = gestures(3)
    full = PoseLSTM().build_head((8, FEATURES), 2)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = PoseLSTM().build_head((8, FEATURES), 2)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(full.get_weights())
    logits = mixed.predict_on_batch(features)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, full.predict_on_batch(features), atol=0.05)


@pytest.mark.parametrize(("options", "says"), [({"units": 0}, "from 1 to 4096"), ({"dropout": 1.0}, "from 0 to 0.9")])
def test_wrong_options_are_named(options: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        PoseLSTM(**options)


def crowds(count: int, frames: int = 6) -> np.ndarray:
    """Features of several people, made up; some are not there."""
    rng = np.random.default_rng(3)
    features = rng.normal(0, 1, (count, frames, PEOPLE_FEATURES)).astype(np.float32)
    features[..., PERSON - 1 : MOST_PEOPLE * PERSON : PERSON] = 1
    features[..., 3 * PERSON : MOST_PEOPLE * PERSON] = 0
    features[:, 2] = 0
    features[0, :, PERSON : 2 * PERSON] = 0
    features[0, :, MOST_PEOPLE * PERSON :] = 0
    return features


@pytest.mark.parametrize("people", ["one", "pair", "all"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_mirror_and_who_is_called_the_first_change_nothing(people: str, pooling: str) -> None:
    head = PoseLSTM("movenet", units=8, people=people, mirror=True, pooling=pooling).build_head((6, PEOPLE_FEATURES), 3)
    features = crowds(4)
    logits = head.predict_on_batch(features)
    assert np.ptp(logits, axis=0).min() > 1e-3
    np.testing.assert_allclose(head.predict_on_batch(IN_MIRROR(features)), logits, atol=1e-5)
    swapped = head.predict_on_batch(SWAPPED(features))
    if people == "one":
        assert np.abs(swapped - logits).max() > 1e-3, "it reads one of them alone"
    else:
        np.testing.assert_allclose(swapped, logits, atol=1e-5)


def test_without_mirroring_a_mirror_image_is_another_clip() -> None:
    approach = PoseLSTM("movenet", units=8, people="pair", mirror=True).for_labels(mirrored=False)
    head = approach.build_head((6, PEOPLE_FEATURES), 3)
    features = crowds(4)
    assert np.abs(head.predict_on_batch(IN_MIRROR(features)) - head.predict_on_batch(features)).max() > 1e-3
    np.testing.assert_allclose(head.predict_on_batch(SWAPPED(features)), head.predict_on_batch(features), atol=1e-5)


@pytest.mark.parametrize("people", ["one", "pair", "all"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_state_carried_through_a_clip_of_several_people_gives_its_logits(people: str, pooling: str) -> None:
    approach = PoseLSTM("movenet", units=8, people=people, mirror=True, pooling=pooling)
    spec = ClipSpec(frames=6)
    network = build_network(approach, spec, 3)
    step = KerasFunction(step_part(ModelCard("pose-lstm", config_of(approach), spec, ("a", "b", "c")), network))
    states = [np.zeros(shape, np.float32) for shape in step.input_shapes[1:]]
    clip = crowds(2)[1]
    for row in clip:
        logits, *states = step(row[None], *states)
    np.testing.assert_allclose(logits, network.predict_on_batch(clip[None]), atol=1e-5)


@pytest.mark.parametrize("options", [{"people": "pair"}, {"people": "all"}, {"mirror": True}])
def test_what_needs_several_people_says_so_behind_a_backbone_that_finds_one(options: dict) -> None:
    with pytest.raises(UsageError, match="need a backbone that finds several people, such as movenet"):
        PoseLSTM(**options).build_head((8, FEATURES), 2)


def test_maps_are_refused() -> None:
    with pytest.raises(UsageError, match="'pixels' gives none: use blazepose or movenet"):
        PoseLSTM(backbone="pixels").build_head((8, 64, 64, 3), 2)
