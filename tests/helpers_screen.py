"""A screen that nobody sees, by Xvfb, and what is on it."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Look = Callable[[], NDArray[np.uint8]]


def screen(patch: pytest.MonkeyPatch) -> Look:
    """Make programs show themselves on the screen; gives what takes its picture, RGB. Skips the test without Xvfb."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no Xvfb on this machine (Debian's package xvfb)")
    number, picture = _started()
    patch.setenv("DISPLAY", f":{number}")
    return lambda: _picture(picture)


@functools.cache
def _started() -> tuple[int, Path]:
    """Start it once: Tk ends a process whose screen goes away."""
    folder = tempfile.mkdtemp()
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-fbdir", folder]
    process = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(process.wait)
    atexit.register(process.terminate)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return int(pipe.readline()), Path(folder, "Xvfb_screen0")


def _picture(path: Path) -> NDArray[np.uint8]:
    """An X window dump of 32 bits a pixel."""
    data = path.read_bytes()
    header = struct.unpack(">25I", data[:100])
    head_bytes, width, height, line_bytes, colours = header[0], header[4], header[5], header[12], header[19]
    begin = head_bytes + 12 * colours
    pixels = np.frombuffer(data[begin : begin + height * line_bytes], np.uint8).reshape(height, line_bytes)
    return np.ascontiguousarray(pixels[:, : 4 * width].reshape(height, width, 4)[..., 2::-1])
