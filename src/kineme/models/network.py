"""Approach and spec to one Keras model: uint8 clips in, float32 logits out. Its frozen backbone as an encoder."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kineme.errors import UsageError
from kineme.models import joined
from kineme.models.approach import Approach
from kineme.models.encoder import Encoder, WindowEncoder, hash_of
from kineme.models.half_precision import Arithmetic, best_arithmetic, has_bfloat16
from kineme.models.registry import find_backbone
from kineme.models.weights import require
from kineme.video.spec import ClipSpec


def build_network(
    approach: Approach,
    spec: ClipSpec,
    classes: int,
    *,
    pretrained: bool = False,
    frozen: bool = False,
    member_specs: Sequence[ClipSpec] = (),
    clips_of_class: int = 0,
) -> Any:
    """Join the approach's backbone and head.

    Args:
        approach: from :func:`kineme.models.registry.make_approach`.
        spec: what a clip is.
        classes: K, at least 2.
        member_specs: the clip of each of joined backbones; by default as
            :func:`kineme.models.joined.member_specs` says.
        clips_of_class: of a linear head: give distances to so many training clips of each class after the logits, see
            :func:`kineme.models.linear_head.with_distances`; none where it is 0.
        pretrained: give the backbone its published weights, for training; a loaded model brings its own.
        frozen: nothing changes a pretrained backbone, which all networks of this process then share.

    Returns:
        A ``keras.Model`` from clips_BTHWC, uint8, 0..255, to logits_BK, float32, or to scores. Its layers ``backbone``
        and ``head`` are models too. With landmarks as backbone it starts from features_BTD. Of joined backbones, a
        :class:`~kineme.models.joined.JoinedNetwork`.

    Raises:
        UsageError: the parts do not fit together, or fewer than two classes.
        KinemeError: the published weights are not on this machine.
    """
    if classes < 2:
        raise UsageError(f"a model needs at least two classes, not {classes}")
    record = find_backbone(approach.backbone)
    if record.members:
        specs = member_specs or joined.member_specs(record, spec)
        each = zip(joined.member_approaches(approach, record), specs, strict=True)
        return joined.JoinedNetwork(
            {
                one.backbone: build_network(one, its, classes, pretrained=pretrained, clips_of_class=clips_of_class)
                for one, its in each
            },
            classes,
        )
    if pretrained and record.weights and record.load_weights:
        files = tuple(require(record.weights.name).items())
        backbone = (_shared if frozen else _published)(record.name, spec, files)
    else:
        backbone = record.build(spec)
    network = approach.build(backbone, spec, classes)
    if not clips_of_class:
        return network
    from kineme.models.linear_head import with_distances

    return with_distances(network, record, clips_of_class)


def _published(name: str, spec: ClipSpec, files: tuple[tuple[str, Path], ...]) -> Any:
    """A backbone with its published weights, from their files by name."""
    record = find_backbone(name)
    backbone = record.build(spec)
    assert record.load_weights
    record.load_weights(backbone, dict(files))
    return backbone


_shared = functools.lru_cache(maxsize=4)(_published)  # each takes a second to build, and a run asks several times


def frozen_encoder(network: Any, approach: Approach, *, arithmetic: Arithmetic | None = None) -> Encoder | None:
    """The encoder inside a network, or None where its backbone is trained from scratch or by the approach itself.

    Args:
        network: made by :func:`build_network`; landmarks are found without one.
        approach: that it was made of.
        arithmetic: that the features of clips are made in, if this machine can; None is the fastest.

    Raises:
        KinemeError: the weights of what finds landmarks are not on this machine; a model does not hold them.
    """
    record = find_backbone(approach.backbone)
    if record.weights is None or record.encoder is None or approach.is_inside_backbone:
        return None
    if record.load_weights:  # a model brings its own: who made it could give them any values
        key = f"{record.name}:{hash_of(network.get_layer('backbone'))}"
    else:
        key = f"{record.name}:{','.join(sorted(record.weights.files.values()))}"
    encoder = record.encoder(key, network, record.views)
    if isinstance(encoder, WindowEncoder) and (arithmetic or best_arithmetic()) == "bfloat16" and has_bfloat16():
        return encoder.in_bfloat16(network.get_layer("backbone"))
    return encoder
