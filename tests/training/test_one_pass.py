"""One pass over a video feeds a training: what it makes equals what is made alone, and each file is opened once."""

from __future__ import annotations

import shutil
import tracemalloc
from collections import Counter

import av
import numpy as np
import pytest
from helpers_dataset import make_long_videos, make_videos
from helpers_video import encode, numbered_frame

import kineme as package
from kineme.dataset.audit.cache import InspectionCache
from kineme.dataset.audit.inspection import Inspection
from kineme.dataset.scan import scan
from kineme.dataset.split import split
from kineme.errors import KinemeError, VideoError
from kineme.models import weights
from kineme.people.find import find_people
from kineme.training.augment import Augmentation, Mirror
from kineme.training.baselines import image_features
from kineme.training.cache import FrameCache
from kineme.training.frame_order import CHANGED_ORDERS
from kineme.training.one_pass import Wanted, decode_and_check, decode_once
from kineme.training.options import AutoOptions, TrainOptions
from kineme.video.clips import ticks
from kineme.video.shared import Reader, read_together
from kineme.video.spec import ClipSpec

FRAMES = ClipSpec(frames=6, fps=8.0)
SPREAD = ClipSpec(frames=5, fps=None, brightness="auto")
needs = pytest.mark.skipif(
    any(weights.find(name) is None for name in ("i3d-kinetics400", "movenet")),
    reason="I3D and MoveNet are not on this machine: kineme models pull --all",
)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Nothing is cached yet."""
    monkeypatch.setenv("KINEME_FRAME_CACHE", str(tmp_path / "frames"))
    monkeypatch.setenv("KINEME_INSPECTION_CACHE", str(tmp_path / "inspections"))


@pytest.fixture
def opens(monkeypatch):
    """How often FFmpeg opened each file for reading."""
    counts: Counter[str] = Counter()
    really = av.open

    def counting(file, mode=None, *arguments, **named):
        if mode in (None, "r"):
            counts[str(file).removeprefix("file:")] += 1
        return really(file, mode, *arguments, **named)

    monkeypatch.setattr(av, "open", counting)
    return counts


def opened_again(opens, table):
    """The files that were opened more than once, and how often; none was left out."""
    paths = [str(path) for path in table.rows["path"]]
    assert min(opens[path] for path in paths) >= 1
    return sorted(opens[path] for path in paths if opens[path] > 1)


def test_a_training_opens_each_video_once_but_for_those_that_its_report_shows(tmp_path, fresh, opens):
    data = make_videos(tmp_path / "data", people=8)
    run = package.train(
        data, tmp_path / "run", approach="lrcn", spec=FRAMES, options=TrainOptions(epochs=1, flip=False)
    )
    assert opened_again(opens, run.table) == []


@pytest.mark.slow
@pytest.mark.parametrize("fast", [True, pytest.param(False, marks=needs)])
def test_the_default_training_opens_each_video_once_but_for_those_that_its_report_shows(tmp_path, fresh, opens, fast):
    data = make_videos(tmp_path / "data", people=6)
    run = package.train(data, tmp_path / "run", auto=AutoOptions(fast=fast), options=TrainOptions(epochs=1))
    again = opened_again(opens, run.table)
    assert len(again) <= run.metrics["test"]["n"]  # only test videos are shown
    assert all(count <= 3 for count in again)  # of one the stream is measured, too
    trained = run.table.rows.filter(run.table.rows["split"] != "test")
    assert {opens[path] for path in trained["path"]} == {1}
    opens.clear()  # now all features are on disk
    package.train(data, tmp_path / "run", auto=AutoOptions(fast=fast), options=TrainOptions(epochs=1), overwrite=True)
    assert not any(opens[path] for path in trained["path"])


@pytest.mark.slow
def test_a_comparison_opens_each_video_once_but_for_those_that_its_report_shows(tmp_path, fresh, opens):
    data = make_videos(tmp_path / "data", people=6)
    candidates = ["lrcn", "late-fusion", "single-frame:efficientnet-lite0", "lrcn:efficientnet-lite0"]
    found = package.compare(data, tmp_path / "compared", approaches=candidates, options=TrainOptions(epochs=1))
    assert all(one["error"] is None for one in found.document["candidates"])
    again = opened_again(opens, found.winner.table)
    assert len(again) <= len(found.winner.test)
    assert all(count == 2 for count in again)


def made_alone(table, wanted):
    """As they were made before there was one pass."""
    for one in wanted:
        _, items = one.cache.prepare(table, table.labels)
        if one.views:
            one.cache.add_views(items, one.augmentation, one.views)
        if one.cache.encoder and one.cache.encoder.is_temporal:
            for item in items:
                for order in one.orders:
                    one.cache.reordered(item, order)
    InspectionCache().inspect_all(table.rows.to_dicts())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def awkward(folder):
    """Rates of several kinds, a short video, a variable rate, and one that is cut off."""
    frames = [numbered_frame(number) for number in range(70)]
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for rate in ("15", "30000/1001", "60"):
            encode(folder / label / f"rate-{rate.partition('/')[0]}.mp4", frames, fps=rate)
        encode(folder / label / "short.mp4", frames[:3], fps="25")
        gaps = np.random.default_rng(0).uniform(0.01, 0.3, len(frames))
        encode(folder / label / "uneven.mkv", frames, times_s=np.cumsum(gaps) - gaps[0])
        whole = (folder / label / "uneven.mkv").read_bytes()
        (folder / label / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
        (folder / label / "broken.mp4").write_bytes(b"\0" * 1000)
    return scan(folder)


def own_caches(folder, monkeypatch):
    monkeypatch.setenv("KINEME_FRAME_CACHE", str(folder / "frames"))
    monkeypatch.setenv("KINEME_INSPECTION_CACHE", str(folder / "inspections"))


def several_kinds():
    caches = [
        (FrameCache(FRAMES), None, 0),
        (FrameCache(ClipSpec(frames=40, short="loop"), per_frame=1), None, 0),
        (FrameCache(SPREAD, per_frame=1), None, 0),
        *((images, Mirror(), 1) for images in [image_features()] if images),
        *((images, Augmentation(), 2) for images in [image_features()] if images),
    ]
    return [Wanted(cache, augmentation, views, everywhere=True) for cache, augmentation, views in caches]


def test_what_one_pass_makes_is_byte_for_byte_what_is_made_alone(tmp_path, monkeypatch, opens):
    table = awkward(tmp_path / "data")
    own_caches(tmp_path / "together", monkeypatch)
    decode_once(table, several_kinds())
    usable = [path for path in table.rows["path"] if "broken" not in path]
    assert {opens[path] for path in usable} == {1}
    seen = [InspectionCache().find(row) for row in table.rows.to_dicts()]
    own_caches(tmp_path / "alone", monkeypatch)
    made_alone(table, several_kinds())
    together, alone = (contents(tmp_path / name / "frames") for name in ("together", "alone"))
    assert sorted(together) == sorted(alone)
    assert together == alone
    assert any(name.endswith(".json") for name in alone)  # of the file that is cut off
    for one, other in zip(seen, (InspectionCache().find(row) for row in table.rows.to_dicts()), strict=True):
        if other is None:
            assert one is None
            continue
        assert isinstance(one, Inspection)
        np.testing.assert_array_equal(one.thumbnails_THW, other.thumbnails_THW)
        np.testing.assert_array_equal(one.background, other.background)
        facts, others = vars(one.facts), vars(other.facts)
        assert {**facts, "took_s": 0} == {**others, "took_s": 0}


@needs
@pytest.mark.parametrize("backbone", ["i3d", "movenet"])
def test_other_orders_of_frames_are_made_in_the_same_pass(tmp_path, monkeypatch, opens, backbone):
    table = scan(make_videos(tmp_path / "data", people=1))
    small = {"frames": 16, "height": 64, "width": 64} if backbone == "i3d" else {"frames": 8}

    def features():
        from kineme.training.feature_cost import wanted_features

        one = wanted_features(backbone, ClipSpec(**small), 2, mirrored=True)
        one.everywhere = True
        return [one]

    own_caches(tmp_path / "together", monkeypatch)
    decode_once(table, features())
    assert {opens[path] for path in table.rows["path"]} == {1}
    own_caches(tmp_path / "alone", monkeypatch)
    made_alone(table, features())
    together, alone = (contents(tmp_path / name / "frames") for name in ("together", "alone"))
    assert len(alone) == 2 * (1 + features()[0].views + len(CHANGED_ORDERS))
    assert together == alone


def test_each_part_of_a_long_video_is_made_in_a_pass_of_its_own(tmp_path, monkeypatch):
    table = scan(make_long_videos(tmp_path / "data", people=2))
    own_caches(tmp_path / "together", monkeypatch)
    decode_once(table, [Wanted(FrameCache(FRAMES))])
    own_caches(tmp_path / "alone", monkeypatch)
    made_alone(table, [Wanted(FrameCache(FRAMES))])
    together, alone = (contents(tmp_path / name / "frames") for name in ("together", "alone"))
    assert together == alone
    assert len(alone) == len(table)


@needs
def test_clips_of_people_take_a_second_pass_after_that_which_finds_them(tmp_path, fresh, opens):
    table = scan(make_videos(tmp_path / "data", people=1))
    cache = FrameCache(ClipSpec(frames=4, region="people"))
    decode_once(table, [Wanted(cache), Wanted(FrameCache(FRAMES))])
    readable, items = cache.prepare(table, table.labels)
    assert len(items) == len(table)
    assert {opens[path] for path in readable.rows["path"]} == {2}
    for path in table.rows["path"]:
        kept, anew = find_people(path), find_people(path, 8.000001)
        np.testing.assert_allclose(kept.times_T, anew.times_T, rtol=1e-6)
        assert (kept.width, kept.height, len(kept.tracks)) == (anew.width, anew.height, len(anew.tracks))


def test_a_reader_that_fails_and_a_file_that_cannot_be_read_stop_nobody_else(tmp_path, fresh):
    encode(tmp_path / "v.mp4", [numbered_frame(number) for number in range(50)], fps="25")
    seen = []

    def fails(video):
        raise VideoError("v.mp4", "is not wanted")

    def fails_later(video):
        def work(of_ticks):
            yield next(of_ticks)
            raise VideoError("v.mp4", "is not wanted any more")

        return work(video.ticks(FRAMES))

    def reads(video):
        of_ticks = video.ticks(FRAMES)
        return (seen.append(tick) for tick in of_ticks)

    read_together(tmp_path / "v.mp4", [Reader(fails), Reader(fails_later), Reader(reads)])
    alone = list(ticks(tmp_path / "v.mp4", FRAMES))
    assert [instant for instant, _ in seen] == [instant for instant, _ in alone]
    np.testing.assert_array_equal(np.stack([frame for _, frame in seen]), np.stack([frame for _, frame in alone]))
    with pytest.raises(VideoError, match="no such file"):
        read_together(tmp_path / "none.mp4", [Reader(reads)])


def test_what_waits_for_a_slow_reader_does_not_grow_with_the_video(tmp_path):
    frames = [np.full((240, 320, 3), number % 250, np.uint8) for number in range(400)]  # 230 kB each
    encode(tmp_path / "v.mp4", frames, fps="25")
    count = 0

    def at_once(video):
        return (list(of_ticks) for of_ticks in [video.ticks(FRAMES)])

    def one_by_one(video):
        def work(of_ticks):
            nonlocal count
            for _ in of_ticks:
                count += 1
                yield None

        return work(video.ticks(ClipSpec(fps=25.0), full_size=True))

    tracemalloc.start()
    try:
        read_together(tmp_path / "v.mp4", [Reader(at_once), Reader(one_by_one)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 400
    assert peak < 20_000_000  # of 92 MB


def test_leaks_are_refused_before_a_long_pass_and_after_a_short_one(tmp_path, fresh):
    data = make_videos(tmp_path / "data", people=4)
    first, last = sorted(data.rglob("*.mp4"))[:: len(list(data.rglob("*.mp4"))) - 1]
    shutil.copy(first, last)
    table = split(scan(data), test=0.3)
    made = tmp_path / "frames"
    with pytest.raises(KinemeError, match="the data leaks"):
        decode_and_check(table, [Wanted(FrameCache(FRAMES))], allow_leaks=False, expected_s=1e6)
    assert not made.exists() or not any(made.iterdir())
    with pytest.raises(KinemeError, match="the data leaks"):
        decode_and_check(table, [Wanted(FrameCache(FRAMES))], allow_leaks=False)
    assert any(made.iterdir())
    decode_and_check(table, [Wanted(FrameCache(FRAMES))], allow_leaks=True)


def test_a_pass_over_more_than_fits_keeps_what_it_has_made(tmp_path, fresh, opens):
    table = scan(make_videos(tmp_path / "data", people=6))
    whole = FrameCache(FRAMES, folder=tmp_path / "whole")
    decode_once(table, [Wanted(whole)])
    sizes = [file.stat().st_size for file in (tmp_path / "whole").glob("*.strip")]
    small = FrameCache(FRAMES, folder=tmp_path / "small", limit_bytes=sum(sizes) // 2)
    decode_once(table, [Wanted(small)])
    made = contents(tmp_path / "small")
    assert 0 < len(made) < len(table)
    opens.clear()
    _, items = small.prepare(table, table.labels)
    assert len(items) == len(table)
    assert contents(tmp_path / "small") == made
    again = {str(path) for path in table.rows["path"] if opens[path]}
    assert len(again) == len(table) - len(made)
