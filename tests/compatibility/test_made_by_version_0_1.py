"""Artefacts made by version 0.1 still load and give the same scores: run folders, an exported model and a corpus.

They are in ``v0_1``, with the scores that version 0.1 gave; the README there says how they were made. If a test fails,
the code has changed the meaning of users' files: fix the code, and leave the files and the scores as they are.
"""

from __future__ import annotations

import functools
import io
import json
import lzma
import os
import runpy
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import av
import numpy as np
import polars as pl
import pytest

import kineme

FIXTURES = Path(__file__).parent / "v0_1"
CLIP, CLIPS = FIXTURES / "clip.mp4", FIXTURES / "clips"
MODEL = "model.safetensors"
MTIME = 1_750_000_000  # modification time of the videos when the corpus was made
PATTERN = "clips/wave/person0[1-3]*.mp4"  # the videos of the corpus

TOLERANCE = 1e-5  # of probabilities
LOOSE_TOLERANCE = 1e-4  # of LiteRT; and of EfficientNet with made-up weights, which amplify rounding errors
ROUNDED_TOLERANCE = 1.5e-4  # of JSON output, which has four digits after the point

NAMES = sorted(file.stem for file in (FIXTURES / "scores").glob("*.json") if file.stem != "corpus")
POSES = "pose-lstm"
COMMAND_LINE = [("lrcn", "auto"), ("lrcn.tflite", "auto"), ("slow-fusion", "keras")]


@functools.cache
def scores(name: str) -> dict[str, Any]:
    """The output of version 0.1 for an artefact."""
    return json.loads((FIXTURES / "scores" / f"{name}.json").read_text(encoding="utf-8"))


def tolerance_of(name: str, engine: str) -> float:
    """The largest difference of probabilities between machines."""
    return TOLERANCE if engine == "keras" and "efficientnet" not in name else LOOSE_TOLERANCE


def cases(kind: str) -> list[tuple[str, str]]:
    """Every artefact with each engine or mode that there are scores for."""
    return [(name, key) for name in NAMES for key in scores(name)[kind]]


@pytest.fixture(scope="module")
def path_of(tmp_path_factory):
    """The path of an artefact; a compressed model file is unpacked once, into a copy of its run folder."""

    @functools.cache
    def find(name: str) -> Path:
        if name.endswith(".tflite"):
            return FIXTURES / name
        folder = FIXTURES / "runs" / name
        if (folder / MODEL).exists():
            return folder
        copy = tmp_path_factory.mktemp("runs") / name
        shutil.copytree(folder, copy)
        (copy / MODEL).write_bytes(lzma.decompress((folder / f"{MODEL}.xz").read_bytes()))
        return copy

    return find


@pytest.fixture(scope="module")
def model_of(path_of):
    """A model, loaded once."""

    @functools.cache
    def load(name: str) -> Any:
        if name == POSES:
            need_blazepose(path_of(name))
        return kineme.load(path_of(name))

    return load


def need_blazepose(run: Path) -> None:
    """Skip the test if BlazePose, which the model file does not hold, is not installed; in CI it is downloaded."""
    if os.environ.get("CI"):
        run_command("models", "pull", "blazepose")
    try:
        kineme.load(run)
    except kineme.KinemeError as error:
        if "models pull" not in str(error):
            raise
        pytest.skip("BlazePose is not here: kineme models pull blazepose")


def run_command(*arguments: object) -> str:
    """Standard output of ``python -m kineme``, run in this process, where Keras is imported already."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output):
        patch.setattr(sys, "argv", ["kineme", *map(str, arguments)])
        try:
            runpy.run_module("kineme", run_name="__main__")
        except SystemExit as end:
            if end.code:
                pytest.fail(f"kineme {' '.join(map(str, arguments))}: exit code {end.code}")
    return output.getvalue()


def assert_same(found: Any, expected: Any, tolerance: float, where: str = "") -> None:
    """Compare two JSON documents; the first may have further keys."""
    if isinstance(expected, dict):
        assert set(expected) <= set(found), where
        for key, value in expected.items():
            assert_same(found[key], value, tolerance, f"{where}/{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, tolerance, f"{where}/{number}")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=0, abs=tolerance), where
    else:
        assert found == expected, where


def test_no_artefact_is_missing():
    assert {*NAMES} == {*(folder.name for folder in (FIXTURES / "runs").iterdir()), "lrcn.tflite"}
    assert len(NAMES) == 13


@pytest.mark.parametrize("name", NAMES)
def test_the_labels_are_those_of_the_file(name, model_of):
    assert list(model_of(name).labels) == scores(name)["labels"]


@pytest.mark.parametrize(("name", "engine"), cases("predict"))
def test_a_prediction_is_what_it_was(name, engine, model_of):
    found, expected = model_of(name).predict(CLIP, engine=engine), scores(name)["predict"][engine]
    tolerance = tolerance_of(name, engine)
    assert found.label == expected["label"]
    segments = [[one.start_s, one.end_s, one.label, one.confidence] for one in found.segments]
    assert [label for *_, label, _ in segments] == [label for *_, label, _ in expected["segments"]]
    assert_same(segments, expected["segments"], tolerance)
    for field in ("probabilities_K", "window_times_W2", "window_probabilities_WK"):
        np.testing.assert_allclose(getattr(found, field), expected[field], rtol=0, atol=tolerance, err_msg=field)


@pytest.mark.parametrize(("name", "mode"), cases("stream"))
def test_a_stream_ends_with_what_it_ended_with(name, mode, model_of):
    engine = "auto" if name.endswith(".tflite") else "keras"
    with av.open(str(CLIP)) as container, model_of(name).stream(mode=mode, engine=engine) as stream:
        for frame in container.decode(video=0):
            probabilities_K = stream.push(frame.to_ndarray(format="rgb24"), frame.time)
    expected = scores(name)["stream"][mode]
    np.testing.assert_allclose(probabilities_K, expected, rtol=0, atol=tolerance_of(name, engine))


@pytest.mark.parametrize("name", [name for name in NAMES if "evaluate" in scores(name)])
def test_an_evaluation_on_the_test_split_of_the_run_is_what_it_was(name, path_of, model_of):
    model_of(name)  # skips, if it must
    assert_same(kineme.evaluate(path_of(name), CLIPS), scores(name)["evaluate"], TOLERANCE)


@pytest.mark.parametrize(("name", "engine"), COMMAND_LINE)
def test_the_command_predict_prints_the_same_json(name, engine, path_of, monkeypatch):
    monkeypatch.chdir(FIXTURES)
    document = json.loads(
        run_command("predict", "clip.mp4", "--model", path_of(name), "--engine", engine, "--top", 3, "--json")
    )
    assert_same(document, scores(name)["json"][engine], ROUNDED_TOLERANCE)


def test_the_command_evaluate_prints_the_same_json(path_of):
    document = json.loads(run_command("evaluate", path_of("lrcn"), CLIPS, "--json"))
    assert_same(document, scores("lrcn")["evaluate"], TOLERANCE)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A copy of the corpus and its videos as they were: with the same relative paths and modification times."""
    pytest.importorskip("ray", reason='needs Ray: pip install "kineme[ray]"')
    shutil.copytree(FIXTURES / "corpus", tmp_path / "corpus")
    shutil.copytree(CLIPS / "wave", tmp_path / "clips" / "wave")
    for video in tmp_path.glob(PATTERN):
        os.utime(video, (MTIME, MTIME))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "corpus"


def test_batch_resumes_a_corpus_and_keeps_every_row(corpus):
    shards = sorted(file.name for file in corpus.glob("shards/*"))
    tables = {name: pl.read_parquet(corpus / name) for name in ("videos.parquet", "segments.parquet")}
    document = json.loads(
        run_command("batch", PATTERN, "--model", FIXTURES / "runs" / "lrcn", "--out", "corpus", "--json")
    )
    assert_same(document, scores("corpus")["resumed"], TOLERANCE)
    assert sorted(file.name for file in corpus.glob("shards/*")) == shards
    for name, table in tables.items():
        assert pl.read_parquet(corpus / name).equals(table), name


def test_batch_summarises_a_corpus(corpus):
    document = json.loads(run_command("batch", "--summary", "--out", "corpus", "--json"))
    assert_same(document, scores("corpus")["summary"], TOLERANCE)


def test_the_rows_of_a_corpus_are_what_the_model_predicts(corpus, model_of):
    rows = pl.read_parquet(corpus / "videos.parquet").to_dicts()
    results = list(model_of("lrcn").predict([row["path"] for row in rows]))
    assert [result.label for result in results] == [row["label"] for row in rows]
    for row, result in zip(rows, results, strict=True):
        found = dict(zip(result.labels, result.probabilities_K.tolist(), strict=True))
        assert_same(found, row["probabilities"], TOLERANCE)
