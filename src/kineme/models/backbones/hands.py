"""MediaPipe Hands: finds the two hands nearest to the camera in each frame of a video and 21 joints of each.

Two networks, as in BlazePose. The detector looks at the whole frame and finds palms: unlike fingers they hardly change
their shape. The landmark network looks at the square around a hand that points upwards, and its joints say where the
hand is, so the next frame needs no detector for it.

Hands smaller than about a tenth of the frame are seldom found. Left and right are the person's own in a video that is
not mirrored, as far as the landmark network can tell: of a hand seen from its edge it often cannot.

Sources: Zhang et al., `MediaPipe Hands: On-device Real-time Hand Tracking <https://arxiv.org/abs/2006.10214>`_, 2020.
The networks are Google's (MediaPipe, Apache-2.0); anchors, thresholds and margins are those of MediaPipe.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kineme.models.backbone import Backbone, features_as_they_are
from kineme.models.backbones.hand_features import HAND_COUNT, HAND_FEATURES, LAYOUT, SKELETON, HandFeatures
from kineme.models.backbones.one_euro import OneEuro
from kineme.models.litert import PublishedNetwork
from kineme.models.mediapipe import mediapipe_weights
from kineme.models.poses import Pose, PoseEncoder
from kineme.video.spec import ClipSpec

Array = NDArray[np.float32]
Frame = NDArray[np.uint8]

_DETECTOR_SIZE, _CROP_SIZE = 192, 224  # pixels
_THRESHOLD = 0.5  # a palm or a followed hand must score more
_LONGEST_GAP_S = 1.0  # a hand that was last seen longer ago is looked for anew
_STRIDES = (8, 16, 16, 16)  # of the detector's layers, each with two anchors in every cell
_SAME_HAND = 0.5  # of its size: regions whose centres are nearer are of one hand
_PALM_ROOM, _PALM_SHIFT = 2.6, 0.5  # the square of a hand, in sides of the palm's box, and how far towards the fingers
_HAND_ROOM, _HAND_SHIFT = 2.0, 0.1  # likewise from the joints of the frame before
_STABLE = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # joints that say where the hand is, whatever the fingertips do


class _Region(NamedTuple):
    """A square with a hand that points upwards in it: centre, side in pixels, and how far it is turned, in radians."""

    x: float
    y: float
    size: float
    angle: float

    def to_crop(self) -> NDArray[np.float64]:
        """Matrix (2, 3) from places in the frame to places in the crop."""
        scale = _CROP_SIZE / self.size
        cos, sin = scale * math.cos(self.angle), scale * math.sin(self.angle)
        turn = np.array(((cos, sin), (-sin, cos)))
        return np.column_stack((turn, _CROP_SIZE / 2 - turn @ (self.x, self.y)))


class _Seen(NamedTuple):
    """What the landmark network says of a region, in pixels of the frame; ``right`` is 1 for a right hand, else 0."""

    joints_L2: Array
    score: float
    right: float
    next_region: _Region


class HandFinder:
    """Finds two hands in one frame after another; see :class:`~kineme.models.poses.PoseFinder`.

    Args:
        files: ``palm_detection_full.tflite`` and ``hand_landmark_full.tflite``.
        threads: processor threads for the networks.

    Raises:
        KinemeError: LiteRT is not installed, or a file is not a network.
    """

    def __init__(self, files: Mapping[str, Path], *, threads: int = 1) -> None:
        self._detector = PublishedNetwork(files["palm_detection_full.tflite"], threads)
        self._landmarker = PublishedNetwork(files["hand_landmark_full.tflite"], threads)
        self._features = HandFeatures()
        self._smooth = [OneEuro(min_cutoff_hz=1.0, beta=20.0) for _ in range(HAND_COUNT)]
        self.reset()

    def reset(self) -> None:
        """Forget the hands."""
        self._regions: list[_Region] = []
        self._time_s: float | None = None
        self._features.reset()
        for smooth in self._smooth:
            smooth.reset()

    def find(self, frame_HWC: Frame, time_s: float | None) -> list[Pose]:
        """The left hand and the right hand; nobody's where one is not seen."""
        if time_s is None or (self._time_s is not None and not 0 <= time_s - self._time_s <= _LONGEST_GAP_S):
            self.reset()
        self._time_s = time_s
        seen = [one for region in self._regions if (one := self._look(frame_HWC, region))]
        if len(seen) < HAND_COUNT:
            known = [one.next_region for one in seen]
            new = [region for region in self._detect(frame_HWC) if not any(_is_same(region, one) for one in known)]
            seen += [one for region in new[: HAND_COUNT - len(seen)] if (one := self._look(frame_HWC, region))]
        self._regions = [one.next_region for one in seen]
        return [self._pose(place, one, time_s) for place, one in enumerate(_sides(seen))]

    def features(self, frame_HWC: Frame, time_s: float) -> Array:
        """The row of :func:`~kineme.models.backbones.hand_features.hand_features`."""
        return self._features(self.find(frame_HWC, time_s), time_s)

    def _pose(self, place: int, seen: _Seen | None, time_s: float | None) -> Pose:
        if seen is None:
            self._smooth[place].reset()
            return SKELETON.nobody
        joints_L2 = seen.joints_L2
        if time_s is not None:
            joints_L2 = self._smooth[place](joints_L2, time_s, seen.next_region.size)
        return Pose(joints_L2, np.full(len(joints_L2), seen.score, np.float32), seen.score, SKELETON)

    def _detect(self, frame_HWC: Frame) -> list[_Region]:
        """The regions of hands whose palms are found, the surest first, each once."""
        import cv2

        height, width = frame_HWC.shape[:2]
        side = max(height, width)
        left, top = (side - width) // 2, (side - height) // 2
        square_HWC = np.zeros((side, side, 3), np.uint8)
        square_HWC[top : top + height, left : left + width] = frame_HWC
        small_HWC = cv2.resize(square_HWC, (_DETECTOR_SIZE, _DETECTOR_SIZE), interpolation=cv2.INTER_AREA)
        boxes_N18, logits_N = (one[0] for one in self._detector(small_HWC.astype(np.float32) / 255)[:2])
        scores_N = 1 / (1 + np.exp(-np.clip(logits_N[:, 0].astype(np.float64), -80, 80)))
        found: list[_Region] = []
        for number in np.argsort(-scores_N, kind="stable").tolist():
            if scores_N[number] <= _THRESHOLD:
                break
            # A box is its centre and size, then 7 points: the wrist, and the root of the middle finger as the third.
            palm = boxes_N18[number].astype(np.float64) / _DETECTOR_SIZE * side
            centre, wrist, finger = palm[:2], palm[4:6], palm[8:10]
            x, y = (centre + _anchors()[number] * side - (left, top)).tolist()
            region = _shifted(x, y, float(palm[2:4].max()), _upright(wrist, finger), _PALM_ROOM, _PALM_SHIFT)
            if region.size > 1 and not any(_is_same(region, one) for one in found):
                found.append(region)
        return found

    def _look(self, frame_HWC: Frame, region: _Region) -> _Seen | None:
        """The joints of the hand in a region, if there is one."""
        import cv2

        to_crop = region.to_crop()
        crop_HWC = cv2.warpAffine(frame_HWC, to_crop, (_CROP_SIZE, _CROP_SIZE))
        numbers, score, right = self._landmarker(crop_HWC.astype(np.float32) / 255)[:3]
        if score[0, 0] <= _THRESHOLD:
            return None
        places_L2 = numbers.reshape(-1, 3)[:, :2]
        to_frame = cv2.invertAffineTransform(to_crop)
        joints_L2 = (places_L2 @ to_frame[:, :2].T + to_frame[:, 2]).astype(np.float32)
        return _Seen(joints_L2, float(score[0, 0]), float(right[0, 0]), _around(joints_L2))


def _upright(wrist: Any, finger: Any) -> float:
    """By how much a hand is turned to the right, whose fingers are meant to point upwards."""
    return math.atan2(float(finger[0] - wrist[0]), float(wrist[1] - finger[1]))


def _shifted(x: float, y: float, size: float, angle: float, room: float, shift: float) -> _Region:
    """The square around a box of a palm or of joints, moved towards the fingers by a share of its size."""
    return _Region(x + shift * size * math.sin(angle), y - shift * size * math.cos(angle), room * size, angle)


def _around(joints_L2: Array) -> _Region:
    """Where the hand will be looked for in the next frame."""
    fingers = (joints_L2[5] + joints_L2[13]) / 4 + joints_L2[9] / 2
    angle = _upright(joints_L2[0], fingers)
    turn = np.array(((math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))))
    upright_L2 = joints_L2[list(_STABLE)] @ turn.T
    lowest, highest = upright_L2.min(axis=0), upright_L2.max(axis=0)
    x, y = turn.T @ ((lowest + highest) / 2)
    return _shifted(float(x), float(y), float((highest - lowest).max()), angle, _HAND_ROOM, _HAND_SHIFT)


def _is_same(one: _Region, other: _Region) -> bool:
    return math.hypot(one.x - other.x, one.y - other.y) < _SAME_HAND * max(one.size, other.size)


def _sides(seen: list[_Seen]) -> list[_Seen | None]:
    """The left and the right hand; of two that look like the same, the likelier is that one."""
    places: list[_Seen | None] = [None, None]
    for one in sorted(seen, key=lambda one: -abs(one.right - 0.5)):
        place = 1 if one.right > 0.5 else 0
        places[place if places[place] is None else 1 - place] = one
    return places


@functools.cache
def _anchors() -> NDArray[np.float64]:
    """Centre of each of the detector's 2,016 anchors, as shares of its input: (N, 2)."""
    centres = []
    for stride in sorted(set(_STRIDES)):
        cells = _DETECTOR_SIZE // stride
        y, x = np.mgrid[:cells, :cells]
        grid = (np.stack((x, y), axis=-1).reshape(-1, 2) + 0.5) / cells
        centres.append(np.repeat(grid, 2 * _STRIDES.count(stride), axis=0))
    return np.concatenate(centres)


def make_encoder(key: str, network: Any, views: int) -> PoseEncoder:
    """Of the networks in the user's cache folder; a model on landmarks does not hold them."""
    from kineme.models.weights import require

    files = require(WEIGHTS.name)
    return PoseEncoder(key, views, (HAND_FEATURES,), lambda make_tracker: HandFinder(files))


def build(spec: ClipSpec) -> Any:
    """Features as they are, features_BTD: finding hands is no part of the network."""
    return features_as_they_are((spec.frames, HAND_FEATURES), "hands")


WEIGHTS = mediapipe_weights(
    name="hands",
    what="MediaPipe Hands: finds two hands and 21 joints of each",
    members={
        "mediapipe/modules/palm_detection/palm_detection_full.tflite": (
            "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54"
        ),
        "mediapipe/modules/hand_landmark/hand_landmark_full.tflite": (
            "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3"
        ),
    },
)

HANDS = Backbone(
    name="hands",
    what="MediaPipe Hands: finds the two hands nearest to the camera in each frame and 21 joints of each.",
    build=build,
    sees="landmarks",
    pose=LAYOUT,
    spec=ClipSpec(height=384, width=384, fit="letterbox"),
    weights=WEIGHTS,
    encoder=make_encoder,
    views=1,
    values=HAND_FEATURES,
    rate=20.0,
)
