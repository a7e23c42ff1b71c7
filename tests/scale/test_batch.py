"""A corpus on Ray: rows equal to a plain loop's, each video once, whatever is killed, changed or damaged."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers_corpus import DATA, LABELS, Killer, make_corpus, make_model, tables, videos_in
from helpers_dataset import kineme, write_square

pytest.importorskip("ray", reason='needs Ray: pip install "kineme[ray]"')

from kineme import api
from kineme.errors import KinemeError
from kineme.scale.batch import run
from kineme.scale.cluster import running

BAD = {
    "text.mp4": "not a video",
    "empty.mp4": "empty",
    "sound.mp4": "only sound",
    "short.mp4": "cut short",
}


@pytest.fixture(scope="module")
def ray():
    with running(None, 2):
        yield


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory):
    path = make_model(tmp_path_factory.mktemp("model") / "model.safetensors")
    api.load(path).predict(corpus / "long.mp4")  # compiles it: no worker must import TensorFlow for that
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = make_corpus(tmp_path_factory.mktemp("corpus"))
    for video in sorted(DATA.glob("*.*"))[:2]:
        shutil.copy(video, folder)
    return folder


@pytest.fixture(scope="module")
def whole(corpus, model, tmp_path_factory, ray):
    """The unbroken job, over the folder and a table with an address."""
    out = tmp_path_factory.mktemp("whole") / "out"
    found = run([str(corpus)], str(out), model=str(model), label=None)
    assert found.done == found.videos == len(list(corpus.rglob("*.*")))
    return out


def test_rows_equal_those_of_a_plain_loop(whole, corpus, model):
    loaded = api.load(model)
    rows = videos_in(whole)
    segments = pl.read_parquet(io.BytesIO(tables(whole)[1]))
    assert list(segments["path"]) == sorted(segments["path"])
    for video in sorted(corpus.rglob("*.*")):
        row = rows.pop(video.name)
        if video.name in BAD:
            with pytest.raises(KinemeError) as raised:
                loaded.predict(video)
            assert str(raised.value).endswith(row["error"])
            assert BAD[video.name] in row["error"]
            assert row["label"] is None
            assert not len(segments.filter(pl.col("path") == str(video)))
            continue
        expected = loaded.predict(video)
        assert row["error"] is None
        assert row["label"] == expected.label
        assert row["windows"] == len(expected.window_times_W2)
        assert row["known"] == bool(expected.actions)
        assert (row["duration_s"], row["fps"]) == (expected.duration_s, expected.fps)
        np.testing.assert_allclose([row["probabilities"][one] for one in LABELS], expected.probabilities_K, atol=1e-5)
        found = segments.filter(pl.col("path") == str(video)).to_dicts()
        assert [one["label"] for one in found] == [one.label for one in expected.segments]
        for one, other in zip(found, expected.segments, strict=True):
            assert (one["start_s"], one["end_s"]) == (other.start_s, other.end_s)
            assert one["confidence"] == pytest.approx(other.confidence, abs=1e-5)
            if not other.is_background:
                assert one["probabilities"][other.label] == pytest.approx(other.confidence, abs=1e-5)
    assert not rows


def test_what_changed_vanished_or_was_damaged_is_done_again_and_nothing_else(whole, corpus, model, tmp_path, ray):
    folder, out, notes = tmp_path / "videos", tmp_path / "out", []
    shutil.copytree(corpus, folder)

    def again():
        notes.clear()
        return run([str(folder)], str(out), model=str(model), label=None, on_note=notes.append)

    first = again()
    assert (first.done, first.kept) == (first.videos, 0)
    bytes_before = tables(out)
    second = again()
    assert (second.done, second.kept, notes) == (0, first.videos, [])
    assert tables(out) == bytes_before
    (shard,) = (out / "shards").iterdir()  # the job is shorter than the time from one shard to the next

    write_square(folder / "to-left" / "new.mp4", leftwards=True, person=7, rng=np.random.default_rng(7))
    write_square(folder / "long.mp4", leftwards=True, person=8, rng=np.random.default_rng(8))
    (folder / "text.mp4").unlink()
    third = again()
    assert (third.done, third.videos) == (2, first.videos)
    assert any("text.mp4" in note for note in notes)
    assert videos_in(out)["long.mp4"]["duration_s"] < 2

    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    bytes_before = tables(out)
    fourth = again()
    assert any(str(shard) in note and "damaged" in note for note in notes)
    assert fourth.done == first.videos - 2  # but for those in the other shard
    assert tables(out) == bytes_before


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc for who reads a file")
def test_a_video_that_kills_whoever_reads_it_is_a_row_with_its_reason(whole, corpus, model, tmp_path, ray):
    folder = tmp_path / "videos"
    shutil.copytree(corpus, folder)
    with Killer(folder / "to-left" / "person02_to-left_00.mp4") as killer:
        run([str(folder)], str(tmp_path / "out"), model=str(model), label=None)
    assert killer.killed >= 3  # a worker, and twice the process of its own
    before, after = videos_in(whole), videos_in(tmp_path / "out")
    assert after.pop(Path(killer.file).name)["error"] == "breaks down the process that reads it (SIGKILL)"
    assert before.pop(Path(killer.file).name)["error"] is None
    for name, row in before.items():
        for of_place in ("path", "fingerprint"):
            assert row.pop(of_place) != after[name].pop(of_place)
        assert after[name] == row


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_job_that_is_killed_again_and_again_ends_with_the_same_files(whole, corpus, model, tmp_path, ray):
    import psutil

    out, rng = tmp_path / "out", random.Random(0)
    code = f"from kineme.scale.batch import run; run([{str(corpus)!r}], {str(out)!r}, model={str(model)!r}, shard_s=0)"
    for number in range(2):
        driver = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        shards = len(list((out / "shards").glob("*.parquet")))
        while driver.poll() is None and len(list((out / "shards").glob("*.parquet"))) <= shards:
            time.sleep(0.02)
        workers = [one for one in psutil.Process(driver.pid).children(recursive=True) if "ray::" in one.name()]
        victim = rng.choice(workers) if workers and number == 0 else None
        if victim:
            victim.kill()
            time.sleep(rng.uniform(0, 0.3))
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    found = run([str(corpus)], str(out), model=str(model), label=None)
    assert found.kept > 0
    assert tables(out) == tables(whole)


def test_messages(tmp_path, corpus, model):
    for arguments, code, says in (
        ([], 2, "name what to look at"),
        ([corpus, "--model", tmp_path / "none"], 1, "no such model"),
        ([tmp_path / "none", "--model", model], 1, "there is no such file or folder"),
        (["rtsp://camera", "--model", model], 2, "camera"),
        ([corpus, "--model", model, "--workers", 0], 2, "--workers 0"),
        ([corpus, "--features", "small-cnn"], 2, "efficientnet-lite0"),
        (["--summary", "--out", tmp_path], 1, "videos.parquet"),
    ):
        done = kineme("batch", *arguments, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert says in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_features_are_those_that_training_looks_for(tmp_path, monkeypatch, ray):
    from helpers_dataset import make_videos

    from kineme.scale.features import run as fill
    from kineme.training.options import TrainOptions

    videos = make_videos(tmp_path / "videos", people=6)
    bad = videos / "to-left" / "bad.mp4"
    bad.write_text("no video")
    found = fill(str(videos), "efficientnet-lite0", label=None)
    assert found.videos == 12
    assert sum(found.errors.values()) == 1
    strips = Path(os.environ["KINEME_STRIPS"])
    assert found.folder == str(strips)

    def files():
        return {file.name: file.stat().st_ino for file in strips.iterdir()}

    before = files()
    options = TrainOptions(epochs=1, patience=1)
    filled = api.train(videos, tmp_path / "filled", options=options)
    assert files() == before
    monkeypatch.setenv("KINEME_STRIPS", str(tmp_path / "strips"))
    fresh = api.train(videos, tmp_path / "fresh", options=options)
    assert len(list((tmp_path / "strips").iterdir())) > 12
    weights = [dict(api.load(one.folder).weights()) for one in (filled, fresh)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_the_summary_tells_which_actions_where_and_shows_them(whole, tmp_path):
    import cv2

    from kineme.scale.summary import summarise

    out = tmp_path / "out"
    shutil.copytree(whole, out)
    notes = []
    found = summarise(str(out), on_note=notes.append)
    segments = pl.read_parquet(io.BytesIO(tables(out)[1]))
    assert found["videos"] == len(videos_in(out))
    assert sum(one["videos"] for one in found["errors"]) == len(BAD)
    assert {one["label"] for one in found["labels"]} == set(segments["label"])
    for one in found["labels"]:
        part = segments.filter(pl.col("label") == one["label"])
        assert (one["segments"], one["videos"]) == (part.height, part["path"].n_unique())
        assert one["seconds"] == pytest.approx((part["end_s"] - part["start_s"]).sum(), abs=0.1)
        assert one["examples"][0]["confidence"] == part["confidence"].max()
        if one["label"] == "background":
            assert one["picture"] is None
        else:
            assert cv2.imread(one["picture"]).shape[0] >= 90 * len(one["examples"])
    assert notes == []
