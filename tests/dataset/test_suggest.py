"""A guess of the groups from what the check sees: a table to correct and then to train on."""

from __future__ import annotations

import shutil

import pytest
from helpers_dataset import kineme
from helpers_scenes import save, scene, scenes_of_people

from kineme.dataset.scan import scan


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return scenes_of_people(tmp_path_factory.mktemp("people") / "set", 3)


def groups_of(path):
    """File name without its suffix to group and reason."""
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    assert [row[0] for row in rows] != []
    return {row[0].split("/")[-1].split(".")[0]: (row[2], row[5]) for row in rows}


def test_videos_of_one_place_are_guessed_to_be_a_group_where_no_name_says_so(people, tmp_path):
    data, table = tmp_path / "set", tmp_path / "tables" / "groups.csv"
    for video in people.glob("*/*.mp4"):  # no rule knows these names
        (data / video.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(video, data / video.parent.name / video.name.replace("person", "take-"))
    done = kineme("check", data, "-o", tmp_path / "page.html", "--write-groups", table)
    assert done.returncode == 0, done.stderr
    assert f"kineme train {table}" in done.stdout
    found = groups_of(table)
    assert {name: found[f"{name}_left"] == found[f"{name}_right"] for name in ("take-00", "take-01", "take-02")} == (
        dict.fromkeys(("take-00", "take-01", "take-02"), True)
    )
    assert {reason for _, reason in found.values()} == {"the same place"}
    again = scan(table)  # it is a table like any other, and its paths lead to the videos
    assert len(again) == 6
    assert again.rows["group"].n_unique() == 3


def test_people_who_are_known_stay_apart_in_one_room_but_not_in_one_recording(people, tmp_path):
    data, table = tmp_path / "set", tmp_path / "groups.csv"
    shutil.copytree(people, data)
    save(data / "left" / "person40_left.mp4", scene(1, take=7))  # another person in the room of person01
    shutil.copyfile(data / "left" / "person02_left.mp4", data / "left" / "person50_left.mp4")
    kineme("check", data, "-o", tmp_path / "page.html", "--write-groups", table)
    found = groups_of(table)
    assert found["person40_left"] == ("person40", "its name or table")
    assert found["person50_left"] == ("person02", "the same recording")
    assert found["person01_left"][0] == found["person01_right"][0] == "person01"
