"""Help in sections, short options, and the verbs that show what is on this machine."""

from __future__ import annotations

import json

import pytest
from helpers_dataset import kineme
from helpers_video import numbered_video

RUNS = "tests/compatibility/v0_1/runs"


def test_help_groups_the_verbs_and_gives_each_a_whole_line():
    shown = kineme("-h", COLUMNS="80")
    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    sections = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert sections == ["Options:", "Start:", "Train:", "Use:", "Data and models:"]
    verbs = lines[lines.index("Start:") :]
    assert max(map(len, verbs)) <= 80
    assert all(line.endswith(".") for line in verbs if line.startswith("  "))  # none is cut short


VERBS = "predict check evaluate compare runs explain export serve batch benchmark label demo cache models datasets"


@pytest.mark.parametrize("verb", [*VERBS.split(), "datasets split", "models pull"])
def test_help_of_every_verb_fits_80_columns(verb):
    lines = kineme(*verb.split(), "-h", COLUMNS="80").stdout.splitlines()
    assert lines[0].startswith("Usage: ")
    assert "{" not in lines[0]
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines[1:] if line.endswith("...") and not line.lstrip().startswith("https")]


def test_help_of_train_begins_with_the_options_that_people_use_first():
    shown = kineme("train", "-h", COLUMNS="80").stdout
    first, rest = shown.split("Clip sampling:")
    assert "--approach" in first
    assert sum(line.startswith("  -") for line in first.splitlines()) <= 10
    assert "--frames" not in first
    for option in ("--frames", "--epochs", "--test", "--seed"):
        assert option in rest


def test_quiet_shows_no_progress_and_the_same_result(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            numbered_video(tmp_path / name / f"person{number}_{name}.mp4")
    loud = kineme("check", tmp_path, "--json", "-o", tmp_path / "page.html")
    quiet = kineme("check", tmp_path, "--json", "-o", tmp_path / "page.html", "-q")
    assert "checking videos" in loud.stderr
    assert "checking videos" not in quiet.stderr
    assert json.loads(quiet.stdout)["data"] == json.loads(loud.stdout)["data"]


@pytest.fixture
def runs_folder(pytestconfig):
    return pytestconfig.rootpath / RUNS


def test_runs_are_listed_best_first_with_their_intervals(runs_folder, tmp_path):
    document = json.loads(kineme("runs", runs_folder, "--json").stdout)
    figures = [run["top1"] for run in document["runs"]]
    assert len(figures) > 5
    assert figures == sorted(figures, reverse=True)
    assert all(run["interval"][0] <= run["top1"] <= run["interval"][1] for run in document["runs"])
    shown = kineme("runs", runs_folder).stdout
    assert "cannot be compared" in shown  # they were not all tested on the same videos

    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "metrics.json").write_text("{}")
    done = kineme("runs", tmp_path)
    assert done.returncode == 0
    assert "broken" in done.stderr
    assert kineme("runs", tmp_path / "none").returncode == 1


def test_the_cache_is_shown_and_cleared(tmp_path):
    (tmp_path / "strips").mkdir()
    (tmp_path / "strips" / "one.strip").write_bytes(bytes(2000))
    (tmp_path / "mine.txt").write_text("not a cache")
    here = dict.fromkeys(("KINEME_FRAME_CACHE", "KINEME_STRIPS", "KINEME_INSPECTION_CACHE", "KINEME_LOOKS"), "")
    here["KINEME_CACHE"] = str(tmp_path)
    shown = json.loads(kineme("cache", "--json", **here).stdout)
    assert [(one["name"], one["bytes"]) for one in shown["caches"]] == [("strips", 2000)]
    assert kineme("cache", "--clear", "weights", **here).returncode == 2
    assert kineme("cache", "--clear", "all", **here).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_cache_in_a_folder_of_the_users_own_choice_is_not_removed(tmp_path):
    (tmp_path / "mine.txt").write_text("not a cache")
    done = kineme("cache", "--clear", "strips", KINEME_CACHE=str(tmp_path / "c"), KINEME_FRAME_CACHE=str(tmp_path))
    assert done.returncode == 2
    assert "remove it yourself" in done.stderr
    assert (tmp_path / "mine.txt").exists()
