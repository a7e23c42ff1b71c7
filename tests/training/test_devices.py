"""Training on two devices: two virtual ones of the CPU, on JAX (make test-jax); elsewhere, what it says instead."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers_dataset import make_videos
from helpers_devices import SIZES
from safetensors.numpy import load_file

import kineme as package
from kineme.errors import KinemeError, UsageError
from kineme.models.backend import keras

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="needs JAX: make test-jax")
TWO = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
TRAINING = ["--approach", "lrcn", "--frames", "4", "--size", "64", "--no-flip", "--validation", "0"]
TRAINING += ["--batch-size", "12", "--epochs", "10"]  # 20 steps, see helpers_devices.py


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=11)


@pytest.fixture(scope="module")
def one_device(data, tmp_path_factory):
    """The run folder of an unbroken training of lrcn on one device."""
    out = tmp_path_factory.mktemp("runs") / "one"
    finish(start(data, out))
    return out


def start(data, out, *options, **environment):
    command = [sys.executable, "-c", "from kineme.cli.main import main; main()", "train", str(data), "--out", str(out)]
    return subprocess.Popen(
        [*command, *TRAINING, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **TWO, **environment},
    )


def finish(process):
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors


def of_run(folder: Path):
    """Weights and losses of a run folder."""
    losses = pl.read_csv(folder / "history.csv")["loss"].to_numpy()
    return {**load_file(folder / "model.safetensors"), "losses": losses}


def assert_same(wanted, found, within=1e-5):
    """Losses, and all weights by their norm: Adam moves one whose gradient is next to nothing by the noise in it."""
    assert list(wanted) == list(found)
    np.testing.assert_allclose(found["losses"], wanted["losses"], rtol=within)
    weights, others = (
        np.concatenate([one[name].ravel() for name in wanted if name != "losses"]) for one in (wanted, found)
    )
    assert np.linalg.norm(others.astype(np.float64) - weights) <= within * np.linalg.norm(weights.astype(np.float64))


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="for the other backends")
def test_another_backend_is_told_what_to_do_before_anything_is_written(tmp_path):
    data = make_videos(tmp_path / "data", people=1)
    with pytest.raises(KinemeError, match=r"--devices 2: needs Keras on JAX, .*KERAS_BACKEND=jax") as error:
        package.train(data, tmp_path / "run", devices=2)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("devices", ["two", "0", "-1"])
def test_a_number_that_is_none_is_refused(tmp_path, devices):
    data = make_videos(tmp_path / "data", people=1)
    with pytest.raises(UsageError, match=f"--devices {devices}: give a number from 1 on, or all"):
        package.train(data, tmp_path / "run", devices=devices)


@on_jax
def test_more_devices_than_there_are(tmp_path, data):
    process = start(data, tmp_path / "run", "--devices", "3")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "--devices 3: JAX sees 2 here (cpu:0, cpu:1)" in errors
    assert "XLA_FLAGS=--xla_force_host_platform_device_count=3" in errors


@on_jax
def test_a_step_that_cannot_be_shared_out(tmp_path, data):
    process = start(data, tmp_path / "run", "--devices", "2", "--batch-size", "10")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "the 15 clips, 5 of them background, of a step cannot be shared out evenly among 2 devices" in errors
    assert "--batch-size 8 can" in errors


@on_jax
@pytest.mark.parametrize("approach", SIZES)
def test_two_devices_equal_one(tmp_path, data, approach):
    """Dropout (lrcn), batch normalisation (slow-fusion), and a last batch that cannot be shared out among them."""
    script = Path(__file__).parents[1] / "helpers_devices.py"
    command = [sys.executable, str(script), str(data), str(tmp_path), approach]
    done = subprocess.run(command, env={**os.environ, **TWO}, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    one, two = (dict(np.load(tmp_path / f"{count}.npz")) for count in (1, 2))
    assert_same(one, two)
    assert len(one["losses"]) == 10
    assert one["losses"][-1] < one["losses"][0]


@on_jax
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_killed_on_two_devices_resumed_on_one_killed_resumed_on_two(tmp_path, data, one_device):
    broken = tmp_path / "broken"
    checkpoint = broken / "checkpoint.safetensors"
    for devices, resume in (("2", []), ("1", ["--resume"])):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        process = start(data, broken, "--devices", devices, *resume)
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        process.kill()
        process.communicate()
        assert not (broken / "model.safetensors").exists()
    finish(start(data, broken, "--devices", "2", "--resume"))
    assert_same(of_run(one_device), of_run(broken))


@on_jax
def test_two_processes_equal_one(tmp_path, data, one_device):
    """As on two machines; only the first writes the run folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    job = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2", "XLA_FLAGS": ""}
    processes = [
        start(data, tmp_path / "two", "--devices", "all", KERAS_DISTRIBUTION_PROCESS_ID=str(number), **job)
        for number in range(2)
    ]
    for process in processes:
        finish(process)
    assert_same(of_run(one_device), of_run(tmp_path / "two"))
