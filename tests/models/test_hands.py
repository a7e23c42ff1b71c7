"""Hands: what the features hold, and that joints are found where the hand is."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from kineme.models import weights
from kineme.models.approaches.pose_lstm import PoseLSTM
from kineme.models.backbones.hand_features import HAND, HAND_FEATURES, JOINTS, SKELETON, hand_features
from kineme.models.backbones.hands import HandFinder, make_encoder
from kineme.models.poses import Pose
from kineme.video.decode import read_frames

CLIP = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "real-clips" / "arm_wrestling.mp4"
TIMES = np.arange(5) / 8


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    found = weights.pull("hands") if os.environ.get("CI") else weights.find("hands")
    if found is None:
        pytest.skip("the networks of hands are not on this machine: kineme models pull hands")
    return found


def hand(x: float, y: float, size: float, bend: float = 0.0) -> Pose:
    """A hand that points upwards, whose index finger is bent by a share."""
    fingers = np.array([(0.35 * (finger - 2), -0.5 - 0.14 * joint) for finger in range(5) for joint in range(4)])
    points = np.concatenate(([(0.0, 0.0)], fingers))
    points[JOINTS.index("index tip"), 1] += 0.4 * bend
    return Pose((points * size + (x, y)).astype(np.float32), np.ones(21, np.float32), 0.9, SKELETON)


def test_neither_place_nor_size_changes_them_and_a_hand_that_is_not_seen_is_zeros():
    near = [[hand(100, 200 - 3 * t, 80, t / 5), hand(300, 200, 80) if t != 2 else SKELETON.nobody] for t in range(5)]
    far = [
        [Pose(one.landmarks_L2 / 2 + 40 * one.found, one.visibility_L, one.score, SKELETON) for one in both]
        for both in near
    ]
    features = hand_features(near, TIMES)
    assert features.shape == (5, HAND_FEATURES)
    np.testing.assert_allclose(hand_features(far, TIMES), features, atol=1e-4)
    assert features[:, [HAND - 1, 2 * HAND - 1, -1]].tolist() == [[1, 1, 1]] * 2 + [[1, 0, 0]] + [[1, 1, 1]] * 2
    assert not features[2, HAND:].any()
    assert features[1, -3] > 1, "the right hand is to the right"
    tip = 42 + 2 * JOINTS.index("index tip") + 1
    assert features[1, tip] != features[1, 43], "the bent finger moves otherwise than the wrist"
    assert not features[3, HAND + 42 : 2 * HAND - 1].any(), "no speed from a frame in which it was not seen"


def test_no_hand_gives_zeros_and_pose_lstm_takes_the_rows(files):
    encoder = make_encoder("hands", None, 1)
    rows = [row for _, row in encoder((time_s, np.full((96, 128, 3), 90, np.uint8)) for time_s in TIMES)]
    assert np.shape(rows) == (5, HAND_FEATURES)
    assert not np.any(rows)
    head = PoseLSTM("hands", units=4).build_head((5, HAND_FEATURES), 3)
    assert head.predict_on_batch(np.stack(rows)[None]).shape == (1, 3)


def test_a_real_hand_is_found_where_it_is_and_followed(files):
    if not CLIP.exists():
        pytest.skip("the real clips are not beside this repository")
    finder = HandFinder(files)
    frames = list(itertools.islice(read_frames(CLIP), 78, 104, 2))
    found = [finder.find(np.ascontiguousarray(frame.pixels_HWC), frame.pts_s) for frame in frames]
    seen = [one.landmarks_L2 for both in found for one in both if one.found]
    assert len(seen) >= 0.8 * len(frames)
    lowest, highest = np.min(seen, axis=(0, 1)), np.max(seen, axis=(0, 1))
    assert (lowest > (150, 15)).all()  # the clasped hands, in a frame of 427 x 256, lie about (215, 70)
    assert (highest < (275, 130)).all()
