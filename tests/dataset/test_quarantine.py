"""Broken files are put aside with their reasons, nothing is lost, and a kill at any point is made good again."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kineme.dataset.audit.quarantine import quarantine_files

BROKEN = {"a/1.mp4": "is empty (0 bytes)", "a/deep/2.mp4": "is not a video that can be read", "b/3.avi": "only sound"}
_KILLED = """
import os, signal, sys
from pathlib import Path
from kineme.dataset.audit.quarantine import quarantine_files
data, left = Path(sys.argv[1]), [int(sys.argv[2])]
def kill(event, arguments):
    makes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_EXCL
    if makes or event in ("os.rename", "os.mkdir", "os.remove", "os.chmod"):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
quarantine_files(data, {str(data / name): reason for name, reason in %r.items() if (data / name).exists()})
"""


def make(folder: Path) -> Path:
    for name in (*BROKEN, "a/good.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


def aside(data: Path) -> None:
    quarantine_files(data, {str(data / name): reason for name, reason in BROKEN.items() if (data / name).exists()})


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_broken_files_move_to_the_same_place_in_the_quarantine_and_the_list_says_why(tmp_path):
    data = make(tmp_path / "set")
    before = tree(data)
    aside(data)
    quarantine = tmp_path / "set-quarantine"
    assert tree(data) == {"a/good.mp4": before["a/good.mp4"]}
    kept = tree(quarantine)
    listed = kept.pop("reasons.csv").decode()
    assert kept == {name: before[name] for name in BROKEN}
    assert [tuple(row) for row in csv.reader(listed.splitlines()[1:])] == [(n, n, BROKEN[n]) for n in sorted(BROKEN)]
    aside(data)
    assert tree(quarantine)["reasons.csv"].decode() == listed


def test_another_file_of_the_same_name_does_not_replace_the_first(tmp_path):
    data = make(tmp_path / "set")
    aside(data)
    (data / "a" / "1.mp4").write_text("another one")
    aside(data)
    kept = tree(tmp_path / "set-quarantine")
    assert kept["a/1.mp4"] == b"content of a/1.mp4"
    assert kept["a/1-2.mp4"] == b"another one"


def test_files_outside_the_data_are_left_alone(tmp_path):
    data, other = make(tmp_path / "set"), tmp_path / "other.mp4"
    other.write_text("elsewhere")
    moved = quarantine_files(data, {str(other): "is empty"})
    assert (moved.outside, moved.files) == ((str(other),), {})
    assert other.read_text() == "elsewhere"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_any_point_and_run_again_it_ends_in_the_same_state(tmp_path):
    aside(make(tmp_path / "whole" / "set"))
    expected = tree(tmp_path / "whole")
    for step in range(100):
        home = tmp_path / f"killed{step}"
        data = make(home / "set")
        everything = sorted(tree(data).values())
        done = subprocess.run(
            [sys.executable, "-c", _KILLED % BROKEN, data, str(step)], capture_output=True, timeout=60
        )
        left = [content for name, content in tree(home).items() if not name.endswith(".csv")]
        assert sorted(left) == everything  # nothing is ever lost, nor half moved
        aside(data)
        assert tree(home) == expected
        shutil.rmtree(home)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert step >= 6
