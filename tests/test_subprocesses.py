"""Work in another process: its results, errors, progress, and what happens where it crashes or hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kineme.errors import KinemeError, UsageError
from kineme.subprocesses import ProcessError, WorkerProcess, call_in_process

WORK = "helpers_subprocess:work"


@pytest.fixture(autouse=True)
def _helpers(monkeypatch):
    there = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, there)))


@pytest.fixture
def worker():
    process = WorkerProcess(WORK)
    yield process
    process.stop()


def test_one_process_answers_call_after_call_and_tells_of_progress(worker):
    told = []
    first = worker.call("well", on_progress=told.append)
    assert first == {"pid": first["pid"], "what": "well"}  # what it prints is not in the way
    assert told == [0.5]
    assert first["pid"] != os.getpid()
    for what, error, line in (
        ("raise", KinemeError, "clip.mp4: is no video"),
        ("usage", UsageError, "--engine gpu: there is none"),
    ):
        with pytest.raises(KinemeError) as raised:
            worker.call(what)
        assert (type(raised.value), str(raised.value)) == (error, line)
    assert worker.call("again")["pid"] == first["pid"]


def test_a_crash_is_told_with_its_last_words_and_the_next_call_starts_anew(worker):
    for what, says in (("crash", "exit code 7: last words"), ("break", "exit code 1: ZeroDivisionError: a mistake")):
        with pytest.raises(ProcessError) as raised:
            worker.call(what)
        assert raised.value.kind == "crashed"
        assert says in str(raised.value)
        assert not worker.is_running
        assert worker.call("well")["what"] == "well"


def test_a_process_that_hangs_is_ended(worker):
    pid = worker.call("well")["pid"]
    with pytest.raises(ProcessError, match=r"took longer than the limit of 0\.2 s") as raised:
        worker.call("hang", timeout_s=0.2)
    assert raised.value.kind == "time_limit"
    assert not psutil.pid_exists(pid)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM")
def test_with_grace_a_process_that_is_stopped_may_tidy_up(tmp_path):
    def refuse(value):
        raise KeyboardInterrupt

    for grace_s, is_tidy in ((0.0, False), (60.0, True)):
        with pytest.raises(KeyboardInterrupt):
            call_in_process(WORK, f"tidy {tmp_path / 'tidy'}", on_progress=refuse, grace_s=grace_s)
        assert (tmp_path / "tidy").exists() is is_tidy


def test_an_error_of_who_hears_of_progress_ends_the_process(worker):
    def refuse(value):
        raise RuntimeError("enough")

    pid = worker.call("well")["pid"]
    with pytest.raises(RuntimeError, match="enough"):
        worker.call("well", on_progress=refuse)
    assert not psutil.pid_exists(pid)


def test_called_once_the_process_is_gone_afterwards():
    assert not psutil.pid_exists(call_in_process(WORK, "well")["pid"])


def test_the_process_ends_with_the_one_that_started_it():
    code = (
        "from kineme.subprocesses import WorkerProcess\n"
        f"worker = WorkerProcess({WORK!r})\n"
        "print(worker.call('well')['pid'], flush=True)\n"
        "worker.call('hang')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    deadline = time.monotonic() + 20
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
