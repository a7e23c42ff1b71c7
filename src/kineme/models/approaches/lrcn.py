"""LRCN: a CNN looks at every frame, an LSTM reads what it saw in order.

The CNN (the backbone) is shared by all frames; its features, one vector a frame, are a sentence that the LSTM
reads. What the LSTM holds after the last frame decides. Fusion in time happens nowhere else, so order counts.

Features of a network that has learned from ImageNet tell mostly who and what is in the picture, and with few videos
the LSTM learns that by heart. Behind such a backbone it therefore reads, by default, how the features have changed
since some frames earlier (``change_over``), which is ours: what stands still is taken away.

Source: Donahue et al., "Long-term Recurrent Convolutional Networks for Visual Recognition and Description",
CVPR 2015. With the defaults, 64 x 64 pixels and four classes, this is the textbook network of 73,060 parameters;
``backbone=small-cnn`` shows it the frames as the textbook does, the default what changed between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kineme.errors import UsageError


@dataclass(frozen=True)
class LRCN:
    """Options of the approach.

    Args:
        backbone: the per-frame network.
        units: size of the LSTM's state, 1 to 4096.
        bidirectional: a second LSTM reads the clip backwards; such a model cannot run on a stream frame by frame.
        pooling: classify from the ``"last"`` state, or from the ``"mean"`` or ``"max"`` of the states at all frames.
        dropout: share of the features dropped while training, 0 to 0.9; for large frozen backbones.
        change_over: read the change of the features since so many frames earlier, 0 to 100 (since the first frame
            where there are not that many); 0 reads the features themselves.
        projection: first reduce the features to so many, 0 to 4096, by a layer shared by all frames; 0 does not.

    Raises:
        UsageError: a value is out of its range.
    """

    backbone: str = "motion-cnn"
    units: int = 32
    bidirectional: bool = False
    pooling: Literal["last", "mean", "max"] = "last"
    dropout: float = 0.0
    change_over: int = 0
    projection: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.units <= 4096:
            raise UsageError(f"lrcn: option units must be from 1 to 4096, not {self.units}")
        if not 0 <= self.dropout <= 0.9:
            raise UsageError(f"lrcn: option dropout must be from 0 to 0.9, not {self.dropout}")
        if not 0 <= self.change_over <= 100:
            raise UsageError(f"lrcn: option change_over must be from 0 to 100, not {self.change_over}")
        if not 0 <= self.projection <= 4096:
            raise UsageError(f"lrcn: option projection must be from 0 to 4096, not {self.projection}")

    def head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """features_BTD to logits_BK; any further axes of the features are flattened."""
        from kineme.models.backend import keras
        from kineme.models.layers import FrameDifference, check_matrix, logits

        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        x = features
        if len(feature_shape) > 2:
            x = layers.Reshape((feature_shape[0], -1), name="flatten_frame")(x)
        if self.change_over:
            x = FrameDifference(self.change_over, name="changes")(x)
        if self.dropout:
            x = layers.Dropout(self.dropout, name="dropout")(x)
        if self.projection:
            check_matrix(x.shape[-1], self.projection, "lrcn's projection")
            x = layers.Dense(self.projection, activation="relu", name="projection")(x)
        check_matrix(x.shape[-1], 4 * self.units, "lrcn's LSTM")
        lstm = layers.LSTM(self.units, return_sequences=self.pooling != "last", name="lstm")
        x = layers.Bidirectional(lstm, name="both_ways")(x) if self.bidirectional else lstm(x)
        if self.pooling == "mean":
            x = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
        if self.pooling == "max":
            x = layers.GlobalMaxPooling1D(name="max_over_time")(x)
        return keras.Model(features, logits(classes)(x), name="head")
