"""Which of all pairs of videos may be near-duplicates, by one matrix product, and how they then align."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from kineme.dataset.audit.signature import WHOLE, Floats, VideoSignature, Window, sampling

_COARSE = 8
_LIKELY = 0.7  # correlation of backgrounds and motion maps
_PARTNERS = 24  # most for each video
_BLOCK = 2e6  # numbers of a matrix product held at a time


class Alignment(NamedTuple):
    """How one of two videos may be a copy of the other: the whole of one, mirrored or not, is a window of the other."""

    first_is_whole: bool
    mirrored: bool
    window: Window


def candidates(signatures: Sequence[VideoSignature], files: Sequence[str]) -> dict[tuple[int, int], list[Alignment]]:
    """Pairs that may be copies, in order, each with its possible alignments, the likeliest first."""
    count, windows = len(signatures), _windows()
    if count < 2:
        return {}
    wholes_ND = np.stack([_described(signature, [WHOLE])[0] for signature in signatures])
    mirrors_ND = wholes_ND.reshape(count, 2, _COARSE, _COARSE)[..., ::-1].reshape(count, -1)
    either_ND = np.concatenate([wholes_ND, mirrors_ND])
    best_NN = np.full((count, count), -1.0, np.float32)
    which_NN = np.zeros((count, count), np.int16)
    rows = max(1, int(_BLOCK / (2 * count * len(windows))))
    for start in range(0, count, rows):
        parts_BWD = np.stack([_described(signature, windows) for signature in signatures[start : start + rows]])
        products = either_ND @ parts_BWD.reshape(-1, parts_BWD.shape[-1]).T
        similarity_2NBW = products.reshape(2, count, len(parts_BWD), -1)
        similarity_NBW = np.concatenate(list(similarity_2NBW), axis=-1)  # as filmed, then mirrored
        which = similarity_NBW.argmax(axis=2)
        best_NN[:, start : start + rows] = np.take_along_axis(similarity_NBW, which[..., None], axis=2)[..., 0]
        which_NN[:, start : start + rows] = which
    file_N = np.unique(np.asarray(files), return_inverse=True)[1]
    best_NN[file_N[:, None] == file_N[None]] = -1.0
    pair_NN = np.maximum(best_NN, best_NN.T)
    partners = min(_PARTNERS, count - 1)
    likely_NP = np.argpartition(-pair_NN, partners - 1, axis=1)[:, :partners]
    ones, others = np.arange(count).repeat(partners), likely_NP.ravel()
    kept = pair_NN[ones, others] >= _LIKELY
    pairs = np.unique(np.sort(np.stack([ones[kept], others[kept]], axis=1), axis=1), axis=0).tolist()
    found = {}
    for first, second in pairs:
        directions = sorted([(first, second), (second, first)], key=lambda pair: -best_NN[pair])
        numbers = [int(which_NN[pair]) for pair in directions]
        found[first, second] = [
            Alignment(whole == first, number >= len(windows), windows[number % len(windows)])
            for (whole, _), number in zip(directions, numbers, strict=True)
        ]
    return found


@cache
def _windows() -> tuple[Window, ...]:
    """The parts of a picture that a copy may show: the whole, crops of several sizes and places, and letterboxes."""
    windows = [WHOLE]
    for across, down in (
        (0.95, 0.95),
        (0.9, 0.9),
        (0.8, 0.8),
        (0.7, 0.7),
        (0.6, 0.6),
        (1, 0.88),
        (1, 0.75),
        (0.88, 1),
        (0.75, 1),
    ):
        for left in _places(across):
            for top in _places(down):
                windows.append((left, left + across, top, top + down))
    return tuple(windows)


def _places(size: float) -> list[float]:
    """Where a window of this size may begin along its axis, up to 0.1 apart."""
    count = 1 + math.ceil((1 - size) / 0.1 - 1e-9)
    return [float(place) for place in np.linspace(0, 1 - size, count if size == 1 else max(3, count))]


def _described(signature: VideoSignature, windows: Sequence[Window]) -> Floats:
    """Background and motion map of each window, 8 x 8 each, scaled so that a dot product is a correlation."""
    pictures_2HW = np.stack([signature.background_HW, signature.motion_HW])
    across_WCS = np.stack([sampling(left, right, _COARSE) for left, right, _, _ in windows])
    down_WCS = np.stack([sampling(top, bottom, _COARSE) for _, _, top, bottom in windows])
    small = np.matmul(np.matmul(down_WCS[:, None], pictures_2HW), across_WCS.transpose(0, 2, 1)[:, None])
    small = small.reshape(len(windows), 2, -1)
    small -= small.mean(axis=2, keepdims=True)
    lengths = np.linalg.norm(small, axis=2, keepdims=True)
    small /= np.maximum(lengths, 1e-6)
    if signature.flat:
        small[:, 0] = 0
    if signature.still:
        small[:, 1] = 0
    present = (small != 0).any(axis=2).sum(axis=1).clip(1)  # of background and motion
    return np.asarray(small.reshape(len(windows), -1) / np.sqrt(present)[:, None], np.float32)
