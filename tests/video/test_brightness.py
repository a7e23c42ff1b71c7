"""Dark clips are brightened by one curve, others are left alone, and every road to the model sees the same pixels."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers_stream import model_of, stream_file
from helpers_video import encode

from kineme.dataset.scan import scan
from kineme.training.cache import FrameCache
from kineme.video.brightness import Brightener
from kineme.video.clips import read_clips, read_sampled_video
from kineme.video.spec import ClipSpec

SPEC = ClipSpec(frames=6, fps=8.0, height=64, width=64, brightness="auto")
FPS = 16


def film(path: Path, means: list[float], *, bars: int = 0) -> Path:
    """A video of a moving pattern whose frames have these means, of full scale, between black bars."""
    pattern = np.random.default_rng(0).uniform(0.4, 1.6, (12, 16, 1)).repeat(8, 0).repeat(8, 1)
    frames = []
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, mean in enumerate(means):
        frame = np.roll(pattern, 2 * number, 1) * mean * 255 * np.ones(3)
        frame[:, :bars] = frame[:, 128 - bars :] = 0
        frames.append(np.clip(frame.round(), 0, 255).astype(np.uint8))
    return encode(path, frames, fps=FPS, options={"crf": "10"})


def brightened(means: list[float], spec: ClipSpec = SPEC) -> list[np.ndarray]:
    """What becomes of grey frames of these means, one a tick."""
    brighten = Brightener(spec)
    return [brighten(np.full((8, 8, 3), round(255 * mean), np.uint8)) for mean in means]


def test_a_dark_video_gets_one_curve_to_the_wanted_mean(tmp_path):
    path = film(tmp_path / "dark.mp4", [0.1] * 40)
    dark = read_sampled_video(path, replace(SPEC, brightness="as-is")).frames_NHWC
    seen = read_sampled_video(path, SPEC).frames_NHWC
    assert dark.mean() / 255 < 0.15
    assert seen.mean() / 255 == pytest.approx(0.4, abs=0.01)
    of_value = [seen[dark == value] for value in np.unique(dark)]  # one curve: brighter stays brighter
    assert all(below.max() <= above.max() and below.min() <= above.min() for below, above in pairwise(of_value))


def test_what_a_dark_noisy_video_shows_is_not_lost_in_the_steps_of_8_bits(tmp_path):
    """As a camera at night: a bright picture to the power of 5 and noise of two grey levels, four pixels for one."""
    generator = np.random.default_rng(0)
    bright = generator.uniform(0.3, 0.6, (16, 16, 3)).repeat(8, 0).repeat(8, 1)
    night = [np.clip(255 * bright**5 + generator.normal(0, 2, bright.shape), 0, 255) for _ in range(16)]
    path = encode(tmp_path / "night.mkv", [frame.round().astype(np.uint8) for frame in night], fps=FPS, codec="ffv1")
    seen, as_is = (
        read_sampled_video(path, replace(SPEC, brightness=brightness)).frames_NHWC[0] / 255
        for brightness in ("auto", "as-is")
    )
    small = bright.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    of_8_bits = as_is ** (np.log(0.4) / np.log(as_is.mean()))
    lost, lost_in_8_bits = (1 - np.corrcoef(small.ravel(), one.ravel())[0, 1] ** 2 for one in (seen, of_8_bits))
    assert lost < 0.6 * lost_in_8_bits
    assert len(np.unique(seen)) > 4 * len(np.unique(as_is))


def test_a_grey_level_of_noise_in_black_does_not_flicker_over_the_whole_range():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 2, (2 * SPEC.frames, 64, 64, 3)).astype(np.uint8)  # a room without light, and a lamp
    frames[:, :8, :16] = 60
    brighten = Brightener(SPEC)
    seen = np.stack([brighten(frame) for frame in frames])
    assert 110 < seen[:, :8, :16].mean() < 200
    assert seen[:, 8:].max() < 50  # by a plain power to the same mean, a level becomes 84


def test_a_bright_enough_video_stays_as_it_is_to_the_bit(tmp_path):
    path = film(tmp_path / "bright.mp4", [0.25] * 40)
    as_is = read_sampled_video(path, replace(SPEC, brightness="as-is")).frames_NHWC
    assert as_is.mean() / 255 < 0.3
    np.testing.assert_array_equal(read_sampled_video(path, SPEC).frames_NHWC, as_is)


def test_black_bars_do_not_count_and_stay_black(tmp_path):
    path = film(tmp_path / "bars.mp4", [0.28] * 16, bars=32)
    as_is, seen = (
        read_sampled_video(path, replace(SPEC, brightness=brightness)).frames_NHWC for brightness in ("as-is", "auto")
    )
    assert as_is.mean() / 255 < 0.2
    np.testing.assert_array_equal(seen, as_is)
    letterboxed = replace(SPEC, width=32, fit="letterbox")
    seen = read_sampled_video(film(tmp_path / "dark.mp4", [0.1] * 16), letterboxed).frames_NHWC
    assert seen[:, :19].max() == 0
    assert seen[:, 21:43].mean() / 255 == pytest.approx(0.4, abs=0.02)


def test_light_that_wavers_about_the_limit_does_not_flicker():
    for level in (0.2, 0.29):  # where it begins to be brightened, and where it would cease to be
        means = [0.19, *np.where(np.arange(80) % 2, level - 0.02, level + 0.02).tolist()]
        curves = [
            int(frame[0, 0, 0]) / max(1, round(255 * mean))
            for frame, mean in zip(brightened(means), means, strict=True)
        ]
        changes = np.abs(np.diff([curve > 1.05 for curve in curves])).sum()
        assert changes <= 1


def test_a_video_that_turns_dark_midway_changes_once_and_back_once():
    means = [0.5] * 20 + [0.05] * 20 + [0.5] * 20
    is_changed = [
        bool(abs(frame.mean() / 255 - mean) > 0.02) for frame, mean in zip(brightened(means), means, strict=True)
    ]
    assert is_changed[:20] == [False] * 20
    assert is_changed[40 + SPEC.frames :] == [False] * (20 - SPEC.frames)
    assert np.abs(np.diff(np.array(is_changed, int))).sum() == 2
    assert brightened(means)[39].mean() / 255 == pytest.approx(0.4, abs=0.01)


def test_black_frames_are_no_reason_for_anything():
    assert [frame.max() for frame in brightened([0.0] * 5)] == [0] * 5
    assert brightened([0.0] * 3 + [0.5])[-1].mean() == 128


def test_training_and_prediction_and_a_stream_see_the_same_pixels(tmp_path):
    """One video that turns dark on the way, as a clip of each road; the curve that begins there is no cut."""
    spec = SPEC
    path = film(tmp_path / "data" / "walk" / "one.mp4", [0.21] * 24 + [0.17] * 40)
    film(tmp_path / "data" / "run" / "two.mp4", [0.35] * 24)
    clips = list(read_clips(path, spec, stride=1))
    assert not np.array_equal(
        clips[-1].frames_THWC, list(read_clips(path, replace(spec, brightness="as-is")))[-1].frames_THWC
    )

    table = scan(tmp_path / "data")
    cache = FrameCache(spec, folder=tmp_path / "cache")
    _, items = cache.prepare(table, table.labels)
    (item,) = [one for one in items if one.path.endswith("one.mp4")]
    for start, clip in enumerate(clips):
        np.testing.assert_array_equal(cache.window(item, 2 * start), clip.frames_THWC)

    model = model_of("lrcn", spec)
    expected_WK = model.probabilities(model.network.predict_on_batch(np.stack([clip.frames_THWC for clip in clips])))
    assert np.ptp(expected_WK[:, 0]) > 0.001  # there is something to tell apart
    predicted = model.predict(path, engine="keras")
    assert predicted.cuts == ()
    np.testing.assert_allclose(predicted.window_probabilities_WK, expected_WK, atol=1e-6)
    np.testing.assert_allclose(stream_file(model.stream(engine="keras"), path, spec), expected_WK, atol=1e-6)
