"""Damaged and hostile files end in frames or in one of our errors, in bounded time and memory."""

from __future__ import annotations

import os
import struct
import sys
from collections import Counter, deque

import numpy as np
import pytest
from helpers_fuzz import make_seeds, mutate, read_all
from helpers_video import encode, numbered_frame, numbered_video, read_number

from kineme.errors import VideoError
from kineme.video.clips import read_sampled_video, ticks
from kineme.video.decode import read_frames
from kineme.video.geometry import displayed_size
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

posix = pytest.mark.skipif(sys.platform == "win32", reason="watches the reading process in the POSIX way")


@posix
def test_a_hundred_damaged_files_end_in_frames_or_in_our_errors(tmp_path):
    seeds = make_seeds(tmp_path / "seeds")
    cases = [*seeds, *(mutate(seeds, case, tmp_path) for case in range(100))]
    outcomes = list(read_all(cases))
    wrong = [f"{path.name}: {one}" for path, one in zip(cases, outcomes, strict=True) if one.is_failure]
    assert wrong == []
    assert {one.kind for one in outcomes[: len(seeds)]} == {"frames"}
    kinds = Counter(one.kind.partition(":")[0] for one in outcomes)
    assert min(kinds["error"], kinds["frames"], kinds["frames, damage told"]) > 5, kinds
    assert max(one.peak_bytes for one in outcomes) < 1e9


@posix
def test_a_hang_is_noticed_and_the_next_file_is_read(tmp_path):
    hanging = "import os, sys; print('ready', flush=True); os.read(os.pipe()[0], 1)"
    outcomes = read_all([tmp_path / "a.mp4", tmp_path / "b.mp4"], 0.2, [sys.executable, "-c", hanging])
    assert [one.kind for one in outcomes] == ["hang", "hang"]


def leaping(path, at, by_s):
    """A Motion JPEG MKV of 10 frames whose clock leaps ahead by ``by_s`` seconds at frame ``at``."""
    times = [i / 10 + (by_s if i >= at else 0) for i in range(10)]
    frames = (numbered_frame(i, 48, 64) for i in range(10))
    return encode(path, frames, times_s=times, codec="mjpeg", pixel_format="yuvj420p", fps=10)


def test_a_clock_that_leaps_ahead_is_set_right_and_that_is_said(tmp_path):
    path = leaping(tmp_path / "v.mkv", 4, 50_000)
    warnings = []
    times = [frame.pts_s for frame in read_frames(path, on_warning=warnings.append)]
    assert times == pytest.approx([i / 10 for i in range(10)], abs=0.002)
    assert warnings == ["a time stamp leaps ahead by more than 600 s at 0.3 s; the leap is left out"]
    assert probe(path).duration_s == pytest.approx(1.0, abs=0.01)
    assert len(read_sampled_video(path, ClipSpec(frames=8)).times_s) == 8


def test_a_pause_of_some_minutes_is_believed(tmp_path):
    path = leaping(tmp_path / "v.mkv", 4, 300)
    warnings = []
    assert [frame.pts_s for frame in read_frames(path, on_warning=warnings.append)][4] == pytest.approx(
        300.4, abs=0.002
    )
    assert (warnings, probe(path).duration_s) == ([], pytest.approx(301.0, abs=0.01))


def test_a_few_frames_do_not_fill_the_disk_with_their_repeats(tmp_path):
    frames = (numbered_frame(i, 48, 64) for i in range(5))
    path = encode(tmp_path / "v.mkv", frames, times_s=[590.0 * i for i in range(5)], options={"bf": "0"})
    spec = ClipSpec(frames=8, fps=8, height=224, width=224)
    with pytest.raises(VideoError, match=r"shows 1 frames for 4\d\d s: its time stamps are wrong"):
        deque(ticks(path, spec), maxlen=0)
    assert len(deque(ticks(path, spec, end_s=60.0), maxlen=0)) == 0


@pytest.mark.parametrize(("scale", "rate"), [(2000, 1), (1, 2**31 - 1)])
def test_an_avi_with_an_absurd_rate_counts_as_the_usual_one(tmp_path, scale, rate):
    path = numbered_video(tmp_path / "v.avi", 50, codec="mjpeg", pixel_format="yuvj420p", height=48, width=64)
    data = bytearray(path.read_bytes())
    at = data.index(b"strh") + 8 + 20
    data[at : at + 8] = struct.pack("<II", scale, rate)
    path.write_bytes(data)
    assert probe(path).duration_s == pytest.approx(2.0, abs=0.05)
    assert [frame.pts_s for frame in read_frames(path)] == pytest.approx([i / 25 for i in range(50)])


def test_frames_that_grow_on_the_way_are_not_decoded(tmp_path):
    path = numbered_video(tmp_path / "v.avi", 5, codec="mjpeg", pixel_format="yuvj420p", height=48, width=64)
    data = path.read_bytes()
    small, huge = struct.pack(">HH", 48, 64), struct.pack(">HH", 6000, 12_000)
    start = data.index(b"\xff\xc0")
    assert data.count(small) == 5
    second = data.index(b"\xff\xc0", start + 1)
    path.write_bytes(data[:second] + data[second:].replace(small, huge, 1))
    warnings = []
    frames = list(read_frames(path, on_warning=warnings.append))
    assert len(frames) == 4
    assert "a frame is lost" in warnings[0]
    path.write_bytes(data.replace(small, huge))
    with pytest.raises(VideoError, match="none of its frames can be decoded"):
        probe(path)


def test_frames_that_no_memory_holds_are_refused_before_they_are_made(tmp_path):
    path = numbered_video(tmp_path / "v.mp4", 60, fps=1, height=48, width=64)
    spec = ClipSpec(frames=8, fps=1000, height=4096, width=4096)
    with pytest.raises(
        VideoError, match=r"lasts 60 s, which takes 3,020 GB as frames of 4096 x 4096; give a part of it"
    ):
        read_sampled_video(path, spec)


def test_too_many_pixels_are_refused_by_the_header(tmp_path):
    path = encode(
        tmp_path / "v.mkv", [np.zeros((2240, 16_000, 3), np.uint8)], codec="libx264", options={"preset": "ultrafast"}
    )
    with pytest.raises(VideoError, match="its frames are 16000 x 2240; frames of more pixels than 8192 x 4320"):
        probe(path)


def test_a_pixel_aspect_does_not_blow_up_large_frames():
    assert displayed_size(4320, 8192, 10, False) == (4320, 8192)
    assert displayed_size(576, 720, 2, False) == (576, 1440)


def test_a_header_that_ends_too_early_is_told(tmp_path):
    path = numbered_video(tmp_path / "v.mkv", 10)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(VideoError, match="is cut short or damaged, so nothing can be read"):
        probe(path)


@pytest.mark.parametrize("movflags", ["+frag_keyframe+empty_moov", "+frag_keyframe+empty_moov+default_base_moof"])
def test_a_recording_that_was_stopped_gives_its_whole_fragments(tmp_path, movflags):
    whole = numbered_video(tmp_path / "v.mp4", 60, options={"g": "10"}, movflags=movflags, height=48, width=64)
    data = whole.read_bytes()
    fourth = [at - 4 for at in range(len(data)) if data.startswith(b"moof", at)][3]
    (size,) = struct.unpack(">I", data[fourth : fourth + 4])
    for cut in (2, 8, 40, size // 2, size - 1, size, size + 4, size + 30):
        whole.write_bytes(data[: fourth + cut])
        warnings = []
        frames = [read_number(frame.pixels_HWC) for frame in read_frames(whole, on_warning=warnings.append)]
        assert frames[:30] == list(range(30)), cut
        assert [one.kind for one in warnings] == ["truncated"], cut
    whole.write_bytes(data[:fourth])  # where nothing says that more was to come
    assert len(list(read_frames(whole))) == 30


def test_a_name_that_looks_like_an_address_is_that_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = numbered_video(tmp_path / "v.mp4", 10, height=48, width=64).read_bytes()
    names = [
        "http:x.mp4",
        "concat:v.mp4",
        "file:v.mp4",
        "-v.mp4",
        "%d.mp4",
        "v.mp4?x#y",
        "subfile,,start,0,end,0,,:v.mp4",
    ]
    for name in names if sys.platform != "win32" else ["-v.mp4", "%d.mp4"]:
        (tmp_path / name).write_bytes(data)
        assert probe(name).frame_count == 10
    if sys.platform == "linux":
        name = os.fsdecode(b"b\xe9.mp4")
        (tmp_path / name).write_bytes(data)
        assert probe(name).frame_count == 10
