"""What all tests of the service share."""

from __future__ import annotations

import os

import pytest
from helpers_serving import server, write_model, write_video

from kineme.files import file_lock

if os.name != "posix":
    collect_ignore_glob = ["*"]  # processes are stopped and killed by signals


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """An exported model, made once for all processes of the tests."""
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "serving"
    folder.mkdir(exist_ok=True)
    with file_lock(folder / "lock"):
        path = folder / "light.tflite"
        if not path.exists():
            pytest.importorskip("tensorflow", reason="LiteRT models are made by TensorFlow")
            write_model(path)
        return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A small video: 2 s dark, 2 s bright."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4").read_bytes()


@pytest.fixture(scope="session")
def served(model, tmp_path_factory):
    """A server that takes small videos, and links to 127.0.0.1 itself."""
    options = ("--rate", "10000", "--max-size", "2M", "--max-duration", "30", "--max-pixels", "100000")
    links = ("--allow-links", "--link-network", "127.0.0.1/32")
    with server(model, tmp_path_factory.mktemp("state"), *options, *links) as running:
        yield running
