"""Clips to logits in batches, the same way for evaluation and for prediction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def score_clips(network: Any, clips: Iterable[NDArray[Any]], batch_size: int = 16) -> NDArray[np.float32]:
    """Run the network over clips without holding more than a batch of them.

    Args:
        network: a Keras model from clips_BTHWC or features_BTD to logits_BK.
        clips: frames_THWC, uint8, of the network's size; or features_TD for a head.
        batch_size: clips at a time.

    Returns:
        logits_NK, float32, one row for each clip.
    """
    remaining = iter(clips)
    rows = []
    while batch := list(itertools.islice(remaining, batch_size)):
        while batch:
            # Whole batches, then powers of two: every other size would be compiled anew.
            size = batch_size if len(batch) == batch_size else 1 << (len(batch).bit_length() - 1)
            rows.append(np.asarray(network.predict_on_batch(np.stack(batch[:size])), np.float32))
            batch = batch[size:]
    return np.concatenate(rows) if rows else np.empty((0, network.output.shape[-1]), np.float32)
