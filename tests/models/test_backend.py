"""Keras is set up the same, whatever another program has left in the user's settings; what is missing is named."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest

SETTINGS = (
    "import sys; from kineme.models.backend import keras; assert 'keras' not in sys.modules;"
    "layer = keras.layers.Dense(2); layer.build((None, 3));"
    "print(keras.config.floatx(), keras.config.image_data_format(), layer.kernel.dtype, keras.backend.backend())"
)


def run(script: str, tmp_path, settings: object = None, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), **environment}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)


def test_settings_of_other_programs_change_nothing(tmp_path):
    done = run(SETTINGS, tmp_path, {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 1e-5})
    assert done.stdout.split()[:3] == ["float32", "channels_last", "float32"], done.stderr


MISSING = [(name, f"pip install 'kineme[{name}]'") for name in ("jax", "torch") if not importlib.util.find_spec(name)]


@pytest.mark.parametrize(("backend", "says"), [*MISSING, ("theano", "choose one of tensorflow, jax, torch")])
def test_a_backend_that_is_not_there_is_named_in_one_line(tmp_path, backend, says):
    script = (
        "from kineme.errors import KinemeError; from kineme.models.backend import keras\n"
        "try: keras.layers\nexcept KinemeError as error: print(error)"
    )
    line = run(script, tmp_path, {}, KERAS_BACKEND=backend).stdout
    assert line.startswith(f"KERAS_BACKEND={backend}: ")
    assert says in line
    assert line.count("\n") == 1
