"""Which engine runs the parts of a model: the one that was asked for, or the fastest that is installed."""

from __future__ import annotations

import dataclasses
import math
from contextlib import suppress
from typing import Any, Literal, get_args

from kineme.errors import KinemeError, UsageError
from kineme.models.compilers import COMPILERS
from kineme.models.engine_table import Kind, clip_kind, engines_for, small_clip
from kineme.models.half_precision import has_bfloat16
from kineme.prediction.engine import Engine, Function, PartName, threads_for
from kineme.prediction.engines.compiled import CompiledEngine, compiled_for_training
from kineme.prediction.engines.half_precision import HalfPrecisionClips
from kineme.prediction.engines.keras import KerasEngine
from kineme.prediction.trained import TrainedModel
from kineme.video.spec import ClipSpec

EngineName = Literal["auto", "keras", "litert", "openvino"]


def open_engine(name: str, model: TrainedModel) -> Engine:
    """The engine of that name for the parts of a model.

    Args:
        name: ``"keras"``; ``"litert"``; ``"openvino"``; or ``"auto"``: for each part the fastest on this machine of
            those that need little memory, as :mod:`kineme.models.engine_table` has measured it.
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
        return _HalfPrecision(model, _Auto(model))
    if name == "keras":
        return KerasEngine(model)
    if not is_installed(name):
        raise KinemeError(f"--engine {name} is not installed: pip install {COMPILERS[name].install}")
    engine = CompiledEngine(model, COMPILERS[name])
    return _HalfPrecision(model, engine) if name == "openvino" else engine


def is_installed(name: str) -> bool:
    """Whether an engine that needs a package of its own has it."""
    return name not in COMPILERS or COMPILERS[name].is_installed


def check_engine(name: str) -> None:
    """Raise UsageError where there is no engine of that name."""
    if name not in get_args(EngineName):
        raise UsageError(f"--engine {name}: there is no such engine; choose one of {', '.join(get_args(EngineName))}")


class _HalfPrecision:
    """Another engine, but for whole clips in bfloat16 where the model wants it and the processor has it."""

    def __init__(self, model: TrainedModel, engine: Engine) -> None:
        self._model, self._engine = model, engine

    def function(self, part: PartName) -> Function:
        if part == "clip" and self._model.card.arithmetic == "bfloat16" and has_bfloat16():
            return HalfPrecisionClips(self._model, self._engine)
        return self._engine.function(part)


class _Auto:
    """For each part the engine that the table names."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    def function(self, part: PartName) -> Function:
        for name in engines_for(kind_of(self._model, part)):
            with suppress(KinemeError):  # a network that is not as its card says
                return open_engine(name, self._model).function(part)
        return KerasEngine(self._model).function(part)


def kind_of(model: TrainedModel, part: PartName) -> Kind:
    """What the table knows a part of a model by.

    A heavy network is measured on smaller clips. The frames of a pretrained backbone cost the same in all models.
    """
    card, threads, spec = model.card, threads_for(part, model.card), model.card.spec
    what: list[Any] = [card.approach, card.config, spec.to_json()]
    if part == "frame" and card.backbone.is_pretrained and not card.architecture.is_inside_backbone:
        what = [card.backbone.name, spec.height, spec.width]

    def build() -> Any:
        from kineme.prediction.engines.steps import part_of

        return part_of(part, model.network, card)

    if not card.is_heavy or card.backbone.external or part == "window":
        return Kind(what, part, threads, build, compiled=lambda engine: compiled_for_training(model, part, engine))
    size = spec.frames, spec.height, spec.width

    def resized(frames: int, height: int, width: int) -> ClipSpec:
        return dataclasses.replace(spec, frames=frames, height=height, width=width)

    if card.backbone.sees == "clip":
        return clip_kind(card.backbone.name, size, threads, lambda *small: card.backbone.build(resized(*small)))
    small = small_clip(*size)

    def build_small() -> Any:
        from kineme.models.network import build_network

        return build_network(card.architecture, resized(*small), len(card.labels))

    return Kind(what, part, threads, build_small, math.prod(size) / math.prod(small))
