"""Engines: what runs the parts of a model's network.

Keras runs anything, on any of its backends. LiteRT runs small parts ten times as fast, since what one frame takes in
TensorFlow is mostly not arithmetic. OpenVINO runs convolutions over time, at which LiteRT is slow, twice as fast as
Keras where they are small: benchmarks/engines.py. For both a part is compiled once and kept in the user's cache
folder. A model that was exported holds its parts compiled.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.models.litert import LiteRTFunction, by_rows, compiled, from_cache, kept, made_with
from kineme.models.model_file import ModelCard
from kineme.models.tracing import on_tensorflow, traced

if TYPE_CHECKING:
    from kineme.prediction.model import Model

Array = NDArray[Any]
EngineName = Literal["auto", "keras", "litert", "openvino"]
PartName = Literal["frame", "window", "step", "clip"]

_WORTH_THREADS = 100_000  # numbers that go in: less is done before it is shared out
_MOST_THREADS = 4


class Function(Protocol):
    """A part made ready to run."""

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """Of each input, a batch of one."""

    def __call__(self, *arrays: Array) -> list[Array]:
        """Outputs of inputs, in their order, each with the same number of rows; a step takes a single row."""


class Engine(Protocol):
    """Makes functions of a network's parts."""

    def function(self, part: PartName) -> Function:
        """Make a part ready.

        Args:
            part: ``"frame"``: frame to features; ``"window"``: features of T frames to logits; ``"step"``: features
                of a frame and states to logits and states; ``"clip"``: the whole network.

        Raises:
            KinemeError: this engine cannot run it.
            UsageError: the model has no such part.
        """


def open_engine(name: str, model: Model) -> Engine:
    """The engine of that name for the parts of a model.

    Args:
        name: ``"keras"``; ``"litert"``; ``"openvino"``; or ``"auto"``: LiteRT, but for convolutions over time OpenVINO
            where it is installed; and Keras where neither will do.
        model: its parts are made of the weights that it has now.

    Raises:
        UsageError: there is no such engine, or the model is exported and holds no Keras network.
        KinemeError: LiteRT or OpenVINO was asked for and is not installed.
    """
    check_engine(name)
    if model.exported:
        if name in ("keras", "openvino"):
            raise UsageError(f"{model.path}: an exported model holds no Keras network; leave --engine {name} out")
        return model.exported
    if name == "auto":
        return _Auto(model)
    if name == "keras":
        return KerasEngine(model)
    if not is_installed(name):
        install = {"litert": "pip install ai-edge-litert", "openvino": "pip install 'kineme[openvino]'"}[name]
        raise KinemeError(f"--engine {name} is not installed: {install}")
    return LiteRTEngine(model) if name == "litert" else OpenVINOEngine(model)


def is_installed(name: str) -> bool:
    """Whether an engine that needs a package of its own has it."""
    module = {"litert": "ai_edge_litert", "openvino": "openvino"}.get(name)
    return module is None or importlib.util.find_spec(module) is not None


def check_engine(name: str) -> None:
    """Raise UsageError where there is no engine of that name."""
    if name not in get_args(EngineName):
        raise UsageError(f"--engine {name}: there is no such engine; choose one of {', '.join(get_args(EngineName))}")


class KerasEngine:
    """Runs parts as Keras does."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def function(self, part: PartName) -> Function:
        """See :class:`Engine`."""
        from kineme.prediction.engines.steps import part_of

        return KerasFunction(part_of(part, self._model.network, self._model.card))


class LiteRTEngine:
    """Compiles parts for LiteRT and keeps them in ``engines`` of the user's cache folder.

    Compiling needs Keras on TensorFlow; running what is compiled does not.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def function(self, part: PartName) -> Function:
        """See :class:`Engine`."""

        def ready(content: bytes) -> Function:
            function = LiteRTFunction(content, part, threads_for(part, self._model.card))
            function.warm_up()
            return function

        def make() -> bytes:
            from kineme.prediction.engines.steps import part_of

            return compiled({part: part_of(part, self._model.network, self._model.card)})

        return from_cache(self._name(part), ready, make)

    def file(self, part: PartName) -> Path:
        """Where a part is kept, once it is compiled."""
        return kept(self._name(part))

    def _name(self, part: PartName) -> str:
        return f"{fingerprint(self._model)}-{part}.tflite"


class OpenVINOEngine:
    """Compiles parts for OpenVINO and keeps them where :class:`LiteRTEngine` does; likewise for the rest."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def function(self, part: PartName) -> Function:
        """See :class:`Engine`."""
        version = importlib.metadata.version("openvino")
        name = f"{fingerprint(self._model)}-{part}-{version}.openvino"
        return from_cache(name, OpenVINOFunction, lambda: self._made(part))

    def _made(self, part: PartName) -> bytes:
        """Structure and weights, which OpenVINO writes as two files, in one."""
        from kineme.exporters.formats import FORMATS, write
        from kineme.prediction.engines.steps import part_of

        network = part_of(part, self._model.network, self._model.card)
        inputs, outputs = _numbered("input", network.inputs), _numbered("output", network.outputs)
        with tempfile.TemporaryDirectory(prefix="kineme-") as work:
            path = Path(work, "part.xml")
            write(FORMATS["openvino"], network, inputs, outputs, path, {})
            structure = path.read_bytes()
            return len(structure).to_bytes(8, "little") + structure + path.with_suffix(".bin").read_bytes()


class OpenVINOFunction:
    """Runs a compiled part, row after row of what it is given; it is as near to Keras as LiteRT is.

    Args:
        content: made by :class:`OpenVINOEngine`.

    Raises:
        RuntimeError: it is damaged.
    """

    def __init__(self, content: bytes) -> None:
        import openvino

        from kineme.exporters.formats import run_openvino

        end = 8 + int.from_bytes(content[:8], "little")
        model = openvino.Core().read_model(content[8:end], content[end:])
        self._inputs, self._outputs = _numbered("input", model.inputs), _numbered("output", model.outputs)
        self.input_shapes = [tuple(model.input(name).shape) for name in self._inputs]
        self._run = run_openvino(model, most_threads())

    def __call__(self, *arrays: Array) -> list[Array]:
        """See :class:`Function`."""
        return by_rows(self._row, arrays)

    def _row(self, arrays: Sequence[Array]) -> list[Array]:
        outputs = self._run(dict(zip(self._inputs, arrays, strict=True)))
        return [outputs[name] for name in self._outputs]


class _Auto:
    """What is fastest of what is there."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def function(self, part: PartName) -> Function:
        card = self._model.card
        over_time = part == "clip" and (card.approach == "slow-fusion" or card.config.get("backbone") == "i3d")
        fast = "openvino" if over_time else "litert"
        if is_installed(fast):
            with suppress(KinemeError):
                return open_engine(fast, self._model).function(part)
        return KerasEngine(self._model).function(part)


def _numbered(name: str, several: Sequence[Any]) -> list[str]:
    return [f"{name}{number}" for number in range(len(several))]


class KerasFunction:
    """Runs a Keras model on its backend; on TensorFlow by its graph, without what ``predict_on_batch`` adds to a frame.

    Args:
        network: its batch open or fixed at one.
    """

    def __init__(self, network: Any) -> None:
        self.input_shapes = [(1, *one.shape[1:]) for one in network.inputs]
        self._run = traced(network) if on_tensorflow() else None
        self._network = network

    def __call__(self, *arrays: Array) -> list[Array]:
        """See :class:`Function`."""
        parts, start, rows = [], 0, len(arrays[0])
        while start < rows:  # in powers of two: backends compile every other size anew
            size = 1 << ((rows - start).bit_length() - 1)
            parts.append(self._outputs([array[start : start + size] for array in arrays]))
            start += size
        return parts[0] if len(parts) == 1 else [np.concatenate(one) for one in zip(*parts, strict=True)]

    def _outputs(self, arrays: list[Array]) -> list[Array]:
        if self._run is not None:
            import tensorflow as tf

            outputs = self._run(*(tf.constant(array) for array in arrays))
            return [outputs[f"output{number}"].numpy() for number in range(len(outputs))]
        outputs = self._network.predict_on_batch(arrays if len(arrays) > 1 else arrays[0])
        return [np.asarray(one) for one in outputs] if isinstance(outputs, list | tuple) else [np.asarray(outputs)]


def threads_for(part: PartName, card: ModelCard) -> int:
    """On how many threads LiteRT runs a part: a small one is done before its work is shared out."""
    spec = card.spec
    numbers = {"frame": 3 * spec.height * spec.width, "clip": 3 * spec.height * spec.width * spec.frames}
    return most_threads() if numbers.get(part, 0) >= _WORTH_THREADS else 1


def most_threads() -> int:
    """On how many threads to run what is worth sharing out.

    ``KINEME_THREADS`` sets the most, for processes that share the cores.
    """
    return min(_MOST_THREADS, int(os.environ.get("KINEME_THREADS") or os.cpu_count() or 1))


def fingerprint(model: Model) -> str:
    """SHA-256 (the first 32 digits) of a model's weights, of what is built around them, and of what compiles them."""
    card = model.card
    built = {"approach": card.approach, "config": card.config, "spec": card.spec.to_json(), "labels": len(card.labels)}
    digest = hashlib.sha256(json.dumps([made_with(), built], sort_keys=True).encode())
    for name, tensor in sorted(model.weights(), key=itemgetter(0)):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()[:32]
