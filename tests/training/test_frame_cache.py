"""Decoded frames on disk: the same pixels as prediction sees, bounded, safe, and told when something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_dataset import make_videos
from helpers_video import encode, numbered_frame

from kineme.dataset.scan import scan
from kineme.training.cache import FrameCache
from kineme.video.clips import read_clips
from kineme.video.spec import ClipSpec

SPEC = ClipSpec(frames=6, fps=8.0)


def prepared(data, cache):
    table = scan(data)
    return cache.prepare(table, table.labels)


@pytest.mark.parametrize(
    "spec",
    [SPEC, ClipSpec(frames=5, fps=None), ClipSpec(frames=60, short="loop"), ClipSpec(frames=60, short="hold")],
)
@pytest.mark.parametrize("rate", ["15", "25", "30000/1001", "60", "variable"])
def test_pixels_in_training_equal_pixels_at_prediction(tmp_path, rate, spec):
    frames = [numbered_frame(number) for number in range(90)]
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        if rate == "variable":
            gaps = np.random.default_rng(0).uniform(0.01, 0.12, len(frames))
            encode(tmp_path / label / "v.mp4", frames, times_s=np.cumsum(gaps) - gaps[0])
        else:
            encode(tmp_path / label / "v.mp4", frames, fps=rate)
    cache = FrameCache(spec, folder=tmp_path / "cache")
    _, items = prepared(tmp_path, cache)
    seen = [cache.window(items[0], start) for start in cache.evaluation_starts(items[0])]
    predicted = [clip.frames_THWC for clip in read_clips(items[0].path, spec)]
    np.testing.assert_array_equal(np.stack(seen), np.stack(predicted))


def test_every_training_window_holds_frames_at_the_rate_of_the_spec(tmp_path):
    frames = [numbered_frame(number) for number in range(75)]
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        encode(tmp_path / label / "v.mp4", frames, fps="25")
    from helpers_video import read_number

    spec = ClipSpec(frames=6, fps=8.0, height=96, width=128)
    cache = FrameCache(spec, folder=tmp_path / "cache")
    _, items = prepared(tmp_path, cache)
    assert cache.last_start(items[0]) > 0
    for start in range(cache.last_start(items[0]) + 1):
        shown = [read_number(frame) for frame in cache.window(items[0], start)]
        instants = [start / (8 * cache.per_frame) + k / 8 for k in range(6)]
        assert shown == [int(instant * 25 + 1e-6) for instant in instants]


def test_what_does_not_fit_is_decoded_again_with_the_same_pixels(tmp_path):
    data = make_videos(tmp_path / "data", people=3)
    large = FrameCache(SPEC, folder=tmp_path / "large")
    small = FrameCache(SPEC, folder=tmp_path / "small", limit_bytes=400_000)
    _, items = prepared(data, large)
    table, same_items = prepared(data, small)
    assert items == same_items
    assert any("cache of decoded frames is full" in line for line in table.warnings)
    kept = sum(file.stat().st_size for file in (tmp_path / "small").glob("*.strip"))
    strip = max(file.stat().st_size for file in (tmp_path / "large").glob("*.strip"))
    assert kept <= 400_000 + 2 * strip  # a strip or two is written before it is noticed
    for item in items:
        np.testing.assert_array_equal(small.window(item, 1), large.window(item, 1))


def test_entries_used_longest_ago_make_room_for_new_ones(tmp_path):
    import os

    folder = tmp_path / "cache"
    old = make_videos(tmp_path / "old", people=2)
    prepared(old, FrameCache(SPEC, folder=folder))
    before = set(folder.glob("*.strip"))
    for file in before:
        os.utime(file, (1, 1))
    size = sum(file.stat().st_size for file in before)
    new = FrameCache(SPEC, folder=folder, limit_bytes=size)
    table, _ = prepared(make_videos(tmp_path / "new", people=1), new)
    assert not table.warnings or "full" not in " ".join(table.warnings)
    assert len(before - set(folder.glob("*.strip"))) >= 1


def test_a_changed_video_is_decoded_anew(tmp_path):
    data = make_videos(tmp_path / "data", people=2)
    cache = FrameCache(SPEC, folder=tmp_path / "cache")
    _, items = prepared(data, cache)
    before = cache.window(items[0], 0)
    replacement = next(Path(data).glob("to-right/person02*"))
    Path(items[0].path).write_bytes(replacement.read_bytes())
    _, items = prepared(data, cache)
    assert (cache.window(items[0], 0) != before).any()


def test_videos_that_cannot_be_read_are_listed_and_damaged_ones_are_told_of_each_time(tmp_path):
    data = make_videos(tmp_path / "data", people=3)
    (data / "to-left" / "empty.mp4").touch()
    (data / "to-left" / "text.mp4").write_text("not a video")
    long = data / "to-left" / "person01_cut.mkv"
    encode(long, [numbered_frame(number) for number in range(60)], fps="25")
    long.write_bytes(long.read_bytes()[: long.stat().st_size // 2])
    for _ in range(2):  # the second time from the cache
        table, items = prepared(data, FrameCache(SPEC, folder=tmp_path / "cache"))
        assert len(items) == len(table) == 7
        assert [item.path for item in items] == table.rows["path"].to_list()
        reasons = {Path(one.path).name: one.reason for one in table.skipped}
        assert set(reasons) == {"empty.mp4", "text.mp4"}
        assert any("person01_cut.mkv" in line for line in table.warnings)


def test_a_cache_that_may_hold_nothing_removes_nothing_that_others_hold(tmp_path):
    data = make_videos(tmp_path / "data", people=2)
    _, items = prepared(data, FrameCache(SPEC, folder=tmp_path / "cache"))
    before = set((tmp_path / "cache").iterdir())
    FrameCache(SPEC, per_frame=1, limit_bytes=0, folder=tmp_path / "cache").window(items[0], 0)
    assert set((tmp_path / "cache").iterdir()) == before
