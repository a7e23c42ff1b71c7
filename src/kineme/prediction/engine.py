"""Engines: what runs the parts of a network for one frame or one window at a time.

Keras runs anything, on any of its backends. LiteRT runs small parts ten times as fast, since what one frame takes in
TensorFlow is mostly not arithmetic; a part is compiled for it once and kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.files import replacing, user_cache_folder
from kineme.models.model_file import ModelCard
from kineme.models.quiet import native_noise_held_back

Array = NDArray[Any]
EngineName = Literal["auto", "keras", "litert"]
PartName = Literal["frame", "window", "step", "clip"]

_COMPILER = 1  # to be raised when parts are cut or compiled in another way


class Function(Protocol):
    """A part made ready to run."""

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """Of each input, a batch of one."""

    def __call__(self, *arrays: Array) -> list[Array]:
        """Outputs of inputs, in their order; the first axis of each is a batch of one."""


class Engine(Protocol):
    """Makes functions of a network's parts.

    Attributes:
        name: as the user asks for it.
    """

    name: str

    def function(self, part: PartName, build: Callable[[], Any]) -> Function:
        """Make a part ready.

        Args:
            part: ``"frame"``: frame to features; ``"window"``: features of T frames to logits; ``"step"``: features
                of a frame and states to logits and states; ``"clip"``: the whole network.
            build: gives the part as a Keras model whose inputs and outputs are batches of one; it may not be called.

        Raises:
            KinemeError: this engine cannot run it.
        """


def open_engine(name: str, network: Any, card: ModelCard) -> Engine:
    """The engine of that name for the parts of a model.

    Args:
        name: ``"keras"``; ``"litert"``; or ``"auto"``: LiteRT for the parts that run frame by frame, and Keras for
            whole clips and wherever LiteRT cannot.
        network: the model's, whose weights tell its compiled parts from those of others.
        card: all else of it.

    Raises:
        UsageError: there is no such engine.
        KinemeError: LiteRT was asked for and is not installed.
    """
    if name not in get_args(EngineName):
        raise UsageError(f"there is no engine {name!r}; choose one of {', '.join(get_args(EngineName))}")
    if name == "keras":
        return KerasEngine()
    if importlib.util.find_spec("ai_edge_litert"):
        litert = LiteRTEngine(_fingerprint(network, card))
        return litert if name == "litert" else _Auto(litert)
    if name == "litert":
        raise KinemeError("--engine litert needs LiteRT: pip install ai-edge-litert")
    return KerasEngine()


class KerasEngine:
    """Runs parts as Keras does."""

    name = "keras"

    def function(self, part: PartName, build: Callable[[], Any]) -> Function:
        """See :class:`Engine`."""
        return _KerasFunction(build())


class LiteRTEngine:
    """Compiles parts for LiteRT and keeps them in ``engines`` of the user's cache folder.

    A compiled part gives what Keras gives within 1e-4 of the scale of its outputs: the arithmetic is float32 too, in
    another order. Compiling needs Keras on TensorFlow; running what is compiled does not.

    Args:
        fingerprint: of the network and of all that compiles it.
    """

    name = "litert"

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint

    def function(self, part: PartName, build: Callable[[], Any]) -> Function:
        """See :class:`Engine`."""
        path = user_cache_folder() / "engines" / f"{self._fingerprint}-{part}.tflite"
        with suppress(OSError, ValueError):  # not there; or damaged, and then made anew
            return _LiteRTFunction(path.read_bytes())
        compiled = _compile(build(), part)
        with suppress(KinemeError), replacing(path) as temporary:  # where it cannot be kept, it is made every time
            temporary.write_bytes(compiled)
        return _LiteRTFunction(compiled)


class _Auto:
    """LiteRT where it is worth it and can."""

    name = "auto"

    def __init__(self, litert: LiteRTEngine) -> None:
        self._litert = litert

    def function(self, part: PartName, build: Callable[[], Any]) -> Function:
        if part != "clip":
            with suppress(KinemeError):
                return self._litert.function(part, build)
        return KerasEngine().function(part, build)


class _KerasFunction:
    """Runs a part on Keras' backend; on TensorFlow by its graph, without what ``predict_on_batch`` adds to a frame."""

    def __init__(self, network: Any) -> None:
        self.input_shapes = [tuple(one.shape) for one in network.inputs]
        self._run = _traced(network) if _on_tensorflow() else None
        self._network = network

    def __call__(self, *arrays: Array) -> list[Array]:
        if self._run is not None:
            import tensorflow as tf

            outputs = self._run(*(tf.constant(array) for array in arrays))
            return [outputs[f"output{number}"].numpy() for number in range(len(outputs))]
        outputs = self._network.predict_on_batch(list(arrays) if len(arrays) > 1 else arrays[0])
        return [np.asarray(one) for one in outputs] if isinstance(outputs, list | tuple) else [np.asarray(outputs)]


class _LiteRTFunction:
    """Runs a compiled part on one thread: a frame is too little to share out.

    Raises:
        ValueError: the content is no such part.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with native_noise_held_back():
            self._interpreter = Interpreter(model_content=content, num_threads=1)
            self._run = self._interpreter.get_signature_runner()
            details = self._run.get_input_details()
            self._inputs = [f"input{number}" for number in range(len(details))]
            self._outputs = [f"output{number}" for number in range(len(self._run.get_output_details()))]
            self.input_shapes = [tuple(int(side) for side in details[name]["shape"]) for name in self._inputs]
            # It sets itself up, and speaks of it, when it first runs.
            self(*(np.zeros(details[name]["shape"], details[name]["dtype"]) for name in self._inputs))

    def __call__(self, *arrays: Array) -> list[Array]:
        outputs = self._run(**dict(zip(self._inputs, arrays, strict=True)))
        return [outputs[name] for name in self._outputs]


def _on_tensorflow() -> bool:
    from kineme.models.backend import keras

    return bool(keras.backend.backend() == "tensorflow")


def _traced(network: Any) -> Any:
    """A Keras model as a TensorFlow graph whose inputs and outputs are called by their numbers."""
    import tensorflow as tf

    def run(*arrays: Any) -> dict[str, Any]:
        outputs = tf.nest.flatten(network(list(arrays) if len(arrays) > 1 else arrays[0], training=False))
        return {f"output{number}": one for number, one in enumerate(outputs)}

    signature = [tf.TensorSpec(one.shape, one.dtype, name=f"input{n}") for n, one in enumerate(network.inputs)]
    return tf.function(run, input_signature=signature, autograph=False).get_concrete_function()


def _compile(network: Any, part: str) -> bytes:
    """A Keras model as a LiteRT file, its inputs and outputs called as :func:`_traced` calls them."""
    if not _on_tensorflow():
        raise KinemeError("compiling for LiteRT needs Keras on TensorFlow; use the engine keras")
    import tensorflow as tf

    holder = tf.Module()
    holder.variables_of_part = [weight.value for weight in network.weights]
    lacking = ""
    with tempfile.TemporaryDirectory(prefix="kineme-") as folder, native_noise_held_back(), _unrolled(network):
        tf.saved_model.save(holder, folder, signatures={"serving_default": _traced(network)})
        try:
            return bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
        except Exception as error:  # the converter's own class is private
            found = re.search(r"TF Select ops: (.+)", str(error))
            lacking = f"it lacks {found[1].strip()}" if found else type(error).__name__
    raise KinemeError(f"LiteRT cannot run this network's {part}: {lacking}; use the engine keras")


@contextmanager
def _unrolled(network: Any) -> Iterator[None]:
    """Write recurrent layers out step by step: LiteRT runs no loops of theirs."""
    layers = [layer for layer in network._flatten_layers() if getattr(layer, "unroll", None) is False]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in layers:
            layer.unroll = False


def _fingerprint(network: Any, card: ModelCard) -> str:
    """SHA-256 (the first 32 digits) of the weights, of what is built around them, and of what compiles them."""
    import importlib.metadata

    from kineme.models.backend import versions

    made_by = {**versions(), "litert": importlib.metadata.version("ai-edge-litert"), "compiler": _COMPILER}
    built = {"approach": card.approach, "config": card.config, "spec": card.spec.to_json()}
    digest = hashlib.sha256(json.dumps([made_by, built], sort_keys=True).encode())
    for weight in network.weights:
        digest.update(weight.path.encode())
        digest.update(np.ascontiguousarray(weight.numpy()).data)
    return digest.hexdigest()[:32]
