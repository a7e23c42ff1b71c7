"""The threshold refuses as many known videos as it says, and more of what lies elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kineme.models.open_set import OpenSetDetector
from kineme.training.fit_open_set import fit_open_set, fit_threshold


@pytest.mark.parametrize("count", [19, 60, 400])
def test_new_videos_are_refused_as_often_as_stated(count):
    rng = np.random.default_rng(count)
    shares = []
    for _ in range(400):
        threshold, stated = fit_threshold(rng.gumbel(3, 2, count) ** 2)
        assert stated <= 0.05
        shares.append((rng.gumbel(3, 2, 1000) ** 2 > threshold).mean())
    assert np.mean(shares) == pytest.approx(stated, abs=0.008)


@pytest.mark.parametrize("count", [3, 6, 18])
def test_few_videos_refuse_hardly_more_than_stated(count):
    rng = np.random.default_rng(count)
    shares = []
    for _ in range(400):
        threshold, stated = fit_threshold(rng.normal(0, 1, count))
        assert stated == 0.05
        shares.append((rng.normal(0, 1, 1000) > threshold).mean())
    assert np.mean(shares) < 0.07


def test_one_video_sets_the_threshold_alone():
    assert fit_threshold([3.0]) == (3.0, 0.5)


def logits(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % 3
    return 4 * np.eye(3)[labels] + rng.normal(0, 0.7, (count, 3)), labels


def test_what_lies_far_from_all_labels_is_refused_even_where_it_is_named_surely():
    rng = np.random.default_rng(0)
    known, refused = fit_open_set(logits(rng, 99)[0], np.arange(99))
    assert refused == 0.05
    assert (known.score(logits(rng, 1000)[0]) < 0).mean() == pytest.approx(0.05, abs=0.04)
    beyond, between, none = [[12.0, 0, 0]], [[2.0, 2.0, 2.0]], [[-4.0, -4.0, -4.0]]
    assert (known.score(np.array([*beyond, *between, *none])) < 0).all()
    assert known.score(np.array([[4.0, 0, 0]]))[0] > 0.5


def test_a_network_that_has_learned_background_is_believed_when_it_doubts_an_action():
    rng = np.random.default_rng(0)
    rows, _ = logits(rng, 99)
    weak = np.array([[1.0, 0.0, 0.0]])  # near enough to a label, were it not for background, whose logit is 0
    spread = np.concatenate([rows, rng.uniform(0, 1, (20, 3)) * rows[:20]])  # videos in which little can be seen
    plain, _ = fit_open_set(spread, np.arange(119))
    doubting, refused = fit_open_set(spread, np.arange(119), background=True)
    assert plain.median_action_logodds is None
    assert doubting.median_action_logodds == pytest.approx(4, abs=0.3)
    assert (doubting.score(logits(rng, 1000)[0]) < 0).mean() < 0.05
    assert plain.score(weak)[0] - doubting.score(weak)[0] > 1
    own = [(doubting.score(row[None]) < 0)[0] for row in spread]
    assert np.mean(own) <= refused
    assert OpenSetDetector.from_json(json.loads(json.dumps(doubting.to_json()))) == doubting


def test_windows_of_one_video_do_not_vouch_for_each_other():
    rng = np.random.default_rng(0)
    rows, _ = logits(rng, 60)
    alone, _ = fit_open_set(rows, np.arange(60))
    twice, _ = fit_open_set(np.repeat(rows, 2, axis=0), np.repeat(np.arange(60), 2))
    assert twice.scale == pytest.approx(alone.scale, rel=0.2)


def test_training_windows_are_something_to_be_near_to_and_vouch_for_nothing():
    rng = np.random.default_rng(0)
    own, trained = logits(rng, 6)[0], logits(rng, 90)[0]
    few, stated = fit_open_set(own, np.arange(6), trained)
    assert stated == 0.05
    assert len(few.logits) == 96
    assert few.threshold > fit_open_set(np.concatenate([own, trained]), np.arange(96))[0].threshold
    alone, _ = fit_open_set(logits(rng, 6)[0], np.arange(6))
    assert few.scale < alone.scale


@pytest.mark.parametrize("count", [2, 3, 2000])
def test_two_videos_are_enough_for_a_number_and_of_thousands_some_are_kept(count):
    for spread in (0.0, 1.0):
        known, _ = fit_open_set(spread * np.random.default_rng(0).normal(size=(count, 4)), np.arange(count))
        assert len(known.logits) == min(count, 500)
        assert np.isfinite(known.score(np.zeros((2, 4)))).all()


def test_it_is_stored_as_text_and_nonsense_is_told():
    rng = np.random.default_rng(0)
    known, _ = fit_open_set(logits(rng, 30)[0], np.arange(30))
    text = json.dumps(known.to_json())
    assert OpenSetDetector.from_json(json.loads(text)) == known
    assert OpenSetDetector.from_json(None) is None
    for change in ({"threshold": float("nan")}, {"unit": -1.0}, {"logits": [[1.0], [1.0, 2.0]]}, {"logits": []}):
        with pytest.raises(ValueError, match="known"):
            OpenSetDetector.from_json(json.loads(text) | change)
