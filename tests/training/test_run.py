"""Training as a whole: the run folder, what is measured, going on after a kill, and bad videos among good ones."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers_dataset import SMALL_SPEC, kineme, make_videos
from safetensors.numpy import load_file

from kineme.video.decode import read_frames
from kineme.video.write import VideoWriter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=10)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    done = kineme("train", data, "--out", out, *SMALL_SPEC, "--epochs", 60, "--learning-rate", 0.003, "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def test_a_run_folder_holds_the_model_the_figures_the_history_the_split_and_the_report(run):
    out, printed = run
    assert {path.name for path in out.iterdir()} == {
        "model.safetensors",
        "metrics.json",
        "history.csv",
        "predictions.csv",
        "split.csv",
        "report.html",
    }
    assert json.loads((out / "metrics.json").read_text()) == printed
    history = pl.read_csv(out / "history.csv")
    assert history["epoch"].to_list() == list(range(1, printed["train"]["epochs"] + 1))
    page = (out / "report.html").read_text().replace("\u00a0", " ")
    assert f"On {printed['test']['n']} videos of {printed['test']['groups']} " in page


def test_it_learns_the_order_of_frames_and_is_measured_on_people_it_never_saw(run):
    out, metrics = run
    split = pl.read_csv(out / "split.csv")
    groups = {part: set(split.filter(pl.col("split") == part)["group"]) for part in ("train", "validation", "test")}
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["validation"]
    test = metrics["test"]
    assert test["n"] == 4
    assert test["groups"] == 2
    assert test["top1"] == 1.0
    low, high = test["top1_interval"]
    assert low < 0.5  # two people say little: the interval must not pretend otherwise
    assert high == 1.0
    assert test["baselines"]["chance"]["top1"] == 0.5
    assert {"majority", "background_only"} <= set(test["baselines"])
    assert 0 <= test["calibration_error"] <= 1
    train = metrics["train"]
    assert 0 <= train["feed_share"] <= 1
    assert train["limit"] == ("feed" if train["feed_share"] > 0.1 else "step")


def test_evaluate_uses_the_test_split_of_its_own_training_and_reversed_frames_reverse_the_answer(run, data):
    out, metrics = run
    again = json.loads(kineme("evaluate", out, data, "--json").stdout)
    assert again["split"] == "test"
    for name in ("n", "top1", "top1_interval", "macro_f1", "confusion", "calibration_error"):
        assert again[name] == metrics["test"][name]
    backwards = json.loads(kineme("evaluate", out, data, "--frames", "reversed", "--json").stdout)
    assert backwards["top1"] == 0.0
    whole = json.loads(kineme("evaluate", out, data, "--split", "all", "--json").stdout)
    assert whole["n"] == 20
    assert any("too high" in line for line in whole["warnings"])


def test_python_and_the_command_line_give_the_same_prediction(run, data):
    import kineme as package

    out, _ = run
    videos = sorted(data.glob("to-right/*"))[:2]
    printed = json.loads(kineme("predict", *videos, "--model", out, "--json").stdout)
    model = package.load(out)
    for video, document, result in zip(videos, printed, model.predict(videos), strict=True):
        alone = model.predict(video)
        assert result.label == alone.label == document["top"][0]["label"] == "to-right"
        assert document["top"] == result.to_json()["top"]
        np.testing.assert_array_equal(alone.probabilities_K, result.probabilities_K)


def test_prediction_of_a_test_video_equals_its_evaluation(run, data):
    """One video through predict has the probabilities that evaluation counted."""
    import kineme as package
    from kineme.training.cache import FrameCache
    from kineme.training.evaluate import score_items

    out, _ = run
    model = package.load(out)
    cache = FrameCache(model.card.spec, folder=out.parent / "strips")
    table, items = cache.prepare(package.scan(data), model.labels)
    evaluated_NK = model.probabilities(score_items(model.network, items, cache))
    predicted_NK = np.stack([one.probabilities_K for one in model.predict(table.rows["path"].to_list())])
    np.testing.assert_allclose(evaluated_NK, predicted_NK, atol=1e-6)


def test_a_video_that_stands_still_is_none_of_the_actions_and_an_action_within_it_is_found(run, data, tmp_path):
    out, metrics = run
    unknown = metrics["unknown"]
    assert unknown["learned_from_background"]
    assert unknown["background_refused"]["share"] == 1.0
    assert "When no known action happens" in (out / "report.html").read_text()
    video = next((data / "to-left").glob("*.mp4"))
    frames = [frame.pixels_HWC for frame in read_frames(video)]
    for name, parts in {"still": [frames[:1] * 100], "pauses": [frames[:1] * 75, frames, frames[-1:] * 75]}.items():
        with VideoWriter(tmp_path / f"{name}.mp4", width=64, height=64, fps=25) as writer:
            for frame in itertools.chain(*parts):
                writer.write(frame)
    table = kineme("predict", tmp_path / "still.mp4", "--model", out, COLUMNS="200").stdout
    assert "no known action (to-" in table
    printed = json.loads(kineme("predict", tmp_path / "pauses.mp4", "--model", out, "--json").stdout)
    assert [one["label"] for one in printed["segments"]] == ["background", "to-left", "background"]
    assert 2.5 < printed["segments"][1]["start_s"] < 4.0


def test_the_same_seed_gives_the_same_weights_and_another_seed_gives_others(data, tmp_path):
    def weights(name, seed):
        done = kineme("train", data, "--out", tmp_path / name, *SMALL_SPEC, "--epochs", 2, "--seed", seed)
        assert done.returncode == 0, done.stderr
        return load_file(tmp_path / name / "model.safetensors")

    first, again, other = weights("first", 0), weights("again", 0), weights("other", 1)
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, again[name])
    assert any((tensor != other[name]).any() for name, tensor in first.items())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
@pytest.mark.parametrize(("approach", "backbone"), [("lrcn", "small-cnn"), ("convlstm", "pixels")])
def test_training_killed_and_resumed_gives_the_weights_of_the_unbroken_run(data, tmp_path, approach, backbone):
    settings = ["train", str(data), *SMALL_SPEC, "--approach", approach, "--backbone", backbone]
    settings += ["--epochs", "5", "--batch-size", "5"]
    assert kineme(*settings, "--out", tmp_path / "whole").returncode == 0
    command = [sys.executable, "-c", "from kineme.cli.main import main; main()", *settings, "--out"]
    broken = tmp_path / "broken"
    process = subprocess.Popen([*command, str(broken)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (broken / "checkpoint.safetensors").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (broken / "model.safetensors").exists()
    (broken / ".checkpoint-cut.safetensors").write_bytes(b"half")  # as a kill in the middle of a write leaves it

    refused = kineme(*settings, "--out", broken)
    assert refused.returncode == 1
    assert "unfinished run; continue with --resume" in refused.stderr
    changed = kineme(*settings, "--out", broken, "--resume", "--seed", "5")
    assert changed.returncode == 1
    assert "cannot resume, since" in changed.stderr

    resumed = kineme(*settings, "--out", broken, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    whole, after = load_file(tmp_path / "whole" / "model.safetensors"), load_file(broken / "model.safetensors")
    for name, tensor in whole.items():
        np.testing.assert_array_equal(tensor, after[name])
    history = [pl.read_csv(tmp_path / name / "history.csv") for name in ("whole", "broken")]
    assert history[0].drop("seconds", "feed_share").equals(history[1].drop("seconds", "feed_share"))
    assert [path.name for path in broken.iterdir() if "checkpoint" in path.name or path.name.startswith(".")] == []


def test_bad_videos_do_not_stop_training_and_are_listed_with_their_reason(tmp_path):
    data = make_videos(tmp_path / "data", people=4)
    (data / "to-left" / "person01_zero.mp4").touch()
    (data / "to-right" / "person02_text.mp4").write_text("not a video")
    done = kineme("train", data, "--out", tmp_path / "run", *SMALL_SPEC, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    assert "person01_zero.mp4" in done.stderr
    skipped = json.loads((tmp_path / "run" / "metrics.json").read_text())["data"]["skipped"]
    assert {Path(one["path"]).name for one in skipped} == {"person01_zero.mp4", "person02_text.mp4"}
    assert all(one["reason"] for one in skipped)
    assert "person02_text.mp4" in (tmp_path / "run" / "report.html").read_text()


def test_a_finished_run_is_not_written_over_by_accident(run, data):
    out, _ = run
    before = (out / "model.safetensors").read_bytes()
    done = kineme("train", data, "--out", out, *SMALL_SPEC)
    assert done.returncode == 1
    assert "already holds a finished run" in done.stderr
    assert (out / "model.safetensors").read_bytes() == before


def test_clips_that_this_machine_has_not_the_memory_for_are_refused_before_anything_is_decoded(data, tmp_path):
    done = kineme("train", data, "--out", tmp_path / "run", "--approach", "lrcn", "--frames", 4096, "--size", 512)
    assert done.returncode == 1
    assert "GB of memory" in done.stderr
    assert "--frames" in done.stderr
    assert "decoding" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_second_training_into_the_same_folder_is_refused_while_the_first_goes_on(data, tmp_path):
    from filelock import FileLock

    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        done = kineme("train", data, "--out", tmp_path / "run", *SMALL_SPEC, "--epochs", 1)
    assert done.returncode == 1
    assert "another training is writing here" in done.stderr


def test_a_run_killed_before_its_report_is_completed_by_resume(data, tmp_path):
    out = tmp_path / "run"
    settings = ["train", data, "--out", out, *SMALL_SPEC, "--epochs", 2]
    (out / "report.html").mkdir(parents=True)  # so that the report cannot be written
    failed = kineme(*settings)
    assert failed.returncode == 1
    model = (out / "model.safetensors").read_bytes()
    (out / "report.html").rmdir()
    assert "--resume" in kineme(*settings).stderr
    done = kineme(*settings, "--resume")
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").is_file()
    assert not (out / "checkpoint.safetensors").exists()
    weights = {name: tensor.tolist() for name, tensor in load_file(out / "model.safetensors").items()}
    (tmp_path / "before.safetensors").write_bytes(model)
    assert weights == {name: tensor.tolist() for name, tensor in load_file(tmp_path / "before.safetensors").items()}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such Ctrl-C on this system")
def test_ctrl_c_says_at_once_how_to_go_on(data, tmp_path):
    command = [sys.executable, "-c", "from kineme.cli.main import main; main()", "train", str(data)]
    command += [*SMALL_SPEC, "--epochs", "5000", "--patience", "5000", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "--resume to continue after the last finished epoch" in said
