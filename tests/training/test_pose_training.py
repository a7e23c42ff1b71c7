"""Training on landmarks alone: real people, from the videos to a model that holds no pixel."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers_dataset import kineme
from safetensors.numpy import load_file

import kineme as package
from kineme.models import weights
from kineme.video.probe import probe

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ut-interaction"


def weights_are_here() -> bool:
    if os.environ.get("CI"):
        weights.pull("blazepose")
    return weights.find("blazepose") is not None


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="the real videos are not here: ../shared/data/ut-interaction"),
    pytest.mark.skipif(not weights_are_here(), reason="BlazePose is not here: kineme models pull blazepose"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pose")
    rows = ["path,label,group"]
    for label in ("kick", "hug"):
        rows += [f"{path},{label},{path.stem[:10]}" for path in sorted((DATA / label).glob("set1_seq0[1-4]*"))]
    (folder / "clips.csv").write_text("\n".join(rows))
    arguments = ["--approach", "pose-lstm", "--epochs", 15, "--frames", 10, "--fps", 5, "--out", folder / "run"]
    done = kineme("train", folder / "clips.csv", *arguments)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_it_trains_from_videos_and_the_model_takes_landmarks_alone(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["model"]["spec"]["fit"] == "letterbox"
    assert metrics["test"]["n"] >= 2
    assert {name.split("/")[0] for name in load_file(run / "model.safetensors")} == {"lstm", "logits"}
    assert package.load(run).network.input.shape[1:] == (10, 166)


def test_prediction_equals_evaluation_and_the_annotated_video_shows_a_skeleton(run, tmp_path):
    evaluated = package.evaluate(run, run.parent / "clips.csv", split="all")
    model = package.load(run)
    videos = sorted((DATA / "kick").glob("set1_seq0[1-4]*")) + sorted((DATA / "hug").glob("set1_seq0[1-4]*"))
    right = [result.label == Path(result.source).parent.name for result in model.predict(videos)]
    assert np.mean(right) == evaluated["top1"]

    done = kineme("predict", videos[0], "--model", run, "--save", "video", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    annotated = tmp_path / f"{videos[0].stem}.mp4"
    assert probe(annotated).frame_count == sum(1 for _ in package_frames(videos[0]))
    changed = [
        np.abs(drawn.pixels_HWC[70:].astype(int) - plain.pixels_HWC[70 : len(drawn.pixels_HWC)]).max() > 100
        for drawn, plain in zip(package_frames(annotated), package_frames(videos[0]), strict=True)
    ]
    assert np.mean(changed) > 0.8  # below the label panel too


def package_frames(path):
    from kineme.video.decode import read_frames

    info = probe(path)
    return read_frames(path, size=(info.height, info.width))


def test_without_the_weights_one_line_says_how_to_get_them(run, tmp_path):
    done = kineme("predict", next((DATA / "kick").iterdir()), "--model", run, KINEME_CACHE=str(tmp_path))
    assert done.returncode == 1
    assert "kineme models pull blazepose" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
