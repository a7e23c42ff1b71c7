"""The skeleton on a frame: colours by side, faint where unseen, width by size, nothing elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.models.backbones.landmarks import LANDMARKS, NOBODY, SKELETON
from kineme.models.poses import Pose
from kineme.report.skeleton import draw_skeleton

GREY = 90


def standing(height: int, width: int, visibility: float = 1.0, size: float | None = None) -> Pose:
    """A body in the middle, facing us (its left is on our right); only shoulders, elbows, wrists and hips show."""
    size = size or 0.6 * height
    places = {
        "shoulder": (0.12, -0.35),
        "elbow": (0.3, -0.2),
        "wrist": (0.3, 0.1),
        "hip": (0.08, 0.0),
        "toes": (0, 0.5),
    }
    points = np.zeros((len(LANDMARKS), 2), np.float32)
    seen = np.zeros(len(LANDMARKS), np.float32)
    for name, (x, y) in places.items():
        for side, sign in (("left", 1), ("right", -1)):
            number = LANDMARKS.index(f"{side} {name}")
            points[number] = (width / 2 + sign * x * size, height / 2 + y * size)
            seen[number] = visibility * (name != "toes")
    return Pose(points, seen, 1.0, SKELETON)


def grey(height: int = 240, width: int = 320) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def between(pose: Pose, first: str, last: str) -> tuple[int, int]:
    """Row and column of the middle of a limb."""
    x, y = pose.landmarks_L2[[LANDMARKS.index(first), LANDMARKS.index(last)]].mean(axis=0)
    return round(float(y)), round(float(x))


def test_left_is_orange_right_is_blue_and_what_joins_them_white() -> None:
    frame, pose = grey(), standing(240, 320)
    drawn = draw_skeleton(frame, pose)

    red, _, blue = drawn[between(pose, "left elbow", "left wrist")].astype(int)
    assert red > blue + 100
    red, _, blue = drawn[between(pose, "right elbow", "right wrist")].astype(int)
    assert blue > red + 100
    assert drawn[between(pose, "left shoulder", "right shoulder")].min() > 200
    assert (frame == GREY).all(), "the frame given stays as it was"


def test_a_limb_is_as_faint_as_its_less_visible_end() -> None:
    pose = standing(240, 320)
    spot = between(pose, "left elbow", "left wrist")

    def red(wrist: float) -> int:
        pose.visibility_L[LANDMARKS.index("left wrist")] = wrist
        return int(draw_skeleton(grey(), pose)[spot][0])

    assert red(1.0) > red(0.6) > red(0.3) > GREY
    assert red(0.05) == GREY


def test_nothing_is_drawn_away_from_the_body_or_where_nobody_is() -> None:
    assert (draw_skeleton(grey(), NOBODY) == GREY).all()
    drawn = draw_skeleton(grey(), standing(240, 320))
    changed = np.argwhere((drawn != GREY).any(axis=2))
    assert changed.min(axis=0) == pytest.approx([120 - 50, 160 - 43], abs=5)
    assert changed.max(axis=0) == pytest.approx([120 + 15, 160 + 43], abs=5)


def test_lines_follow_the_size_of_the_frame_and_are_thinner_on_a_small_person() -> None:
    def thickness(height: int, size: float | None = None) -> int:
        pose = standing(height, height, size=size)
        row, _ = between(pose, "left elbow", "left wrist")
        drawn = draw_skeleton(grey(height, height), pose)[row, height // 2 :]
        return int((drawn != GREY).any(axis=1).sum())

    assert thickness(1080) > thickness(480) > thickness(120) >= 2
    assert thickness(1080, size=100) < thickness(1080)


@pytest.mark.parametrize("far", [1e3, 1e9, -1e9])
def test_landmarks_outside_the_frame_and_tiny_frames_do_no_harm(far: float) -> None:
    pose = standing(24, 16)
    pose.landmarks_L2[LANDMARKS.index("left wrist")] = far
    drawn = draw_skeleton(grey(24, 16), pose)
    assert drawn.shape == (24, 16, 3)
    assert (drawn != GREY).any()
