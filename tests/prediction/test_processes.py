"""A model goes to other processes, or says in a line that it cannot."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers_stream import model_of
from helpers_video import numbered_video

import kineme
from kineme.errors import KinemeError
from kineme.exporters.litert import export_litert
from kineme.models.model_file import save_model

FORKED = """
import multiprocessing, sys
import kineme

model, used = kineme.load(sys.argv[1]), kineme.load(sys.argv[1])
expected = used.predict(sys.argv[2]).label

def work(one):
    try:
        return {"fresh": model, "used": used}[one].predict(sys.argv[2]).label == expected
    except kineme.KinemeError as error:
        return str(error)

with multiprocessing.get_context("fork").Pool(2) as pool:
    for one in pool.map_async(work, sys.argv[3:]).get(100):
        print(one)
"""


@pytest.fixture
def video(tmp_path):
    return numbered_video(tmp_path / "clip.mp4", 30, fps=25)


def test_a_pickled_model_reads_its_file_again(tmp_path, video, monkeypatch):
    network = model_of("lrcn")
    (tmp_path / "run").mkdir()
    save_model(tmp_path / "run" / "model.safetensors", network.network, network.card)
    monkeypatch.chdir(tmp_path)
    for model in (kineme.load("run"), kineme.load(export_litert(network, tmp_path / "run.tflite", check=video).path)):
        expected = model.predict(video).probabilities_K
        content = pickle.dumps(model)
        assert len(content) < 1000
        with monkeypatch.context() as elsewhere:
            elsewhere.chdir("/")
            again = pickle.loads(content)
            np.testing.assert_array_equal(again.predict(video).probabilities_K, expected)
        assert (type(again), again.name, again.labels) == (type(model), model.name, model.labels)
    changed = kineme.load("run")
    changed.network.set_weights([weight + 0.01 for weight in changed.network.get_weights()])
    for one in (changed, network):
        with pytest.raises(KinemeError, match="in no file, or was changed since it was read, is not pickled"):
            pickle.dumps(one)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system cannot fork")
def test_a_forked_model_works_if_it_was_not_used_before_and_says_so_otherwise(tmp_path, video):
    model = model_of("lrcn")
    save_model(tmp_path / "model.safetensors", model.network, model.card)
    command = [sys.executable, "-W", "ignore", "-c", FORKED, tmp_path / "model.safetensors", video]
    done = subprocess.run([*command, "fresh", "used"], capture_output=True, text=True, timeout=200, check=True)
    fresh, used = done.stdout.splitlines()
    assert fresh == "True"
    assert used == (
        f"{tmp_path.name}: was used before this process was forked, and the threads that run it are not here: load it "
        "after the fork, or start processes with 'spawn'"
    )
