"""Features of clips in bfloat16, on processors that compute in it: half the time of float32.

Only OpenVINO does so, and only the backbone: what follows it stays in float32. The features differ a little from those
in float32, so training and use take the same ones, and a model says which it was trained on.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kineme.models.compilers import COMPILERS, most_threads
from kineme.models.litert import from_cache
from kineme.models.openvino import OpenVINOFunction

Arithmetic = Literal["float32", "bfloat16"]

_OPENVINO = COMPILERS["openvino"]
_of_thread = threading.local()  # functions that are ready there, by their name


@functools.cache
def has_bfloat16() -> bool:
    """Whether OpenVINO is installed, and finds that this processor computes in bfloat16."""
    if not _OPENVINO.is_installed:
        return False
    from kineme.models.formats import load_openvino

    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def best_arithmetic() -> Arithmetic:
    """That features of clips are made in for a training here: bfloat16 where it is faster and can be compiled."""
    from kineme.models.backend import keras
    from kineme.models.tracing import on_tensorflow

    can = on_tensorflow() and not keras.distribution.list_devices("gpu") and has_bfloat16()
    return "bfloat16" if can else "float32"


def compile_backbone(backbone: Any) -> bytes:
    """A backbone (a Keras model from clips_BTHWC to features (B, T', D)) as OpenVINO takes it; that takes seconds."""
    return _OPENVINO.compile("clip", backbone)


def kept_backbone(name: str, backbone: Any) -> bytes:
    """The same, compiled only where the user's cache folder holds none of that name."""

    def checked(content: bytes) -> bytes:
        _ready(content)
        return content

    return from_cache(_OPENVINO.file_name(name), checked, lambda: compile_backbone(backbone))


def clip_features(name: str, make: Callable[[], bytes]) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """What makes features (T', D), float32, of frames_THWC, uint8; several threads may call it.

    Args:
        name: of the compiled backbone in the user's cache folder.
        make: gives the compiled backbone; called if it is missing there.
    """

    def features(frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        functions: dict[str, OpenVINOFunction] = _of_thread.__dict__.setdefault("functions", {})
        if name not in functions:
            functions[name] = from_cache(_OPENVINO.file_name(name), _ready, make)
        return np.asarray(functions[name](frames_THWC[None])[0][0], np.float32)

    return features


def _ready(content: bytes) -> OpenVINOFunction:
    return OpenVINOFunction(content, most_threads(), arithmetic="bfloat16")
