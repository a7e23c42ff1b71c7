"""Clips to logits in batches, for evaluation; logits to probabilities, there and in prediction."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BATCH = 16  # clips at a time
HEAVY_PIXELS = 500_000  # a clip of more pixels is looked at alone: several take gigabytes and are no faster


def is_heavy(network: Any) -> bool:
    """Whether one clip is as much as the network should be given at a time."""
    shape = network.input.shape[1:]
    return len(shape) == 4 and math.prod(shape[:3]) > HEAVY_PIXELS


def score_clips(network: Any, clips: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
    """Run the network over clips without holding more than a batch of them.

    Args:
        network: a Keras model from clips_BTHWC or features_BTD to logits_BK.
        clips: frames_THWC, uint8, of the network's size; or features_TD for a head.

    Returns:
        logits_NK, float32, one row for each clip.
    """
    from kineme.models.backend import keras

    devices = keras.distribution.distribution()  # kineme.training.devices.SharedOut; None is one device
    remaining = iter(clips)
    batch_size = 1 if is_heavy(network) else _BATCH
    rows = []
    while batch := list(itertools.islice(remaining, batch_size)):
        while batch:
            # Whole batches, then powers of two: every other size would be compiled anew.
            size = batch_size if len(batch) == batch_size else 1 << (len(batch).bit_length() - 1)
            clips_BTHWC = np.stack(batch[:size])
            logits_BK = network.predict_on_batch(devices.spread(clips_BTHWC) if devices else clips_BTHWC)
            rows.append(np.asarray(logits_BK, np.float32))
            batch = batch[size:]
    return np.concatenate(rows) if rows else np.empty((0, network.output.shape[-1]), np.float32)


def softmax(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities from logits over the last axis; above 1 the temperature makes them less sure, below it more."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
