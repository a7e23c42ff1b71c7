"""Draw a skeleton on a frame: limbs in the colour of their side, fainter where the network sees them less."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.models.poses import Pose, Skeleton
from kineme.report.overlay import blend

Frame = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Orange and blue of Okabe and Ito, lighter: told apart by the colour-blind, and bright on dark clothes.
_LEFT: Colour = (255, 159, 28)
_RIGHT: Colour = (64, 180, 255)
_MIDDLE: Colour = (245, 245, 245)
_OUTLINE: Colour = (14, 17, 22)
_FAINTEST = 0.1  # visibility below which nothing is drawn
_SMALL_PARTS = ("eye", "mouth", "nose", "pinky", "index", "thumb", "heel", "toes")
_SHIFT = 3  # OpenCV takes places in eighths of a pixel


def draw_skeleton(frame_HWC: Frame, pose: Pose) -> Frame:
    """Give a copy of the frame with the limbs of a pose: left orange, right blue, what joins them white.

    Left and right are the person's own. A limb is as opaque as its less visible end. Lines are about a hundredth of
    the frame's shorter side wide, and thinner on a small person.

    Args:
        frame_HWC: RGB uint8 (H, W, 3).
        pose: in pixels of this frame; where nobody was found nothing is drawn.

    Returns:
        RGB uint8 (H, W, 3).
    """
    drawn: Frame = np.array(frame_HWC, dtype=np.uint8, order="C")  # a copy
    if not pose.found:
        return drawn
    limbs = [(float(pose.visibility_L[[first, last]].min()), first, last) for first, last in pose.skeleton.connections]
    limbs = sorted(limb for limb in limbs if limb[0] >= _FAINTEST)  # the clearest last, on top
    height = float(np.ptp(pose.landmarks_L2[:, 1]))
    width = max(1, round(min(0.009 * min(drawn.shape[:2]), 0.018 * height)))
    outline = width + 2 * max(1, round(width / 3))
    for colour, thickness in ((_OUTLINE, outline), (_LEFT, width), (_RIGHT, width), (_MIDDLE, width)):
        opacity_HW = np.zeros(drawn.shape[:2], np.uint8)
        for visibility, first, last in limbs:
            if colour in (_OUTLINE, _colour_of(pose.skeleton, first, last)):
                start, end = _place(pose.landmarks_L2[first]), _place(pose.landmarks_L2[last])
                thinner = 0.5 if _is_small(pose.skeleton, first) or _is_small(pose.skeleton, last) else 1.0
                thickness_here = max(1, round(thinner * thickness))
                cv2.line(opacity_HW, start, end, (round(255 * visibility),), thickness_here, cv2.LINE_AA, _SHIFT)
        _lay(drawn, opacity_HW, colour)
    return drawn


def _colour_of(skeleton: Skeleton, first: int, last: int) -> Colour:
    sides = {skeleton.joints[end].split()[0] for end in (first, last)}
    if "left" in sides and "right" not in sides:
        return _LEFT
    return _RIGHT if "right" in sides and "left" not in sides else _MIDDLE


def _is_small(skeleton: Skeleton, joint: int) -> bool:
    return any(part in skeleton.joints[joint] for part in _SMALL_PARTS)


def _place(landmark: NDArray[np.float32]) -> tuple[int, int]:
    far = 1 << 14  # a landmark far outside the frame must not overflow what OpenCV counts in
    x, y = (round(float(np.clip(at, -far, far)) * (1 << _SHIFT)) for at in landmark)
    return x, y


def _lay(drawn: Frame, opacity_HW: Frame, colour: Colour) -> None:
    """Lay ``colour`` over ``drawn`` in place."""
    left, top, width, height = cv2.boundingRect(opacity_HW)
    if not width:
        return
    part = slice(top, top + height), slice(left, left + width)
    blend(drawn[part], opacity_HW[part].astype(np.float32) / np.float32(255), colour)
