"""Late fusion: one network processes each frame by itself, and a trained layer at the end merges the features.

The per-frame network (the backbone) is shared by all frames. Their features meet only in the fusion layer: it sees
the content of each frame and the differences between frames, but no motion finer than the features.

Behind a frozen backbone the default is ``head=linear``: mean and standard deviation of each feature over the clip, and
one linear layer, which is solved to its optimum (:mod:`kineme.training.linear`) instead of trained by epochs.

Source: Karpathy et al., "Large-scale Video Classification with Convolutional Neural Networks", CVPR 2014, who fuse
two distant frames (``frames="two"``); fusing all frames is the same idea carried through. ``merge="attention"`` is
after STEP: Ponbagavathi and Roitberg, `Order Matters <https://arxiv.org/abs/2503.24298>`_, 2025: positions added to
frozen features, one class token, one attention without a network behind it. That the mean over the clip is taken away
first is ours: on few videos the token otherwise learns who and what stands still in them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kineme.errors import UsageError
from kineme.models.approach import Approach
from kineme.models.backbones.small_cnn import SMALL_CNN
from kineme.models.backend import keras

if TYPE_CHECKING:
    from kineme.models.backbone import Backbone
    from kineme.models.carry import Carry


@dataclass(frozen=True)
class LateFusion(Approach):
    """Options of the approach.

    Args:
        backbone: the per-frame network.
        head: ``"mlp"`` is a fusion layer, trained by epochs; the other options belong to it. ``"linear"`` is solved.
        frames: fuse ``"all"`` frames of the clip, or the ``"two"`` at its ends.
        merge: ``"concat"`` keeps the frames' features side by side in order, so order can count; ``"mean"``
            averages them first, and order cannot; ``"attention"`` weights the changes among them by content and
            position, with far fewer weights than ``"concat"``.
        units: size of the fusion layer, 1 to 4096.
        dropout: share of the fused values dropped while training, 0 to 0.9.

    Raises:
        UsageError: a value is out of its range.
    """

    name: ClassVar[str] = "late-fusion"

    backbone: str = SMALL_CNN.name
    head: Literal["mlp", "linear"] = "mlp"
    frames: Literal["all", "two"] = "all"
    merge: Literal["concat", "mean", "attention"] = "concat"
    units: int = 64
    dropout: float = 0.25

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """features_BTD to logits_BK; any further axes of the features are flattened."""
        from kineme.models.layers import ClassToken, check_matrix, logits
        from kineme.models.linear_head import build_linear_head
        from kineme.models.registry import find_backbone

        if self.has_linear_head:
            return build_linear_head(feature_shape, classes, find_backbone(self.backbone))
        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        x = features
        if len(feature_shape) > 2:
            x = layers.Reshape((feature_shape[0], -1), name="flatten_frame")(x)
        if self.frames == "two":
            x = keras.ops.stack([x[:, 0], x[:, -1]], axis=1)
        if self.merge == "attention":
            check_matrix(x.shape[-1], self.units, "late-fusion's projection")
            x = layers.Dropout(self.dropout, name="dropout_features")(x - keras.ops.mean(x, axis=1, keepdims=True))
            x = layers.Dense(self.units, name="projection")(x)
            x = ClassToken(name="class_token")(x)
            return keras.Model(features, logits(classes)(x), name="head")
        if self.merge == "mean":
            x = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
        else:
            x = layers.Flatten(name="side_by_side")(x)
        check_matrix(x.shape[-1], self.units, "late-fusion's fusion layer")
        x = layers.Dense(self.units, activation="relu", name="fusion")(x)
        x = layers.Dropout(self.dropout, name="dropout")(x)
        return keras.Model(features, logits(classes)(x), name="head")

    @classmethod
    def suited_to(cls, backbone: Backbone, given: Collection[str] = ()) -> Mapping[str, Any]:
        """A linear head on frozen features, unless an option of the other head is asked for."""
        is_linear = backbone.is_pretrained and not set(given) & {"frames", "merge", "units", "dropout"}
        return {"head": "linear"} if is_linear else {}

    @property
    def has_linear_head(self) -> bool:
        """Whether it is asked for."""
        return self.head == "linear"

    @property
    def uses_order(self) -> bool:
        """Not where all frames are averaged."""
        if self.has_linear_head:
            from kineme.models.registry import find_backbone

            record = find_backbone(self.backbone)
            return any(one.statistics for one in (record, *record.members))
        return self.merge != "mean" or self.frames != "all"

    def step(self, network: Any, x: Any, carry: Carry) -> Any:
        """The newest T frames, merged.

        Raises:
            UsageError: the merging needs the places of frames in a window.
        """
        from kineme.models.linear_head import linear_step

        head = network.get_layer("head")
        if self.has_linear_head and self.uses_order:
            raise UsageError(f"{self.name} on {self.backbone} reads whole windows in order: use mode='exact'")
        if self.has_linear_head:
            return linear_step(head, x, carry)
        if self.merge == "attention" and self.frames == "all":
            seen = carry.recent(carry.flat(x), carry.frames, hold=True)
            places = head.get_layer("projection")(seen - keras.ops.mean(seen, axis=1, keepdims=True))
            return head.get_layer("logits")(head.get_layer("class_token")(places))
        if self.uses_order:
            raise UsageError(
                f"{self.name} with merge={self.merge}, frames={self.frames} depends on the position of frames in a "
                "window and keeps no state to carry: use mode='exact'"
            )
        return head.get_layer("logits")(head.get_layer("fusion")(carry.mean(carry.flat(x))))
