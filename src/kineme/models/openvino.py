"""OpenVINO: networks compiled to its format, and run. Compiling needs Keras on TensorFlow, running does not."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kineme.models.litert import Array, by_rows


class OpenVINOFunction:
    """Runs a compiled network, row after row of its input; it is as near to Keras as LiteRT is.

    Args:
        content: made by :func:`compiled`.
        threads: to run it on.
        arithmetic: that it computes in; ``"bfloat16"`` where the processor has it.

    Attributes:
        input_shapes: of each input, a batch of one.
        input_types: names of NumPy types.

    Raises:
        RuntimeError: the content is damaged.
    """

    def __init__(self, content: bytes, threads: int, *, arithmetic: str = "float32") -> None:
        from kineme.models.formats import load_openvino, run_openvino

        end = 8 + int.from_bytes(content[:8], "little")
        model = load_openvino().Core().read_model(content[8:end], content[end:])
        self._inputs, self._outputs = _numbered("input", model.inputs), _numbered("output", model.outputs)
        self.input_shapes = [tuple(model.input(name).shape) for name in self._inputs]
        self.input_types = [model.input(name).element_type.to_dtype().name for name in self._inputs]
        self._run = run_openvino(model, threads, {"float32": "f32", "bfloat16": "bf16"}[arithmetic])

    def __call__(self, *arrays: Array) -> list[Array]:
        """Outputs of inputs, in their order, each with the same number of rows."""
        return by_rows(self._row, arrays)

    def warm_up(self) -> None:
        """Nothing: its first run is about as fast as the others."""

    def _row(self, arrays: Sequence[Array]) -> list[Array]:
        outputs = self._run(dict(zip(self._inputs, arrays, strict=True)))
        return [outputs[name] for name in self._outputs]


def compiled(network: Any) -> bytes:
    """A Keras model for OpenVINO with a batch of one: structure and weights, which it writes as two files, in one.

    Raises:
        KinemeError: Keras does not run on TensorFlow, or OpenVINO lacks an operation.
    """
    from kineme.models.formats import FORMATS, write

    inputs, outputs = _numbered("input", network.inputs), _numbered("output", network.outputs)
    with tempfile.TemporaryDirectory(prefix="kineme-") as work:
        path = Path(work, "part.xml")
        write(FORMATS["openvino"], network, inputs, outputs, path, {})
        structure = path.read_bytes()
        return len(structure).to_bytes(8, "little") + structure + path.with_suffix(".bin").read_bytes()


def _numbered(name: str, several: Sequence[Any]) -> list[str]:
    return [f"{name}{number}" for number in range(len(several))]
