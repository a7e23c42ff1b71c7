"""The head of pose-lstm on made-up landmark features."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.errors import UsageError
from kineme.models.approaches.pose_lstm import PoseLSTM
from kineme.models.backbones.landmarks import FEATURES
from kineme.models.backend import keras, seed_everything


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


def test_maps_are_refused() -> None:
    with pytest.raises(UsageError, match="'pixels' gives none: use blazepose"):
        PoseLSTM(backbone="pixels").build_head((8, 64, 64, 3), 2)
