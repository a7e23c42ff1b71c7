"""Slow fusion: a 3D CNN, every layer of which has seen a little more time than the one before.

Each of four convolutions spans three steps of time; after the second and third, pooling halves time. So what one
value has seen grows from 3 frames to 5, 10 and at last 20, and small motions are found before large ones are made
of them. The same filters look everywhere in the clip; the mean over the remaining space and time is classified.

Sources: Karpathy et al., "Large-scale Video Classification with Convolutional Neural Networks", CVPR 2014 (slow
fusion); Tran et al., "Learning Spatiotemporal Features with 3D Convolutional Networks", ICCV 2015 (3 x 3 x 3
kernels, time not pooled in the first block). Batch normalisation is from Ioffe and Szegedy, ICML 2015; the centring
is ours: most of a clip is what stands still, and with a few hundred clips the filters hardly learn to look past it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kineme.models.approach import Approach
from kineme.models.backbones.pixels import PIXELS
from kineme.models.backend import keras


@dataclass(frozen=True)
class SlowFusion(Approach):
    """Options of the approach.

    Args:
        backbone: ``pixels`` for the approach as published; with vectors, the convolutions run over time alone.
        centre: take each pixel's mean over the clip away first, so that only change is left; without it, as
            published, also what the scene looks like counts. Vectors are never centred.
        units: filters of each layer where the backbone gives vectors, 1 to 4096.
        dropout: share of values dropped before the last layer while training, 0 to 0.9.

    Raises:
        UsageError: a value is out of its range.
    """

    name: ClassVar[str] = "slow-fusion"
    filters: ClassVar[tuple[int, ...]] = (16, 32, 64, 64)
    time_pooling: ClassVar[tuple[int, ...]] = (1, 2, 2, 1)

    backbone: str = PIXELS.name
    centre: bool = True
    units: int = 64
    dropout: float = 0.25

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """Maps (B, T, H, W, C), or features_BTD, to logits_BK."""
        from kineme.models.layers import BatchNormalization, check_matrix, logits

        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        maps = len(feature_shape) == 4
        x = features
        if maps and self.centre and feature_shape[0] > 1:
            x = x - keras.ops.mean(x, axis=1, keepdims=True)
        for number, (filters, time) in enumerate(zip(self.filters, self.time_pooling, strict=True), 1):
            if maps:
                stride = (1, 2, 2) if number == 1 else 1
                convolution = layers.Conv3D(filters, 3, stride, padding="same", use_bias=False, name=f"conv{number}")
                pool = layers.MaxPooling3D((time, 2, 2), padding="same", name=f"pool{number}")
            else:
                check_matrix(3 * x.shape[-1], self.units, "slow-fusion's convolution")
                convolution = layers.Conv1D(self.units, 3, padding="same", use_bias=False, name=f"conv{number}")
                pool = layers.MaxPooling1D(time, padding="same", name=f"pool{number}")
            x = BatchNormalization(momentum=0.9, name=f"norm{number}")(convolution(x))
            x = pool(layers.ReLU(name=f"relu{number}")(x))
        mean = layers.GlobalAveragePooling3D if maps else layers.GlobalAveragePooling1D
        x = layers.Dropout(self.dropout, name="dropout")(
            mean(name="mean_over_space_and_time" if maps else "mean_over_time")(x)
        )
        return keras.Model(features, logits(classes)(x), name="head")
