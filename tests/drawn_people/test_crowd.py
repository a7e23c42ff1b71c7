"""Scenes of several drawn people: the same from the same seed, and where their truth says."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from drawn_people.crowd import Scene, SceneFilm
from drawn_people.make import make_dataset
from kineme.errors import UsageError

NAMES = ("kick", "walk", "wave")


def test_a_scene_is_drawn_again_to_the_pixel_and_people_are_where_the_truth_says() -> None:
    scene = Scene.draw(3, 1, 1, 3, NAMES, (180, 320), 0.5)
    film = SceneFilm(scene)
    shown = [next(SceneFilm(one).frames()) for one in (scene, Scene.draw(3, 1, 1, 3, NAMES, (180, 320), 0.5))]
    assert np.array_equal(*shown)
    assert film.boxes_PT4.shape == (3, len(film.times_T), 4)
    heights = film.boxes_PT4[:, 0, 3] - film.boxes_PT4[:, 0, 1]
    assert ((heights > 60) & (heights < 140)).all()
    assert len({member.person.number for member in scene.members}) == 3
    without = Scene(scene.members[:1], scene.shot, scene.duration_s, scene.seed)
    changed_HW = (shown[0] != next(SceneFilm(without).frames())).mean(axis=2) > 0.5
    x0, y0, x1, y1 = film.boxes_PT4[1, 0].astype(int)
    assert changed_HW[y0:y1, x0:x1].mean() > 0.3


def test_each_person_has_an_own_script_and_a_cast_comes_twice() -> None:
    one, two, other = (Scene.draw(3, cast, take, 2, NAMES, (180, 320), 0.5) for cast, take in ((1, 1), (1, 2), (2, 1)))
    cast = [{member.person.number for member in scene.members} for scene in (one, two, other)]
    assert cast[0] == cast[1]
    assert not cast[0] & cast[2]
    assert one.members[0].script.segments != one.members[1].script.segments


def test_the_set_has_scenes_only_where_they_are_asked_for(tmp_path: Path) -> None:
    small = {"clips": 2, "people": 2, "actions": NAMES[:2], "untrimmed": 0, "width": 96, "height": 64, "workers": 1}
    make_dataset(tmp_path / "without", **small)
    make_dataset(tmp_path / "with", **small, scenes=1, people_per_scene=2)
    clips = [
        [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((tmp_path / name).glob("*/person*"))]
        for name in ("without", "with")
    ]
    assert clips[0] == clips[1]
    assert not (tmp_path / "without" / "scenes").exists()
    assert "scenes" not in (tmp_path / "without" / "synthetic.json").read_text()
    with (tmp_path / "with" / "scenes" / "segments.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows} <= {"cast01_01.mp4"}
    assert all(len(row["person_box"].split()) == 4 and row["labelled_throughout"] == "yes" for row in rows)
    with pytest.raises(UsageError, match="2 to 4 people"):
        make_dataset(tmp_path / "wrong", **small, scenes=1, people_per_scene=7)
