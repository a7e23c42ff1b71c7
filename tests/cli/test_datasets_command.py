"""``kineme datasets``: public sets, cutting long videos, and a look at a set, as a user meets them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import cv2
import pytest
from helpers_archives import write_zip
from helpers_video import numbered_video

from kineme.cli.main import main
from kineme.dataset.scan import scan


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    for of, first in ((1, 1), (2, 11)):
        names = [f"segmented_set{of}/{n}_{first + n}_{label}.avi" for n in range(3) for label in range(6)]
        write_zip(folder / f"ut-interaction_segmented_set{of}.zip", {name: name.encode() for name in names})
    return folder


@pytest.fixture
def kineme(monkeypatch, capsys):
    """Runs the command in this process; gives its exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["kineme", "datasets", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=said.out, stderr=said.err)

    return run


def test_list_tells_terms_and_pages(kineme):
    sets = {one["name"]: one for one in json.loads(kineme("list", "--json").stdout)}
    assert set(sets) == {"ucf11", "ucf50", "ucf101", "hmdb51", "kth", "weizmann", "ut-interaction"}
    assert all(one["terms"] and one["citation"] and one["page"].startswith("https://") for one in sets.values())
    assert "ucf101" in kineme("list").stdout


def test_nothing_is_fetched_without_consent(kineme, tmp_path):
    done = kineme("get", "ucf101", tmp_path / "out")
    assert done.returncode == 2
    for part in ("about 6.9 GB", "no licence is stated", "Soomro", "https://www.crcv.ucf.edu/data/UCF101.php"):
        assert part in done.stderr
    assert done.stderr.splitlines()[-1].endswith("add --yes to fetch ucf101 without being asked")
    assert not (tmp_path / "out").exists()


def test_archives_fetched_by_hand_become_a_table(kineme, archives, tmp_path):
    done = kineme("get", "UT-Interaction", tmp_path, "--from", archives, "--classes", "hug, kick", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["found"], found["labels"]) == (12, ["hug", "kick"])
    assert scan(found["tables"]["clips"]).labels == ("hug", "kick")
    again = kineme("get", "ut-interaction", tmp_path, "--from", archives)
    assert f"kineme compare {tmp_path}/set1.csv --leave-one-group-out" in again.stdout
    assert len(scan(tmp_path)) == 36


def test_a_long_video_is_cut_and_looked_at(kineme, tmp_path):
    video = numbered_video(tmp_path / "party.mp4", 75, options={"g": "25", "bf": "0", "sc_threshold": "0"})
    (tmp_path / "stamps.txt").write_text("0:00 jump\n0:01 sit down\n0:02.5\n")
    done = kineme("split", video, tmp_path / "stamps.txt", "--out", tmp_path / "clips", "--json")
    assert done.returncode == 0, done.stderr
    clips = json.loads(done.stdout)["clips"]
    assert [(one["label"], one["frames"], one["copied"]) for one in clips] == [
        ("jump", 25, True),
        ("sit down", 38, True),
    ]
    sheet = tmp_path / "sheet.png"
    done = kineme("preview", tmp_path / "clips", "--out", sheet, "--columns", "4")
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(sheet)).shape[0] > 2 * 96
    wrong = kineme("split", video, tmp_path / "missing.csv", "--out", tmp_path / "clips")
    assert (wrong.returncode, "missing.csv: cannot be read" in wrong.stderr) == (1, True)
