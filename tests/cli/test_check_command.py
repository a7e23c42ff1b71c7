"""``kineme check`` as a user meets it: one document, a page, exit codes, and files put aside."""

from __future__ import annotations

import json
import shutil

import pytest
from helpers_dataset import kineme
from helpers_report import Page
from helpers_scenes import save, scene, scenes_of_people
from helpers_video import sound_only


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four people, of whom one has sound without pictures, and another a mirrored copy of the first's video."""
    folder = scenes_of_people(tmp_path_factory.mktemp("data") / "<set>", 4)
    sound_only(folder / "left" / "person05_left.mp4")
    save(folder / "left" / "person06_left.mp4", (frame[:, ::-1] for frame in scene(0)))
    return folder


def test_one_document_on_stdout_and_a_page_with_pictures_that_needs_nothing_else(data, tmp_path):
    done = kineme("check", data, "--out", tmp_path / "page.html", "--frames", 8, "--fps", 8, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(one["kind"], one["files"]) for one in found["findings"]] == [
        ("audio-only", ["left/person05_left.mp4"]),
        ("near-duplicate", ["left/person00_left.mp4", "left/person06_left.mp4"]),
    ]
    assert all(one["says"] and one["advice"] for one in found["findings"])
    assert found["counts"] == {"error": 2, "warning": 0, "note": 0}
    assert found["data"]["videos"] == 10
    assert found["needs"]["disk_bytes"] > 0
    assert found["needs"]["assumes"]
    page = Page(tmp_path / "page.html")
    assert page.faults == []
    assert "://" not in page.source
    assert len(page.all("img")) == 2
    assert "Check of <set>" in page.text
    for one in found["findings"]:
        assert one["says"] in page.text


def test_strict_fails_and_fix_puts_aside_what_is_broken(data, tmp_path):
    copy = shutil.copytree(data, tmp_path / "set")
    done = kineme("check", copy, "--fix", "--strict", cwd=tmp_path)
    assert done.returncode == 1
    assert "person05_left.mp4: holds no video stream" in " ".join(done.stdout.split())
    assert done.stderr.strip().splitlines()[-1].startswith(f"kineme: {copy}: 2 errors")
    assert (tmp_path / "set-quarantine" / "left" / "person05_left.mp4").exists()
    assert not (copy / "left" / "person05_left.mp4").exists()
    assert (tmp_path / "set-check.html").exists()
