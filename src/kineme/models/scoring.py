"""Clips to logits in batches, the same way for evaluation and for prediction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def score_clips(network: Any, clips: Iterable[NDArray[np.uint8]], batch_size: int = 16) -> NDArray[np.float32]:
    """Run the network over clips without holding more than a batch of them.

    Args:
        network: a Keras model from uint8 clips_BTHWC to logits_BK.
        clips: frames_THWC, uint8, of the network's size.
        batch_size: clips at a time.

    Returns:
        logits_NK, float32, one row for each clip.
    """
    remaining = iter(clips)
    rows = []
    while batch := list(itertools.islice(remaining, batch_size)):
        rows.append(np.asarray(network.predict_on_batch(np.stack(batch)), np.float32))
    return np.concatenate(rows) if rows else np.empty((0, network.output.shape[-1]), np.float32)
