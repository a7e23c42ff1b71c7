"""BlazePose: finds one person in each frame of a video and 33 landmarks of the body.

Two networks. The detector looks at the whole frame and gives the middle of the hips and a point that says how tall
the person is and which way is up. The landmark network looks at the upright square around that person, and says
besides where the person is, so the next frame needs no detector. Only when it no longer sees a person there is the
detector asked again.

One person is followed, the one that the detector is surest of. People shorter than about a third of the frame are
often not found.

Sources: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", CVPR workshop 2020. The networks
are Google's (MediaPipe, Apache-2.0); thresholds, margin and smoothing are those of MediaPipe.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.models.backbone import Backbone, features_as_they_are
from kineme.models.backbones.landmarks import (
    FEATURES,
    LANDMARK_COUNT,
    LAYOUT,
    NOBODY,
    SKELETON,
    Array,
    landmark_features,
)
from kineme.models.backbones.one_euro import OneEuro
from kineme.models.litert import PublishedNetwork
from kineme.models.mediapipe import mediapipe_weights
from kineme.models.poses import Pose, PoseEncoder
from kineme.video.spec import ClipSpec

Frame = NDArray[np.uint8]

DETECTOR_SIZE = 224  # pixels
CROP_SIZE = 256  # pixels
THRESHOLD = 0.5  # a detection or a tracked person must score more
LONGEST_GAP_S = 1.0  # a person who was last seen longer ago is looked for anew

_STRIDES = (8, 16, 32, 32, 32)  # of the detector's layers, each with two anchors in every cell
_MARGIN = 1.25  # room around the circle that the body fills
_SMALLEST_REGION = 8.0  # pixels


@dataclass(frozen=True)
class Region:
    """A square of the frame with a person upright in it.

    Args:
        x: of the centre, in pixels.
        y: of the centre, in pixels.
        size: side, in pixels.
        angle: how far the person leans to the right, in radians.
    """

    x: float
    y: float
    size: float
    angle: float

    @classmethod
    def around(cls, hips: Array, above: Array) -> Region:
        """The region of a person whose hips are in the middle, and whose circle goes through ``above``."""
        right, up = float(above[0] - hips[0]), float(hips[1] - above[1])
        return cls(float(hips[0]), float(hips[1]), 2 * _MARGIN * math.hypot(right, up), math.atan2(right, up))

    def to_crop(self) -> NDArray[np.float64]:
        """Matrix (2, 3) from places in the frame to places in the crop of 256 x 256."""
        scale = CROP_SIZE / self.size
        cos, sin = scale * math.cos(self.angle), scale * math.sin(self.angle)
        turn = np.array(((cos, sin), (-sin, cos)))
        return np.column_stack((turn, CROP_SIZE / 2 - turn @ (self.x, self.y)))

    def within(self, width: int, height: int) -> bool:
        """Whether there can be somebody to see: part of the square is in the frame, and it is no dot."""
        near = self.size / 2  # the hips themselves may be below the picture
        return self.size >= _SMALLEST_REGION and -near < self.x < width + near and -near < self.y < height + near


class _Seen(NamedTuple):
    """What the landmark network says of a region, in pixels of the frame."""

    landmarks_L2: Array
    visibility_L: Array
    score: float
    next_region: Region


class PoseTracker:
    """Follow one person through a video, frame by frame. Use one tracker in one thread.

    Args:
        files: ``pose_detection.tflite`` and ``pose_landmark_full.tflite``, from ``weights.require(WEIGHTS.name)``.
        threads: processor threads for the networks.

    Raises:
        KinemeError: LiteRT is not installed, or a file is not a network.
    """

    def __init__(self, files: Mapping[str, Path], *, threads: int = 1) -> None:
        self._detector = PublishedNetwork(files["pose_detection.tflite"], threads)
        self._landmarker = PublishedNetwork(files["pose_landmark_full.tflite"], threads)
        self._smooth = OneEuro(min_cutoff_hz=0.05, beta=80.0)
        self._frame_shape: tuple[int, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Forget the person: call it at a cut, and before another video."""
        self._region: Region | None = None
        self._time_s: float | None = None
        self._smooth.reset()

    def __call__(self, frame_HWC: Frame, time_s: float | None = None) -> Pose:
        """Find the person in the next frame.

        Args:
            frame_HWC: uint8, RGB.
            time_s: when it was taken, in seconds. With it, landmarks are smoothed over time; a step back or a gap of
                more than a second counts as a cut. Without it, they are as the network gives them.

        Returns:
            The pose in pixels of this frame; ``NOBODY`` if nobody is found.

        Raises:
            UsageError: the frame is not (H, W, 3) of uint8.
        """
        if frame_HWC.ndim != 3 or frame_HWC.shape[2] != 3 or frame_HWC.dtype != np.uint8 or not frame_HWC.size:
            raise UsageError(f"a frame must be uint8 of shape (H, W, 3), not {frame_HWC.dtype} {frame_HWC.shape}")
        if frame_HWC.shape != self._frame_shape or self._is_cut(time_s):
            self.reset()
        self._frame_shape, self._time_s = frame_HWC.shape, time_s

        seen = self._look(frame_HWC, self._region)
        if seen is None:
            self._smooth.reset()
            seen = self._look(frame_HWC, self._detect(frame_HWC))
        if seen is None:
            self._region = None
            return NOBODY
        self._region = seen.next_region
        landmarks_L2 = seen.landmarks_L2
        if time_s is not None:
            landmarks_L2 = self._smooth(landmarks_L2, time_s, seen.next_region.size)
        return Pose(landmarks_L2, seen.visibility_L, seen.score, SKELETON)

    def _is_cut(self, time_s: float | None) -> bool:
        return time_s is not None and self._time_s is not None and not 0 <= time_s - self._time_s <= LONGEST_GAP_S

    def _detect(self, frame_HWC: Frame) -> Region | None:
        """The region of the person that the detector is surest of."""
        square_HWC, side, bars = _letterbox(frame_HWC)
        boxes, logits = self._detector(square_HWC.astype(np.float32) / 127.5 - 1)[:2]
        best = int(logits[0, :, 0].argmax())
        if _sigmoid(logits[0, best, 0]) <= THRESHOLD:
            return None
        # A box is 4 numbers of the face's rectangle, then 4 points: hips, circle, shoulders, upper circle.
        hips, above = (boxes[0, best, 4:8].reshape(2, 2) / DETECTOR_SIZE + _anchors()[best]) * side - bars
        return Region.around(hips, above)

    def _look(self, frame_HWC: Frame, region: Region | None) -> _Seen | None:
        """The landmarks of the person in a region, if there is one."""
        height, width = frame_HWC.shape[:2]
        if region is None or not region.within(width, height):
            return None
        import cv2

        to_crop = region.to_crop()
        crop = cv2.warpAffine(frame_HWC, to_crop, (CROP_SIZE, CROP_SIZE))
        numbers, score = self._landmarker(crop.astype(np.float32) / 255)[:2]
        if score[0, 0] <= THRESHOLD:
            return None
        # 39 points of x, y, z, visibility, presence: landmarks, the next region's hips and circle, 4 more.
        numbers = numbers.reshape(-1, 5)
        to_frame = cv2.invertAffineTransform(to_crop)
        points = (numbers[:, :2] @ to_frame[:, :2].T + to_frame[:, 2]).astype(np.float32)
        visibility_L = _sigmoid(numbers[:LANDMARK_COUNT, 3])
        next_region = Region.around(points[LANDMARK_COUNT], points[LANDMARK_COUNT + 1])
        return _Seen(points[:LANDMARK_COUNT], visibility_L, float(score[0, 0]), next_region)


class PersonFinder:
    """Finds one person in one frame after another; see :class:`~kineme.models.poses.PoseFinder`.

    Args:
        files: as for :class:`PoseTracker`.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._tracker = PoseTracker(files)
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._tracker.reset()
        self._before: list[tuple[float, Pose]] = []

    def find(self, frame_HWC: Frame, time_s: float | None) -> list[Pose]:
        """The person, or nobody."""
        if time_s is None:
            self._tracker.reset()
        return [self._tracker(frame_HWC, time_s)]

    def features(self, frame_HWC: Frame, time_s: float) -> Array:
        """A row needs its own frame and the one before."""
        timed = [*self._before, (time_s, self._tracker(frame_HWC, time_s))]
        self._before = timed[-1:]
        row_D: Array = landmark_features([pose for _, pose in timed], [one for one, _ in timed])[-1]
        return row_D


@functools.cache
def _anchors() -> Array:
    """Centre of each of the detector's 2,254 anchors, as shares of its input: (N, 2)."""
    centres = []
    for stride in sorted(set(_STRIDES)):
        cells = DETECTOR_SIZE // stride
        y, x = np.mgrid[:cells, :cells]
        grid = (np.stack((x, y), axis=-1).reshape(-1, 2) + 0.5) / cells
        centres.append(np.repeat(grid, 2 * _STRIDES.count(stride), axis=0))
    return np.concatenate(centres).astype(np.float32)


def _letterbox(frame_HWC: Frame) -> tuple[Frame, int, tuple[int, int]]:
    """A square of 224 pixels with the frame amid black; before shrinking, its side and the bars at left and top."""
    import cv2

    height, width = frame_HWC.shape[:2]
    side = max(height, width)
    left, top = (side - width) // 2, (side - height) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + height, left : left + width] = frame_HWC
    return cv2.resize(square, (DETECTOR_SIZE, DETECTOR_SIZE), interpolation=cv2.INTER_AREA), side, (left, top)


def _sigmoid(x: Array) -> Array:
    return (1 / (1 + np.exp(-np.clip(x, -80, 80)))).astype(np.float32)


def make_encoder(key: str, network: Any, views: int) -> PoseEncoder:
    """Of the networks in the user's cache folder; a model on landmarks does not hold them."""
    from kineme.models.weights import require

    files = require(WEIGHTS.name)
    return PoseEncoder(key, views, (FEATURES,), lambda make_tracker: PersonFinder(files))


def build(spec: ClipSpec) -> Any:
    """Landmarks as they are, features_BTD: finding them is no part of the network."""
    return features_as_they_are((spec.frames, FEATURES), "landmarks")


WEIGHTS = mediapipe_weights(
    name="blazepose",
    what="BlazePose: finds one person and 33 landmarks of the body",
    members={
        "mediapipe/modules/pose_detection/pose_detection.tflite": (
            "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c"
        ),
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite": (
            "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
        ),
    },
)

BLAZEPOSE = Backbone(
    name="blazepose",
    what="BlazePose: finds one person in each frame of a video and 33 landmarks of the body.",
    build=build,
    sees="landmarks",
    pose=LAYOUT,
    spec=ClipSpec(height=224, width=224, fit="letterbox"),
    weights=WEIGHTS,
    encoder=make_encoder,
    views=1,
    values=FEATURES,
    rate=20.0,
)
