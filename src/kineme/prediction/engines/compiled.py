"""The engines that run compiled parts, which are kept in ``engines`` of the user's cache folder."""

from __future__ import annotations

from pathlib import Path

from kineme.models.compilers import COMPILERS, Compiler
from kineme.models.encoder import FrameEncoder
from kineme.models.litert import engine_cache, from_cache
from kineme.prediction.engine import Function, PartName, threads_for
from kineme.prediction.trained import TrainedModel


class CompiledEngine:
    """Compiles parts and keeps them. Compiling needs Keras on TensorFlow; running the compiled parts does not.

    Args:
        model: whose parts are run.
        compiler: of the engine.
    """

    def __init__(self, model: TrainedModel, compiler: Compiler) -> None:
        self._model, self._compiler = model, compiler

    def function(self, part: PartName) -> Function:
        """See :class:`kineme.prediction.engine.Engine`."""

        def ready(content: bytes) -> Function:
            function = self._compiler.open(content, part, threads_for(part, self._model.card))
            function.warm_up()
            return function

        def make() -> bytes:
            from kineme.prediction.engines.steps import part_of

            return compiled_for_training(self._model, part, self._compiler.name) or self._compiler.compile(
                part, part_of(part, self._model.network, self._model.card)
            )

        return from_cache(self._name(part), ready, make)

    def file(self, part: PartName) -> Path:
        """Where a part is kept, once it is compiled."""
        return engine_cache().folder / self._name(part)

    def _name(self, part: PartName) -> str:
        return self._compiler.file_name(f"{self._model.fingerprint}-{part}")


def compiled_for_training(model: TrainedModel, part: PartName, engine: str) -> bytes | None:
    """What an engine has compiled of a part already, since training makes features with it; None of all others.

    These are the frames of a frozen backbone, by LiteRT.
    """
    if part != "frame" or engine != COMPILERS["litert"].name or model.poses:
        return None
    encoder = model.encoder
    return encoder.compiled if isinstance(encoder, FrameEncoder) else None
