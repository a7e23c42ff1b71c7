"""Which engine runs the parts of a model: the one that was asked for, or the fastest that is installed."""

from __future__ import annotations

import importlib.util
from contextlib import suppress
from typing import Literal, get_args

from kineme.errors import KinemeError, UsageError
from kineme.prediction.engine import Engine, Function, PartName
from kineme.prediction.engines.keras import KerasEngine
from kineme.prediction.engines.litert import LiteRTEngine
from kineme.prediction.engines.openvino import OpenVINOEngine
from kineme.prediction.trained import TrainedModel

EngineName = Literal["auto", "keras", "litert", "openvino"]


def open_engine(name: str, model: TrainedModel) -> Engine:
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


class _Auto:
    """What is fastest of what is there."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    def function(self, part: PartName) -> Function:
        card = self._model.card
        over_time = part == "clip" and (card.architecture.convolves_time or card.backbone.convolves_time)
        fast = "openvino" if over_time else "litert"
        if is_installed(fast):
            with suppress(KinemeError):
                return open_engine(fast, self._model).function(part)
        return KerasEngine(self._model).function(part)
