"""The engine that runs anything, on any of Keras' backends."""

from __future__ import annotations

from typing import Any

import numpy as np

from kineme.models.tracing import on_tensorflow, traced
from kineme.prediction.engine import Array, Function, PartName
from kineme.prediction.trained import TrainedModel


class KerasEngine:
    """Runs parts as Keras does."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    def function(self, part: PartName) -> Function:
        """See :class:`kineme.prediction.engine.Engine`."""
        from kineme.prediction.engines.steps import part_of

        return KerasFunction(part_of(part, self._model.network, self._model.card))


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
        """See :class:`kineme.prediction.engine.Function`."""
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
