"""Pose LSTM: an LSTM reads how a body is held and how it moves, frame by frame, and never sees a pixel.

The backbone, BlazePose, turns each frame into the landmarks of one person, and those into posture, velocity and
visibility. Within a frame they are fused by the LSTM's own weights; in time, fusion happens in its state: what that
holds after the last frame decides. A frame in which nobody was found is skipped, and the state waits.

This is the privacy mode: such a model is trained on landmarks alone and never stores or sees pixels, faces, clothes
or the place.

Sources: recurrent networks over joints are Du, Wang and Wang, "Hierarchical Recurrent Neural Network for Skeleton Based
Action Recognition", CVPR 2015, here with one LSTM for the whole body; the landmarks are BlazePose's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from kineme.errors import UsageError
from kineme.models.approach import Approach
from kineme.models.backbones.blazepose import BLAZEPOSE
from kineme.models.backend import keras

if TYPE_CHECKING:
    from kineme.models.carry import Carry


@dataclass(frozen=True)
class PoseLSTM(Approach):
    """Options of the approach.

    Args:
        backbone: what gives the landmarks.
        units: size of the LSTM's state, 1 to 4096.
        dropout: share of the last state dropped while training, 0 to 0.9.

    Raises:
        UsageError: a value is out of its range.
    """

    name: ClassVar[str] = "pose-lstm"

    backbone: str = BLAZEPOSE.name
    units: int = 64
    dropout: float = 0.5

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """features_BTD, whose rows are all zeros where nobody was found, to logits_BK.

        Raises:
            UsageError: the backbone gives maps instead of one vector a frame.
        """
        from kineme.models.layers import check_matrix, logits

        if len(feature_shape) != 2:
            raise UsageError(
                f"{self.name} needs one vector a frame; the backbone {self.backbone!r} gives none: use {BLAZEPOSE.name}"
            )
        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        check_matrix(feature_shape[-1], 4 * self.units, "pose-lstm's LSTM")
        x = layers.Masking(name="skip_missing")(features)
        x = layers.LSTM(self.units, name="lstm")(x)
        x = layers.Dropout(self.dropout, name="dropout")(x)
        return keras.Model(features, logits(classes)(x), name="head")

    def step(self, network: Any, x: Any, carry: Carry) -> Any:
        """One step of the LSTM; where nobody was found, its state waits."""
        head = network.get_layer("head")
        somebody = keras.ops.any(keras.ops.not_equal(x, 0.0), axis=-1, keepdims=True)
        return head.get_layer("logits")(carry.recurrent(head.get_layer("lstm"), x, self.units, where=somebody))
