"""The one place that imports Keras: sets up its backend first, and says what to install where there is none.

Use ``from kineme.models.backend import keras``. TensorFlow is the default backend; ``KERAS_BACKEND`` chooses
another, as for any Keras program.
"""

from __future__ import annotations

import importlib.util
import logging
import os

from kineme.errors import KinemeError
from kineme.models.native_stderr import suppress_native_stderr

_BACKENDS = ("tensorflow", "jax", "torch")

_present = [name for name in _BACKENDS if importlib.util.find_spec(name)]
if not _present or not importlib.util.find_spec("keras"):
    raise KinemeError("this needs Keras and one of its backends: pip install 'kineme[tensorflow]' (or [jax], [torch])")

os.environ.setdefault("KERAS_BACKEND", _present[0])
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow leaves oneDNN off on some processors; with it, convolutions run two to five times as fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on retracing is for programmers
with suppress_native_stderr():
    import keras

__all__ = ["keras", "seed_everything", "versions"]


def seed_everything(seed: int) -> None:
    """Make training repeatable: same seed, same data, same machine, same weights."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def versions() -> dict[str, str]:
    """Versions of what computes the figures, for the provenance of a model."""
    import importlib.metadata
    import platform

    from kineme.version import __version__

    backend = keras.backend.backend()
    package = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",), "torch": ("torch",)}[backend]
    found = {"kineme": __version__, "python": platform.python_version(), "keras": keras.__version__}
    for name in package:
        if importlib.util.find_spec(backend):
            try:
                found[backend] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
    return found
