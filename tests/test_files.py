"""Files are written whole or not at all, whatever they are called; locks; and names as people may see them."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from kineme.errors import KinemeError, VideoError
from kineme.files import atomic_write, file_lock, remove_abandoned, write_json, write_text
from kineme.text import clock, json_text, printable

_ENTER = "import os, sys; from kineme.files import *; held = {}(sys.argv[1]); held.__enter__(); {}"


@pytest.mark.parametrize("name", ["a" * 251 + ".txt", "é" * 127, "x." + "y" * 250, "-dash.txt", "50 %.txt"])
def test_names_as_long_and_odd_as_a_system_takes(tmp_path, name):
    target = tmp_path / name
    write_text(target, "one")
    with pytest.raises(KinemeError, match="disk"), atomic_write(target):
        raise OSError(errno.ENOSPC, "full")
    assert target.read_text(encoding="utf-8") == "one"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    for name in ("a.txt", "a" * 251 + ".txt"):
        subprocess.run(
            [sys.executable, "-c", _ENTER.format("atomic_write", "os._exit(9)"), tmp_path / name], check=False
        )
    other = tmp_path / ".b-12345678.txt"
    other.touch()
    assert len(list(tmp_path.iterdir())) == 3
    for name in ("a.txt", "a" * 251 + ".txt"):
        remove_abandoned(tmp_path / name)
    assert list(tmp_path.iterdir()) == [other]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes of files")
def test_files_have_the_mode_that_the_user_wants_from_many_threads(tmp_path):
    before = os.umask(0o027)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: write_text(tmp_path / f"{number}.txt", "x"), range(200)))
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}


def test_what_is_no_file_is_not_replaced(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for target in (folder, os.devnull):
        with pytest.raises(KinemeError, match="name a file"):
            write_text(target, "x")
    assert folder.is_dir()
    with open(os.devnull, encoding="utf-8") as null:  # noqa: PTH123
        assert null.read() == ""


def test_a_cache_that_cannot_be_written_names_its_setting(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "file" / "cache"))
    for write in (lambda path: write_text(path, "x"), lambda path: file_lock(path).__enter__()):
        with pytest.raises(KinemeError, match=r"cannot be written .*; KINEME_CACHE sets another folder"):
            write(tmp_path / "file" / "cache" / "x.txt")


def test_a_lock_is_held_by_one_and_free_when_its_holder_is_killed(tmp_path):
    lock = tmp_path / "folder" / ".lock"
    code = _ENTER.format("file_lock", "print(1, flush=True); input()")
    with subprocess.Popen([sys.executable, "-c", code, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline()
        with pytest.raises(KinemeError, match="is busy"), file_lock(lock, busy="is busy"):
            pass
        holder.kill()
        with file_lock(lock):
            pass


def test_names_cannot_act_on_a_terminal_or_forge_a_line():
    error = VideoError("a\x1b[2J\nkineme: well\x9b\u202e\udce9.mp4", "is empty")
    assert str(error) == r"a\x1b[2J\nkineme: well\x9b\u202e\udce9.mp4: is empty"
    assert error.path == "a\x1b[2J\nkineme: well\x9b\u202e\udce9.mp4"
    assert printable("Größe 5 – 😀") == "Größe 5 – 😀"


def test_json_is_json_whatever_it_holds(tmp_path):
    document = {"name": "a\x9b\udce9\u202e", "figure": float("nan"), "more": [float("inf"), 1.5, (2.0,)]}
    write_json(tmp_path / "a.json", document)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert printable(text.replace("\n", "")) == text.replace("\n", "")
    assert json.loads(text) == {"name": document["name"], "figure": None, "more": [None, 1.5, [2.0]]}
    assert json_text("é", ascii_only=True) == r'"\u00e9"'


def test_times_as_players_show_them():
    assert [clock(0), clock(75.29), clock(3723.4)] == ["0:00", "1:15", "1:02:03"]
    assert [clock(75.29, 1), clock(59.96, 1), clock(0.3, 1), clock(7200, 1)] == [
        "1:15.2",
        "0:59.9",
        "0:00.3",
        "2:00:00.0",
    ]
