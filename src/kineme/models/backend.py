"""The one place that imports Keras: sets up its backend first, and names the packages to install if none is found.

Use ``from kineme.models.backend import keras``. It is imported when it is first used, since that takes seconds.
TensorFlow is the default backend; ``KERAS_BACKEND`` chooses another, as for any Keras program.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import platform
from typing import Any

from kineme.errors import KinemeError
from kineme.models.native_stderr import suppress_native_stderr

_BACKENDS = ("tensorflow", "jax", "torch")


class _Keras:
    """Stands for the module ``keras`` until something of it is wanted."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_load(), name)


keras: Any = _Keras()


@functools.cache
def _load() -> Any:
    _choose_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow leaves oneDNN off on some processors; with it, convolutions run two to five times as fast.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on retracing is for programmers
    with suppress_native_stderr():
        import keras as imported
    # What another program left in keras.json must not change networks, nor the types of weights in model files.
    if imported.config.floatx() != "float32":
        imported.config.set_floatx("float32")
        imported.config.set_dtype_policy("float32")
    imported.config.set_image_data_format("channels_last")
    return imported


def _choose_backend() -> None:
    """Name Keras' backend in the environment, which counts for more than the user's ``keras.json``.

    Raises:
        KinemeError: no backend is installed, or not the requested one.
    """
    present = [name for name in _BACKENDS if importlib.util.find_spec(name)]
    if not present or not importlib.util.find_spec("keras"):
        raise KinemeError(
            "this needs Keras and one of its backends: pip install 'kineme[tensorflow]' (or [jax], [torch])"
        )
    chosen = os.environ.get("KERAS_BACKEND") or present[0]
    if chosen not in _BACKENDS:
        raise KinemeError(f"KERAS_BACKEND={chosen}: there is no such backend; choose one of {', '.join(_BACKENDS)}")
    if chosen not in present:
        raise KinemeError(
            f"KERAS_BACKEND={chosen}: it is not installed; pip install 'kineme[{chosen}]', or unset KERAS_BACKEND "
            f"to use {present[0]}"
        )
    os.environ["KERAS_BACKEND"] = chosen


def seed_everything(seed: int) -> None:
    """Make training repeatable: same seed, same data, same machine, same weights."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def versions() -> dict[str, str]:
    """Versions of what computes the results, for the provenance of a model."""
    from importlib import metadata  # takes a while, and help does without

    from kineme.version import __version__

    backend = keras.backend.backend()
    found = {"kineme": __version__, "python": platform.python_version(), "keras": keras.__version__}
    for package in ("tensorflow", "tensorflow-cpu") if backend == "tensorflow" else (backend,):
        try:
            found[backend] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
