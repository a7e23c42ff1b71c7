"""The parts of a network that a stream runs one frame at a time, cut out of it with the weights it has.

``frame`` turns one frame into features, ``window`` turns T features into scores, ``step`` reads one frame's features
with the state of those before; ``clip`` is the whole. A step takes and gives a batch of one, the others any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kineme.errors import UsageError
from kineme.models.backend import keras
from kineme.models.carry import Carry
from kineme.models.layers import FrameDifference, MergeTimeIntoBatch, SplitTimeFromBatch
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
        return frame_part(card, network)
    return network if part == "clip" else network.get_layer("head")


def frame_part(card: ModelCard, network: Any) -> Any:
    """uint8 frames_NHWC, and those before where the backbone looks back, to features (N, ...)."""
    shape = network.input.shape[2:]
    frame = keras.Input(shape, dtype="uint8", name="frame")
    inputs = [frame]

    def look_back(_: Any, layers: list[Any]) -> Any:
        inputs.append(keras.Input(shape, dtype="uint8", name="before"))
        x = inputs[-1]
        for layer in layers:
            x = layer(x)
        return x

    x = _see(card, network, frame, look_back)
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
    if card.backbone.sees == "landmarks":
        return step
    frame = keras.Input(batch_shape=(1, *network.input.shape[2:]), dtype="uint8", name="frame")
    before: list[Any] = []
    after: list[Any] = []

    def look_back(x: Any, _: list[Any]) -> Any:
        started = keras.Input(batch_shape=(1, 1), name="started")
        pixels = keras.Input(batch_shape=x.shape, name="pixels")
        before.extend([started, pixels])
        after.extend([ops.minimum(started + 1.0, 1.0), x])
        return ops.where(ops.reshape(started, (1, 1, 1, 1)) > 0.0, pixels, x)

    x = _see(card, network, frame, look_back)
    states = [keras.Input(batch_shape=one.shape, name=one.name) for one in step.inputs[1:]]
    logits, *rest = step([x, *states])
    return keras.Model([frame, *before, *states], [logits, *after, *rest], name="stream_part")


def step_part(card: ModelCard, network: Any) -> Any:
    """Features (1, ...) of a frame and states to logits (1, K) and the states after it. All states begin at zero.

    After T frames from the start, the logits are those of the window, but for rounding. Pooling over time uses
    the newest T frames from then on, too; the states keep their memory of older frames.

    Args:
        card: of the model.
        network: the model's.

    Raises:
        UsageError: the approach, its options or its backbone keep no state that could be carried.
    """
    if card.backbone.sees == "clip":
        raise UsageError(
            f"{card.approach} on {card.backbone.name} looks at whole clips and keeps no state to carry: "
            "use mode='exact'"
        )
    is_pose = card.backbone.sees == "landmarks"
    shape = network.input.shape[2:] if is_pose else frame_part(card, network).output.shape[1:]
    features = keras.Input(batch_shape=(1, *shape), name="features")
    carry = Carry(card.spec.frames)
    logits = card.architecture.step(network, features, carry)
    return keras.Model([features, *carry.before], [logits, *carry.after], name="step_part")


def _see(card: ModelCard, network: Any, frame: Any, look_back: Callable[[Any, list[Any]], Any]) -> Any:
    """What the layers of a backbone that looks at frames one by one make of a single frame.

    An approach inside the backbone runs the frame network itself, so for it that is left out.

    Args:
        card: of the model.
        network: the model's.
        frame: uint8, (N, H, W, 3).
        look_back: gives the same of the frame before, from this one's and the layers so far.
    """
    x = frame
    passed: list[Any] = []
    for layer in network.get_layer("backbone").layers[1:]:
        if isinstance(layer, FrameDifference):
            x = x - look_back(x, list(passed))
        elif isinstance(layer, keras.Model) and card.architecture.is_inside_backbone:
            break
        elif not isinstance(layer, MergeTimeIntoBatch | SplitTimeFromBatch):
            x = layer(x)
            passed.append(layer)
    return x
