"""What is fused when: which approaches see order, which frames, and what they learn from."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_networks import SMALL, network_of

from kineme.errors import UsageError
from kineme.models.backend import keras, seed_everything
from kineme.models.registry import make_approach
from kineme.video.spec import ClipSpec

VECTORS = (6, 24)
FUSIONS = ("single-frame", "late-fusion", "early-fusion", "slow-fusion")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, np.float32)


def head_of(name: str, shape: tuple[int, ...] = VECTORS, classes: int = 3, **options: object) -> keras.Model:
    return make_approach(name, options).build_head(shape, classes)


@pytest.mark.parametrize(
    ("name", "options", "sees_order"),
    [
        ("single-frame", {}, False),
        ("late-fusion", {"merge": "mean"}, False),
        ("late-fusion", {}, True),
        ("late-fusion", {"frames": "two"}, True),
        ("late-fusion", {"merge": "attention"}, True),
        ("early-fusion", {}, True),
        ("early-fusion", {"centre": False}, True),
        ("slow-fusion", {}, True),
        ("slow-fusion", {"centre": False}, True),
    ],
)
def test_shuffled_frames_change_the_scores_of_those_that_see_order(name, options, sees_order):
    seed_everything(0)
    network = network_of(name, classes=3, **options)
    clips = np.random.default_rng(1).integers(0, 256, (4, SMALL.frames, 64, 64, 3), np.uint8)
    shuffled = clips[:, [3, 5, 0, 4, 1, 2]]
    difference = np.abs(network.predict_on_batch(clips) - network.predict_on_batch(shuffled)).max()
    assert difference > 1e-4 if sees_order else difference < 1e-5


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.parametrize("shape", [(2, 8), VECTORS, (20, 1280), (1, 1024), (3, 64, 64, 3), (2, 70, 90, 3)])
def test_vectors_and_pixels_of_many_sizes_both_build(name, shape):
    logits = head_of(name, shape).predict_on_batch(noise(2, *shape))
    assert logits.shape == (2, 3)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", FUSIONS)
def test_builds_first_thing_in_a_process(name):
    # Keras counts the operations that it names itself; the first of each kind takes the bare name, as "mean".
    keras.backend.clear_session()
    network_of(name)


@pytest.mark.parametrize("name", ["early-fusion", "slow-fusion"])
def test_vectors_in_another_order_score_otherwise(name):
    head, features = head_of(name), noise(2, *VECTORS)
    assert np.abs(head.predict_on_batch(features) - head.predict_on_batch(features[:, ::-1])).max() > 1e-4


def test_two_frame_fusion_looks_at_the_ends_alone():
    features = noise(2, *VECTORS)
    middle_changed, end_changed = features.copy(), features.copy()
    middle_changed[:, 1:-1] += 1
    end_changed[:, -1] += 1
    two, every = head_of("late-fusion", frames="two"), head_of("late-fusion")
    np.testing.assert_array_equal(two.predict_on_batch(features), two.predict_on_batch(middle_changed))
    assert np.abs(two.predict_on_batch(features) - two.predict_on_batch(end_changed)).max() > 1e-4
    assert np.abs(every.predict_on_batch(features) - every.predict_on_batch(middle_changed)).max() > 1e-4


def test_attention_sees_order_by_the_places_of_frames_alone():
    seed_everything(0)
    head, features = head_of("late-fusion", merge="attention", units=12), noise(2, *VECTORS)
    token = head.get_layer("class_token")
    assert token.heads == 4
    shuffled = features[:, ::-1]
    assert np.abs(head.predict_on_batch(features) - head.predict_on_batch(shuffled)).max() > 1e-5
    token.positions.assign(np.zeros(token.positions.shape))
    np.testing.assert_allclose(head.predict_on_batch(features), head.predict_on_batch(shuffled), atol=1e-5)


def test_single_frame_scores_a_clip_by_the_mean_of_its_frames():
    head, features = head_of("single-frame"), noise(2, *VECTORS)
    np.testing.assert_allclose(head.predict_on_batch(features), frame_logits(head, features).mean(axis=1), atol=1e-5)


def test_single_frame_shows_one_random_frame_of_each_clip_while_training():
    seed_everything(0)
    head, features = head_of("single-frame", dropout=0), noise(40, *VECTORS)
    each_BTK = frame_logits(head, features)
    shown = []
    for _ in range(2):
        logits_BK = keras.ops.convert_to_numpy(head(features, training=True))
        distance_BT = np.abs(each_BTK - logits_BK[:, None]).max(axis=2)
        assert (distance_BT.min(axis=1) < 1e-5).all()  # some frame's own scores
        assert (np.sort(distance_BT, axis=1)[:, 1] > 1e-3).all()  # and no other's
        shown.append(distance_BT.argmin(axis=1))
    assert set(shown[0]) == set(range(VECTORS[0]))
    assert (shown[0] != shown[1]).any()


def test_the_frames_shown_while_training_repeat_with_the_seed():
    def train() -> np.ndarray:
        seed_everything(5)
        head = head_of("single-frame")
        head.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        for _ in range(3):
            head.train_on_batch(noise(8, *VECTORS), np.arange(8) % 3)
        return head.get_weights()[0]

    np.testing.assert_array_equal(train(), train())


@pytest.mark.parametrize("name", ["early-fusion", "slow-fusion"])
def test_centred_approaches_take_no_notice_of_what_stands_still(name):
    rng = np.random.default_rng(2)
    movement = rng.integers(0, 100, (1, SMALL.frames, 64, 64, 3), np.uint8)
    scene = rng.integers(0, 150, (1, 1, 64, 64, 3), np.uint8)
    centred, published = network_of(name), network_of(name, centre=False)
    clips, elsewhere = movement, movement + scene
    np.testing.assert_allclose(centred.predict_on_batch(clips), centred.predict_on_batch(elsewhere), atol=1e-5)
    assert np.abs(published.predict_on_batch(clips) - published.predict_on_batch(elsewhere)).max() > 1e-4


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("single-frame", {"dropout": "0.95"}, "from 0 to 0.9"),
        ("late-fusion", {"dropout": "-1"}, "from 0 to 0.9"),
        ("late-fusion", {"units": "0"}, "from 1 to 4096"),
        ("late-fusion", {"frames": "three"}, "one of all, two"),
        ("late-fusion", {"merge": "max"}, "one of concat, mean, attention"),
        ("early-fusion", {"units": "5000"}, "from 1 to 4096"),
        ("early-fusion", {"dropout": "1"}, "from 0 to 0.9"),
        ("slow-fusion", {"dropout": "nan"}, "from 0 to 0.9"),
    ],
)
def test_wrong_options_are_named(name, options, says):
    with pytest.raises(UsageError, match=f"{name}: option .*{says}"):
        make_approach(name, options)


def test_absurd_sizes_are_refused_before_anything_is_allocated():
    for name, backbone in (("late-fusion", "pixels"), ("early-fusion", "small-cnn")):
        with pytest.raises(UsageError, match="choose a smaller size or fewer frames"):
            network_of(name, ClipSpec(frames=64, height=2048, width=2048), backbone=backbone, units=4096)


def frame_logits(head: keras.Model, features_BTD: np.ndarray) -> np.ndarray:
    """Scores (B, T, K) of each frame, from clips that show it all the time."""
    frames = features_BTD.shape[1]
    each = [head.predict_on_batch(np.repeat(features_BTD[:, [t]], frames, axis=1)) for t in range(frames)]
    return np.stack(each, axis=1)
