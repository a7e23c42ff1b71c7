"""Features of several people: what they take away, what they keep, and their symmetries."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.models.backbones.movenet import JOINTS
from kineme.models.backbones.pair_statistics import PairStatistics
from kineme.models.backbones.people_features import (
    MOST_PEOPLE,
    PEOPLE_FEATURES,
    PERSON,
    Joints,
    PeopleFeatures,
    people_features,
)
from kineme.models.backbones.people_symmetries import IN_MIRROR, SWAPPED

# Somebody who stands and faces the camera, in body heights: right is to the left.
STANDING = np.array(
    (
        *((0, -0.45), (0.02, -0.47), (-0.02, -0.47), (0.04, -0.46), (-0.04, -0.46), (0.1, -0.3), (-0.1, -0.3)),
        *((0.14, -0.15), (-0.14, -0.15), (0.15, 0), (-0.15, 0), (0.07, 0), (-0.07, 0), (0.07, 0.25), (-0.07, 0.25)),
        *((0.07, 0.5), (-0.07, 0.5)),
    )
)
TIMES = np.arange(12) / 8


def body(x: float, height: float = 100.0, reach: float = 0.0, seed: int = 0) -> np.ndarray:
    """Joints (17, 3) of somebody at x pixels whose right hand is stretched out by a share of the height."""
    points = STANDING + np.random.default_rng(seed).normal(0, 0.01, STANDING.shape)
    points[JOINTS.index("right wrist"), 0] -= reach
    scores = np.linspace(0.5, 0.9, 17)[:, None]
    return np.concatenate((points * height + (x, 200), scores), axis=1).astype(np.float32)


def scene(height: float = 100.0, left: float = 0.0) -> list[Joints]:
    """One walks up to another and stretches out a hand; the other is not seen once."""
    people = [
        {
            1: body(left + 3.0 * height - 8 * t, height, seed=t),
            2: body(left + (1 + 0.1 * t) * height, height, -0.05 * t, t),
        }
        for t in range(len(TIMES))
    ]
    del people[5][2]
    return people


def in_mirror(joints_JC: np.ndarray, width: float = 640.0) -> np.ndarray:
    swap = {"left": "right", "right": "left"}
    order = [JOINTS.index(" ".join(swap.get(word, word) for word in name.split())) for name in JOINTS]
    mirrored = joints_JC[order].copy()
    mirrored[:, 0] = width - mirrored[:, 0]
    return mirrored


def test_neither_place_nor_size_nor_rate_changes_them():
    people = scene()
    features = people_features(people, TIMES)
    far = [
        {one: np.concatenate((joints[:, :2] / 3 + 50, joints[:, 2:]), axis=1) for one, joints in now.items()}
        for now in people
    ]
    np.testing.assert_allclose(people_features(far, TIMES), features, atol=1e-3)
    slower = people_features(people, 2 * TIMES)
    speeds = slice(34, 68)
    moving = np.abs(features[1:, speeds]).max()
    assert moving > 0.1
    np.testing.assert_allclose(np.abs(slower[1:, speeds]).max(), moving / 2, rtol=0.2)


def test_a_row_needs_nothing_that_comes_later():
    people = scene()
    make = PeopleFeatures()
    live = np.stack([make(now, time_s) for now, time_s in zip(people, TIMES, strict=True)])
    np.testing.assert_array_equal(live, people_features(people, TIMES))
    np.testing.assert_array_equal(people_features(people[:7], TIMES[:7]), live[:7])


def test_who_is_not_there_has_zeros_and_a_row_without_anybody_is_all_zeros():
    features = people_features([*scene(), {}], [*TIMES, 1.5])
    assert features.shape == (13, PEOPLE_FEATURES)
    found = features[:, PERSON - 1 : MOST_PEOPLE * PERSON : PERSON]
    assert found[:, :2].sum(axis=1).tolist() == [2] * 5 + [1] + [2] * 6 + [0]
    assert not found[:, 2:].any()
    assert features[5, -1] == 0
    assert not features[12].any()
    assert np.isfinite(features).all()


def test_the_two_who_matter_most_come_first_and_keep_their_places():
    def crowd(t: int) -> Joints:
        bystanders = {} if t < 3 else {9: body(500, 40)}
        return {3: body(300, 30), 5: body(100, 200), 7: body(200, 180 + 15 * (t % 2)), **bystanders}

    features = people_features([crowd(t) for t in range(12)], TIMES)
    alone = people_features([{5: crowd(t)[5], 7: crowd(t)[7]} for t in range(12)], TIMES)
    np.testing.assert_allclose(features[:, : 2 * PERSON], alone[:, : 2 * PERSON], atol=1e-6)
    np.testing.assert_allclose(features[:, MOST_PEOPLE * PERSON :], alone[:, MOST_PEOPLE * PERSON :], atol=1e-6)


def test_the_features_of_a_mirrored_video_and_of_swapped_people_are_those_of_the_change():
    people = scene()
    features = people_features(people, TIMES)
    mirrored = people_features([{one: in_mirror(joints) for one, joints in now.items()} for now in people], TIMES)
    np.testing.assert_allclose(mirrored, IN_MIRROR(features), atol=1e-4)
    swapped = SWAPPED(features)
    assert np.abs(swapped - features).max() > 0.1
    np.testing.assert_array_equal(swapped[:, :PERSON], features[:, PERSON : 2 * PERSON])
    way, towards = MOST_PEOPLE * PERSON, MOST_PEOPLE * PERSON + 4
    np.testing.assert_array_equal(swapped[:, way : way + 2], -features[:, way : way + 2])
    np.testing.assert_array_equal(swapped[:, [towards, towards + 1]], features[:, [towards + 1, towards]])
    for change in (IN_MIRROR, SWAPPED):
        np.testing.assert_array_equal(change(change(features)), features)


def test_they_say_who_approaches():
    features = people_features(scene(), TIMES)
    first, second = features[6:, MOST_PEOPLE * PERSON + 4 : MOST_PEOPLE * PERSON + 6].mean(axis=0)
    slow, fast = sorted((first, second))
    assert slow == pytest.approx(0.1 * 8 / 1.0 / 1.0, rel=0.6)
    assert fast > slow > 0


def test_a_clip_as_a_vector_does_not_depend_on_who_is_called_the_first():
    features = people_features(scene(), TIMES)
    pool = PairStatistics()
    plain, swapped, backwards = np.asarray(pool(np.stack([features, SWAPPED(features), features[::-1]])))
    np.testing.assert_allclose(swapped, plain, atol=1e-5)
    assert np.abs(backwards - plain).max() > 0.1, "it tells the order"


@pytest.mark.parametrize("frames", [4, 20])
def test_a_clip_of_nobody_or_of_one_is_a_finite_vector(frames):
    one = people_features([{1: body(100, seed=t)} for t in range(frames)], np.arange(frames) / 8)
    nobody, alone = np.asarray(PairStatistics()(np.stack([np.zeros_like(one), one])))
    assert not nobody.any()
    assert np.isfinite(alone).all()
    assert alone[: PERSON - 1].any()
    assert not alone[PERSON : 2 * PERSON].any()
