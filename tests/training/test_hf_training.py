"""From tiny random networks of transformers to a run folder, and all that is done with the model after."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import polars as pl
import pytest
from helpers_dataset import kineme, make_long_videos, make_videos
from helpers_hub import save_tiny, save_tiny_xclip

import kineme as package
from kineme.errors import UsageError
from kineme.scale.batch import run as batch

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="needs transformers: make test-hf")
NOTE = "zero-shot: no figure is known for these labels"


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=5)


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    return next(make_long_videos(tmp_path_factory.mktemp("long"), people=1).parent.glob("**/*.mp4"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    top = tmp_path_factory.mktemp("tiny")
    kinds = ("videomae", "timesformer", "vivit", "vjepa2", "videoprism")
    return {kind: save_tiny(top / kind, kind) for kind in kinds} | {"xclip": save_tiny_xclip(top / "xclip")}


def train(videos, folder, out, approach="late-fusion", **config):
    options = package.TrainOptions(epochs=1, augment=False)
    config = {"backbone": f"hf:{folder}", **config}
    return package.train(videos, out, approach=approach, config=config, options=options)


@pytest.mark.parametrize("kind", ["timesformer", "vivit", "vjepa2", "videoprism", "xclip"])
def test_each_family_trains_to_a_report_and_is_used_like_any_model(kind, folders, videos, long_video, tmp_path):
    run = train(videos, folders[kind], tmp_path / "run", merge="attention")
    assert (run.folder / "report.html").is_file()
    assert run.card.config["backbone"].startswith(f"hf:{folders[kind]}@")
    assert len(run.card.provenance["backbone"]["files"]) >= 3
    model, video, spec = package.load(run.folder), next(videos.glob("*/*.mp4")), run.card.spec
    result, timeline = model.predict(video), model.predict(long_video)
    assert timeline.segments[-1].end_s > spec.frames / spec.fps
    written = model.export(out=tmp_path / "head.tflite")
    assert written.frames == 4 * spec.frames  # few: each clip takes seconds in networks of the true size
    exported = package.load(written.path)
    np.testing.assert_allclose(exported.predict(video).probabilities_K, result.probabilities_K, atol=1e-5)
    needs = package.check(videos, approach="late-fusion", config={"backbone": f"hf:{folders[kind]}"})["needs"]
    assert needs["disk_bytes"] > 0
    assert any("windows a second" in line for line in needs["assumes"])


def test_a_trained_head_is_used_like_any_model(folders, videos, tmp_path):
    run = train(videos, folders["videomae"], tmp_path / "run", merge="mean")
    model = package.load(run.folder)
    assert (run.folder / "model.safetensors").stat().st_size < 100_000  # the head alone
    video = next(videos.glob("*/*.mp4"))
    result = model.predict(video)
    assert result.segments
    with model.stream() as stream:
        for number in range(20):
            stream.push(np.zeros((64, 64, 3), np.uint8), number / 7.5)
        assert stream.prediction_time_s is not None
    exported = package.load(model.export(out=tmp_path / "head.tflite").path)
    np.testing.assert_allclose(exported.predict(video).probabilities_K, result.probabilities_K, atol=1e-5)
    assert any("no gradient reaches its frames" in line for line in model.explain(video).warnings)
    assert package.evaluate(model, videos, split="all")["n"] == 10


def test_a_corpus_is_predicted_with_a_folder_that_is_named_from_here(folders, videos, tmp_path, monkeypatch):
    monkeypatch.chdir(folders["videomae"].parent)
    run = train(videos, "./videomae", tmp_path / "run", merge="mean")
    result = batch([f"{videos}/to-left/*.mp4"], str(tmp_path / "out"), model=package.load(run.folder), workers=1)
    assert not result.errors
    assert pl.read_parquet(tmp_path / "out" / "videos.parquet").height == 5


def test_classifiers_predict_and_are_measured_without_training(folders, videos, tmp_path):
    model = package.load(f"hf:{folders['videomae']}")
    assert model.labels == ("sit-down", "wave")
    result = model.predict(next(videos.glob("*/*.mp4")))
    assert result.model == f"hf:{folders['videomae']}"
    assert not result.note
    for name in ("head.tflite", "folder"):
        with pytest.raises(UsageError, match="runs in its own library; only models trained on it can be exported"):
            model.export("litert", tmp_path / name)


def test_zero_shot_is_marked_in_everything_that_is_written_and_is_measured(folders, videos, tmp_path):
    video = next(videos.glob("*/*.mp4"))
    name = f"hf:{folders['xclip']}"
    made = kineme(
        *("predict", video, "--model", name, "--labels", 'to-left, to-right, "nothing, really"'),
        *("--save", "json,csv,srt,vtt,html,parquet", "--out", tmp_path),
    )
    assert made.returncode == 0, made.stderr
    assert NOTE in made.stderr
    for written in tmp_path.iterdir():
        if written.suffix in (".json", ".csv", ".srt", ".vtt", ".html"):
            assert NOTE in written.read_text(encoding="utf-8"), written.name
    assert NOTE in pl.read_parquet(tmp_path / f"{video.stem}.parquet")["model"][0]
    document = json.loads((tmp_path / f"{video.stem}.json").read_text())
    assert document["note"] == NOTE
    assert [one["label"] for one in document["top"]].count("nothing, really") == 1
    figures = package.evaluate(package.load(name, labels=["to-left", "to-right"]), videos)
    assert figures["n"] == 10
