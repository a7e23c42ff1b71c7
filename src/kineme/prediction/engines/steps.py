"""The parts of a network that a stream runs one frame at a time, cut out of it with the weights it has.

``frame`` turns one frame into features, ``window`` turns T features into scores, ``step`` reads one frame's features
with what is remembered of those before; ``clip`` is the whole. A step takes and gives a batch of one, the others any.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kineme.errors import UsageError
from kineme.models.backend import keras
from kineme.models.model_file import ModelCard

ops = keras.ops


def part_of(part: str, network: Any, card: ModelCard) -> Any:
    """A part of a model's network as a Keras model.

    Args:
        part: ``"frame"``, ``"window"``, ``"step"`` or ``"clip"``.
        network: the model's.
        card: all else of the model.

    Raises:
        UsageError: there is no such part of it; see :func:`step_part`.
    """
    if part == "step":
        return step_part(card, network)
    if part == "frame":
        return frame_part(network.get_layer("backbone"))
    return network if part == "clip" else network.get_layer("head")


def frame_part(backbone: Any) -> Any:
    """uint8 frames_NHWC, and those before where the backbone looks back, to features (N, ...)."""
    names = _names(backbone)
    shape = backbone.input.shape[2:]
    frame = keras.Input(shape, dtype="uint8", name="frame")
    inputs, x = [frame], frame
    if "scale" in names:
        x = backbone.get_layer("scale")(x)
    if "changes" in names:
        before = keras.Input(shape, dtype="uint8", name="before")
        inputs.append(before)
        x = x - backbone.get_layer("scale")(before)
    if "frame_network" in names:
        x = backbone.get_layer("frame_network")(x)
    return keras.Model(inputs, x, name="frame_part")


def stream_part(card: ModelCard, network: Any) -> Any:
    """A frame (1, H, W, 3), uint8, and states to logits (1, K) and the states after it: :func:`step_part` and before.

    What a backbone keeps of the frame before is among the states. All begin at zero, and carry names.

    Args:
        card: of the model; one on landmarks has no part that sees frames, and takes their features instead.
        network: the model's.

    Raises:
        UsageError: as :func:`step_part`.
    """
    step = step_part(card, network)
    if card.config.get("backbone") == "blazepose":
        return step
    backbone = network.get_layer("backbone")
    names = _names(backbone)
    frame = keras.Input(batch_shape=(1, *backbone.input.shape[2:]), dtype="uint8", name="frame")
    before, after = [], []
    x = backbone.get_layer("scale")(frame) if "scale" in names else frame
    if "changes" in names:
        started, pixels = (
            keras.Input(batch_shape=(1, 1), name="started"),
            keras.Input(batch_shape=x.shape, name="pixels"),
        )
        before, after = [started, pixels], [ops.minimum(started + 1.0, 1.0), x]
        x = x - ops.where(ops.reshape(started, (1, 1, 1, 1)) > 0.0, pixels, x)
    if "frame_network" in names:
        x = backbone.get_layer("frame_network")(x)
    states = [keras.Input(batch_shape=one.shape, name=one.name) for one in step.inputs[1:]]
    logits, *rest = step([x, *states])
    return keras.Model([frame, *before, *states], [logits, *after, *rest], name="stream_part")


def step_part(card: ModelCard, network: Any) -> Any:
    """Features (1, ...) of a frame and states to logits (1, K) and the states after it. All states begin at zero.

    After T frames from the start, the logits are those of the window, but for rounding. What is pooled over time is
    pooled over the newest T frames from then on too, and what the states hold of older ones stays in them.

    Args:
        card: of the model.
        network: the model's.

    Raises:
        UsageError: the approach, its options or its backbone keep no state that could be carried.
    """
    if card.approach not in _CARRIED:
        raise UsageError(f"{card.approach} keeps no state to carry from frame to frame: use mode='exact'")
    approach = card.make_approach()
    if approach.backbone == "i3d":
        raise UsageError(f"{card.approach} on i3d looks at whole clips and keeps no state to carry: use mode='exact'")
    head = network.get_layer("head")
    feature_shape = head.input.shape[1:]
    features = keras.Input(batch_shape=(1, *feature_shape[1:]), name="features")
    carry = _Carry(int(feature_shape[0]))
    logits = _CARRIED[card.approach](approach, head, features, carry)
    return keras.Model([features, *carry.before], [logits, *carry.after], name="step_part")


class _Carry:
    """The states of a step while it is put together."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.before: list[Any] = []
        self.after: list[Any] = []
        self._counted: tuple[Any, Any] | None = None

    def state(self, name: str, *shape: int) -> Any:
        """What a state was before this frame; :meth:`becomes` says what it is after."""
        self.before.append(keras.Input(batch_shape=(1, *shape), name=name))
        self.after.append(None)
        return self.before[-1]

    def becomes(self, before: Any, after: Any) -> None:
        number = next(number for number, one in enumerate(self.before) if one is before)
        self.after[number] = after

    def count(self) -> tuple[Any, Any]:
        """How many frames there were before this one, and with it; no more than T are told apart."""
        if self._counted is None:
            before = self.state("frames_seen", 1)
            self._counted = before, ops.minimum(before + 1.0, float(self.frames))
            self.becomes(*self._counted)
        return self._counted

    def recent(self, x: Any, frames: int, *, hold: bool = False) -> Any:
        """The newest of ``x`` (1, ...) as (1, frames, ...); before the first there were zeros, or the first itself."""
        if frames == 1:
            return ops.expand_dims(x, 1)
        older = self.state(f"recent{len(self.before)}", frames - 1, *x.shape[1:])
        newest = ops.expand_dims(x, 1)
        known = older
        if hold:
            first = ops.reshape(ops.equal(self.count()[0], 0.0), (1,) * len(older.shape))
            known = ops.where(first, newest, older)
        known = ops.concatenate([known, newest], axis=1)
        self.becomes(older, known[:, 1:])
        return known

    def mean(self, x: Any) -> Any:
        """The mean of the newest T of ``x`` (1, D), or of as many as there are."""
        return ops.sum(self.recent(x, self.frames), axis=1) / self.count()[1]


def _lrcn(approach: Any, head: Any, x: Any, carry: _Carry) -> Any:
    if approach.bidirectional:
        raise UsageError("lrcn with bidirectional=true reads clips backwards too and cannot carry a state: use 'exact'")
    x = _flat(x)
    if approach.change_over:
        x = x - carry.recent(x, approach.change_over + 1, hold=True)[:, 0]
    if approach.projection:
        x = head.get_layer("projection")(x)
    h = _lstm(head.get_layer("lstm"), x, carry)
    if approach.pooling == "mean":
        h = carry.mean(h)
    if approach.pooling == "max":
        h = ops.max(carry.recent(h, carry.frames, hold=True), axis=1)
    return head.get_layer("logits")(h)


def _pose_lstm(approach: Any, head: Any, x: Any, carry: _Carry) -> Any:
    somebody = ops.any(ops.not_equal(x, 0.0), axis=-1, keepdims=True)  # as Masking has it: the state waits
    return head.get_layer("logits")(_lstm(head.get_layer("lstm"), x, carry, counts=somebody))


def _single_frame(approach: Any, head: Any, x: Any, carry: _Carry) -> Any:
    return carry.mean(head.get_layer("logits")(_flat(x)))


def _late_fusion(approach: Any, head: Any, x: Any, carry: _Carry) -> Any:
    if approach.merge != "mean" or approach.frames != "all":
        raise UsageError(
            f"late-fusion with merge={approach.merge}, frames={approach.frames} tells the places of frames in a "
            "window and keeps no state to carry: use mode='exact'"
        )
    return head.get_layer("logits")(head.get_layer("fusion")(carry.mean(_flat(x))))


def _convlstm(approach: Any, head: Any, x: Any, carry: _Carry) -> Any:
    names = _names(head)
    if "convlstm" in names:
        if len(x.shape) != 4:
            x = ops.reshape(x, (1, 1, 1, -1))
        h = _convolutional_lstm(head.get_layer("convlstm"), x, carry)
        return head.get_layer("logits")(head.get_layer("mean_over_space")(h))
    for number in range(1, sum(name.startswith("convlstm") for name in names) + 1):
        h = _convolutional_lstm(head.get_layer(f"convlstm{number}"), x, carry)
        x = ops.max_pool(h, 2, padding="same")  # what the network's pooling over (1, 2, 2) does to a frame
    x = _flat(x)  # the last layer reads the maps of the newest T frames side by side
    return head.get_layer("logits")(ops.reshape(carry.recent(x, carry.frames), (1, -1)))


_CARRIED: dict[str, Callable[[Any, Any, Any, _Carry], Any]] = {
    "lrcn": _lrcn,
    "pose-lstm": _pose_lstm,
    "single-frame": _single_frame,
    "late-fusion": _late_fusion,
    "convlstm": _convlstm,
}


def _lstm(layer: Any, x: Any, carry: _Carry, counts: Any = None) -> Any:
    """The output of one step; where ``counts`` is false the state stays as it was."""
    before = carry.state(f"{layer.name}_h", layer.units), carry.state(f"{layer.name}_c", layer.units)
    h, (_, c) = layer.cell(x, list(before))
    if counts is not None:
        h, c = ops.where(counts, h, before[0]), ops.where(counts, c, before[1])
    carry.becomes(before[0], h)
    carry.becomes(before[1], c)
    return h


def _convolutional_lstm(layer: Any, x: Any, carry: _Carry) -> Any:
    shape = layer.compute_output_shape((1, carry.frames, *x.shape[1:]))[-3:]
    layer.cell.name = f"{layer.name}_cell"  # all are called the same, and in one network they may not be
    before = carry.state(f"{layer.name}_h", *shape), carry.state(f"{layer.name}_c", *shape)
    h, (_, c) = layer.cell(x, list(before))
    carry.becomes(before[0], h)
    carry.becomes(before[1], c)
    return h


def _flat(x: Any) -> Any:
    return ops.reshape(x, (1, math.prod(x.shape[1:]))) if len(x.shape) > 2 else x


def _names(network: Any) -> set[str]:
    return {layer.name for layer in network.layers}
