"""The colours that people wear, by which a tracker tells apart those who embrace or cross."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kineme.models.backbones.movenet import JOINTS, Detections

Floats = NDArray[np.float32]

COLOURS = 6  # numbers of each person: red, green and blue of the torso, and of the thighs

_SEEN = 0.2  # score of a joint that counts
_APART = 0.25  # distance of two colours, each of 0 to 1, at which they resemble each other by 0.6
_SHOULDERS, _HIPS, _KNEES = (
    [JOINTS.index(f"{side} {name}") for side in ("left", "right")] for name in ("shoulder", "hip", "knee")
)
_ACROSS, _DOWN = np.meshgrid(np.linspace(0.2, 0.8, 5), np.linspace(0.1, 0.9, 8))
_ALONG = np.linspace(0.2, 0.8, 6)


def colours_of(frame_HWC: NDArray[np.uint8], found: Detections) -> Floats:
    """The mean colour of the torso and of the thighs of each person, 0 to 1, (P, 6); not a number where hidden."""
    colours_P6 = np.full((len(found.joints_PJC), COLOURS), np.nan, np.float32)
    for colours_6, joints_JC in zip(colours_P6, found.joints_PJC, strict=True):
        if joints_JC[_SHOULDERS + _HIPS, 2].min() >= _SEEN:
            upper_N2, lower_N2 = (_between(joints_JC[pair], _ACROSS.ravel()) for pair in (_SHOULDERS, _HIPS))
            colours_6[:3] = _mean_at(frame_HWC, upper_N2 + _DOWN.reshape(-1, 1) * (lower_N2 - upper_N2))
        if joints_JC[_HIPS + _KNEES, 2].min() >= _SEEN:
            thighs = [_between(joints_JC[[hip, knee]], _ALONG) for hip, knee in zip(_HIPS, _KNEES, strict=True)]
            colours_6[3:] = _mean_at(frame_HWC, np.concatenate(thighs))
    return colours_P6


def likeness(colours_6: Floats, colours_P6: Floats) -> Floats:
    """How much the colours of P detections resemble a person's, (P,), 0 to 1; one half where nothing is known.

    Torso and thighs must both resemble: many wear dark trousers.
    """
    distance_P2 = np.linalg.norm((colours_P6 - colours_6).reshape(-1, 2, 3), axis=2)
    alike_P2 = np.exp(-((distance_P2 / _APART) ** 2) / 2)
    known_P2 = ~np.isnan(alike_P2)
    both_P = np.where(known_P2, alike_P2, 1).prod(axis=1)
    return np.asarray(np.where(known_P2.any(axis=1), both_P, 0.5), np.float32)


def _between(ends_2C: Floats, shares_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the straight line from one joint to another, (N, 2)."""
    return np.asarray(ends_2C[0, :2] + shares_N[:, None] * (ends_2C[1, :2] - ends_2C[0, :2]))


def _mean_at(frame_HWC: NDArray[np.uint8], points_N2: NDArray[np.float64]) -> Floats:
    height, width = frame_HWC.shape[:2]
    columns_N, rows_N = points_N2.round().astype(int).T
    return np.asarray(
        frame_HWC[rows_N.clip(0, height - 1), columns_N.clip(0, width - 1)].mean(axis=0) / 255, np.float32
    )
