"""BlazePose's landmarks of one body: their names, what joins them, and the numbers a network learns from.

The features say how a body is held and how it moves, not where it stands in the picture, how far away it is or how
many frames a second were taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kineme.models.poses import Pose, PoseLayout, Skeleton

Array = NDArray[np.float32]

# In the order of BlazePose. Left and right are the person's own.
LANDMARKS: tuple[str, ...] = (
    "nose",
    *("left eye inner", "left eye", "left eye outer", "right eye inner", "right eye", "right eye outer"),
    *("left ear", "right ear", "left mouth", "right mouth"),
    *("left shoulder", "right shoulder", "left elbow", "right elbow", "left wrist", "right wrist"),
    *("left pinky", "right pinky", "left index", "right index", "left thumb", "right thumb"),
    *("left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle"),
    *("left heel", "right heel", "left toes", "right toes"),
)
LANDMARK_COUNT = len(LANDMARKS)

_LIMBS = (
    *("shoulder elbow", "elbow wrist", "wrist pinky", "wrist index", "wrist thumb", "pinky index"),
    *("shoulder hip", "hip knee", "knee ankle", "ankle heel", "ankle toes", "heel toes"),
    *("eye inner-eye", "eye-eye outer", "eye outer-ear"),
)


def _number(name: str) -> int:
    return LANDMARKS.index(name)


def _connections() -> tuple[tuple[int, int], ...]:
    pairs = [("left shoulder", "right shoulder"), ("left hip", "right hip"), ("left mouth", "right mouth")]
    for side in ("left", "right"):
        pairs.append(("nose", f"{side} eye inner"))
        for limb in _LIMBS:
            first, last = limb.split("-" if "-" in limb else " ")
            pairs.append((f"{side} {first}", f"{side} {last}"))
    return tuple((_number(first), _number(last)) for first, last in pairs)


FEATURES = 5 * LANDMARK_COUNT + 1
"""D, the length of a frame's features."""

_FASTEST = 10.0  # body sizes a second; only a wrong landmark is faster


SKELETON = Skeleton(LANDMARKS, _connections())

NOBODY = SKELETON.nobody


def landmark_features(poses: Sequence[Pose], times_s: Sequence[float] | NDArray[np.float64]) -> Array:
    """What a network learns from: posture, motion and visibility, one row a frame.

    A row holds, in this order,

    - 66 numbers: x and y of each landmark from the middle of the hips, in body sizes;
    - 66 numbers: x and y velocity of each landmark in the picture, in body sizes a second, within ±10;
    - 33 numbers: visibility, 0 to 1;
    - 1 number: 1 if somebody was found. **A row of a frame without anybody is all zeros**, so the mask of
      missing frames is ``features_TD[:, -1] == 0``, and Keras' ``Masking`` finds it.

    The body size is 2.5 times the torso, or the farthest landmark from the hips where that is more (a body bent
    towards the camera has a short torso). Velocity is from the frame before. It is zero in the first frame, after a
    missing one, and where the hips moved by more than a body size at once, for then this is another person.

    A row depends on its own frame and the one before it alone, so a stream gets the same rows from the last two.

    Args:
        poses: one for each of the T frames, in order.
        times_s: when each was taken, in seconds.

    Returns:
        features_TD, float32, (T, 166).
    """
    if not poses:
        return np.zeros((0, FEATURES), np.float32)
    points_TL2 = np.stack([pose.landmarks_L2 for pose in poses]).astype(np.float64)
    found_T = np.array([pose.found for pose in poses])
    hips_T2 = points_TL2[:, [_number("left hip"), _number("right hip")]].mean(axis=1)
    shoulders_T2 = points_TL2[:, [_number("left shoulder"), _number("right shoulder")]].mean(axis=1)
    torso_T = np.linalg.norm(shoulders_T2 - hips_T2, axis=-1)
    reach_T = np.linalg.norm(points_TL2 - hips_T2[:, None], axis=-1).max(axis=1)
    size_T = np.maximum(np.maximum(2.5 * torso_T, reach_T), 1e-6)

    position_TL2 = (points_TL2 - hips_T2[:, None]) / size_T[:, None, None]
    velocity_TL2 = np.zeros_like(position_TL2)
    step_S = np.diff(np.asarray(times_s, np.float64))
    moved_S = np.linalg.norm(np.diff(hips_T2, axis=0), axis=-1)
    follows_S = found_T[1:] & found_T[:-1] & (step_S > 0) & (moved_S < size_T[1:])
    per_s = follows_S / np.where(follows_S, step_S, 1.0) / size_T[1:]
    velocity_TL2[1:] = np.clip(np.diff(points_TL2, axis=0) * per_s[:, None, None], -_FASTEST, _FASTEST)

    visibility_TL = np.stack([pose.visibility_L for pose in poses])
    frames = len(poses)
    parts = (position_TL2.reshape(frames, -1), velocity_TL2.reshape(frames, -1), visibility_TL, np.ones((frames, 1)))
    features_TD: Array = (np.concatenate(parts, axis=1) * found_T[:, None]).astype(np.float32)
    return features_TD


def _layout() -> PoseLayout:
    joints_DL = np.zeros((FEATURES, LANDMARK_COUNT), np.float32)
    joints_DL[np.arange(4 * LANDMARK_COUNT), np.arange(4 * LANDMARK_COUNT) // 2 % LANDMARK_COUNT] = 1
    is_motion_D = np.zeros(FEATURES, bool)
    is_motion_D[2 * LANDMARK_COUNT : 4 * LANDMARK_COUNT] = True
    return PoseLayout(SKELETON, 1, joints_DL, is_motion_D, np.full(FEATURES, FEATURES - 1))


LAYOUT = _layout()
"""What the features say of which landmark."""
