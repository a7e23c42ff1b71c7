"""Approach and spec to one Keras model: uint8 clips in, float32 logits out."""

from __future__ import annotations

from typing import Any

from kineme.errors import UsageError
from kineme.models.backend import keras
from kineme.models.registry import BACKBONES, FROZEN, Approach, build_backbone
from kineme.video.spec import ClipSpec


def build_network(approach: Approach, spec: ClipSpec, classes: int, *, pretrained: bool = False) -> Any:
    """Join the approach's backbone and head.

    Args:
        approach: from :func:`kineme.models.registry.make_approach`.
        spec: what a clip is.
        classes: K, at least 2.
        pretrained: give a frozen backbone its published weights, for training; a loaded model brings its own.

    Returns:
        A ``keras.Model`` from clips_BTHWC, uint8, 0..255, to logits_BK, float32. Its layers ``backbone`` and
        ``head`` are models too. With landmarks as backbone it starts from features_BTD and has a head alone.

    Raises:
        UsageError: the parts do not fit together, or fewer than two classes.
        KinemeError: the published weights are not on this machine.
    """
    if classes < 2:
        raise UsageError(f"a model needs at least two classes, not {classes}")
    if approach.backbone == "blazepose":
        from kineme.models.backbones.landmarks import FEATURES

        features = keras.Input((spec.frames, FEATURES), name="landmarks")
        return keras.Model(features, approach.head((spec.frames, FEATURES), classes)(features), name="network")
    backbone = build_backbone(approach.backbone, spec)
    if pretrained and approach.backbone in FROZEN:
        load_pretrained(approach.backbone, backbone)
    head = approach.head(tuple(backbone.output.shape[1:]), classes)
    clips = keras.Input((spec.frames, spec.height, spec.width, 3), dtype="uint8", name="clips")
    return keras.Model(clips, head(backbone(clips)), name="network")


def load_pretrained(name: str, backbone: Any) -> None:
    """Give a backbone that comes trained its published weights.

    Args:
        name: in the registry.
        backbone: made by :func:`kineme.models.registry.build_backbone`.

    Raises:
        KinemeError: they are not on this machine.
    """
    import importlib

    from kineme.models.weights import require

    module = importlib.import_module(BACKBONES[name].split(":")[0])
    inner = backbone if name == "i3d" else backbone.get_layer("frame_network")
    module.load_weights(inner, require(FROZEN[name]))
