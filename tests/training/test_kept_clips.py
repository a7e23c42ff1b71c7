"""A linear head keeps training clips, and tells by their distance what is none of its classes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kineme.models.linear_head import ClassDistances
from kineme.models.open_set import DistanceDetector, detector_of
from kineme.training.fit_open_set import fit_distances
from kineme.training.kept_clips import clips_to_keep, keep_clips
from kineme.training.linear import PooledWindows


def made_up(seed: int, count: int, classes: range = range(3)) -> tuple[np.ndarray, np.ndarray]:
    """Windows of classes that lie in directions of their own."""
    rng = np.random.default_rng(seed)
    labels = np.array(classes)[np.arange(count) % len(classes)]
    directions = np.random.default_rng(9).normal(0, 2, (9, 40))
    return (rng.normal(0, 0.8, (count, 40)) + directions[labels]).astype(np.float32), labels


def windows(seed: int, count: int) -> PooledWindows:
    features, labels = made_up(seed, count)
    return PooledWindows(features, np.arange(count), np.ones(count, bool), labels, ["g"] * count)


def test_clips_of_no_class_are_far_and_known_ones_are_refused_as_seldom_as_stated() -> None:
    weights = windows(0, 90).solve(3)
    held_out, _ = made_up(1, 99)
    detector, refused = fit_distances(weights.scores(held_out), np.arange(99), weights.clips)
    assert refused == pytest.approx(0.05)
    known, unknown = made_up(2, 300)[0], made_up(3, 300, range(3, 9))[0]
    assert (detector.score(weights.scores(known)) < 0).mean() < 0.12
    assert (detector.score(weights.scores(unknown)) < 0).mean() > 0.9
    assert detector.score(np.zeros((1, 6)))[0] < 0, "where nobody was found, nothing known happens"
    empty = np.concatenate([weights.scores(held_out), np.zeros((20, 6))])
    assert fit_distances(empty, np.arange(119), weights.clips)[0] == detector, "nobody is far, and teaches no threshold"
    assert detector_of(json.loads(json.dumps(detector.to_json()))) == detector


def test_the_layer_measures_as_training_does() -> None:
    features, labels = made_up(0, 40)
    kept = keep_clips(features.astype(np.float64), np.arange(40), np.where(labels == 2, 1, labels), 3, 60)
    layer = ClassDistances(3, 60)
    layer.build((None, 40))
    kept.assign_to(layer)
    asked = made_up(5, 9)[0]
    found = np.asarray(layer(asked))
    np.testing.assert_allclose(found, kept.distances(asked.astype(np.float64)), atol=1e-5)
    assert (found[:, 2] > 5).all(), "a class without clips is far from everything"
    cosine = (
        asked[0] @ features[labels == 0].T / np.linalg.norm(asked[0]) / np.linalg.norm(features[labels == 0], axis=1)
    )
    assert found[0, 0] == pytest.approx(1 - np.sort(cosine)[-3:].mean(), abs=1e-5)


def test_how_many_clips_are_kept() -> None:
    assert clips_to_keep(np.repeat([0, 1], [2, 1]), 2) == 3
    assert clips_to_keep(np.repeat([0, 1], [500, 10]), 2) == 60
    assert clips_to_keep(np.arange(400).repeat(5), 400) == 3
    with pytest.raises(ValueError, match="3 to 60 clips"):
        DistanceDetector(2, 1.0)
