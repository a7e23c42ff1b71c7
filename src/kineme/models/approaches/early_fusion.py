"""Early fusion: the first layer sees all frames at once.

Time is joined with the colour channels, so every filter of the first convolution spans the whole clip and answers
to what changes at its place, from the first frame to the last. After it there is no time left: the rest is a small
2D CNN. From a backbone's vectors, a dense layer over the vectors of all frames takes the convolution's place.

Source: Karpathy et al., "Large-scale Video Classification with Convolutional Neural Networks", CVPR 2014. The
centring is ours: most of a stack of frames is what stands still, and with a few hundred clips the filters hardly
learn to look past it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from kineme.models.approach import Approach
from kineme.models.backbones.pixels import PIXELS
from kineme.models.backend import keras


@dataclass(frozen=True)
class EarlyFusion(Approach):
    """Options of the approach.

    Args:
        backbone: ``pixels`` for the approach as published.
        centre: take each pixel's mean over the clip away first, so that only change is left; without it, as
            published, also what the scene looks like counts. Vectors are never centred.
        units: size of the first layer where the backbone gives vectors, 1 to 4096.
        dropout: share of values dropped before the last layer while training, 0 to 0.9.

    Raises:
        UsageError: a value is out of its range.
    """

    name: ClassVar[str] = "early-fusion"
    filters: ClassVar[tuple[int, ...]] = (32, 32, 64, 64)

    backbone: str = PIXELS.name
    centre: bool = True
    units: int = 128
    dropout: float = 0.25

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """Maps (B, T, H, W, C), or features_BTD, to logits_BK."""
        from kineme.models.layers import check_matrix, logits

        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        if len(feature_shape) == 4:
            frames, height, width, channels = feature_shape
            x = features
            if self.centre and frames > 1:
                x = x - keras.ops.mean(x, axis=1, keepdims=True)
            x = layers.Permute((2, 3, 1, 4), name="time_beside_channels")(x)
            x = layers.Reshape((height, width, frames * channels), name="join")(x)
            check_matrix(25 * frames * channels, self.filters[0], "early-fusion's first layer")
            for number, filters in enumerate(self.filters, 1):
                size, stride = (5, 2) if number == 1 else (3, 1)
                convolution = layers.Conv2D(
                    filters, size, stride, padding="same", activation="relu", name=f"conv{number}"
                )
                x = layers.MaxPooling2D(2, padding="same", name=f"pool{number}")(convolution(x))
            check_matrix(math.prod(x.shape[1:]), classes, "early-fusion's last layer")
            x = layers.Flatten(name="flatten")(x)
        else:
            x = layers.Flatten(name="join")(features)
            check_matrix(x.shape[-1], self.units, "early-fusion's first layer")
            x = layers.Dense(self.units, activation="relu", name="fusion")(x)
        x = layers.Dropout(self.dropout, name="dropout")(x)
        return keras.Model(features, logits(classes)(x), name="head")

    def explained_maps(self, head: Any) -> Any:
        """The frames themselves: time is joined with the channels at once."""
        return head.input

    @property
    def explains_change(self) -> bool:
        """Where it sees frames less their mean."""
        return self.centre
