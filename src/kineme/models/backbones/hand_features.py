"""Features of two hands: how the fingers are held, how they move, and where one hand is from the other.

They say nothing of where in the picture the hands are, how far away or how many frames a second were taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kineme.models.poses import Pose, PoseLayout, Skeleton

Array = NDArray[np.float32]

_FINGERS = ("thumb", "index", "middle", "ring", "little")
JOINTS: tuple[str, ...] = ("wrist", *(f"{finger} {joint}" for finger in _FINGERS for joint in (1, 2, 3, "tip")))
"""In the order of the network; joint 1 of a finger is nearest to the wrist."""

JOINT_COUNT = len(JOINTS)
HAND_COUNT = 2  # the left one first
HAND = 4 * JOINT_COUNT + 1
BETWEEN = 3
HAND_FEATURES = HAND_COUNT * HAND + BETWEEN
"""D, the length of a row."""

_FASTEST = 20.0  # hand sizes a second; only a wrong joint is faster
_FARTHEST = 10.0  # hand sizes
_KNUCKLES = [JOINTS.index(f"{finger} 1") for finger in _FINGERS[1:]]


def _connections() -> tuple[tuple[int, int], ...]:
    along = [(first, first + 1) for finger in range(5) for first in range(4 * finger + 1, 4 * finger + 4)]
    return (*along, (0, 1), (0, 5), (0, 17), (5, 9), (9, 13), (13, 17))


SKELETON = Skeleton(JOINTS, _connections())


def hand_features(hands_T: Sequence[Sequence[Pose]], times_s: Sequence[float]) -> Array:
    """Features of two hands at some instants, one row for each.

    A row holds, in this order,

    - the left hand and the right hand, each with 85 numbers: x and y of each joint from the wrist, in hand sizes (42);
      x and y velocity of each joint in the picture, in hand sizes a second, within ±20 (42); and 1. **The numbers of a
      hand that is not seen are zeros**;
    - the way from the left wrist to the right one, in the mean of their sizes (2), and 1; zeros unless both are seen.

    A hand's size is twice the way from the wrist to the middle of the knuckles, or the way to its farthest joint where
    this is longer. A row depends on its own instant and the one before it alone.

    Args:
        hands_T: the left hand and the right hand at each instant.
        times_s: the instants, rising.

    Returns:
        features_TD, float32, (T, 173).
    """
    make = HandFeatures()
    rows = [make(hands, time_s) for hands, time_s in zip(hands_T, times_s, strict=True)]
    return np.stack(rows) if rows else np.zeros((0, HAND_FEATURES), np.float32)


class HandFeatures:
    """Makes the rows of :func:`hand_features`, instant by instant."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the hands."""
        self._before: list[Pose] = []
        self._time_s = 0.0

    def __call__(self, hands: Sequence[Pose], time_s: float) -> Array:
        """The row of an instant, (D,)."""
        row_D = np.zeros(HAND_FEATURES, np.float32)
        for place, hand in enumerate(hands):
            if hand.found:
                points_J2, size = hand.landmarks_L2, _size(hand)
                start = place * HAND
                row_D[start : start + 2 * JOINT_COUNT] = ((points_J2 - points_J2[0]) / size).ravel()
                step_s = time_s - self._time_s
                if self._before and self._before[place].found and step_s > 0:
                    velocity_J2 = (points_J2 - self._before[place].landmarks_L2) / (size * step_s)
                    velocity_J2 = np.clip(velocity_J2, -_FASTEST, _FASTEST)
                    row_D[start + 2 * JOINT_COUNT : start + 4 * JOINT_COUNT] = velocity_J2.ravel()
                row_D[start + HAND - 1] = 1
        left, right = hands
        if left.found and right.found:
            way_2 = (right.landmarks_L2[0] - left.landmarks_L2[0]) / ((_size(left) + _size(right)) / 2)
            row_D[-BETWEEN:] = (*np.clip(way_2, -_FARTHEST, _FARTHEST), 1)
        self._before, self._time_s = list(hands), time_s
        return row_D


def _size(hand: Pose) -> float:
    from_wrist_J2 = hand.landmarks_L2 - hand.landmarks_L2[0]
    palm = float(np.linalg.norm(from_wrist_J2[_KNUCKLES].mean(axis=0)))
    return max(2 * palm, float(np.linalg.norm(from_wrist_J2, axis=-1).max()), 1e-3)


def _layout() -> PoseLayout:
    joints_DJ = np.zeros((HAND_FEATURES, HAND_COUNT * JOINT_COUNT), np.float32)
    is_motion_D = np.zeros(HAND_FEATURES, bool)
    flag_D = np.full(HAND_FEATURES, HAND_FEATURES - 1)
    numbers = np.arange(4 * JOINT_COUNT)
    for place in range(HAND_COUNT):
        start = place * HAND
        joints_DJ[start + numbers, place * JOINT_COUNT + numbers // 2 % JOINT_COUNT] = 1
        is_motion_D[start + 2 * JOINT_COUNT : start + 4 * JOINT_COUNT] = True
        flag_D[start : start + HAND] = start + HAND - 1
    joints_DJ[-BETWEEN:-1, [0, JOINT_COUNT]] = 0.5
    return PoseLayout(SKELETON, HAND_COUNT, joints_DJ, is_motion_D, flag_D, noun="hand")


LAYOUT = _layout()
"""What the features say of which joint."""
