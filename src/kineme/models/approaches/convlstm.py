"""ConvLSTM: convolution and recurrence in one layer.

The LSTM's states are feature maps and its gates are convolutions, so what moved where is remembered in place.
Four such layers alternate with spatial pooling; the maps of all frames, flattened, are classified together.
That is for frames. On the small maps of a large backbone one layer reads the clip, and the mean over space of its
last state is classified; a vector is taken as a map of one pixel, where such a layer is an ordinary LSTM.

Source: Shi et al., "Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting",
NeurIPS 2015. With 20 frames of 64 x 64 and four classes, this is the textbook network of 44,524 parameters;
``backbone=pixels`` shows it the frames as the textbook does, the default what changed between them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from kineme.models.approach import Approach
from kineme.models.backbone import Backbone
from kineme.models.backbones.pixels import CHANGES
from kineme.models.backend import keras
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.models.carry import Carry

SMALLEST = 31  # pixels: what four unpadded 3 x 3 convolutions with pooling between them need


@dataclass(frozen=True)
class ConvLSTM(Approach):
    """Options of the approach.

    Args:
        backbone: ``pixels`` for the approach as published, ``changes``, which learns faster; any other
            that gives maps or vectors also works.
        units: filters of the one layer on vectors, or on maps of fewer than 31 pixels on a side, which are too
            small for four; 1 to 4096.
        dropout: share of values dropped between layers while training, 0 to 0.9.
        recurrent_dropout: share of the state dropped while training, 0 to 0.9.

    Raises:
        UsageError: a value is out of its range.
    """

    name: ClassVar[str] = "convlstm"
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {**Approach.ranges, "recurrent_dropout": (0, 0.9)}
    clips_per_second: ClassVar[float] = 12.0
    bytes_per_pixel: ClassVar[float] = 620.0
    filters: ClassVar[tuple[int, ...]] = (4, 8, 14, 16)

    backbone: str = CHANGES.name
    units: int = 32
    dropout: float = 0.2
    recurrent_dropout: float = 0.2

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """Maps (B, T, H, W, C), or features_BTD, to logits_BK."""
        from kineme.models.layers import logits

        maps = keras.Input(feature_shape, name="features")
        four_fit = len(feature_shape) == 4 and min(feature_shape[1:3]) >= SMALLEST
        x = self._four_layers(maps, classes) if four_fit else self._one_layer(maps)
        return keras.Model(maps, logits(classes)(x), name="head")

    def _four_layers(self, x: Any, classes: int) -> Any:
        """All the maps at all frames, flattened."""
        from kineme.models.convlstm_layer import FoldedConvLSTM2D
        from kineme.models.layers import check_matrix

        layers = keras.layers
        for number, filters in enumerate(self.filters, 1):
            x = FoldedConvLSTM2D(
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
        return layers.Flatten(name="flatten")(x)

    def _one_layer(self, x: Any) -> Any:
        """The mean over space of the state after the last frame."""
        from kineme.models.convlstm_layer import FoldedConvLSTM2D
        from kineme.models.layers import check_matrix

        layers = keras.layers
        if len(x.shape) != 5:
            x = layers.Reshape((x.shape[1], 1, 1, -1), name="one_pixel")(x)
        kernel = tuple(3 if side > 1 else 1 for side in x.shape[2:4])
        check_matrix(math.prod(kernel) * max(x.shape[-1], self.units), 4 * self.units, "convlstm's layer")
        x = FoldedConvLSTM2D(
            self.units, kernel, padding="same", recurrent_dropout=self.recurrent_dropout, name="convlstm"
        )(x)
        x = layers.Dropout(self.dropout, name="dropout")(x)
        return layers.GlobalAveragePooling2D(name="mean_over_space")(x)

    def step(self, network: Any, x: Any, carry: Carry) -> Any:
        """One step of each layer. The last layer of four reads the maps of the newest T frames side by side."""
        ops, head = keras.ops, network.get_layer("head")
        names = [layer.name for layer in head.layers if layer.name.startswith("convlstm")]
        if len(names) == 1 and len(x.shape) != 4:
            x = ops.reshape(x, (1, 1, 1, -1))
        for name in names:
            layer = head.get_layer(name)
            layer.cell.name = f"{name}_cell"  # all are called the same, and in one network they may not be
            shape = layer.compute_output_shape((1, carry.frames, *x.shape[1:]))[-3:]
            x = carry.recurrent(layer, x, *shape)
            if len(names) > 1:
                x = ops.max_pool(x, 2, padding="same")  # what pooling over (1, 2, 2) does to a frame
        if len(names) == 1:
            return head.get_layer("logits")(head.get_layer("mean_over_space")(x))
        return head.get_layer("logits")(ops.reshape(carry.recent(carry.flat(x), carry.frames), (1, -1)))

    def ticks_before_answer(self, spec: ClipSpec, backbone: Backbone) -> int:
        """All T frames where the last of four layers reads their maps side by side."""
        return spec.frames if backbone.is_passthrough and min(spec.height, spec.width) >= SMALLEST else 1
