"""What spoke for a label, place by place, by the gradient of its log-odds; on any backend of Keras.

The network is cut in two at the last of its layers whose maps still have seven places on a side: pictures to maps,
maps to logits. What a place did is the gradient there times the map there, summed over channels, as far as it speaks
for the label. That is HiResCAM (Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
convolutional neural networks", 2020). Where the maps are averaged over space right after, as in EfficientNet and I3D,
the gradient is the same at all places, and this is Grad-CAM (Selvaraju et al., ICCV 2017) to the letter; where they
are not, as in the networks trained from scratch, Grad-CAM's averaging of the gradient would lose the place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.models.approach import last_maps
from kineme.models.backend import keras
from kineme.models.layers import MergeTimeIntoBatch, SplitTimeFromBatch
from kineme.models.model_file import ModelCard
from kineme.prediction.engines.keras import KerasFunction
from kineme.prediction.trained import TrainedModel

Array = NDArray[Any]
Gradient = Callable[[Array, int], Array]

_MOST_PLACES = 16  # on the shorter side of a heat map; twice as many are added up by fours

ops = keras.ops


def attribution_of(model: TrainedModel) -> HeatMaps | Joints:
    """What says by gradient which places or landmarks spoke for a label; made once in each thread."""

    def make() -> HeatMaps | Joints:
        return (Joints if model.poses else HeatMaps)(model.network, model.card)

    return model.once("attribution", make, holds_weights=False)


class HeatMaps:
    """Makes heat maps of the frames of clips.

    Args:
        network: a model's, from clips_BTHWC.
        card: all else of the model.
    """

    def __init__(self, network: Any, card: ModelCard) -> None:
        front, rest = cut_at_maps(network, card)
        self._front, self._gradient = KerasFunction(front), gradient_of(rest, len(card.labels))
        self._frames, self._temperature = card.spec.frames, card.temperature
        self._centre = card.architecture.explains_change

    def __call__(self, clips_BTHWC: NDArray[np.uint8], column: int) -> NDArray[np.float64]:
        """Heat maps (B, T, H, W) for the label of a column, from 0 on, in log-odds."""
        (maps_BTHWC,) = self._front(clips_BTHWC)
        gradient_BTHWC = self._gradient(maps_BTHWC, column)
        if self._centre:
            maps_BTHWC = maps_BTHWC - maps_BTHWC.mean(axis=1, keepdims=True)
        heat_BTHW: NDArray[np.float64] = (
            np.maximum((gradient_BTHWC * maps_BTHWC).sum(axis=-1, dtype=np.float64), 0) / self._temperature
        )
        while min(heat_BTHW.shape[2:]) >= 2 * _MOST_PLACES:  # single pixels of a frame tell nothing to the eye
            batch, steps, rows, columns = heat_BTHW.shape
            pairs = heat_BTHW[:, :, : rows // 2 * 2, : columns // 2 * 2]
            heat_BTHW = pairs.reshape(batch, steps, rows // 2, 2, columns // 2, 2).sum(axis=(3, 5))
        steps = heat_BTHW.shape[1]
        seen_T = np.arange(self._frames) * steps // self._frames  # networks that fuse time have fewer maps than frames
        return np.asarray(heat_BTHW[:, seen_T] * (steps / self._frames))


class Joints:
    """Says what each joint did in the frames of a clip.

    The gradient is multiplied by how far a number is from its mean in the clip, and by a speed itself: a body that
    keeps its mean posture is what all else is measured against.

    Args:
        network: of a model on landmarks, from features_BTD.
        card: all else of the model.
    """

    def __init__(self, network: Any, card: ModelCard) -> None:
        assert card.backbone.pose is not None
        self._gradient = gradient_of(network, len(card.labels))
        self._temperature, self._layout = card.temperature, card.backbone.pose

    def __call__(self, features_TD: Array, column: int) -> NDArray[np.float64]:
        """(T, J) for the label of a column, from 0 on, in log-odds; zeros for joints of whom is not there."""
        layout = self._layout
        seen_TD = features_TD[:, layout.flag_D] > 0
        values_TD = np.where(seen_TD, features_TD, 0).astype(np.float64)
        mean_D = values_TD.sum(axis=0) / np.maximum(seen_TD.sum(axis=0), 1)
        moved_TD = np.where(seen_TD, values_TD - np.where(layout.is_motion_D, 0, mean_D), 0)
        positive_TJ = (self._gradient(features_TD[None], column)[0] * moved_TD) @ layout.joints_DJ
        return np.asarray(np.maximum(positive_TJ, 0) / self._temperature)


def cut_at_maps(network: Any, card: ModelCard) -> tuple[Any, Any]:
    """A network in two: uint8 clips_BTHWC to maps (B, T', H, W, C), and maps to logits_BK.

    T' is less than T where the network has fused time before. Both have the network's own weights.
    """
    names = {layer.name for layer in network.layers}
    if "backbone" not in names:  # I3D with its own 400 labels
        maps = last_maps(network)
        return keras.Model(network.input, maps), keras.Model(maps, network.output)
    backbone, head = network.get_layer("backbone"), network.get_layer("head")
    if "frame_network" in {layer.name for layer in backbone.layers}:
        return _cut_frame_network(backbone, head)
    if len(backbone.output.shape) == 5:  # pixels: the convolutions are the head's
        maps = card.architecture.explained_maps(head)
        x = backbone.output if maps is head.input else keras.Model(head.input, maps)(backbone.output)
        return keras.Model(backbone.input, x), keras.Model(maps, head.output)
    maps = last_maps(backbone)
    given = keras.Input(maps.shape[1:], name="maps")
    return keras.Model(backbone.input, maps), keras.Model(given, head(keras.Model(maps, backbone.output)(given)))


def _cut_frame_network(backbone: Any, head: Any) -> tuple[Any, Any]:
    """The same where frames are looked at one by one: time is folded into the batch and unfolded again."""
    frame_network, unfold = backbone.get_layer("frame_network"), backbone.get_layer("split_time")
    maps = last_maps(frame_network)
    x = backbone.input
    for layer in backbone.layers[1 : backbone.layers.index(frame_network)]:
        x = layer(x)
    x = SplitTimeFromBatch(unfold.frames)(keras.Model(frame_network.input, maps)(x))
    given = keras.Input(x.shape[1:], name="maps")
    features = keras.Model(maps, frame_network.output)(MergeTimeIntoBatch()(given))
    return keras.Model(backbone.input, x), keras.Model(given, head(unfold(features)))


def gradient_of(network: Any, labels: int) -> Gradient:
    """A function from a network's inputs, float32, and a column to the gradient there of that label's log-odds."""

    def odds(scores_BS: Any, chosen_K: Any) -> Any:
        logits_BK = scores_BS[:, :labels]
        others_B = ops.logsumexp(logits_BK - 1e9 * chosen_K, axis=1)
        return ops.sum(ops.sum(logits_BK * chosen_K, axis=1) - others_B)

    by_backend = {"tensorflow": _with_tensorflow, "jax": _with_jax, "torch": _with_torch}
    run = by_backend[keras.backend.backend()](network, odds)
    columns = np.eye(labels, dtype=np.float32)
    return lambda inputs, column: np.asarray(run(inputs, columns[column]))


def _with_tensorflow(network: Any, odds: Callable[[Any, Any], Any]) -> Callable[[Array, Array], Any]:
    import tensorflow as tf

    def run(x: Any, chosen_K: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = odds(network(x, training=False), chosen_K)
        return tape.gradient(score, x)

    gradient = tf.function(run, reduce_retracing=True)
    return lambda inputs, chosen_K: gradient(tf.constant(inputs), tf.constant(chosen_K))


def _with_jax(network: Any, odds: Callable[[Any, Any], Any]) -> Callable[[Array, Array], Any]:
    import jax

    trained = [one.value for one in network.trainable_variables]
    other = [one.value for one in network.non_trainable_variables]

    def score(x: Any, chosen_K: Any) -> Any:
        return odds(network.stateless_call(trained, other, x, training=False)[0], chosen_K)

    return jax.jit(jax.grad(score))  # type: ignore[no-any-return]


def _with_torch(network: Any, odds: Callable[[Any, Any], Any]) -> Callable[[Array, Array], Any]:
    import torch

    def run(inputs: Array, chosen_K: Array) -> Any:
        x = ops.convert_to_tensor(inputs).detach().requires_grad_(True)
        score = odds(network(x, training=False), ops.convert_to_tensor(chosen_K))
        return ops.convert_to_numpy(torch.autograd.grad(score, x)[0])

    return run
