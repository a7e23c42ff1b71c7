"""Grouped folds within the training videos: predictions of videos that a model was not solved on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_FOLDS = 5
_SEED = 0  # the folds belong to the data, not to a training: the same data gives the same folds


def grouped_folds(labels_N: ArrayLike, groups_N: Sequence[str], folds: int = MOST_FOLDS) -> list[NDArray[np.int64]]:
    """Divide clips into folds, none of which shares a group with another.

    Args:
        labels_N: class of each clip; the folds hold about as many of each as they can.
        groups_N: what must not be in two folds. Where there is one group only, each clip counts as one: predictions
            of a fold then come from clips of the same group, and flatter.
        folds: at most so many, and no more than there are groups.

    Returns:
        Numbers of the clips that are held out in each fold; together all clips, each once. Nothing for a single clip.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labels_N = np.asarray(labels_N)
    groups = np.asarray(groups_N, np.str_)
    if len(set(groups.tolist())) < 2:
        groups = np.arange(len(labels_N)).astype(np.str_)
    count = min(folds, len(set(groups.tolist())), int(np.unique(labels_N, return_counts=True)[1].max(initial=0)))
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a class has fewer clips than there are folds
        held_out = [test for _, test in splitter.split(np.zeros(len(labels_N)), labels_N, groups)]
    return [np.asarray(one, np.int64) for one in held_out if len(one)]
