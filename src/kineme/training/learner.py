"""An approach ready for training: its network, the layers that are trained, and the frozen backbone before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from kineme.models.approach import Approach
from kineme.models.backend import keras
from kineme.models.encoder import Encoder, WindowEncoder
from kineme.models.half_precision import Arithmetic
from kineme.models.joined import JoinedNetwork, leader_of, member_approaches, member_specs
from kineme.models.linear_head import with_distances
from kineme.models.network import build_network
from kineme.models.registry import find_backbone, refuse_unfit_to_finetune
from kineme.people.encoder import open_encoder
from kineme.training.cache import FrameCache
from kineme.training.joined_cache import JoinedCache
from kineme.video.spec import ClipSpec


@dataclass(frozen=True, eq=False)
class Learner:
    """What :func:`make_learner` makes.

    Args:
        approach: with its options.
        spec: what a clip is.
        classes: K.
        network: uint8 clips_BTHWC (with landmarks: features_BTD) to logits_BK.
        trained: what training changes: the network, or its head alone behind a frozen backbone.
        encoder: the frozen backbone, or None.
        members: of joined backbones, each with its own network; ``network`` and ``trained`` are those of all.
        backbone_weights: of a fine-tuned network: how many of its trainable variables, the first ones, were pretrained.
    """

    approach: Approach
    spec: ClipSpec
    classes: int
    network: Any
    trained: Any
    encoder: Encoder | None
    backbone_weights: int = 0

    members: tuple[Learner, ...] = ()

    @property
    def arithmetic(self) -> Arithmetic:
        """That the features of clips are computed in."""
        encoders = [one.encoder for one in self.members or (self,)]
        return next((one.arithmetic for one in encoders if isinstance(one, WindowEncoder)), "float32")

    @property
    def is_solved(self) -> bool:
        """Whether its head is solved instead of trained by epochs; it then needs no validation videos."""
        return self.encoder is not None and self.approach.has_linear_head

    def with_distances(self, clips: int) -> Learner:
        """The same weights in networks that give scores: see :func:`kineme.models.linear_head.with_distances`."""
        if self.members:
            members = tuple(one.with_distances(clips) for one in self.members)
            networks = JoinedNetwork({one.approach.backbone: one.network for one in members}, self.classes)
            return replace(self, network=networks, trained=networks.heads, members=members)
        network = with_distances(self.network, find_backbone(self.approach.backbone), clips)
        return replace(self, network=network, trained=network.get_layer("head"))

    def cache(self) -> FrameCache:
        """Where its clips come from; frames are kept at twice the rate so that windows can start in between."""
        if self.members:
            leader = leader_of(find_backbone(self.approach.backbone))
            return cast("FrameCache", JoinedCache(self.spec, [one.cache() for one in self.members], leader))
        return FrameCache(self.spec, self.encoder, per_frame=1 if self.encoder else 2)

    def reset_weights(self, seed: int) -> None:
        """Give the trained layers the weights and random state of ``seed``, whatever was learned before.

        A network once compiled serves many trainings this way; compiling takes longer than a small training.
        """
        keras.utils.set_random_seed(seed)
        for one in self.members:
            one.reset_weights(seed)
        if self.members:
            return
        if self.encoder:
            fresh = self.approach.build_head(tuple(self.trained.input.shape[1:]), self.classes)
        else:
            fresh = build_network(self.approach, self.spec, self.classes, pretrained=True)
        for variable, value in zip(self.trained.variables, fresh.variables, strict=True):
            variable.assign(value)


def make_learner(approach: Approach, spec: ClipSpec, classes: int, *, seed: int = 0, finetune: bool = False) -> Learner:
    """Build the network, with published weights where its backbone has some.

    Args:
        approach: from :func:`kineme.models.registry.make_approach`.
        spec: what a clip is.
        classes: K.
        seed: of the weights.
        finetune: train a pretrained backbone too, instead of keeping it frozen. Its batch statistics stay
            as they came: those of a few clips are worse.

    Raises:
        UsageError: the parts do not fit together, or nothing can be fine-tuned.
        KinemeError: the published weights are not on this machine.
    """
    record = find_backbone(approach.backbone)
    if finetune:
        refuse_unfit_to_finetune(record)
    if record.members:
        each = zip(member_approaches(approach, record), member_specs(record, spec), strict=True)
        members = {one.backbone: make_learner(one, its, classes, seed=seed) for one, its in each}
        networks = JoinedNetwork({name: one.network for name, one in members.items()}, classes)
        encoder = list(members.values())[leader_of(record)].encoder
        return Learner(approach, spec, classes, networks, networks.heads, encoder, members=tuple(members.values()))
    is_trained = finetune or (record.can_finetune and approach.is_inside_backbone)
    network = build_network(approach, spec, classes, pretrained=True, frozen=not is_trained)
    if is_trained:
        backbone = network.get_layer("backbone")
        _thaw(backbone)
        learner = Learner(approach, spec, classes, network, network, None, len(backbone.trainable_variables))
    else:
        encoder = record.external(spec) if record.external else open_encoder(network, approach)
        trained = network.get_layer("head") if encoder else network
        learner = Learner(approach, spec, classes, network, trained, encoder)
    learner.reset_weights(seed)
    return learner


def _thaw(model: Any) -> None:
    """Let all of a model learn but its batch statistics."""
    model.trainable = True
    for layer in model.layers:
        if hasattr(layer, "layers"):
            _thaw(layer)
        else:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
