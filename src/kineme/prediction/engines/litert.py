"""The engine that runs small parts ten times as fast as TensorFlow, which spends most of a frame on no arithmetic."""

from __future__ import annotations

from pathlib import Path

from kineme.models.litert import LiteRTFunction, compiled, engine_cache, from_cache
from kineme.prediction.engine import Function, PartName, threads_for
from kineme.prediction.trained import TrainedModel


class LiteRTEngine:
    """Compiles parts for LiteRT and keeps them in ``engines`` of the user's cache folder.

    Compiling needs Keras on TensorFlow; running what is compiled does not.
    """

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    def function(self, part: PartName) -> Function:
        """See :class:`kineme.prediction.engine.Engine`."""

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
        return engine_cache().folder / self._name(part)

    def _name(self, part: PartName) -> str:
        return f"{self._model.fingerprint}-{part}.tflite"
