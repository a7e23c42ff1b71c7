"""A comparison on real files: what it finds, that it continues where it stopped, and that its winner can be used."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers_dataset import kineme, make_videos

import kineme as package
from kineme.dataset.folds import Protocol
from kineme.errors import KinemeError, UsageError
from kineme.training.options import TrainOptions
from kineme.training.trials import parse_candidate
from kineme.video.spec import ClipSpec

OPTIONS = TrainOptions(epochs=15, flip=False, learning_rate=0.003)
BLIND = "late-fusion,merge=mean"
CHANGES = {"frames": 6}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=12)


@pytest.fixture(scope="module")
def found(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("comparisons") / "compared"
    arguments = {"spec_changes": CHANGES, "seeds": 2, "options": OPTIONS}
    arguments["protocol"] = Protocol(kind="folds", folds=2)
    return package.compare(data, out, approaches=["lrcn", BLIND], **arguments)


def of(document, name):
    return next(one for one in document["candidates"] if one["name"] == name)


def test_every_candidate_answers_every_video_once_a_seed(found):
    document = found.document
    assert json.loads((found.folder / "comparison.json").read_text()) == document
    for one in document["candidates"]:
        assert one["error"] is None
        assert one["test"]["n"] == 24
        assert one["test"]["groups"] == 12
        assert len(one["seed_top1"]) == 2
        assert one["test"]["top1"] == pytest.approx(np.mean(one["seed_top1"]))
        assert np.sum(one["test"]["confusion"]) == 48
        assert one["cost"]["ms_per_frame"] > 0
        assert one["cost"]["parameters"] > 1000
        assert set(one["orders"]) == {"shuffled", "reversed", "frozen"}
    assert set(document["baselines"]) >= {"chance", "majority", "background_only", "single_frame"}


def test_what_reads_order_wins_over_what_cannot(found):
    document = found.document
    assert document["best"] == "lrcn"
    best, blind = of(document, document["best"]), of(document, BLIND)
    assert best["test"]["top1"] > 0.9
    assert 0.3 < blind["test"]["top1"] < 0.7
    assert blind["against_best"]["distinguishable"]
    assert blind["orders"]["shuffled"]["top1"] == pytest.approx(blind["test"]["top1"], abs=0.01)
    assert best["orders"]["shuffled"]["top1"] < 0.8
    assert best["motion_reliance"]["to-left"] + best["motion_reliance"]["to-right"] > 0.4
    page = (found.folder / "report.html").read_text()
    assert "One frame cannot distinguish to-left from to-right" in page
    assert "Dashed: the result of a random split that ignores" in page


def test_the_leaky_figure_stands_beside_the_honest_one(found):
    leaky = found.document["leaky"]
    assert leaky["candidate"] == found.document["best"]
    assert 3 <= leaky["n"] <= 7  # about a fifth
    assert leaky["top1"] > 0.8


def test_the_winner_is_the_cell_that_was_measured_and_ready_to_use(found, data):
    winner = package.load(found.folder / "winner")
    video = next(data.glob("to-left/*"))
    assert winner.predict(video).top[0][0] == "to-left"
    cells = found.folder / "cells" / found.document["best"]
    cell = json.loads((cells / "fold1-seed0.json").read_text())
    run = json.loads((found.folder / "winner" / "metrics.json").read_text())
    assert run["test"]["n"] == len(cell["names"])
    answers = np.argmax(cell["probabilities"], axis=1)
    assert run["test"]["top1"] == pytest.approx(np.mean(answers == np.array(cell["truth"])))
    lines = (found.folder / "winner" / "predictions.csv").read_text().splitlines()[1:]
    labels = found.document["data"]["labels"]
    assert [line.split(",")[5] for line in lines] == [labels[answer] for answer in answers]


def test_the_same_training_gives_the_same_numbers_in_a_used_network_as_in_a_fresh_one(found, data, tmp_path):
    """The third cell trains a network that has been trained twice; alone in another process it is the first."""
    cells = found.folder / "cells" / "lrcn"
    done = kineme(
        *("compare", data, "--approach", "lrcn", "--frames", 6, "--epochs", 15, "--no-flip", "--learning-rate", 0.003),
        *("--folds", 2, "--seed", 0, "--seeds", 2, "--out", tmp_path / "again", "--json"),
    )
    assert done.returncode == 0, done.stderr
    for name in ("fold2-seed0.json", "fold2-seed1.json"):
        once, again = (json.loads((folder / name).read_text()) for folder in (cells, tmp_path / "again/cells/lrcn"))
        np.testing.assert_array_equal(once["probabilities"], again["probabilities"])
    assert json.loads(done.stdout)["best"] == "lrcn"


def test_finished_cells_are_not_run_again_and_unfinished_ones_are(found, data):
    cells = sorted((found.folder / "cells").rglob("fold*.json"))
    before = {path: path.stat().st_mtime_ns for path in cells}
    lost = found.folder / "cells" / "lrcn" / "fold2-seed1.json"
    held = json.loads(lost.read_text())
    lost.unlink()
    again = package.compare(
        data,
        found.folder,
        approaches=["lrcn", BLIND],
        spec_changes=CHANGES,
        seeds=2,
        options=OPTIONS,
        protocol=Protocol(kind="folds", folds=2),
    )
    after = {path: path.stat().st_mtime_ns for path in cells}
    assert [path for path in cells if after[path] != before[path]] == [lost]
    assert json.loads(lost.read_text())["probabilities"] == held["probabilities"]
    assert of(again.document, "lrcn")["test"] == of(found.document, "lrcn")["test"]


def test_a_candidate_that_fails_does_not_stop_the_others(data, tmp_path):
    found = package.compare(
        data,
        tmp_path / "out",
        approaches=["lrcn", "early-fusion"],
        spec_changes={"frames": 6, "height": 48, "width": 48},  # the small CNN needs 64
        options=TrainOptions(epochs=1),
    )
    assert "small-cnn needs frames of at least 64 x 64" in of(found.document, "lrcn")["error"]
    assert found.document["best"] == "early-fusion"
    assert "small-cnn needs frames" in (found.folder / "report.html").read_text()


def test_candidates_are_read_with_their_options():
    one = parse_candidate("late-fusion:efficientnet-lite0,merge=mean,units=32", {"frames": 12})
    assert (one.approach.merge, one.approach.units, one.approach.backbone) == ("mean", 32, "efficientnet-lite0")
    assert (one.spec.frames, one.spec.height) == (12, 224)
    for text, said in (
        ("lrnc", "no approach 'lrnc'"),
        ("lrcn:vgg", "no backbone 'vgg'"),
        ("lrcn,unit=3", "no option 'unit'"),
        ("lrcn,units", "NAME=VALUE"),
    ):
        with pytest.raises(UsageError, match=said):
            parse_candidate(text)


def test_what_makes_no_sense_is_refused_in_a_line(data, tmp_path):
    with pytest.raises(UsageError, match="seeds must be at least 1"):
        package.compare(data, tmp_path / "a", approaches=["lrcn"], seeds=0)
    with pytest.raises(KinemeError, match="every candidate failed; the first: small-cnn needs frames"):
        package.compare(data, tmp_path / "b", approaches=["lrcn"], spec_changes={"height": 40, "width": 40})
    done = kineme("compare", data, "--folds", 3, "--leave-one-group-out")
    assert done.returncode == 2
    assert "give one of --folds" in done.stderr


def test_without_validation_every_epoch_is_run_and_the_learning_rate_falls_to_nothing(data, tmp_path):
    run = package.train(
        data,
        tmp_path / "run",
        approach="late-fusion",
        spec=ClipSpec(frames=4, height=64, width=64),
        options=TrainOptions(epochs=5, patience=1, learning_rate=0.01),
        validation=0,
    )
    rates = [row["learning_rate"] for row in run.history]
    assert len(rates) == 5
    assert rates[0] == pytest.approx(0.01)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.002
    assert run.metrics["train"]["best_epoch"] == 5
    assert "validation" not in run.metrics
