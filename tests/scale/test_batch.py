"""A corpus on Ray: rows equal to a plain loop's, each video once, whatever is killed, changed or damaged."""

from __future__ import annotations

import io
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers_corpus import DATA, LABELS, Killer, make_corpus, make_model, tables, videos_in
from helpers_dataset import kineme, write_square
from helpers_joined import save_joined, someone_walks
from helpers_people import need_movenet

pytest.importorskip("ray", reason='needs Ray: pip install "kineme[ray]"')

from kineme import api
from kineme.errors import KinemeError
from kineme.models.open_set import OpenSetDetector
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
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder, running(None, 2, folder):
        yield  # paths of sockets are short


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


@pytest.fixture(scope="module")
def killed(corpus, model, tmp_path_factory, ray):
    """A job on a copy of the corpus and a video that kills whoever reads it: videos, results, and the killer."""
    folder, out = tmp_path_factory.mktemp("killed") / "videos", tmp_path_factory.mktemp("killed") / "out"
    shutil.copytree(corpus, folder)
    with Killer() as killer:
        run([str(folder), killer.url], str(out), model=str(model), label=None)
    return folder, out, killer


def test_a_video_that_kills_whoever_reads_it_is_a_row_with_its_reason(whole, killed):
    _, out, killer = killed
    assert len(set(killer.killed)) == 3  # a worker, and twice the process of its own
    before, after = videos_in(whole), videos_in(out)
    assert after.pop("clip.mp4")["error"].startswith("crashes the process that reads it")
    assert before.keys() == after.keys()
    for name, row in before.items():
        for of_place in ("path", "fingerprint"):
            assert row.pop(of_place) != after[name].pop(of_place)
        assert after[name] == row


def test_what_changed_vanished_or_was_damaged_is_done_again_and_nothing_else(killed, model, ray):
    folder, out, killer = killed
    notes: list[str] = []

    def again():
        notes.clear()
        return run([str(folder)], str(out), model=str(model), label=None, on_note=notes.append)

    without = again()
    assert without.done == 0
    assert [killer.url in note for note in notes] == [True]
    bytes_before = tables(out)
    first = again()
    assert (first.done, first.kept) == (0, first.videos)
    assert tables(out) == bytes_before
    shards = sorted((out / "shards").iterdir())

    write_square(folder / "to-left" / "new.mp4", leftwards=True, person=7, rng=np.random.default_rng(7))
    write_square(folder / "long.mp4", leftwards=True, person=8, rng=np.random.default_rng(8))
    (folder / "text.mp4").unlink()
    second = again()
    assert (second.done, second.videos) == (2, first.videos)
    assert any("text.mp4" in note for note in notes)
    assert videos_in(out)["long.mp4"]["duration_s"] < 2

    content = bytearray(shards[0].read_bytes())
    content[len(content) // 2] ^= 1
    shards[0].write_bytes(content)
    before = videos_in(out)
    third = again()
    assert any(str(shards[0]) in note and "damaged" in note for note in notes)
    assert 0 < third.done <= first.videos - 2  # those in the other shards are kept
    assert videos_in(out) == before


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_job_whose_worker_and_driver_are_killed_ends_with_the_same_files(whole, corpus, model, tmp_path, ray):
    import psutil

    out, rng = tmp_path / "out", random.Random(0)
    code = f"from kineme.scale.batch import run; run([{str(corpus)!r}], {str(out)!r}, model={str(model)!r}, shard_s=0)"
    driver = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    workers: list[psutil.Process] = []
    while driver.poll() is None and not workers:
        tree = psutil.Process(driver.pid).children(recursive=True)
        workers = [one for one in tree if one.name().startswith("ray::MapBatches")]
        time.sleep(0.02)
    if workers:
        rng.choice(workers).kill()
    while driver.poll() is None and not list((out / "shards").glob("*.parquet")):
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    found = run([str(corpus)], str(out), model=str(model), label=None)
    assert found.kept > 0
    assert tables(out) == tables(whole)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_job_whose_raylet_is_killed_says_so_and_keeps_what_is_finished(corpus, model, tmp_path):
    """As the kernel does for want of memory. A video that never comes holds the job until then."""
    import psutil

    out = tmp_path / "out"
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/clip.mp4"
        command = [sys.executable, "-m", "kineme", "batch", corpus / "long.mp4", url, "--model", model, "--out", out]
        with subprocess.Popen(
            [*command, "--workers", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as job:
            reader, _ = server.accept()
            with reader:
                tree = psutil.Process(job.pid).children(recursive=True)
                again = kineme("batch", corpus, "--model", model, "--out", out)
                (raylet,) = [one for one in tree if one.is_running() and "raylet" in one.name()]
                raylet.kill()
            said, told = job.communicate()
    assert (job.returncode, said) == (1, "")
    assert "kineme: Ray crashed" in told
    assert (again.returncode, "another command is writing it" in again.stderr) == (1, True)


def test_messages(tmp_path, corpus, model):
    for arguments, code, says in (
        ([], 2, "give sources"),
        ([corpus, "--model", tmp_path / "none"], 1, "no such model"),
        ([tmp_path / "none", "--model", model], 1, "there is no such file or folder"),
        (["rtsp://camera", "--model", model], 2, "camera"),
        ([corpus, "--model", model, "--workers", 0], 2, "--workers 0"),
        ([corpus, "--model", model, "--ray-address", "127.0.0.1:9"], 1, "no answer"),
        ([corpus, "--features", "small-cnn"], 2, "efficientnet-lite0"),
        (["--summary", "--out", tmp_path], 1, "videos.parquet"),
    ):
        done = kineme("batch", *arguments, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert says in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_features_are_those_that_training_makes(tmp_path, monkeypatch, ray):
    """Of the same name, which says all that they depend on, and equal to the bit: training looks at no video again."""
    from helpers_dataset import make_videos

    from kineme.scale.features import run as fill
    from kineme.training.options import TrainOptions

    videos = make_videos(tmp_path / "videos", people=4)
    (videos / "to-left" / "bad.mp4").write_text("no video")
    found = fill(str(videos), "efficientnet-lite0", workers=1, label=None)
    assert found.videos == 8
    assert sum(found.errors.values()) == 1
    made = {file.name: file.read_bytes() for file in Path(found.folder).glob("*.strip")}
    monkeypatch.setenv("KINEME_FRAME_CACHE", str(tmp_path / "strips"))
    config = {"backbone": "efficientnet-lite0"}
    api.train(videos, tmp_path / "run", approach="lrcn", config=config, options=TrainOptions(epochs=1))
    trained = {file.name: file.read_bytes() for file in (tmp_path / "strips").glob("*.strip")}
    assert len(trained) > 3 * 8
    assert {name: made[name] for name in trained} == trained


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


def test_joined_models_are_scored_where_a_video_is_read(tmp_path, ray):
    need_movenet()
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    someone_walks(videos / "walk.mp4", 4)
    someone_walks(videos / "dark.mp4", 3, light=(0.1, 0.3))
    (videos / "text.mp4").write_text("no video")
    logits = tuple(tuple(row) for row in np.random.default_rng(0).normal(0, 1, (20, 3)).tolist())
    known = {"open_set": OpenSetDetector(logits, 0.5, 1.0)}
    model = save_joined(tmp_path / "j.safetensors", {"movenet": 1, "efficientnet-lite0": 2}, known, brightness="auto")
    loaded = api.load(model)
    expected = {path.name: loaded.predict(path) for path in videos.glob("[wd]*.mp4")}
    run([str(videos)], str(out), model=str(model), label=None)
    rows, segments = videos_in(out), pl.read_parquet(io.BytesIO(tables(out)[1]))
    assert "not a video" in rows.pop("text.mp4")["error"]
    assert rows.keys() == expected.keys()
    for name, row in rows.items():
        assert row["error"] is None
        assert row["known"] == bool(expected[name].actions)
        assert row["windows"] == len(expected[name].window_times_W2)
        np.testing.assert_allclose(list(row["probabilities"].values()), expected[name].probabilities_K, atol=1e-5)
        of_video = segments.filter(pl.col("path") == row["path"]).to_dicts()
        assert [one["label"] for one in of_video] == [one.label for one in expected[name].segments]
