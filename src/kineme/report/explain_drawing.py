"""Draw an explanation on frames: a heat map laid over one, joints as large as they spoke."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.models.poses import Pose
from kineme.prediction.explain.explain import Explanation
from kineme.report.skeleton import draw_skeleton
from kineme.video.geometry import Window, resize_geometry, window_geometry
from kineme.video.spec import ClipSpec

Frame = NDArray[np.uint8]
Shares = NDArray[Any]

_PANEL = (14, 17, 22)
_MOST_OPAQUE = 0.8
_UNSEEN = 0.35  # brightness of what the model never sees of a frame
_BRIGHTEST = 95  # percentile of the frames' largest values that is drawn as the brightest
_SHIFT = 3  # OpenCV takes places in eighths of a pixel


def as_shares(attribution_N: NDArray[np.float32]) -> NDArray[np.float32]:
    """Heat maps (N, H, W) or joints (N, L) as they are drawn, 0 to 1.

    A frame's largest value is drawn as the square root of its share of about the largest in the video: the strip
    shows the evidence of each frame, and its place should be visible in weaker frames, too.
    """
    hottest_N = attribution_N.reshape(len(attribution_N), -1).max(axis=1)
    if not hottest_N.max() > 0:
        return np.zeros_like(attribution_N)
    largest = np.percentile(hottest_N[hottest_N > 0], _BRIGHTEST)
    scale_N = np.sqrt(np.maximum(hottest_N, 1e-6 * largest) * largest).astype(np.float32)
    shares_N: NDArray[np.float32] = np.clip(attribution_N / scale_N.reshape(-1, *(1,) * (attribution_N.ndim - 1)), 0, 1)
    return shares_N


class Drawer:
    """Draws on the frames of one video what an explanation says of them.

    Args:
        found: the explanation.
        find_poses: finds the people in a frame, given it and its time or None; for a model on landmarks.
    """

    def __init__(
        self, found: Explanation, find_poses: Callable[[Frame, float | None], list[Pose]] | None = None
    ) -> None:
        self._found, self._find_poses = found, find_poses
        attribution_N = found.heat_NHW if found.heat_NHW is not None else found.joints_NL
        self._shares_N = None if attribution_N is None else as_shares(attribution_N)

    def __call__(self, frame_HWC: Frame, time_s: float, *, alone: bool = False) -> Frame:
        """A copy of the frame that is shown at a time; ``alone`` where it does not follow the one before."""
        if self._shares_N is None:
            return frame_HWC.copy()
        shares = self._shares_N[self._found.at(time_s)]
        if self._found.heat_NHW is not None:
            window = self._found.windows_N[self._found.at(time_s)] if self._found.windows_N else None
            return lay_heat(frame_HWC, shares, self._found.card.spec, window)
        assert self._find_poses is not None
        layout = self._found.card.backbone.pose
        assert layout is not None
        shares_PL = shares.reshape(layout.people, -1)
        if alone:  # who of several people is the first cannot be seen in one frame
            shares_PL = np.broadcast_to(shares_PL.max(axis=0), shares_PL.shape)
        drawn_HWC = frame_HWC.copy()
        for pose, shares_L in zip(self._find_poses(frame_HWC, None if alone else time_s), shares_PL, strict=False):
            drawn_HWC = draw_joints(drawn_HWC, pose, shares_L)
        return drawn_HWC


def lay_heat(frame_HWC: Frame, shares_HW: Shares, spec: ClipSpec, window: Window | None = None) -> Frame:
    """Give a copy of a frame with a heat map laid over what the model sees of it; the rest is darker.

    Args:
        frame_HWC: RGB uint8, of any size.
        shares_HW: 0 to 1, at as many places as the map has.
        spec: how the model is shown frames.
        window: the part of the frame that it sees; None is the whole frame.
    """
    height, width = frame_HWC.shape[:2]
    rows, columns = shares_HW.shape
    size = spec.height, spec.width
    lies = window_geometry(window, size) if window else resize_geometry((height, width), size, spec.fit)
    # From a pixel of the frame to a place of the map, by way of the model's picture; centres to centres.
    across, down = lies.width / width * columns / spec.width, lies.height / height * rows / spec.height
    to_map = np.array(
        [
            [across, 0, lies.left * columns / spec.width + 0.5 * across - 0.5],
            [0, down, lies.top * rows / spec.height + 0.5 * down - 0.5],
        ]
    )
    heat_HW = cv2.warpAffine(
        np.ascontiguousarray(shares_HW, np.float32),
        to_map,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    heat_HW = np.clip(heat_HW, 0, 1)
    colours_HWC = _colours()[(heat_HW * 255).astype(np.uint8)]
    weight_HW = (_MOST_OPAQUE * np.sqrt(heat_HW) * np.clip(heat_HW * 8, 0, 1)).astype(np.float32)
    drawn: Frame = cv2.blendLinear(np.ascontiguousarray(frame_HWC), colours_HWC, 1 - weight_HW, weight_HW)
    x = to_map[0, 0] * np.arange(width) + to_map[0, 2]
    y = to_map[1, 1] * np.arange(height) + to_map[1, 2]
    unseen_HW = ((y < -0.5) | (y > rows - 0.5))[:, None] | ((x < -0.5) | (x > columns - 0.5))[None]
    drawn[unseen_HW] = (frame_HWC[unseen_HW] * _UNSEEN).astype(np.uint8)
    return drawn


def draw_joints(frame_HWC: Frame, pose: Pose, shares_L: Shares) -> Frame:
    """Give a copy of a frame with the skeleton, and a spot on each joint: the larger and brighter, the more it spoke.

    Args:
        frame_HWC: RGB uint8.
        pose: in pixels of this frame; where nobody was found nothing is drawn.
        shares_L: of its joints, 0 to 1.
    """
    drawn = draw_skeleton(frame_HWC, pose)
    if not pose.found:
        return drawn
    size = max(2.0, 0.02 * min(frame_HWC.shape[:2]))
    for joint in np.argsort(shares_L).tolist():
        share = float(shares_L[joint])
        if share < 0.05 or pose.visibility_L[joint] < 0.1:
            continue
        x, y = (round(float(np.clip(at, -9999, 9999)) * (1 << _SHIFT)) for at in pose.landmarks_L2[joint])
        radius = round(size * (0.4 + 1.6 * share) * (1 << _SHIFT))
        colour = tuple(int(one) for one in _colours()[round(255 * share)])
        cv2.circle(drawn, (x, y), radius + (1 << _SHIFT), _PANEL, -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(drawn, (x, y), radius, colour, -1, cv2.LINE_AA, _SHIFT)
    return drawn


@cache
def _colours() -> NDArray[np.uint8]:
    """256 colours from dark violet over orange to light yellow, evenly spaced to the eye."""
    import matplotlib

    table: NDArray[np.uint8] = (matplotlib.colormaps["inferno"](np.linspace(0.3, 1, 256))[:, :3] * 255).astype(np.uint8)
    return table
