"""Noise of native code is held back, and standard error is given back whoever else holds it at the time."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, sys, threading, time
from kineme.models.native_stderr import suppress_native_stderr

def noisy(number):
    with suppress_native_stderr():
        os.write(2, b"noise")
        time.sleep(0.02 * (number + 1))

threads = [threading.Thread(target=noisy, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
    time.sleep(0.01)
for thread in threads:
    thread.join()
print("said afterwards", file=sys.stderr)
try:
    with suppress_native_stderr():
        os.write(2, b"why it failed")
        raise ValueError
except ValueError:
    pass
"""


def test_threads_that_hold_noise_back_at_once_give_standard_error_back():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert "said afterwards" in done.stderr
    assert "why it failed" in done.stderr
    assert "noise" not in done.stderr
