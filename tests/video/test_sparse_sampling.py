"""Frames far apart: what is left out for them changes no pixel, in any container, and is really not decoded."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers_video import cut_file, encode, numbered_frame, numbered_video

from kineme.video.clips import read_sampled_video, ticks
from kineme.video.decode import Decoder, read_frames
from kineme.video.spec import ClipSpec

UNEVEN = [float(time) for time in np.cumsum([0, *np.random.default_rng(3).uniform(0.01, 0.2, 239)]).round(3)]
VP9 = {"deadline": "realtime", "cpu-used": "8"}

# suffix, codec, rate (or uneven times), encoder's options, whether anything can be left out
KINDS = {
    "avi": ("avi", "mpeg4", Fraction(25), {"g": "12"}, True),
    "avi-29.97": ("avi", "mpeg4", Fraction(30_000, 1001), {"g": "30"}, True),
    "avi-b-frames": ("avi", "mpeg4", Fraction(25), {"g": "12", "bf": "2"}, False),
    "avi-h264": ("avi", "libx264", Fraction(25), {"g": "12", "bf": "2"}, False),
    "avi-mjpeg": ("avi", "mjpeg", Fraction(15), {"pixel_format": "yuvj420p"}, True),
    "mp4": ("mp4", "libx264", Fraction(25), {"g": "12", "bf": "3"}, True),
    "mp4-mpeg4-b-frames": ("mp4", "mpeg4", Fraction(25), {"g": "24", "bf": "2"}, False),
    "mp4-long-groups": ("mp4", "libx264", Fraction(60), {"g": "250", "bf": "3"}, True),
    "mp4-open-groups": ("mp4", "libx264", Fraction(25), {"g": "12", "bf": "3", "x264-params": "open-gop=1"}, None),
    "mp4-refreshed": ("mp4", "libx264", Fraction(25), {"g": "25", "intra-refresh": "1"}, None),
    "mp4-uneven": ("mp4", "libx264", UNEVEN, {"g": "20", "bf": "3"}, True),
    "mkv-uneven": ("mkv", "libx264", UNEVEN, {"g": "20", "bf": "2"}, True),
    "webm-vp8": ("webm", "libvpx", Fraction(25), {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16", **VP9}, True),
    "webm-vp9": (
        "webm",
        "libvpx-vp9",
        Fraction(25),
        {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16", **VP9},
        True,
    ),
    "ts": ("ts", "libx264", Fraction(25), {"g": "12"}, False),
}


@pytest.fixture(scope="module", params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool | None]:
    suffix, codec, rate, given, leaves_out = KINDS[request.param]
    options = dict(given)
    how = {"codec": codec, "pixel_format": options.pop("pixel_format", "yuv420p"), "options": options}
    path = tmp_path_factory.mktemp("sparse") / f"{request.param}.{suffix}"
    if isinstance(rate, list):
        return numbered_video(path, len(rate), times_s=rate, fps=10, height=48, width=64, **how), leaves_out
    return numbered_video(path, int(12 * rate), fps=rate, height=48, width=64, **how), leaves_out


def decoded(path: Path, step_s: float | None) -> int:
    with Decoder(path) as decoder:
        return sum(1 for _ in decoder.iter_frames(0.0, step_s))


def test_frames_far_apart_are_those_of_reading_everything(source: tuple[Path, bool | None]) -> None:
    path, leaves_out = source
    every = list(read_frames(path, size=(40, 56)))
    ends = [later.pts_s for later in every[1:]]
    for fps, start_s in ((0.4, 0.0), (1.0, 1.3), (2.5, 0.0), (5.0, 0.77), (0.7, 5.2), (8.0, 0.0), (12.5, 4.4)):
        spec = ClipSpec(frames=4, fps=fps, height=40, width=56)
        found = list(ticks(path, spec, start_s=start_s))
        assert len(found) == spec.tick_count(every[-1].pts_s + every[-1].duration_s - start_s)
        for instant_s, pixels in found:
            shown = sum(end <= instant_s + 1e-6 for end in ends)
            np.testing.assert_array_equal(pixels, every[shown].pixels_HWC)
    if leaves_out is not None:
        assert (decoded(path, 2.5) < 0.7 * len(every)) == leaves_out
    assert decoded(path, None) == len(every)


def test_a_spread_clip_decodes_only_what_it_shows(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "long.mp4", 1500, height=48, width=64, options={"g": "50", "bf": "3"})
    spec = ClipSpec(frames=5, fps=None, height=48, width=64)
    sampled = read_sampled_video(path, spec)
    every = [frame.pixels_HWC for frame in read_frames(path)]
    np.testing.assert_array_equal(sampled.frames_NHWC, [every[number * 300] for number in range(5)])
    assert decoded(path, 12.0) < 150


def test_frames_that_no_other_refers_to_are_left_out_singly(tmp_path: Path) -> None:
    options = {"g": "250", "bf": "3", "b-pyramid": "none"}
    path = numbered_video(tmp_path / "one-group.mp4", 200, height=48, width=64, options=options)
    assert 60 < decoded(path, 1 / 8) < 150
    assert decoded(path, 1 / 25) == 200


def test_a_key_frame_that_is_none_is_noticed_and_everything_read(tmp_path: Path) -> None:
    """A file that calls every frame a key frame: what follows cannot be decoded from it alone."""
    path = numbered_video(tmp_path / "lie.mp4", 200, height=48, width=64, options={"g": "100", "bf": "0"})
    data = path.read_bytes()
    assert data.count(b"stss") == 1
    path.write_bytes(data.replace(b"stss", b"free"))  # without the list of key frames, all are
    every = [frame.pixels_HWC for frame in read_frames(path)]
    sampled = read_sampled_video(path, ClipSpec(frames=8, fps=None, height=48, width=64))
    np.testing.assert_array_equal(sampled.frames_NHWC, [every[number * 25] for number in range(8)])


def test_what_is_cut_short_is_still_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noisy = (
        (numbered_frame(number, 48, 64) // 2 + rng.integers(0, 99, (48, 64, 3))).astype(np.uint8)
        for number in range(300)
    )
    path = encode(tmp_path / "whole.mkv", noisy, options={"g": "12"})
    cut = cut_file(path, 0.6, tmp_path / "cut.mkv")
    sampled = read_sampled_video(cut, ClipSpec(frames=8, fps=1.0, height=48, width=64))
    (said,) = sampled.warnings
    assert re.match(r"damaged after \d\.\d s \(its header says 12\.0 s\); the first \d+ frames are used", said)
    warnings: list[str] = []
    assert len(list(read_frames(cut, on_warning=warnings.append))) > 100
    assert warnings == [said]
    assert all(one < later for one, later in pairwise(sampled.times_s.tolist()))
