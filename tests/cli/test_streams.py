"""Consoles of every kind: none, closed, of another encoding, full, or nobody reads any more; and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from helpers_video import numbered_video

from kineme.progress import progress, track

KINEME = [sys.executable, "-m", "kineme"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")


class Bare:
    """What some programs with windows put in the place of a stream."""

    def write(self, text: str) -> None: ...

    def flush(self) -> None: ...


@pytest.mark.parametrize("stream", [None, Bare()])
def test_progress_needs_no_console(monkeypatch, capsys, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("decoding", 2) as advance:
        advance(2, "note")
    assert list(track([1, 2], "work")) == [1, 2]
    assert capsys.readouterr().out == ""


def test_progress_shows_names_as_text(capsys):
    with progress("fetching \x1b[2J\n[/]", 1) as advance:
        advance(1, "50 %\x07")
    assert capsys.readouterr().err == "fetching \\x1b[2J\\n[/]: 1/1  50 %\\x07\n"


@posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams(tmp_path, closed):
    sheet = tmp_path / "made" / "contact-sheet.png"
    verb = f"datasets make {sheet.parent} --clips 2 --people 2 --actions wave,squat --untrimmed 0"
    command = f"{sys.executable} -m kineme {verb} {closed}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.returncode, "Error" in done.stderr) == (0, False), done.stderr
    assert sheet.read_bytes().startswith(b"\x89PNG"), "nothing was printed into a file that took the number of a stream"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_consoles_of_other_encodings(tmp_path, encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    missing = tmp_path / "Größe – 日本\udce9.mp4"
    for arguments, code in ((["models", "list"], 0), (["datasets", "list", "--json"], 0), (["check", missing], 1)):
        done = subprocess.run([*KINEME, *arguments], capture_output=True, env=environment)
        assert done.returncode == code, done.stderr
        assert b"Error" not in done.stderr
        assert done.stdout.decode(encoding) + done.stderr.decode(encoding)
        if "--json" in arguments:
            assert {one["name"] for one in json.loads(done.stdout.decode(encoding))} >= {"ucf101"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_is_full_or_that_nobody_reads(tmp_path):
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        done = subprocess.run([*KINEME, "datasets", "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "kineme: standard output: No space left on device\n")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*KINEME, "datasets", "list"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_verbs_and_options_that_are_names_of_files_reach_no_terminal():
    for arguments in (["a\x1b[2J"], ["predict", "--\x1b]0;title\x07.mp4"], ["predict", "-\n.mp4"]):
        done = subprocess.run([*KINEME, *arguments], capture_output=True, text=True)
        assert done.returncode == 2
        assert "\x1b" not in done.stderr
        assert len(done.stderr.splitlines()) == 1


@posix
def test_ctrl_c_prints_what_was_done_and_how_to_continue(tmp_path, pytestconfig):
    """The last source never answers; the first is finished, and the second could not be read."""
    model = pytestconfig.rootpath / "tests/compatibility/v0_1/runs/lrcn"
    video = tmp_path / "first.mp4"
    numbered_video(video)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/clip.mp4"
        command = [*KINEME, "predict", video, tmp_path / "none.mp4", url, "-m", model, "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
            held, _ = server.accept()
            with held:
                job.send_signal(signal.SIGINT)
                said, told = job.communicate()
    assert job.returncode == 130
    assert [line for line in told.splitlines() if "interrupted" in line] == [
        "note: interrupted; 1 video is finished; rerun the command with the others, or use kineme batch, which resumes "
        "by itself",
        "kineme: interrupted",
    ]
    assert [one["source"] for one in json.loads(said)] == [str(video), str(tmp_path / "none.mp4")]


@posix
def test_ctrl_c_is_answered_at_once_while_native_code_runs():
    program = (
        "import hashlib; from kineme.cli import interrupt\n"
        "interrupt.listen()\n"
        "with interrupt.continues_by(lambda: 'all is kept'):\n"
        "    print('begins', flush=True); hashlib.pbkdf2_hmac('sha256', b'', b'', (1 << 31) - 1)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        assert job.stdout.readline() == "begins\n"
        job.send_signal(signal.SIGINT)
        assert job.stderr.readline() == "note: interrupted; all is kept\n"
        assert job.poll() is None, "the answer comes before the native code ends"
        job.kill()


@posix
def test_an_interrupt_that_a_library_swallows_is_remembered():
    program = (
        "import contextlib, signal; from kineme.cli import interrupt\n"
        "interrupt.listen()\n"
        "with contextlib.suppress(KeyboardInterrupt): signal.raise_signal(signal.SIGINT)\n"
        "assert interrupt.has_come()\n"
        "try: interrupt.check()\n"
        "except KeyboardInterrupt: print('ends')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("ends\n", "")
