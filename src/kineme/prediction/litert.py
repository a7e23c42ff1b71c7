"""LiteRT: parts of networks compiled to its format, and run. Compiling needs Keras on TensorFlow, running does not."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.models.quiet import native_noise_held_back

Array = NDArray[Any]


class LiteRTFunction:
    """Runs a compiled part, row after row of what it is given.

    It gives what Keras gives within 1e-4 of the scale of its outputs: the arithmetic is float32 too, in another order.

    Args:
        content: of a ``.tflite`` file.
        part: which of its signatures.
        threads: to run it on.

    Attributes:
        input_shapes: of each input, a batch of one.
        output_shapes: likewise.
        input_types: names of NumPy types.

    Raises:
        ValueError: the content is no such file, or holds no such part.
        RuntimeError: LiteRT cannot prepare it.
    """

    def __init__(self, content: bytes, part: str, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with native_noise_held_back():  # it checks the structure of the file before it follows it
            self._run = Interpreter(model_content=content, num_threads=threads).get_signature_runner(part)
        inputs, outputs = self._run.get_input_details(), self._run.get_output_details()
        self._inputs = [f"input{number}" for number in range(len(inputs))]
        self._outputs = [f"output{number}" for number in range(len(outputs))]
        if set(inputs) != set(self._inputs) or set(outputs) != set(self._outputs):
            raise ValueError(f"the inputs or outputs of its {part} have other names")
        self.input_shapes = [_shape(inputs[name]) for name in self._inputs]
        self.output_shapes = [_shape(outputs[name]) for name in self._outputs]
        self.input_types = [np.dtype(inputs[name]["dtype"]).name for name in self._inputs]

    def __call__(self, *arrays: Array) -> list[Array]:
        """Outputs of inputs, in their order, each with the same number of rows."""
        if len(arrays[0]) == 1:
            return self._row(arrays)
        rows = [self._row([array[row : row + 1] for array in arrays]) for row in range(len(arrays[0]))]
        return [np.concatenate(one) for one in zip(*rows, strict=True)]

    def warm_up(self) -> None:
        """Run it once on nothing: it sets itself up, and speaks of it, when it first runs."""
        types = zip(self.input_shapes, self.input_types, strict=True)
        with native_noise_held_back():
            self._row([np.zeros(shape, dtype) for shape, dtype in types])

    def _row(self, arrays: Any) -> list[Array]:
        outputs = self._run(**dict(zip(self._inputs, arrays, strict=True)))
        return [outputs[name] for name in self._outputs]


def _shape(details: Any) -> tuple[int, ...]:
    return tuple(int(side) for side in details["shape"])


def on_tensorflow() -> bool:
    """Whether Keras runs on TensorFlow."""
    from kineme.models.backend import keras

    return bool(keras.backend.backend() == "tensorflow")


def traced(network: Any, batch: int | None = None) -> Any:
    """A Keras model as a TensorFlow graph whose inputs and outputs are called by their numbers.

    Args:
        network: built, with any inputs and outputs.
        batch: its rows, where the network itself does not fix them; None leaves them open.
    """
    import tensorflow as tf

    def run(*arrays: Any) -> dict[str, Any]:
        outputs = tf.nest.flatten(network(list(arrays) if len(arrays) > 1 else arrays[0], training=False))
        return {f"output{number}": one for number, one in enumerate(outputs)}

    signature = [
        tf.TensorSpec((one.shape[0] or batch, *one.shape[1:]), one.dtype, name=f"input{number}")
        for number, one in enumerate(network.inputs)
    ]
    return tf.function(run, input_signature=signature, autograph=False).get_concrete_function()


def compiled(parts: Mapping[str, Any]) -> bytes:
    """The content of a ``.tflite`` file that holds Keras models.

    Args:
        parts: name of the signature and model of each; their inputs and outputs are called as by :func:`traced`, and
            take a batch of one.

    Raises:
        KinemeError: Keras does not run on TensorFlow, or LiteRT lacks an operation.
    """
    if not on_tensorflow():
        raise KinemeError("compiling for LiteRT needs Keras on TensorFlow; use the engine keras")
    import tensorflow as tf

    holder = tf.Module()
    holder.variables_of_parts = [one.value for network in parts.values() for one in network.variables]
    lacking = ""
    with tempfile.TemporaryDirectory(prefix="kineme-") as folder, native_noise_held_back(), ExitStack() as stack:
        for network in parts.values():
            stack.enter_context(_in_its_operations(network))
        tf.saved_model.save(holder, folder, signatures={part: traced(one, 1) for part, one in parts.items()})
        try:
            return bytes(tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(parts)).convert())
        except Exception as error:  # the converter's own class is private
            found = re.search(r"TF Select ops: (.+)", str(error))
            lacking = f"it lacks {found[1].strip()}" if found else type(error).__name__
    raise KinemeError(f"LiteRT cannot run this network's {' or '.join(parts)}: {lacking}; use the engine keras")


@contextmanager
def _in_its_operations(network: Any) -> Iterator[None]:
    """Write recurrent layers out step by step, since LiteRT runs no loops of theirs, and pool space before time."""
    from kineme.models.backend import keras

    every = list(network._flatten_layers())
    layers = [layer for layer in every if getattr(layer, "unroll", None) is False]
    pooling = keras.layers.MaxPooling3D, keras.layers.AveragePooling3D
    pools = [layer for layer in every if isinstance(layer, pooling) and "call" not in vars(layer)]
    for layer in layers:
        layer.unroll = True
    for pool in pools:
        pool.call = _pooled_in_turn(pool)
    try:
        yield
    finally:
        for layer in layers:
            layer.unroll = False
        for pool in pools:
            del pool.call


def _pooled_in_turn(pool: Any) -> Any:
    """What pooling over time and space does to maps (B, T, H, W, C), by pooling over two sides at a time."""
    from kineme.models.backend import keras

    ops = keras.ops
    (time, *space), (time_step, *space_step) = pool.pool_size, pool.strides
    pooled = ops.max_pool if isinstance(pool, keras.layers.MaxPooling3D) else ops.average_pool

    def call(maps: Any) -> Any:
        frames = maps.shape[1]
        x = pooled(ops.reshape(maps, (-1, *maps.shape[2:])), space, space_step, padding=pool.padding)
        if time == time_step == 1:
            return ops.reshape(x, (-1, frames, *x.shape[1:]))
        _, height, width, channels = x.shape
        x = ops.reshape(x, (-1, frames, height * width, channels))
        x = pooled(x, (time, 1), (time_step, 1), padding=pool.padding)
        return ops.reshape(x, (-1, x.shape[1], height, width, channels))

    return call
