"""ConvLSTM: convolution and recurrence in one layer.

The LSTM's states are feature maps and its gates are convolutions, so what moved where is remembered in place.
Four such layers alternate with spatial pooling; the maps of all frames, flattened, are classified together.

Source: Shi et al., "Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting",
NeurIPS 2015. With 20 frames of 64 x 64 and four classes, this is the textbook network of 44,524 parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from kineme.errors import UsageError


@dataclass(frozen=True)
class ConvLSTM:
    """Options of the approach.

    Args:
        backbone: ``"pixels"``; the convolutions are the approach's own.
        dropout: share of values dropped between blocks while training, 0 to 0.9.
        recurrent_dropout: share of the state dropped while training, 0 to 0.9.

    Raises:
        UsageError: a value is out of its range.
    """

    backbone: str = "pixels"
    dropout: float = 0.2
    recurrent_dropout: float = 0.2

    filters: ClassVar[tuple[int, ...]] = (4, 8, 14, 16)

    def __post_init__(self) -> None:
        for name in ("dropout", "recurrent_dropout"):
            if not 0 <= getattr(self, name) <= 0.9:
                raise UsageError(f"convlstm: option {name} must be from 0 to 0.9, not {getattr(self, name)}")

    def head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """Maps (B, T, H, W, C) to logits_BK.

        Raises:
            UsageError: the backbone gives vectors instead of maps.
        """
        from kineme.models.backend import keras
        from kineme.models.layers import check_matrix, logits

        if len(feature_shape) != 4:
            raise UsageError(f"convlstm needs maps to convolve; the backbone {self.backbone!r} gives none: use pixels")
        layers = keras.layers
        maps = keras.Input(feature_shape, name="features")
        x = maps
        for number, filters in enumerate(self.filters, 1):
            x = layers.ConvLSTM2D(
                filters,
                3,
                recurrent_dropout=self.recurrent_dropout,
                return_sequences=True,
                name=f"convlstm{number}",
            )(x)
            x = layers.MaxPooling3D((1, 2, 2), padding="same", name=f"pool{number}")(x)
            if number < len(self.filters):
                x = layers.Dropout(self.dropout, name=f"dropout{number}")(x)
        check_matrix(math.prod(x.shape[1:]), classes, "convlstm's last layer")
        return keras.Model(maps, logits(classes)(layers.Flatten(name="flatten")(x)), name="head")
