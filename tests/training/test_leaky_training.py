"""Leaks in training: refused where nobody allowed them; a leaky split shows the honest figure beside its own."""

from __future__ import annotations

import json
import shutil

import pytest
from helpers_dataset import make_videos

import kineme as package
from kineme.errors import KinemeError
from kineme.training.options import TrainOptions
from kineme.video.spec import ClipSpec

pytestmark = pytest.mark.slow

HOW = {"approach": "late-fusion", "spec": ClipSpec(frames=4), "options": TrainOptions(epochs=1, seed=3)}


@pytest.fixture
def data(tmp_path):
    return make_videos(tmp_path / "data", people=5)


def test_a_set_with_one_video_under_two_labels_is_refused_until_allowed_and_then_told_of(data, tmp_path):
    shutil.copyfile(data / "to-left" / "person01_to-left_00.mp4", data / "to-right" / "person01_to-right_09.mp4")
    with pytest.raises(KinemeError, match=r"the data leaks: to-left/person01_to-left_00.mp4 .*--allow-leaks"):
        package.train(data, tmp_path / "run", **HOW)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    run = package.train(data, tmp_path / "run", allow_leaks=True, **HOW)
    (copy,) = run.metrics["data"]["copies"]
    assert copy["kind"] == "two-labels"
    assert any("hold the same bytes" in line for line in run.metrics["data"]["warnings"])


def test_of_many_duplicates_within_groups_some_are_named_and_the_others_counted(data, tmp_path):
    for path in sorted((data / "to-left").iterdir()):
        shutil.copyfile(path, path.with_name(path.name.replace("_00", "_09")))
    run = package.train(data, tmp_path / "run", **HOW)
    assert len(run.metrics["data"]["copies"]) == 5
    assert sum("hold the same bytes" in line for line in run.table.warnings) == 3
    assert "2 more duplicates like this; 'kineme check' shows all of them" in run.table.warnings


def test_a_leaky_run_tells_the_honest_figure_of_the_same_seed(data, tmp_path):
    run = package.train(data, tmp_path / "leaky", leaky=True, **HOW)
    honest = run.metrics["test"]["honest"]
    kept = json.loads((tmp_path / "leaky" / "honest" / "metrics.json").read_text())
    assert honest == {**{name: kept["test"][name] for name in ("top1", "top1_interval", "n", "groups")}, "reason": None}
    assert not kept["model"]["split"]["leaky"]
    assert kept["model"]["options"] == run.metrics["model"]["options"]
    page = (tmp_path / "leaky" / "report.html").read_text().replace("\u00a0", " ")
    assert "rely on that figure" in page
