"""Parts of videos as files: what was asked, to the frame or within one, read back from the pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers_video import numbered_video, read_number, turn_mp4

from kineme.errors import VideoError
from kineme.video.cut import Cutter
from kineme.video.decode import read_frames
from kineme.video.probe import probe

RATE = 25
KINDS = {
    "mp4": ("v.mp4", {"options": {"g": "10", "bf": "0", "sc_threshold": "0"}}),
    "mp4 with B-frames": ("v.mp4", {"options": {"g": "10", "bf": "2", "sc_threshold": "0"}}),
    "mp4 with open groups": ("v.mp4", {"options": {"g": "10", "bf": "2", "x264-params": "open-gop=1:scenecut=0"}}),
    "mkv": ("v.mkv", {"options": {"g": "10", "bf": "2", "sc_threshold": "0"}}),
    "webm": ("v.webm", {"codec": "libvpx-vp9", "options": {"g": "10", "deadline": "realtime", "cpu-used": "8"}}),
    "avi": ("v.avi", {"codec": "mpeg4", "options": {"g": "10", "bf": "0", "q": "3"}}),
    "avi with B-frames": ("v.avi", {"codec": "mpeg4", "options": {"g": "10", "bf": "2"}}),
    "ts": ("v.ts", {"options": {"g": "10", "bf": "2"}}),
}


def shown(path):
    """(number in the picture, time) of each frame."""
    return [(read_number(frame.pixels_HWC), frame.pts_s) for frame in read_frames(path)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_frames_and_times_are_those_asked_for(tmp_path, kind):
    name, how = KINDS[kind]
    source = numbered_video(tmp_path / name, 150, height=48, width=64, fps=RATE, **how)
    cutter = Cutter(source)
    copied = []
    for number, (first, last) in enumerate([(0, 19), (10, 30), (37, 61), (39, 58), (20, 40), (119, 149), (41, 42)]):
        cut = cutter.cut(first / RATE, (last + 1) / RATE, tmp_path / str(number))
        frames = shown(cut.path)
        numbers = [number for number, _ in frames]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert [time_s for _, time_s in frames] == pytest.approx([i / RATE for i in range(len(frames))], abs=0.0011)
        assert (cut.frames, cut.start_s) == (len(frames), pytest.approx(numbers[0] / RATE, abs=0.001))
        assert cut.end_s == pytest.approx((numbers[-1] + 1) / RATE, abs=0.001)
        slack = 1 if cut.copied else 0
        assert first <= numbers[0] <= first + slack
        assert last <= numbers[-1] <= last + slack
        assert probe(cut.path).duration_s == pytest.approx(len(frames) / RATE, abs=0.0011)
        copied.append(cut.copied)
    if kind in ("avi with B-frames", "ts"):  # when frames are shown is not told for sure
        assert not any(copied)
    else:
        assert copied[:2] == [True, True] or "B-frames" in kind or "open" in kind
        assert any(copied)
        assert not copied[2]  # begins two frames before the key frame


def test_a_copy_is_the_same_to_the_last_bit(tmp_path):
    source = numbered_video(tmp_path / "v.mp4", 100, options={"g": "10", "bf": "0", "sc_threshold": "0"})
    cut = Cutter(source).cut(2.0, 3.0, tmp_path / "clip")
    assert cut.copied
    assert cut.path.name == "clip.mp4"
    for ours, theirs in zip(read_frames(cut.path), read_frames(source, start_s=2.0, end_s=3.0), strict=True):
        assert np.array_equal(ours.pixels_HWC, theirs.pixels_HWC)


def test_variable_rates_keep_their_times(tmp_path):
    times = [0.0, 0.04, 0.2, 0.24, 0.5, 0.9, 0.94, 1.0, 1.5, 1.54]
    source = numbered_video(tmp_path / "v.mp4", 10, times_s=times, options={"g": "100", "bf": "0"})
    cut = Cutter(source).cut(0.21, 1.52, tmp_path / "clip")
    assert not cut.copied
    assert [number for number, _ in shown(cut.path)] == [2, 3, 4, 5, 6, 7, 8]
    assert [time_s for _, time_s in shown(cut.path)] == pytest.approx([t - 0.2 for t in times[2:9]], abs=1e-4)


def test_turned_videos_come_out_the_right_way_up(tmp_path):
    source = turn_mp4(numbered_video(tmp_path / "v.mp4", 30, height=48, width=96), 90)
    cut = Cutter(source).cut(0.0, 0.4, tmp_path / "clip")
    info = probe(cut.path)
    assert (info.width, info.height, info.rotation) == (48, 96, 0)


def test_times_between_frames_are_not_rounded(tmp_path):
    """An AVI counts whole frames: 0.6 of one is still before the next."""
    source = numbered_video(tmp_path / "v.avi", 50, codec="mpeg4", options={"g": "10", "bf": "0", "q": "3"})
    cut = Cutter(source).cut(10.4 / RATE, 20.4 / RATE, tmp_path / "clip")
    assert cut.copied
    assert [number for number, _ in shown(cut.path)] == list(range(10, 21))


def test_a_fractional_rate_and_a_late_start(tmp_path):
    rate = Fraction(30000, 1001)
    options = {"g": "50", "bf": "0", "sc_threshold": "0"}
    source = numbered_video(tmp_path / "v.mp4", 200, fps=rate, height=48, width=64, options=options)
    cut = Cutter(source).cut(5.02, 6.0, tmp_path / "clip")
    assert [number for number, _ in shown(cut.path)][:2] == [150, 151]
    assert cut.copied


def test_where_nothing_lies_that_is_told(tmp_path):
    source = numbered_video(tmp_path / "v.mp4", 25)
    with pytest.raises(VideoError, match=r"has no frame between 5\.00 s and 6\.00 s"):
        Cutter(source).cut(5.0, 6.0, tmp_path / "clip")
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
