"""Late fusion: one network looks at every frame by itself, and a trained layer at the end merges what they saw.

The per-frame network (the backbone) is shared by all frames. Their features meet only in the fusion layer: it sees
what is in each frame and how frames differ, but no motion finer than those features tell.

Source: Karpathy et al., "Large-scale Video Classification with Convolutional Neural Networks", CVPR 2014, who fuse
two distant frames (``frames="two"``); fusing all frames is the same idea carried through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kineme.errors import UsageError


@dataclass(frozen=True)
class LateFusion:
    """Options of the approach.

    Args:
        backbone: the per-frame network.
        frames: fuse ``"all"`` frames of the clip, or the ``"two"`` at its ends.
        merge: ``"concat"`` keeps the frames' features side by side in order, so order can count; ``"mean"``
            averages them first, and order cannot.
        units: size of the fusion layer, 1 to 4096.
        dropout: share of the fused values dropped while training, 0 to 0.9.

    Raises:
        UsageError: a value is out of its range.
    """

    backbone: str = "small-cnn"
    frames: Literal["all", "two"] = "all"
    merge: Literal["concat", "mean"] = "concat"
    units: int = 64
    dropout: float = 0.25

    def __post_init__(self) -> None:
        if not 1 <= self.units <= 4096:
            raise UsageError(f"late-fusion: option units must be from 1 to 4096, not {self.units}")
        if not 0 <= self.dropout <= 0.9:
            raise UsageError(f"late-fusion: option dropout must be from 0 to 0.9, not {self.dropout}")

    def head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """features_BTD to logits_BK; any further axes of the features are flattened."""
        from kineme.models.backend import keras
        from kineme.models.layers import check_matrix, logits

        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        x = features
        if len(feature_shape) > 2:
            x = layers.Reshape((feature_shape[0], -1), name="flatten_frame")(x)
        if self.frames == "two":
            x = keras.ops.stack([x[:, 0], x[:, -1]], axis=1)
        if self.merge == "mean":
            x = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
        else:
            x = layers.Flatten(name="side_by_side")(x)
        check_matrix(x.shape[-1], self.units, "late-fusion's fusion layer")
        x = layers.Dense(self.units, activation="relu", name="fusion")(x)
        x = layers.Dropout(self.dropout, name="dropout")(x)
        return keras.Model(features, logits(classes)(x), name="head")
