"""How much two detections resemble each other: by where their joints are, and by how far their boxes overlap.

Source: the measure of joints is COCO's object keypoint similarity, https://cocodataset.org/#keypoints-eval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kineme.models.backbones.movenet import JOINT_COUNT, Detections

Floats = NDArray[np.float32]

# How much people differ on where a joint is, as a share of the root of the body's area; COCO's, in the order of joints.
_SIGMAS_J = np.array(
    [0.026, *[0.025] * 2, *[0.035] * 2, *[0.079] * 2, *[0.072] * 2, *[0.062] * 2, *[0.107] * 2, *[0.087] * 2]
    + [0.089] * 2,
    np.float32,
)
_TOLERANCE = 2.0  # times the sigmas: between two looks joints move in ways that nobody foresees
_SCORED = 0.1  # joints with lower scores do not count


def points_of(found: Detections) -> Floats:
    """The joints and the two corners of the box of each person, x and y in pixels: (P, 19, 2)."""
    return np.concatenate([found.joints_PJC[..., :2], found.boxes_P4.reshape(-1, 2, 2)], axis=1)


def similarity(points_X2: Floats, points_PX2: Floats, scores_J: Floats) -> Floats:
    """How much each of P detections resembles a person, (P,), 0 to 1.

    It is the mean of the likeness of the joints and that of the boxes, times that of the sizes.

    Args:
        points_X2: 17 joints and the two corners of the box of the person.
        points_PX2: those of the detections.
        scores_J: how certain the person's joints are; those that are not do not count.
    """
    (left, top), (right, bottom) = points_X2[JOINT_COUNT:]
    area = max(float((right - left) * (bottom - top)), 1.0)
    counted = np.where(scores_J >= _SCORED, scores_J, 0) + 1e-6
    distance_PJ = ((points_PX2[:, :JOINT_COUNT] - points_X2[:JOINT_COUNT]) ** 2).sum(axis=-1)
    alike_PJ = np.exp(-distance_PJ / (2 * area * (2 * _TOLERANCE * _SIGMAS_J) ** 2))
    of_joints_P = (alike_PJ * counted).sum(axis=1) / counted.sum()
    of_boxes_P = box_overlaps(points_X2[JOINT_COUNT:], points_PX2[:, JOINT_COUNT:])
    sizes_P = np.linalg.norm(points_PX2[:, -1] - points_PX2[:, -2], axis=-1)
    size = float(np.linalg.norm(points_X2[-1] - points_X2[-2]))
    of_sizes_P = np.minimum(sizes_P, size) / np.maximum(np.maximum(sizes_P, size), 1e-6)
    return np.asarray((of_joints_P + of_boxes_P) / 2 * of_sizes_P, np.float32)


def box_overlaps(box_22: Floats, boxes_P22: Floats) -> Floats:
    """Shared area over joint area, (P,), of a box with others; corners are x, y."""
    shared_P2 = np.minimum(box_22[1], boxes_P22[:, 1]) - np.maximum(box_22[0], boxes_P22[:, 0])
    shared_P = shared_P2.clip(0).prod(axis=-1)
    areas_P = (boxes_P22[:, 1] - boxes_P22[:, 0]).prod(axis=-1) + (box_22[1] - box_22[0]).prod() - shared_P
    return np.asarray(shared_P / np.maximum(areas_P, 1e-6), np.float32)
