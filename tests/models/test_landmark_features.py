"""Landmark features: what they hold, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_landmarks import MIRRORED, mirror_features

from kineme.models.backbones.landmarks import (
    FEATURES,
    LANDMARKS,
    NOBODY,
    SKELETON,
    landmark_features,
)
from kineme.models.poses import Pose

WRIST = LANDMARKS.index("left wrist")


def body(x: float = 200.0, y: float = 150.0, size: float = 100.0, wrist_up: float = 0.0, seed: int = 0) -> Pose:
    """An upright body of about ``size`` pixels with its hips at (x, y); its left wrist can be lifted by some sizes."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.3, 0.3, (len(LANDMARKS), 2))
    for name, place in {"shoulder": (0.15, -0.4), "hip": (0.1, 0.0)}.items():
        points[LANDMARKS.index(f"left {name}")] = place
        points[LANDMARKS.index(f"right {name}")] = (-place[0], place[1])
    points[WRIST] = (0.2, 0.1 - wrist_up)
    visibility = rng.uniform(0.1, 1.0, len(LANDMARKS)).astype(np.float32)
    return Pose((points * size + (x, y)).astype(np.float32), visibility, 0.9, SKELETON)


def mirrored(pose: Pose, width: int) -> Pose:
    """The pose of the mirrored frame."""
    if not pose.found:
        return pose
    points = pose.landmarks_L2[list(MIRRORED)] * (-1, 1) + (width - 1, 0)
    return Pose(points.astype(np.float32), pose.visibility_L[list(MIRRORED)], pose.score, SKELETON)


def velocities(features_TD: np.ndarray) -> np.ndarray:
    return features_TD[:, 66:132].reshape(len(features_TD), 33, 2)


def test_the_layout_is_position_velocity_visibility_found() -> None:
    poses = [body(), body(wrist_up=0.5), NOBODY]
    features = landmark_features(poses, [0.0, 0.1, 0.2])

    assert features.shape == (3, FEATURES) == (3, 166)
    assert features.dtype == np.float32
    # The torso is 0.4 of the size given, and the body size 2.5 torsos: positions are as they were given.
    assert features[0, 2 * WRIST : 2 * WRIST + 2] == pytest.approx([0.2, 0.1], abs=1e-5)
    assert features[1, 2 * WRIST : 2 * WRIST + 2] == pytest.approx([0.2, -0.4], abs=1e-5)
    assert velocities(features)[1, WRIST] == pytest.approx([0, -5], abs=1e-4)
    assert not np.delete(velocities(features)[1], WRIST, axis=0).any()
    np.testing.assert_array_equal(features[1, 132:165], poses[1].visibility_L)
    assert features[:, 165].tolist() == [1, 1, 0]
    assert landmark_features([], []).shape == (0, 166)


def test_place_and_distance_do_not_matter() -> None:
    times = [0.0, 0.1, 0.25, 0.3]
    near = [body(wrist_up=lift) for lift in (0, 0.1, 0.3, 0.2)]
    far = [Pose(pose.landmarks_L2 * 0.25 + (400, 30), pose.visibility_L, pose.score, SKELETON) for pose in near]
    np.testing.assert_allclose(landmark_features(near, times), landmark_features(far, times), atol=1e-3)


def test_the_frame_rate_does_not_matter() -> None:
    def filmed(fps: float) -> np.ndarray:
        times = np.arange(0, 1, 1 / fps)
        return landmark_features([body(x=200 + 80 * time, wrist_up=0.6 * time) for time in times], times)

    slow, fast = filmed(5), filmed(20)
    np.testing.assert_allclose(slow[1:], fast[4::4], atol=1e-3)


def test_a_body_that_moves_as_a_whole_has_a_velocity() -> None:
    features = landmark_features([body(x=100), body(x=120)], [0.0, 0.1])
    np.testing.assert_allclose(velocities(features)[1], np.tile((2.0, 0.0), (33, 1)), atol=1e-4)


def test_there_is_no_velocity_across_a_gap_or_to_another_person() -> None:
    poses = [body(x=100), NOBODY, body(x=120), body(x=300), body(x=301)]
    moving = velocities(landmark_features(poses, np.arange(5) / 10)).any(axis=(1, 2))
    assert moving.tolist() == [False, False, False, False, True]


def test_a_missing_frame_is_a_row_of_zeros_and_no_other_is() -> None:
    features = landmark_features([NOBODY, body(), body(), NOBODY], [0.0, 0.1, 0.2, 0.3])
    assert features.any(axis=1).tolist() == [False, True, True, False]


def test_a_wild_landmark_stays_within_bounds() -> None:
    wild = body()
    wild.landmarks_L2[WRIST] = (1e5, -1e5)
    features = landmark_features([body(), wild, body()], [0.0, 1e-4, 2e-4])
    assert np.isfinite(features).all()
    assert np.abs(features).max() <= 10


def test_a_mirrored_clip_has_the_mirrored_features() -> None:
    poses = [body(x=90), body(x=95, wrist_up=0.2, seed=1), NOBODY, body(x=99, seed=2), body(x=110, seed=3)]
    times = [0.0, 0.1, 0.2, 0.3, 0.4]
    features = landmark_features(poses, times)
    in_the_mirror = landmark_features([mirrored(pose, 320) for pose in poses], times)

    np.testing.assert_allclose(in_the_mirror, mirror_features(features), atol=1e-5)
    np.testing.assert_array_equal(mirror_features(mirror_features(features)), features)
    assert np.abs(in_the_mirror - features).max() > 0.1
    batch = np.stack([features, features[::-1]])
    np.testing.assert_array_equal(mirror_features(batch)[0], mirror_features(features))


def test_a_stream_gets_the_rows_of_the_clip_from_its_last_two_frames() -> None:
    poses = [body(x=90), body(x=95, wrist_up=0.2), NOBODY, body(x=99), body(x=104)]
    times = [0.0, 0.1, 0.2, 0.3, 0.4]
    clip = landmark_features(poses, times)
    for now in range(1, 5):
        pair = landmark_features(poses[now - 1 : now + 1], times[now - 1 : now + 1])
        np.testing.assert_array_equal(pair[1], clip[now])


def test_names_and_connections() -> None:
    assert len(LANDMARKS) == len(set(LANDMARKS)) == 33
    numbers = {"nose": 0, "right ear": 8, "left shoulder": 11, "right wrist": 16, "left hip": 23, "right toes": 32}
    assert {name: LANDMARKS.index(name) for name in numbers} == numbers
    assert [MIRRORED[MIRRORED[number]] for number in range(33)] == list(range(33))
    pairs = {frozenset(pair) for pair in SKELETON.connections}
    assert pairs == {frozenset(MIRRORED[end] for end in pair) for pair in pairs}
    assert {end for pair in pairs for end in pair} == set(range(33))
