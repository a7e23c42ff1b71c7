"""Logging to TensorBoard and MLflow, read back from what they wrote."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from helpers_dataset import SMALL_SPEC, kineme, make_videos

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=6)


def history_of(run: Path) -> list[dict[str, float]]:
    with (run / "history.csv").open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def event_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(one.step, float(tensor_util.make_ndarray(one.tensor_proto))) for one in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def test_tensorboard_and_mlflow_hold_the_history_and_the_figures_of_the_test(data, tmp_path):
    out = tmp_path / "run"
    store = {"MLFLOW_TRACKING_URI": (tmp_path / "mlruns").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    log = ["--log", "tensorboard", "--log", "mlflow"]
    done = kineme("train", data, "--out", out, *SMALL_SPEC, "--epochs", 3, *log, "--json", **store)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)  # nothing else is there
    history = history_of(out)
    test = metrics["test"]

    scalars = event_scalars(out / "tensorboard")
    for name in ("loss", "accuracy", "val_loss", "learning_rate"):
        assert scalars[name] == [(int(row["epoch"]), pytest.approx(row[name])) for row in history]
    assert scalars["test/top1"] == [(3, pytest.approx(test["top1"]))]
    assert scalars["test/top1_low"] == [(3, pytest.approx(test["top1_interval"][0]))]

    (meta,) = (tmp_path / "mlruns").glob("*/*/meta.yaml")
    run = meta.parent
    assert "run_name: run" in meta.read_text(encoding="utf-8")
    assert "status: 3" in meta.read_text(encoding="utf-8")  # finished
    for name in ("loss", "val_accuracy"):
        lines = [line.split() for line in (run / "metrics" / name).read_text(encoding="utf-8").splitlines()]
        assert [(int(step), float(value)) for _, value, step in lines] == [
            (int(row["epoch"]), pytest.approx(row[name])) for row in history
        ]
    assert float((run / "metrics" / "test" / "macro_f1").read_text().split()[1]) == pytest.approx(test["macro_f1"])
    params = {path.name: path.read_text(encoding="utf-8") for path in (run / "params").iterdir()}
    assert params["approach"] == "lrcn"
    assert params["options.epochs"] == "3"
    assert params["run_folder"] == str(out)


def test_a_solved_model_has_one_row_and_a_run_that_is_replaced_leaves_none_behind(data, tmp_path):
    import kineme as package

    options = package.TrainOptions(epochs=1, augment=False)
    solved = package.train(data, tmp_path / "solved", approach="single-frame", options=options, log="tensorboard")
    scalars = event_scalars(solved.folder / "tensorboard")
    assert scalars["accuracy"] == [(1, pytest.approx(solved.history[0]["accuracy"]))]
    assert "test/top1" in scalars
    again = package.train(
        data, solved.folder, approach="single-frame", options=options, log="tensorboard", overwrite=True
    )
    assert [step for step, _ in event_scalars(again.folder / "tensorboard")["loss"]] == [1]


def test_a_logger_that_does_not_exist_or_cannot_begin_is_one_line(data, tmp_path):
    def train(out: str, log: str, **environment: str):
        return kineme("train", data, "--out", tmp_path / out, *SMALL_SPEC, "--epochs", 1, "--log", log, **environment)

    wrong = train("none", "tensorbord")
    assert wrong.returncode == 2
    assert wrong.stderr == "kineme: --log tensorbord: choose from tensorboard, mlflow, wandb\n"

    (tmp_path / "file").write_text("", encoding="utf-8")  # no store can be made below a file
    store = {"MLFLOW_TRACKING_URI": (tmp_path / "file" / "mlruns").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    refused = train("refused", "mlflow", **store)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("kineme: --log mlflow: ")
    assert "Traceback" not in refused.stderr


def test_a_library_that_is_missing_is_named_before_anything_begins(tmp_path, monkeypatch):
    import kineme as package

    monkeypatch.setitem(sys.modules, "mlflow", None)  # as where it is not installed
    with pytest.raises(package.KinemeError, match=r"--log mlflow: needs mlflow; pip install 'kineme\[mlflow\]'"):
        package.train(tmp_path / "no-videos", tmp_path / "run", log=["tensorboard", "mlflow"])
