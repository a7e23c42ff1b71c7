"""Approach and spec to one Keras model: uint8 clips in, float32 logits out."""

from __future__ import annotations

from typing import Any

from kineme.errors import UsageError
from kineme.models.backend import keras
from kineme.models.registry import Approach, build_backbone
from kineme.video.spec import ClipSpec


def build_network(approach: Approach, spec: ClipSpec, classes: int) -> Any:
    """Join the approach's backbone and head.

    Args:
        approach: from :func:`kineme.models.registry.make_approach`.
        spec: what a clip is.
        classes: K, at least 2.

    Returns:
        A ``keras.Model`` from clips_BTHWC, uint8, 0..255, to logits_BK, float32. Its layers ``backbone`` and
        ``head`` are models too.

    Raises:
        UsageError: the parts do not fit together, or fewer than two classes.
    """
    if classes < 2:
        raise UsageError(f"a model needs at least two classes, not {classes}")
    backbone = build_backbone(approach.backbone, spec)
    head = approach.head(tuple(backbone.output.shape[1:]), classes)
    clips = keras.Input((spec.frames, spec.height, spec.width, 3), dtype="uint8", name="clips")
    return keras.Model(clips, head(backbone(clips)), name="network")
