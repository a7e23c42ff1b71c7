"""The place without its people: drawn people of other looks in the same place leave the same picture."""

from __future__ import annotations

import os
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from helpers_people import frames as people_frames

from drawn_people.actions import BY_NAME
from drawn_people.render import Person, Shot, frames
from drawn_people.script import clip_script
from kineme.models import person_mask as network
from kineme.models import weights
from kineme.models.person_mask import PersonMask
from kineme.training.places import Backgrounds, background, person_mask, scene_without_people


@pytest.fixture(scope="module")
def mask() -> PersonMask:
    """The network; where it is not on this machine it is fetched in CI only."""
    name = network.WEIGHTS.name
    if (weights.pull(name) if os.environ.get("CI") else weights.find(name)) is None:
        pytest.skip(f"needs the person mask: kineme models pull {name}")
    found = person_mask()
    assert found is not None
    return found


def wave(*, person: int = 1, colour: tuple[int, int, int] | None = None) -> np.ndarray:
    """A clip of somebody who stays in one spot, frames_THWC, perhaps dressed in one colour."""
    who = Person.draw(5, person)
    if colour:
        look = who.appearance
        worn = {one.name: colour for one in fields(look) if one.name in ("top", "accent", "legs", "shoes", "hair")}
        who = replace(who, appearance=replace(look, **worn))
    rng = np.random.default_rng(person)
    script = clip_script(BY_NAME["wave"], who.style, 3.0, rng)
    shot = replace(Shot.draw(rng, 180, 240), pan=(0.0, 0.0), noise=1.0)
    return np.stack(list(frames(who, script, shot, 3.0, np.random.default_rng(0))))


def test_the_place_does_not_tell_what_people_wear(mask):
    red, blue = wave(colour=(230, 30, 30)), wave(colour=(30, 60, 220))
    as_median, masked = (np.linalg.norm(background(red, one) - background(blue, one)) for one in (None, mask))
    assert masked < as_median / 2
    assert np.linalg.norm(background(red, mask) - background(wave(person=2), mask)) > 2 * masked  # another place


def test_cells_that_people_always_hide_count_for_nothing(mask):
    frames_THWC = wave()
    hidden = np.stack([mask.find(frame) for frame in frames_THWC]).all(axis=0)
    assert hidden.any()
    rows, columns = (round(places.mean()) for places in np.nonzero(hidden))
    picture = background(frames_THWC, mask).reshape(12, 16, 3)
    assert not np.isnan(picture).any()
    assert not picture[rows * 12 // hidden.shape[0], columns * 16 // hidden.shape[1]].any()
    assert picture.any()


def test_the_picture_of_a_place_shows_it_behind_somebody_who_steps_aside(mask):
    ground = np.random.default_rng(0).integers(0, 120, (12, 21, 3), np.uint8)
    place = cv2.resize(ground, (426, 240), interpolation=cv2.INTER_CUBIC)
    film = []
    for frame in people_frames([lambda s: 0.1 if s < 0.7 else 0.5], 1.0):
        film.append(np.where((frame == 128).all(axis=2)[..., None], place, frame))
    frames_THWC = np.stack(film)  # the median alone shows who stays for five of eight frames
    alone, masked = (
        np.abs(one.astype(float) - place).mean()
        for one in (np.median(frames_THWC, axis=0), scene_without_people(frames_THWC, mask))
    )
    assert masked < alone / 2


def test_backgrounds_are_kept_and_are_the_same_again(mask, tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path))
    made = Backgrounds(mask)(wave())
    (kept,) = (tmp_path / "backgrounds").glob("*.f32")
    assert np.array_equal(made, background(wave(), mask))
    assert np.array_equal(Backgrounds(mask)(wave()), made)
    kept.write_bytes(b"cut off")
    assert np.array_equal(Backgrounds(mask)(wave()), made)


def test_without_the_weights_it_is_the_median_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path))
    assert person_mask() is None
    assert Backgrounds(None).without == "movement"
    clip = wave()
    assert np.array_equal(Backgrounds(None)(clip), background(clip))
    assert not (tmp_path / "backgrounds").exists()
