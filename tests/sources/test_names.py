"""A name is a name: whatever a file is called, it is read and written as a file, and no name opens a connection."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers_dataset import kineme
from helpers_networks import SMALL, network_of
from helpers_video import numbered_video

from kineme.dataset.long_videos import split_video
from kineme.errors import VideoError
from kineme.files import sole_writer
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.registry import make_approach
from kineme.report.contact_sheet import contact_sheet
from kineme.report.save import claimed_name
from kineme.sources.kinds import is_live
from kineme.sources.local import local_videos
from kineme.sources.local_video import FetchOptions
from kineme.video.probe import probe
from kineme.video.write import VideoWriter

NAMES = (
    *("12:30.mp4", "http:x.mp4", "rtsp:camera.mp4", "concat:a.mp4", "file:x.mp4", "pipe:0.mp4", "cache:a.mp4", "0"),
    *("subfile,,start,0,end,0,,:x.mp4", "take:1/a.mp4", "-i.mp4", "--help", "50 %d.mp4", "[red]a[/].mp4", "a?b#c.mp4"),
    *("l\nine.mp4", "e\x1b[2J\x07.mp4", "b\udce9.mp4", "x" * 251 + ".mp4", "$HOME *.mp4", "\u202egpj.mp4"),
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows allows none of these names")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return numbered_video(tmp_path_factory.mktemp("clip") / "clip.mp4", 30)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    labels = ("up\x1b[31m\nforged", "down")
    save_model(path, network_of("lrcn"), ModelCard("lrcn", config_of(make_approach("lrcn")), SMALL, labels))
    return path


@posix
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_read_and_written(tmp_path, monkeypatch, clip, name):
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    try:
        shutil.copy(clip, name)
    except OSError:
        pytest.skip("this system has no such name")
    assert probe(name).frame_count == 30
    assert not is_live(name)
    for options in (FetchOptions(), FetchOptions(start_s=0.5)):
        (found,) = [(probe(video.file).width, video.source) for video in local_videos([name], options)]
        assert found == (probe(clip).width, name)
    if name.endswith(".mp4"):
        with VideoWriter(name, width=64, height=64, fps=5) as writer:
            writer.write(next(iter(_frames(clip))))
        assert [str(path) for path in Path().rglob("*.mp4")] == [name]
        assert probe(name).frame_count == 1


def _frames(path: Path):
    from kineme.video.decode import read_frames

    return [frame.pixels_HWC for frame in read_frames(path, size=(64, 64))]


@posix
def test_what_is_there_as_a_file_opens_no_connection(tmp_path, monkeypatch, clip):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        host = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.chdir(tmp_path)
        for scheme in ("http:", "rtsp:", "tcp:"):
            Path(scheme, host).mkdir(parents=True)
            shutil.copy(clip, Path(scheme, host, "clip.mp4"))
            source = f"{scheme}//{host}/clip.mp4"
            assert not is_live(source)
            assert [probe(video.file).frame_count for video in local_videos([source])] == [30]
        with pytest.raises(TimeoutError):
            server.accept()


@posix
def test_names_and_labels_reach_files_but_no_terminal(tmp_path, model, clip):
    videos, out = tmp_path / "in", tmp_path / "out"
    videos.mkdir()
    for name in ("a\x1b]0;title\x07.mp4", "b\nkineme: all is well.mp4", "c\udce9.mp4", "d" * 251 + ".mp4"):
        shutil.copy(clip, videos / name)
    (videos / "e\x1b[2J\nkineme: fine.mp4").write_text("no video")
    done = kineme("predict", videos, "--model", model, "--save", "json,csv,srt,html", "--out", out, "--json")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    ours = [line for line in done.stderr.splitlines() if line.startswith("kineme: ")]
    assert ours == ["kineme: 1 of 5 could not be read; see the notes above"]
    documents = json.loads(done.stdout)
    assert documents[2]["source"].encode("utf-8", "surrogateescape") == os.fsencode(videos / "c\udce9.mp4")
    assert sum("error" in one for one in documents) == 1
    assert len(list(out.glob("*.json"))) == len(list(out.glob("*.csv"))) == len(list(out.glob("*.html"))) == 4
    assert not [path for path in out.iterdir() if not path.name.isprintable()]
    done = kineme("predict", videos, "--model", model, "--out", out)
    assert "\x1b" not in done.stdout + done.stderr
    assert r"up\x1b[31m\nforged" in done.stdout


def test_labels_with_line_breaks_and_of_any_length_are_drawn(tmp_path, clip):
    rows = [(clip, "pick\nup\x1b"), (clip, "long " * 3000), (clip, "b\udce9")]
    assert contact_sheet(rows, tmp_path / "sheet.png", columns=2).is_file()


@posix
@pytest.mark.parametrize("name", ["x" * 251 + ".mp4", "e\x1b[2J\n.mp4", "b\udce9.mp4"])
def test_clips_that_are_cut_from_a_video_of_any_name(tmp_path, clip, name):
    video, segments = tmp_path / name, tmp_path / "segments.csv"
    shutil.copy(clip, video)
    segments.write_text("start_s,end_s,label\n0,0.5,a\n0.5,1,b\n")
    made = split_video(video, segments, tmp_path / "out")
    assert len(made.clips) == 2
    assert all(clip.path.is_file() and clip.path.name.isprintable() for clip, _ in made.clips)


@posix
def test_two_commands_at_once_take_two_names(tmp_path, model, clip):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        shutil.copy(clip, tmp_path / folder / "clip.mp4")
    with claimed_name(tmp_path / "out", "clip", (".json",), "another") as first:
        done = kineme(
            "predict", tmp_path / "a" / "clip.mp4", "--model", model, "--save", "json", "--out", tmp_path / "out"
        )
        assert (first, done.returncode) == ("clip", 0), done.stderr
        assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["clip-2.json"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip-2.json"]
    for verb in (
        ["datasets", "make", "x", "--clips", "2", "--people", "2"],
        ["export", model, "--out", "x"],
        ["demo", "--out", "x"],
    ):
        with sole_writer(tmp_path / "x"):
            done = kineme(*verb, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("kineme: x: another command is writing it")
    (tmp_path / "file").touch()
    done = kineme("predict", clip, "--model", model, "--save", "json", "--out", tmp_path / "file")
    assert (done.returncode, "file/clip: cannot be written" in done.stderr) == (1, True)


@posix
def test_pipes_sockets_and_devices_that_are_named_as_files(tmp_path, clip):
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(VideoError, match=r"pipe\.mp4: is a pipe, and nothing came through it for 0\.1 s"):
        list(local_videos([str(pipe)], FetchOptions(timeout_s=0.1)))
    with pytest.raises(VideoError, match="is a pipe, socket or device"):
        probe(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(clip.read_bytes()))
    writer.start()
    assert [probe(video.file).frame_count for video in local_videos([str(pipe)])] == [30]
    writer.join()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.mp4"))
        for name in (tmp_path / "s.mp4", Path(os.devnull)):
            with pytest.raises(VideoError, match="is a socket or device"):
                list(local_videos([str(name)]))


@posix
def test_standard_input_by_its_device(clip):
    code = (
        "from kineme.sources.local import local_videos; from kineme.video.probe import probe\n"
        "print([probe(video.file).frame_count for video in local_videos(['/dev/stdin'])])"
    )
    for given in ({"input": clip.read_bytes()}, {"stdin": clip.open("rb")}):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, **given)
        assert done.stdout.strip() == b"[30]", done.stderr
