"""Small clips and networks that several tests use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.models.network import build_network
from kineme.models.registry import make_approach
from kineme.video.spec import ClipSpec

SMALL = ClipSpec(frames=6, fps=8.0, height=64, width=64)


def moving_squares(count: int, spec: ClipSpec, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Clips of a bright square that moves left (0) or right (1) over noise: order alone tells them apart."""
    rng = np.random.default_rng(seed)
    clips = rng.integers(0, 60, (count, spec.frames, spec.height, spec.width, 3), np.uint8)
    labels = np.arange(count, dtype=np.int32) % 2
    side = spec.height // 3
    for clip, label in zip(clips, labels, strict=True):
        top = rng.integers(0, spec.height - side)
        lefts = np.linspace(0, spec.width - side, spec.frames).astype(int)
        for frame, left in zip(clip, lefts if label else lefts[::-1], strict=True):
            frame[top : top + side, left : left + side] = 220
    return clips, labels


def network_of(name: str, spec: ClipSpec = SMALL, classes: int = 2, **options: Any) -> Any:
    """A fresh network of an approach."""
    return build_network(make_approach(name, options), spec, classes)


def inputs_for(network: Any, clips: NDArray[np.uint8]) -> NDArray[Any]:
    """What the network takes of clips: the clips, or for one on landmarks as many numbers a frame."""
    if len(network.input.shape) == 5:
        return clips
    columns_BTW = clips.mean(axis=(2, 4), dtype=np.float32) / 255
    features_BTD = np.zeros((*clips.shape[:2], network.input.shape[-1]), np.float32)
    features_BTD[:, :, : columns_BTW.shape[2]] = columns_BTW
    features_BTD[:, :, -1] = 1
    return features_BTD


def make_ill_conditioned(network: Any) -> None:
    """Weights under which the order of additions decides the scores, so that no two engines agree.

    Each filter of the last convolution is there twice, and the scores are made of their differences, times millions.
    """
    weights, paths = network.get_weights(), [weight.path for weight in network.weights]
    kernel = paths.index("logits/kernel")
    features = len(weights[kernel])
    for weight in weights[max(place for place, one in enumerate(weights) if one.ndim == 4) : kernel]:
        weight[..., features // 2 :] = weight[..., : features // 2]
    large = np.random.default_rng(0).normal(scale=1e7, size=(features // 2, weights[kernel].shape[1]))
    weights[kernel] = np.concatenate([large, -large]).astype(np.float32)
    network.set_weights(weights)
