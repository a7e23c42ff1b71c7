"""LiteRT: parts of networks compiled to its format, and run. Compiling needs Keras on TensorFlow, running does not."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kineme.disk_cache import DiskCache
from kineme.errors import KinemeError
from kineme.files import user_cache_folder
from kineme.models.native_stderr import suppress_native_stderr
from kineme.models.tracing import on_tensorflow, saved_model, traced, unrolled
from kineme.version import __version__

Array = NDArray[Any]
T = TypeVar("T")

_CACHE_BYTES = 2 * 10**9  # some hundred parts
_COMPILER = 2  # to be raised when parts are cut or compiled in another way


class LiteRTFunction:
    """Runs a compiled part, row after row of its input.

    It gives what Keras gives within 1e-4 of the scale of its outputs: the arithmetic is float32 too, in another order.

    Args:
        content: of a ``.tflite`` file.
        part: which of its signatures.
        threads: to run it on.

    Attributes:
        input_shapes: of each input, a batch of one.
        output_shapes: of each output, a batch of one.
        input_types: names of NumPy types.

    Raises:
        ValueError: the content is no such file, or holds no such part.
        RuntimeError: LiteRT cannot prepare it.
    """

    def __init__(self, content: bytes, part: str, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with suppress_native_stderr():  # it checks the structure of the file before it follows it
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
        return by_rows(self._row, arrays)

    def warm_up(self) -> None:
        """Run it once on nothing: it sets itself up, and speaks of it, when it first runs."""
        types = zip(self.input_shapes, self.input_types, strict=True)
        with suppress_native_stderr():
            self._row([np.zeros(shape, dtype) for shape, dtype in types])

    def _row(self, arrays: Any) -> list[Array]:
        outputs = self._run(**dict(zip(self._inputs, arrays, strict=True)))
        return [outputs[name] for name in self._outputs]


class PublishedNetwork:
    """Runs a ``.tflite`` file that somebody else made, on one image at a time. Use it in one thread.

    Args:
        path: of the file.
        threads: processor threads to run it on.

    Raises:
        KinemeError: LiteRT is not installed, or the file is not a network.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        try:
            with suppress_native_stderr():
                from ai_edge_litert.interpreter import Interpreter

                self._interpreter: Any = Interpreter(str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except ImportError as error:
            raise KinemeError("poses need LiteRT: pip install ai-edge-litert") from error
        except ValueError as error:
            raise KinemeError(f"{path}: not a network that LiteRT can run") from error
        details = self._interpreter.get_input_details()[0]
        self._input, self._shape = details["index"], _shape(details)
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]

    def __call__(self, image_HWC: Array) -> list[Array]:
        """Every output for one image, of the network's type. Of a network for any size, it may have any size."""
        if (1, *image_HWC.shape) != self._shape:
            self._shape = (1, *image_HWC.shape)
            with suppress_native_stderr():
                self._interpreter.resize_tensor_input(self._input, self._shape)
                self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(self._input, image_HWC[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def by_rows(run: Callable[[Sequence[Array]], list[Array]], arrays: Sequence[Array]) -> list[Array]:
    """Outputs, each with as many rows as the inputs, of what takes one row at a time."""
    if len(arrays[0]) == 1:
        return run(arrays)
    rows = [run([array[row : row + 1] for array in arrays]) for row in range(len(arrays[0]))]
    return [np.concatenate(one) for one in zip(*rows, strict=True)]


def _shape(details: Any) -> tuple[int, ...]:
    return tuple(int(side) for side in details["shape"])


def engine_cache() -> DiskCache:
    """The compiled parts of all networks, in the user's cache folder."""
    return DiskCache(user_cache_folder() / "engines", (".tflite", ".openvino", ".tried", ".engines"), _CACHE_BYTES)


def from_cache(name: str, ready: Callable[[bytes], T], make: Callable[[], bytes]) -> T:
    """A compiled part from the user's cache folder; made and kept there where it is missing or damaged.

    Args:
        name: of the file.
        ready: the required value of the part's content.
        make: compiles it.

    Raises:
        KinemeError: it cannot be compiled.
    """
    cache = engine_cache()
    content = cache.read(name)
    if content is not None:
        with suppress(ValueError, RuntimeError):  # damaged: it is made anew
            return ready(content)
    content = make()
    cache.write(name, content)  # where it cannot be kept, it is made every time
    return ready(content)


def made_with() -> dict[str, str]:
    """Versions of all that makes one compiled part differ from another of the same network."""
    found = {"kineme": __version__, "compiler": str(_COMPILER)}
    for name in ("keras", "tensorflow", "tensorflow-cpu", "ai-edge-litert"):
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


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

    networks = list(parts.values())
    lacking = ""
    with unrolled(networks, factorized_pooling=True), suppress_native_stderr():
        signatures = {part: traced(one, 1) for part, one in parts.items()}
        with saved_model(signatures, networks) as folder:
            try:
                return bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder), list(parts)).convert())
            except Exception as error:  # the converter's own class is private
                found = re.search(r"TF Select ops: (.+)", str(error))
                lacking = f"it lacks {found[1].strip()}" if found else type(error).__name__
    raise KinemeError(f"LiteRT cannot run this network's {' or '.join(parts)}: {lacking}; use the engine keras")
