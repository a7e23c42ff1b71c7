"""A folder of bounded size: what was used longest ago goes first, and nothing half written is ever read."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kineme.disk_cache import DiskCache
from kineme.errors import KinemeError


def aged(cache, name, seconds):
    """The file, as if it had been used so long ago."""
    path = cache.folder / name
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_what_was_used_longest_ago_makes_room_and_what_is_held_or_foreign_stays(tmp_path):
    cache = DiskCache(tmp_path, (".part", ".json"), limit_bytes=3000)
    (tmp_path / "somebody's.txt").write_bytes(bytes(5000))
    cache.hold("held.part")
    for number, name in enumerate(("held", "old", "used", "new")):
        cache.write(f"{name}.part", bytes(900))
        aged(cache, f"{name}.part", 100 - number)
        if name == "old":
            cache.write("old.json", b"{}")  # belongs to it
            aged(cache, "old.json", 200)
    assert cache.read("used.part") == bytes(900)
    cache.write("newest.part", bytes(900))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"somebody's.txt", "held.part", "used.part", "newest.part"}
    assert cache.problem is None
    assert cache.read("old.part") is None
    for name in ("used", "newest", "last"):
        cache.hold(f"{name}.part")
    cache.write("last.part", bytes(3000))
    assert cache.problem == f"{tmp_path}: is full (0.0 GB)"


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permission there")
def test_a_folder_that_cannot_be_written_is_a_problem_in_one_line_and_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    cache = DiskCache(tmp_path / "file" / "cache", (".part",))
    assert cache.read("a.part") is None
    cache.write("a.part", b"content")
    assert cache.problem.endswith("; KINEME_CACHE sets another folder")
    with pytest.raises(KinemeError, match="cannot be written"), cache.storing("a.part") as temporary:
        temporary.write_bytes(b"content")


def test_several_processes_share_a_folder(tmp_path):
    """Each of three fills it many times over, and reads only whole files."""
    code = (
        "import random, sys\n"
        "from pathlib import Path\n"
        "from kineme.disk_cache import DiskCache\n"
        "cache = DiskCache(Path(sys.argv[1]), ('.part',), 40_000)\n"
        "for _ in range(150):\n"
        "    n = random.randrange(30)\n"
        "    content = cache.read(f'{n}.part')\n"
        "    assert content in (None, bytes([n]) * 4000), n\n"
        "    if content is None: cache.write(f'{n}.part', bytes([n]) * 4000)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert 0 < sum(path.stat().st_size for path in tmp_path.iterdir()) <= 40_000 + 3 * 4000
