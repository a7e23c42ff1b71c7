"""Landmarks in a mirror."""

from __future__ import annotations

import numpy as np

from kineme.models.backbones.landmarks import LANDMARK_COUNT, LANDMARKS, Array

MIRRORED: tuple[int, ...] = tuple(
    LANDMARKS.index(name.replace("left", "right") if name.startswith("left") else name.replace("right", "left"))
    for name in LANDMARKS
)
"""For each landmark the one that takes its place in a mirror."""


def mirror_features(features_TD: Array) -> Array:
    """The features of the mirrored clip: x turns round, left and right change places.

    Args:
        features_TD: from :func:`landmark_features`; further axes may stand before the last.
    """
    vectors, visibility, found = np.split(features_TD, [4 * LANDMARK_COUNT, 5 * LANDMARK_COUNT], axis=-1)
    vectors = vectors.reshape(*vectors.shape[:-1], 2, LANDMARK_COUNT, 2)  # position and velocity
    turned = vectors[..., MIRRORED, :] * np.array((-1, 1), np.float32)
    mirrored: Array = np.concatenate((turned.reshape(*found.shape[:-1], -1), visibility[..., MIRRORED], found), axis=-1)
    return mirrored
