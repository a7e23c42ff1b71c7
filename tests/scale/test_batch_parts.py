"""The parts of the pipeline, without Ray: what is listed, how videos are cut, and what hangs."""

from __future__ import annotations

import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers_corpus import make_model
from helpers_dataset import write_square
from helpers_joined import save_joined, someone_walks
from helpers_people import need_movenet
from helpers_video import numbered_video

pytest.importorskip("pyarrow", reason='needs what comes with Ray: pip install "kineme[ray]"')

from kineme import api
from kineme.errors import KinemeError, UsageError
from kineme.prediction.engines.select import open_engine
from kineme.prediction.windows import WindowScorer
from kineme.scale.decode import Decoding, Watchdog
from kineme.scale.parts import Part, cut, from_table, to_table
from kineme.scale.plan import plan_for
from kineme.scale.score import Score, scores_in
from kineme.scale.sources import Source, fetched, list_sources
from kineme.sources.local_video import FetchOptions
from kineme.video.clips import ticks


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a.mp4", "b.mp4"):
        write_square(folder / name, leftwards=True, person=1, rng=np.random.default_rng(0))
    return folder


@pytest.mark.parametrize("backbone", ["small-cnn", "motion-cnn"])
def test_the_windows_of_the_parts_are_those_of_the_whole(tmp_path, backbone):
    """Also where frames repeat, and where a network sees what changed since the frame before."""
    model = api.load(make_model(tmp_path / "model.safetensors", backbone))
    spec, windows = model.card.spec, WindowScorer(model, open_engine("keras", model))
    for count, fps, part_frames in ((40, 5, 7), (23, 8, 8), (5, 2, 9), (3, 8, 7)):
        video = numbered_video(tmp_path / "video.mp4", count=count, height=64, width=64, fps=fps)
        for stride in (1, 3, 6, 8):
            expected = list(windows.score(video, ticks(video, spec), stride))
            found = []
            parts = list(cut(ticks(video, spec), spec, stride, part_bytes=part_frames * 64 * 64 * 3))
            for number, (lead, of_ticks, is_last) in enumerate(parts):
                (part,) = from_table(to_table(Part("video", number, is_last, lead, of_ticks)))
                assert len({id(pixels) for _, pixels in part.of_ticks}) == len({id(one) for _, one in of_ticks})
                own = part.of_ticks[part.lead :]
                found += windows.score(video, own, stride, part.of_ticks[: part.lead])
            assert [one[2] for one in parts] == [False] * (len(parts) - 1) + [True]
            if count == 40:
                assert len(parts) > 3
            np.testing.assert_array_equal([one[0] for one in found], [one[0] for one in expected])
            np.testing.assert_allclose([one[1] for one in found], [one[1] for one in expected], atol=1e-5)


def test_a_video_that_hangs_is_given_up(tmp_path, videos):
    model = api.load(make_model(tmp_path / "model.safetensors"))
    plan = plan_for(model, "auto", stalled_s=1e-6)
    source = Source("a.mp4", "", str(videos / "a.mp4"))
    parts = [part for table in Decoding(plan).alone(source) for part in from_table(table)]
    assert "gives no frame" in parts[-1].facts["error"]
    (part,) = [part for table in Decoding(replace(plan, stalled_s=60)).alone(source) for part in from_table(table)]
    assert part.is_last
    assert part.facts["warnings"] == []


def test_reading_is_watched_and_not_what_is_done_with_it():
    acted = threading.Event()
    with Watchdog(0.02, acted.set) as watch:
        watch.feed()
        for _ in watch.guard(iter([(0.0, np.zeros(1))])):
            assert not acted.wait(0.3), "a window may take long"
        assert acted.wait(60), "and then nothing comes"


def test_joined_models_are_scored_where_their_videos_are_read(tmp_path):
    """Light that changes makes no cut, and each member has its own pace."""
    need_movenet()
    model = api.load(
        save_joined(tmp_path / "j.safetensors", {"movenet": 1, "efficientnet-lite0": 2}, brightness="auto")
    )
    video = someone_walks(tmp_path / "walk.mp4", 4, light=(0.1, 0.3))
    wanted = model.predict(video, engine="keras")
    plan = plan_for(model, "keras")
    assert plan.fetch_options(model).min_side == 160  # the largest member's
    (table,) = Decoding(plan).here(Source("walk.mp4", "", str(video)))
    (scored,) = scores_in(Score(plan)(table))
    assert scored.is_last
    assert scored.facts["duration_s"] == wanted.duration_s
    np.testing.assert_array_equal(scored.times_W2, wanted.window_times_W2)
    np.testing.assert_allclose(model.probabilities(scored.logits_WK), wanted.window_probabilities_WK, atol=1e-5)


def test_sources_of_every_kind(tmp_path, videos, monkeypatch):
    a, b = videos / "a.mp4", videos / "b.mp4"
    (videos / "note.txt").touch()
    table = videos / "list.csv"
    table.write_text(f"path,more\na.mp4,1\n{b},2\nnone.mp4,3\nfile://{b},4\nmemory://no.mp4,5\n", encoding="utf-8")

    def paths(*sources, **more):
        return [one.path for one in list_sources([str(one) for one in sources], **more)]

    assert paths(videos) == paths(videos / "*.mp4") == paths(a, b, a) == [str(a), str(b)]
    assert paths(videos, leave_out=str(videos / "out")) == [str(a), str(b)]
    assert paths(table) == sorted([str(a), str(b), str(videos / "none.mp4"), f"file://{b}", "memory://no.mp4"])
    pl.DataFrame({"url": ["https://site/clip.mp4", str(a)]}).write_parquet(videos / "list.parquet")
    assert paths(videos / "list.parquet") == [str(a), "https://site/clip.mp4"]
    assert paths(f"file://{videos}") == paths(f"file://{videos}/*.mp4") == [f"file://{a}", f"file://{b}"]
    (one,) = list_sources([f"file://{a}"])
    with fetched(one.file, FetchOptions()) as file:
        assert Path(file).read_bytes() == a.read_bytes()
        assert Path(file) != a
        assert str(file) == one.file
    assert not Path(file).exists()
    if sys.platform == "linux":  # a name that is not UTF-8 reaches tables as text, and the file all the same
        (videos / "b\udce9").mkdir()
        (videos / "b\udce9" / "c.mp4").touch()
        (odd,) = list_sources([str(videos / "b\udce9")])
        assert odd.path == str(videos / "b\\udce9" / "c.mp4")
        assert Path(odd.file).is_file()
        shutil.rmtree(videos / "b\udce9")
    before = list_sources([str(a)])
    a.touch()
    assert [one.path for one in before] == paths(a)
    assert before != list_sources([str(a)])
    for wrong, error, says in (
        ("rtsp://camera", UsageError, "camera"),
        ("ftpp://x/y.mp4", UsageError, "not taken"),
        (tmp_path, KinemeError, "no video"),
        (tmp_path / "none", KinemeError, "no such file"),
        (tmp_path / "none.csv", KinemeError, "no such file"),
        (f"file://{tmp_path}", KinemeError, "no video"),
    ):
        with pytest.raises(error, match=says):
            paths(wrong)
    table.write_text("name\na.mp4\n", encoding="utf-8")
    with pytest.raises(KinemeError, match="'path' or 'url'"):
        paths(table)
