"""TSM: inside the per-frame network, each frame takes a quarter of the channels of the frame before it.

Online form, which looks back only. Source: Lin, Gan and Han, "TSM: Temporal Shift Module for Efficient Video
Understanding", ICCV 2019, https://arxiv.org/abs/1811.08383.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kineme.models.approach import Approach
from kineme.models.backbones.small_cnn import SMALL_CNN
from kineme.models.backend import keras


@dataclass(frozen=True)
class TSM(Approach):
    name: ClassVar[str] = "tsm"

    backbone: str = SMALL_CNN.name

    def build(self, backbone: Any, spec: Any, classes: int) -> Any:
        frame_network = backbone.get_layer("frame_network")

        def with_shift(layer: Any, x: Any, **options: Any) -> Any:
            if isinstance(layer, keras.layers.Conv2D):
                x = shift_layer(spec.frames, name=f"shift_{layer.name}")(x)
            return layer(x, **options)

        shifted = keras.models.clone_model(frame_network, call_function=with_shift)
        shifted.set_weights(frame_network.get_weights())
        y = clips = keras.Input(backbone.input.shape[1:], dtype="uint8", name="clips")
        for layer in backbone.layers[1:]:
            y = (shifted if layer is frame_network else layer)(y)
        return super().build(keras.Model(clips, y, name="backbone"), spec, classes)

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        from kineme.models.layers import logits

        features = keras.Input(feature_shape, name="features")
        return keras.Model(features, keras.ops.mean(logits(classes)(features), axis=1), name="head")

    def step(self, network: Any, x: Any, carry: Any) -> Any:
        for layer in network.get_layer("backbone").get_layer("frame_network").layers[1:]:
            if layer.name.startswith("shift"):
                moved = x.shape[-1] // 4
                if moved:
                    before = carry.recent(x[..., :moved], 2)[:, 0]
                    x = keras.ops.concatenate([before, x[..., moved:]], axis=-1)
            else:
                x = layer(x)
        return carry.mean(network.get_layer("head").get_layer("logits")(x))


def shift_layer(frames: int, name: str) -> Any:
    class Shift(keras.layers.Layer):
        def call(self, x_NHWC: Any) -> Any:
            x_BT = keras.ops.reshape(x_NHWC, (-1, frames, *x_NHWC.shape[1:]))
            moved = x_BT.shape[-1] // 4
            before = keras.ops.pad(x_BT[:, :-1, ..., :moved], [(0, 0), (1, 0), *[(0, 0)] * 3])
            return keras.ops.reshape(keras.ops.concatenate([before, x_BT[..., moved:]], axis=-1), (-1, *x_BT.shape[2:]))

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    return Shift(name=name)
