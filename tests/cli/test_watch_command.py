"""``kineme predict`` on cameras and live streams: every way out leaves outputs that are complete."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest
from helpers_live import motion_jpeg, rtsp
from helpers_networks import network_of
from helpers_screen import screen

from kineme.cli.main import main
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.registry import make_approach
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    spec = ClipSpec(frames=6, fps=16.0, height=64, width=64)
    card = ModelCard("lrcn", config_of(make_approach("lrcn")), spec, ("to-left", "to-right"))
    save_model(path, network_of("lrcn", spec), card)
    return path


@pytest.fixture
def kineme(monkeypatch, model):
    """Runs the command in this process; gives its exit code."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kineme", "predict", *map(str, arguments), "--model", str(model)])
        try:
            main()
        except SystemExit as end:
            return end.code or 0
        return 0

    return run


@contextmanager
def later(seconds, action):
    """Does something else while the command runs."""
    timer = threading.Timer(seconds, action)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def check_files(folder, seconds):
    """Each format is there once, complete, and about so many seconds."""
    files = {path.suffix[1:]: path for path in folder.iterdir()}
    assert set(files) == {"mp4", "json", "csv", "srt", "vtt", "parquet"}  # and nothing hidden
    assert all(re.fullmatch(r"127\.0\.0\.1-(video|live)-\d{8}-\d{6}", path.stem) for path in files.values())
    times = [frame.pts_s for frame in read_frames(files["mp4"], on_warning=pytest.fail)]
    assert times[-1] == pytest.approx(seconds, abs=0.7)
    assert probe(files["mp4"]).duration_s == pytest.approx(times[-1], abs=0.3)
    document = json.loads(files["json"].read_text())
    assert document["duration_s"] == pytest.approx(seconds, abs=0.7)
    assert document["segments"][-1]["end_s"] == pytest.approx(document["duration_s"], abs=0.01)
    assert document["timing"]["frames"] == len(times)
    head, *rows = csv.reader(files["csv"].read_text().splitlines())
    assert head == ["start_s", "end_s", "to-left", "to-right"]
    assert len(rows) == document["timing"]["windows"] > 2
    assert all(float(row[2]) + float(row[3]) == pytest.approx(1, abs=0.01) for row in rows)
    cues = len(document["segments"])
    assert files["srt"].read_text().count(" --> ") == files["vtt"].read_text().count(" --> ") == cues
    assert files["vtt"].read_text().startswith("WEBVTT\n\n")
    assert len(pl.read_parquet(files["parquet"])) == cues
    return document


def test_ctrl_c_ends_it_with_every_output_complete(tmp_path, model, capsys):
    with motion_jpeg() as live:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from kineme.cli.main import main; main()"),
                *("predict", live.url, "--model", model, "--out", tmp_path / "out"),
                *("--save", "video,json,csv,srt,vtt,parquet"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert re.fullmatch(r"\d+\.\d s  to-(left|right)\n", process.stdout.readline())  # at the first label
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert errors.count("wrote ") == 6
    document = check_files(
        tmp_path / "out", json.loads(next((tmp_path / "out").glob("*.json")).read_text())["duration_s"]
    )
    assert f"{document['duration_s']:.1f} s" in out


def test_it_ends_after_the_time_that_was_asked_for(tmp_path, kineme, capsys):
    with motion_jpeg() as live:
        formats = ("--save", "video,json,csv,srt,vtt,parquet", "--out", tmp_path / "out")
        assert kineme(live.url, "--max-seconds", "1.5", "--json", "--mode", "carried", *formats) == 0
    document = check_files(tmp_path / "out", 1.5)
    assert {**document, "top": None} == {**json.loads(capsys.readouterr().out), "top": None}


def test_a_stream_that_is_gone_for_good_is_exit_code_1_and_what_was_seen_is_kept(tmp_path, kineme, capsys):
    with rtsp() as live, later(1.4, live.cut):
        formats = ("--save", "video,json,csv,srt,vtt,parquet", "--out", tmp_path / "out")
        assert kineme(live.url, "--retry-seconds", "0.5", "--json", *formats) == 1
    said = capsys.readouterr()
    last = said.err.strip().splitlines()[-1]
    assert last == f"kineme: {live.url}: disconnected, and could not be reached again for 0.5 s"
    document = check_files(tmp_path / "out", json.loads(said.out)["duration_s"])
    assert document["duration_s"] > 0.5
    (warning,) = document["warnings"]
    assert f"note: {warning}" in said.err


def test_a_reader_of_the_pipe_that_goes_away_ends_it(kineme, monkeypatch, capfd):
    reading, writing = os.pipe()
    read = []

    def read_a_line():
        with os.fdopen(reading, "rb") as pipe:
            read.append(pipe.readline())

    thread = threading.Thread(target=read_a_line)
    thread.start()
    kept = os.dup(1)
    os.dup2(writing, 1)  # as a shell does it
    os.close(writing)
    try:
        with os.fdopen(1, "w", closefd=False) as stdout, motion_jpeg() as live, later(8, live.cut):
            monkeypatch.setattr(sys, "stdout", stdout)
            assert kineme(live.url, "--save", "csv", "--out", "-") == 1
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    thread.join()
    assert read == [b"start_s,end_s,to-left,to-right\n"]
    assert capfd.readouterr().err == ""


def test_a_watch_too_short_for_an_answer_says_so(kineme, capsys):
    with motion_jpeg() as live:
        assert kineme(live.url, "--max-seconds", "0.2") == 1
    assert re.search(
        r"kineme: .* was watched for 0\.\d s; the model needs 0\.4 s to answer\n$", capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["97"], 1, "97: there is no such camera"),
        (["rtsp://127.0.0.1:9/x", "--start", "3"], 2, "--max-seconds ends a live source"),
        (["rtsp://127.0.0.1:9/x", "--max-seconds", "soon"], 2, "--max-seconds soon"),
        (["rtsp://127.0.0.1:9/x", "--mode", "fast"], 2, "no mode 'fast'"),
        (["rtsp://127.0.0.1:9/x", "--save", "html"], 2, "use --save video, then predict that file"),
        (["clip.mp4", "--max-seconds", "3"], 2, "--max-seconds is for a camera or live stream"),
        (["clip.mp4", "--show"], 2, "--show is for a camera or live stream"),
        (["0", "clip.mp4"], 2, "0: a camera or live stream has no end; name it alone"),
    ],
)
def test_wrong_usage_and_missing_cameras_are_one_line(tmp_path, monkeypatch, kineme, capsys, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    assert kineme(*arguments) == code
    said = capsys.readouterr()
    assert says in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not said.out
    assert not list(tmp_path.iterdir())


def test_a_window_where_there_is_no_screen_is_refused(kineme, monkeypatch, capsys):
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform != "linux":
        pytest.skip("this system always has a screen")
    with motion_jpeg() as live:
        assert kineme(live.url, "--show") == 1
    assert "--show: there is no screen here" in capsys.readouterr().err


def test_a_window_shows_the_stream(kineme, monkeypatch, capsys):
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    look, seen = screen(monkeypatch), []
    with motion_jpeg() as live:

        def look_on():
            while not seen and live.clients < 2:  # the second one is the watcher
                time.sleep(0.05)
            while not seen or (seen[-1] < 800 and len(seen) < 100):
                seen.append(int((np.abs(look().astype(int) - 225) < 20).all(axis=-1).sum()))
                time.sleep(0.05)

        with later(0.0, look_on):
            assert kineme(live.url, "--show", "--max-seconds", "1.2") == 0
    assert max(seen) > 800  # of 40 x 40 bright pixels, less what the labels cover
