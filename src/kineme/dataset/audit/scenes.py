"""Which videos of different groups were filmed in the same place, whoever is in them.

Local features (SIFT, Lowe 2004) of the backgrounds are matched; where enough of them agree on one way to lay the one
picture on the other, the place is the same. Pairs worth it are chosen by the words that two backgrounds have in
common (Sivic and Zisserman 2003, "Video Google").
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet

from kineme.dataset.audit.signature import one_thread
from kineme.progress import track

_MANY = 2000  # pairs: with more, progress is shown
_FEATURES = 250  # most of a picture
_WORDS = 512  # features drawn at random
_PARTNERS = 8  # pairs looked at closely, for each picture
_RATIO = 0.8  # a match must be so much nearer than the second best
_NEAR = 3.0  # pixels within which features agree
_AGREEING, _AGREEING_SHARE = 12, 0.5
_SPREAD = 0.12  # of the picture that agreeing features must cover: a logo in a corner is no place


class _Picture:
    """The local features of a background."""

    def __init__(self, background_HWC: NDArray[np.uint8]) -> None:
        detector = cv2.SIFT.create(nfeatures=_FEATURES, contrastThreshold=0.01)
        points, described = detector.detectAndCompute(cv2.cvtColor(background_HWC, cv2.COLOR_RGB2GRAY), None)
        self.area = background_HWC.shape[0] * background_HWC.shape[1]
        self.points_F2 = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
        found = np.zeros((0, 128), np.float32) if described is None else described
        self.described_FD = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-6))  # RootSIFT


def same_places(backgrounds: Sequence[NDArray[np.uint8]], groups: Sequence[str]) -> list[list[int]]:
    """Sets of videos filmed in one place by videos of at least two groups, the largest first.

    Args:
        backgrounds: of each video, uint8 RGB.
        groups: of each video; only pairs of different groups are looked at.
    """
    with one_thread(), ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        pictures = list(pool.map(_Picture, backgrounds))
    places = DisjointSet(range(len(pictures)))
    pairs = _likely(pictures, groups)
    with one_thread():
        for one, other in track(pairs, "comparing places" if len(pairs) >= _MANY else None):
            if not places.connected(one, other) and _same(pictures[one], pictures[other]):
                places.merge(one, other)
    shared = [sorted(those) for those in places.subsets() if len({groups[number] for number in those}) > 1]
    return sorted(shared, key=lambda those: (-len(those), those))


def _likely(pictures: Sequence[_Picture], groups: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of different groups that have the most words in common, the likeliest first."""
    features_FD = np.concatenate([one.described_FD for one in pictures]) if pictures else np.zeros((0, 128))
    if len(pictures) < 2 or len(features_FD) < 2 * _WORDS:
        return [(one, other) for other in range(len(pictures)) for one in range(other) if groups[one] != groups[other]]
    rng = np.random.default_rng(0)
    words_WD = features_FD[rng.choice(len(features_FD), _WORDS, replace=False)]
    counts_NW = np.zeros((len(pictures), _WORDS))
    for number, one in enumerate(pictures):
        np.add.at(counts_NW[number], (one.described_FD @ words_WD.T).argmax(axis=1), 1)
    rarity_W = np.log((1 + len(pictures)) / (1 + (counts_NW > 0).sum(axis=0)))
    weights_NW = np.sqrt(counts_NW) * (rarity_W + 0.1)
    weights_NW /= np.maximum(np.linalg.norm(weights_NW, axis=1, keepdims=True), 1e-9)
    common_NN = weights_NW @ weights_NW.T
    group_N = np.unique(np.asarray(groups), return_inverse=True)[1]
    common_NN[group_N[:, None] == group_N[None]] = -1.0
    partners = min(_PARTNERS, len(pictures) - 1)
    nearest_NP = np.argpartition(-common_NN, partners - 1, axis=1)[:, :partners]
    pairs = {
        (min(one, int(other)), max(one, int(other)))
        for one in range(len(pictures))
        for other in nearest_NP[one]
        if common_NN[one, other] > 0
    }
    return sorted(pairs, key=lambda pair: (-common_NN[pair], pair))


def _same(one: _Picture, other: _Picture) -> bool:
    """Whether the features of two backgrounds agree on one way to lay the one on the other."""
    if min(len(one.described_FD), len(other.described_FD)) < _AGREEING:
        return False
    products = one.described_FD @ other.described_FD.T  # of unit length: the larger, the nearer
    nearest = np.argpartition(-products, 1, axis=1)[:, :2]
    both = np.take_along_axis(products, nearest, axis=1)
    first, second = both.max(axis=1), both.min(axis=1)
    matched = np.flatnonzero(2 - 2 * first < _RATIO**2 * (2 - 2 * second))
    best = np.where(both[:, 0] >= both[:, 1], nearest[:, 0], nearest[:, 1])[matched]
    if len(matched) < _AGREEING:
        return False
    ones, others = one.points_F2[matched], other.points_F2[best]
    _, inside = cv2.estimateAffinePartial2D(ones, others, ransacReprojThreshold=_NEAR)
    agreeing = inside.ravel().astype(bool) if inside is not None else np.zeros(len(ones), bool)
    if agreeing.sum() < max(_AGREEING, _AGREEING_SHARE * len(matched)):
        return False
    return all(
        cv2.contourArea(cv2.convexHull(points[agreeing])) > _SPREAD * picture.area
        for points, picture in ((ones, one), (others, other))
    )
