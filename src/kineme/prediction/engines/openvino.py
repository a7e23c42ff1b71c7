"""The engine for convolutions over time: LiteRT is slow at them, and this twice as fast as Keras where they are small.

The figures are those of benchmarks/engines.py.
"""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kineme.models.litert import by_rows, from_cache
from kineme.prediction.engine import Array, Function, PartName, most_threads
from kineme.prediction.trained import TrainedModel


class OpenVINOEngine:
    """Compiles parts for OpenVINO and keeps them in ``engines`` of the user's cache folder.

    Compiling needs Keras on TensorFlow; running what is compiled does not.
    """

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    def function(self, part: PartName) -> Function:
        """See :class:`kineme.prediction.engine.Engine`."""
        version = importlib.metadata.version("openvino")
        name = f"{self._model.fingerprint}-{part}-{version}.openvino"
        return from_cache(name, OpenVINOFunction, lambda: self._compiled(part))

    def _compiled(self, part: PartName) -> bytes:
        """Structure and weights, which OpenVINO writes as two files, in one."""
        from kineme.models.formats import FORMATS, write
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

        from kineme.models.formats import run_openvino

        end = 8 + int.from_bytes(content[:8], "little")
        model = openvino.Core().read_model(content[8:end], content[end:])
        self._inputs, self._outputs = _numbered("input", model.inputs), _numbered("output", model.outputs)
        self.input_shapes = [tuple(model.input(name).shape) for name in self._inputs]
        self._run = run_openvino(model, most_threads())

    def __call__(self, *arrays: Array) -> list[Array]:
        """See :class:`kineme.prediction.engine.Function`."""
        return by_rows(self._row, arrays)

    def _row(self, arrays: Sequence[Array]) -> list[Array]:
        outputs = self._run(dict(zip(self._inputs, arrays, strict=True)))
        return [outputs[name] for name in self._outputs]


def _numbered(name: str, several: Sequence[Any]) -> list[str]:
    return [f"{name}{number}" for number in range(len(several))]
