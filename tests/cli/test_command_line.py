"""The command line: what it offers, and what it says and returns when something is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers_dataset import SMALL_SPEC, kineme, make_videos, write_square
from helpers_networks import SMALL, network_of
from helpers_video import cut_file, numbered_video, sound_only

from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.registry import make_approach


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    card = ModelCard("lrcn", config_of(make_approach("lrcn")), SMALL, ("to-left", "to-right"))
    save_model(path, network_of("lrcn"), card)
    return path


def test_the_package_is_the_command_too():
    done = subprocess.run([sys.executable, "-m", "kineme", "train", "nowhere"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("kineme: nowhere: ")


def test_importing_the_package_imports_nothing_slow():
    code = "import sys, kineme; assert not {'numpy', 'keras', 'av', 'typer'} & set(sys.modules); kineme.ClipSpec()"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def fails(done, code, *says):
    """One line on standard error that says all of this, the exit code, and no traceback."""
    assert done.returncode == code, (done.returncode, done.stderr)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("kineme: ")
    for part in says:
        assert part in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("prepare", "code", "says"),
    [
        (lambda data: None, 1, ["no such folder"]),
        (lambda data: data.mkdir(), 1, ["holds no video"]),
        (lambda data: make_videos(data, people=3, classes=("to-left",)), 1, ["to-left", "one class only"]),
        (lambda data: make_videos(data, people=1), 1, ["to-left", "one group"]),
    ],
    ids=["missing folder", "empty folder", "one class only", "a class with one group"],
)
def test_data_that_cannot_be_trained_on(tmp_path, prepare, code, says):
    data = tmp_path / "data"
    prepare(data)
    done = kineme("train", data, "--out", tmp_path / "run")
    fails(done, code, str(data) if len(says) == 1 else says[0], *says)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("text.mp4", lambda path: path.write_text("this is no video"), "not a video"),
        ("zero.mp4", lambda path: path.touch(), "empty"),
        ("cut.mp4", lambda path: cut_file(numbered_video(path.with_name("whole.mp4")), 0.3, path), "cut"),
        ("sound.m4a.mp4", lambda path: sound_only(path), "only sound"),
        ("missing.mp4", lambda path: None, "no such file"),
        ("folder.mp4", lambda path: path.mkdir(), "folder"),
    ],
)
def test_videos_that_cannot_be_predicted(tmp_path, model, name, make, says):
    path = tmp_path / name
    make(path)
    done = kineme("predict", path, "--model", model)
    fails(done, 1, str(path), says)
    assert len(done.stderr.strip().splitlines()) == 1


def test_one_bad_video_among_good_ones_is_told_of_and_the_rest_are_done(tmp_path, model):
    good = tmp_path / "good.mp4"
    write_square(good, leftwards=True, person=1, rng=np.random.default_rng(0))
    bad = tmp_path / "bad.mp4"
    bad.write_text("no")
    done = kineme("predict", bad, good, "--model", model, "--json", "--save", "json", "--out", tmp_path / "out")
    fails(done, 1, str(bad), "1 of 2")
    first, second = json.loads(done.stdout)
    assert "error" in first
    assert second["top"][0]["label"] in ("to-left", "to-right")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.json"]


def test_models_that_cannot_be_loaded(tmp_path, model, videos):
    video = next(videos.glob("*/*.mp4"))
    short = tmp_path / "short.safetensors"
    short.write_bytes(model.read_bytes()[:-1000])
    fails(kineme("predict", video, "--model", short), 1, str(short), "cut short")
    fails(kineme("predict", video, "--model", tmp_path / "none"), 1, str(tmp_path / "none"), "no such model")
    fails(kineme("predict", video, "--model", tmp_path), 1, str(tmp_path), "no model.safetensors")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--approach", "lrcm"], "lrcm"),
        (["--backbone", "resnet"], "resnet"),
        (["--set", "units"], "NAME=VALUE"),
        (["--set", "unit=3"], "unit"),
        (["--size", "big"], "--size big"),
        (["--approach", "lrcn", "--size", "32"], "64 x 64"),
        (["--fps", "fast"], "--fps fast"),
        (["--frames", "0"], "frames"),
        (["--epochs", "0"], "epochs"),
        (["--learning-rate", "-1"], "learning rate"),
        (["--test", "1.5"], "test"),
    ],
)
def test_wrong_usage_has_exit_code_2_and_names_the_option(tmp_path, videos, options, says):
    done = kineme("train", videos, "--out", tmp_path / "run", *options)
    fails(done, 2, says)


def test_unknown_verbs_and_options_are_wrong_usage(model):
    for arguments in (
        ["trian"],
        ["train"],
        ["predict", "--modle", "x"],
        ["predict", "x", "--model", model, "--top", "0"],
    ):
        done = kineme(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    fails(kineme("predict", "x.mp4", "--model", model, "--save", "gif"), 2, "gif", "video, json")


def test_a_traceback_is_shown_with_debug_only(tmp_path):
    assert "Traceback" in kineme("train", tmp_path / "none", "--debug").stderr
    assert "Traceback" not in kineme("train", tmp_path / "none").stderr


def test_saved_names_do_not_collide_and_the_source_is_never_written_over(tmp_path, model):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_square(tmp_path / folder / "clip.mp4", leftwards=True, person=1, rng=np.random.default_rng(0))
    for _ in range(2):  # again: the same names
        done = kineme(
            "predict", "a/clip.mp4", "b/clip.mp4", "--model", model, "--save", "video,json", "--out", "a", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "clip-2.json",  # of a/clip.mp4, whose own name is the source's
        "clip-2.mp4",
        "clip-3.json",
        "clip-3.mp4",
        "clip.mp4",
    ]


def test_models_list_shows_every_approach_with_its_options():
    listed = json.loads(kineme("models", "list", "--json").stdout)
    assert {"lrcn", "convlstm"} <= {one["name"] for one in listed["approaches"]}
    assert all(one["what"] and one["options"]["backbone"] for one in listed["approaches"])
    assert "lrcn" in kineme("models", "list").stdout


@pytest.mark.skipif(not Path("/proc/mounts").exists(), reason="needs a small tmpfs, which only Linux makes here")
def test_a_full_disk_is_one_clear_line_and_leaves_no_half_files(tmp_path, model, videos):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs rights that this user lacks")
    try:
        done = kineme("train", videos, "--out", disk / "run", *SMALL_SPEC, "--epochs", 2)
        fails(done, 1, "disk is full", str(disk))
        video = next(videos.glob("*/*.mp4"))
        free = shutil.disk_usage(disk).free
        (disk / "fill").write_bytes(b"x" * (free - 4096))  # too little for the smallest mp4
        done = kineme("predict", video, "--model", model, "--save", "video", "--out", disk / "out")
        fails(done, 1, "disk is full")
        assert not list((disk / "out").glob("*"))
        assert not [path for path in disk.rglob("*") if path.name.startswith(".")]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_train_writes_the_strips_it_can_when_the_cache_disk_is_full(tmp_path, videos):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs rights that this user lacks")
    try:
        done = kineme(
            "train", videos, "--out", tmp_path / "run", *SMALL_SPEC, "--epochs", 1, KINEME_FRAME_CACHE=str(disk)
        )
        assert done.returncode == 0, done.stderr
        assert "cache of decoded frames is full" in done.stderr
    finally:
        subprocess.run(["umount", str(disk)], check=True)
