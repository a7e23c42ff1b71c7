"""LRCN: a CNN processes each frame, and an LSTM reads the features in order.

The CNN (the backbone) is shared by all frames; its features, one vector a frame, are a sentence that the LSTM
reads. What the LSTM holds after the last frame decides. Fusion in time happens nowhere else, so order counts.

Features of a network that has learned from ImageNet describe mostly the people and objects in the picture, and with few
videos the LSTM memorises them. Behind such a backbone it therefore reads, by default, how the features have changed
since some frames earlier (``diff_lag``), which is ours: what stands still is taken away.

Source: Donahue et al., "Long-term Recurrent Convolutional Networks for Visual Recognition and Description",
CVPR 2015. With the defaults, 64 x 64 pixels and four classes, this is the textbook network of 73,060 parameters;
``backbone=small-cnn`` shows it the frames as the textbook does, the default what changed between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kineme.errors import UsageError
from kineme.models.approach import Approach
from kineme.models.backbones.efficientnet_lite0 import EFFICIENTNET_LITE0
from kineme.models.backbones.i3d import I3D
from kineme.models.backbones.small_cnn import MOTION_CNN
from kineme.models.backend import keras

if TYPE_CHECKING:
    from kineme.models.carry import Carry


@dataclass(frozen=True)
class LRCN(Approach):
    """Options of the approach.

    Args:
        backbone: the per-frame network.
        units: size of the LSTM's state, 1 to 4096.
        bidirectional: a second LSTM reads the clip backwards; such a model cannot run on a stream frame by frame.
        pooling: classify from the ``"last"`` state, or from the ``"mean"`` or ``"max"`` of the states at all frames.
        dropout: share of the features dropped while training, 0 to 0.9; for large frozen backbones.
        diff_lag: read the change of the features since so many frames earlier, 0 to 100 (since the first frame
            where there are not that many); 0 reads the features themselves.
        projection: first reduce the features to so many, 0 to 4096, by a layer shared by all frames; 0 does not.

    Raises:
        UsageError: a value is out of its range.
    """

    name: ClassVar[str] = "lrcn"
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        **Approach.ranges,
        "diff_lag": (0, 100),
        "projection": (0, 4096),
    }
    suited: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        EFFICIENTNET_LITE0.name: {"units": 64, "dropout": 0.5, "projection": 64, "diff_lag": 3, "pooling": "max"},
        I3D.name: {"units": 32, "dropout": 0.5},
    }
    renamed: ClassVar[Mapping[str, str]] = {"change_over": "diff_lag"}

    backbone: str = MOTION_CNN.name
    units: int = 32
    bidirectional: bool = False
    pooling: Literal["last", "mean", "max"] = "last"
    dropout: float = 0.0
    diff_lag: int = 0
    projection: int = 0

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """features_BTD to logits_BK; any further axes of the features are flattened."""
        from kineme.models.layers import FrameDifference, check_matrix, logits

        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        x = features
        if len(feature_shape) > 2:
            x = layers.Reshape((feature_shape[0], -1), name="flatten_frame")(x)
        if self.diff_lag:
            x = FrameDifference(self.diff_lag, name="frame_difference")(x)
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

    def step(self, network: Any, x: Any, carry: Carry) -> Any:
        """One step of the LSTM; its states are pooled over the newest T frames.

        Raises:
            UsageError: a second LSTM reads the clip backwards.
        """
        if self.bidirectional:
            raise UsageError(
                f"{self.name} with bidirectional=true reads clips backwards too and cannot carry a state: use 'exact'"
            )
        head = network.get_layer("head")
        x = carry.flat(x)
        if self.diff_lag:
            x = x - carry.recent(x, self.diff_lag + 1, hold=True)[:, 0]
        if self.projection:
            x = head.get_layer("projection")(x)
        h = carry.recurrent(head.get_layer("lstm"), x, self.units)
        if self.pooling == "mean":
            h = carry.mean(h)
        if self.pooling == "max":
            h = keras.ops.max(carry.recent(h, carry.frames, hold=True), axis=1)
        return head.get_layer("logits")(h)
