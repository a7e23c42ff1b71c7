"""Keras models as TensorFlow graphs of plain operations, from which other formats are made."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kineme.models.native_stderr import suppress_native_stderr


def on_tensorflow() -> bool:
    """Whether Keras runs on TensorFlow."""
    from kineme.models.backend import keras

    return bool(keras.backend.backend() == "tensorflow")


def traced(network: Any, batch: int | None = None) -> Any:
    """A Keras model as a TensorFlow graph; see :func:`traceable`."""
    return traceable(network, batch).get_concrete_function()


def traceable(network: Any, batch: int | None = None, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Any:
    """A Keras model as a TensorFlow function with named inputs and outputs, of one signature.

    Args:
        network: built, with any inputs and outputs.
        batch: its rows, where the network itself does not fix them; None leaves them open.
        inputs: their names, in order; by default ``input0`` and so on.
        outputs: names of its outputs, in order; by default ``output0`` and so on.
    """
    import tensorflow as tf

    inputs = inputs or [f"input{number}" for number in range(len(network.inputs))]

    def run(*arrays: Any) -> dict[str, Any]:
        results = tf.nest.flatten(network(list(arrays) if len(arrays) > 1 else arrays[0], training=False))
        return dict(zip(outputs or [f"output{number}" for number in range(len(results))], results, strict=True))

    signature = [
        tf.TensorSpec((one.shape[0] or batch, *one.shape[1:]), one.dtype, name=name)
        for one, name in zip(network.inputs, inputs, strict=True)
    ]
    return tf.function(run, input_signature=signature, autograph=False)


@contextmanager
def saved_model(signatures: Mapping[str, Any], networks: Sequence[Any]) -> Iterator[Path]:
    """Graphs as a SavedModel in a temporary folder.

    Args:
        signatures: name and graph of each, from :func:`traced`.
        networks: the Keras models they are of, which hold the weights.
    """
    import tensorflow as tf

    holder = tf.Module()
    holder.variables_of_parts = [one.value for network in networks for one in network.variables]
    with tempfile.TemporaryDirectory(prefix="kineme-") as work:
        folder = Path(work, "model")
        with suppress_native_stderr():
            tf.saved_model.save(holder, str(folder), signatures=dict(signatures))
        yield folder


@contextmanager
def unrolled(networks: Sequence[Any], *, factorized_pooling: bool = False) -> Iterator[None]:
    """Write the recurrent layers of networks out step by step while they are traced.

    Engines then need no loop, nor an operation of their own for an LSTM.

    Args:
        networks: Keras models.
        factorized_pooling: pool maps over space and then over time, for an engine that cannot over both at once.
    """
    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(_unrolled(network))
            if factorized_pooling:
                stack.enter_context(_factorized_pooling(network))
        yield


@contextmanager
def _unrolled(network: Any) -> Iterator[None]:
    layers = [layer for layer in network._flatten_layers() if getattr(layer, "unroll", None) is False]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in layers:
            layer.unroll = False


@contextmanager
def _factorized_pooling(network: Any) -> Iterator[None]:
    from kineme.models.backend import keras

    pooling = keras.layers.MaxPooling3D, keras.layers.AveragePooling3D
    every = network._flatten_layers()
    pools = [layer for layer in every if isinstance(layer, pooling) and "call" not in vars(layer)]
    for pool in pools:
        pool.call = _factorized_pool(pool)
    try:
        yield
    finally:
        for pool in pools:
            del pool.call


def _factorized_pool(pool: Any) -> Any:
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
