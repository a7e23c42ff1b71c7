"""The drawn people: joints keep their lengths and the floor, pairs differ by order alone, and movement can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from drawn_people.actions import BY_NAME
from drawn_people.body import skeleton
from drawn_people.make import ACTIONS
from drawn_people.render import Person, Shot, frames
from drawn_people.scene import PLACES, background
from drawn_people.script import Style, clip_script, draw_sway, untrimmed_script
from kineme.video.spec import ClipSpec


def body_of(name: str, number: int, duration_s: float = 3.0, fps: float = 25.0, spec: ClipSpec | None = None):
    """A person doing the action: all frames of a video, or those that a clip spec's ticks show."""
    rng = np.random.default_rng([number, ACTIONS.index(name)])
    person = Person.draw(0, number % 20)
    script = clip_script(BY_NAME[name], person.style, duration_s, rng)
    times = np.arange(round(duration_s * fps)) / fps
    if spec is not None:
        ticks = np.arange(spec.tick_count(len(times) / fps)) * spec.step_s(len(times) / fps)
        times = np.floor(ticks * fps + 1e-6) / fps
    return person, skeleton(person.build, script.angles(times, draw_sway(rng)))


@pytest.mark.parametrize("name", ACTIONS)
def test_bones_keep_their_length_and_feet_the_floor(name):
    person, body = body_of(name, 3, fps=30)
    build = person.build
    for side in ("l_", "r_"):
        for start, end, length in (
            ("shoulder", "elbow", build.upper_arm),
            ("elbow", "wrist", build.forearm),
            ("hip", "knee", build.thigh),
            ("knee", "ankle", build.shank),
        ):
            bone = np.linalg.norm(body.joints[side + end] - body.joints[side + start], axis=1)
            np.testing.assert_allclose(bone, length, rtol=1e-3)
    lowest = np.min([body.joints[side + part][:, 1] for side in ("l_", "r_") for part in ("heel", "toe")], axis=0)
    assert lowest.min() > 0
    assert lowest.min() < 0.06
    if name not in ("jumping-jack", "run"):
        assert lowest.max() < 0.06


def test_a_walking_foot_does_not_slip():
    _, body = body_of("walk", 1, fps=60)
    assert np.linalg.norm(body.joints["pelvis"][-1] - body.joints["pelvis"][0]) > 1.0
    for side in ("l_", "r_"):
        ankle = body.joints[side + "ankle"]
        other = body.joints[("r_" if side == "l_" else "l_") + "ankle"]
        planted = (other[1:, 1] - ankle[1:, 1] > 0.09) & (other[:-1, 1] - ankle[:-1, 1] > 0.09)
        speed = np.linalg.norm(np.diff(ankle[:, [0, 2]], axis=0), axis=1) * 60
        assert planted.sum() > 20
        assert speed[planted].max() < 0.1  # metres a second, of a body that does about one


@pytest.mark.parametrize("pair", [("sit-down", "stand-up"), ("pick-up", "put-down")], ids="-".join)
def test_pairs_differ_by_the_order_of_frames_alone(pair):
    """What a frame shows, here the height of the head over the floor, is alike in both, but runs the other way."""
    duration = np.random.default_rng(0).uniform(2.4, 3.6, 200)
    heads = {name: [] for name in pair}
    for name in pair:
        for number in range(200):
            person, body = body_of(name, number, duration[number], spec=ClipSpec())
            heads[name].append((body.joints["head"][:, 1] + body.hands[:, 1]) / person.build.stature)
    for statistic in (np.mean, np.median, np.std, lambda height: (height > height.mean()).mean()):
        first, second = (np.array([statistic(height) for height in heads[name]]) for name in pair)
        error = np.sqrt(first.var() / 200 + second.var() / 200)
        assert abs(first.mean() - second.mean()) < 3.5 * error
    falls = [[height[-1] < height[0] for height in heads[name]] for name in pair]
    assert np.mean(falls[0]) in (0.0, 1.0)
    assert np.mean(falls[1]) == 1 - np.mean(falls[0])


@pytest.mark.parametrize("name", ACTIONS)
def test_the_movement_can_be_seen_at_the_size_a_network_sees(name):
    import cv2

    rng = np.random.default_rng(ACTIONS.index(name))
    person = Person.draw(0, 1)
    script = clip_script(BY_NAME[name], person.style, 2.4, rng)
    frames_THWC = np.stack(list(frames(person, script, Shot.draw(rng, 120, 160), 8, rng)))
    assert frames_THWC.shape == (19, 120, 160, 3)
    assert frames_THWC.dtype == np.uint8
    seen = np.stack([cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in frames_THWC]).astype(float)
    spread = seen.std(axis=0).max(axis=-1)
    assert (spread > 20).sum() > 15  # of 4,096 pixels


def test_a_standing_person_fills_the_picture_as_promised():
    rng = np.random.default_rng(0)
    for number in range(30):
        person, shot = Person.draw(0, number), Shot.draw(rng, 240, 320)
        feet_and_head = np.array([[0.0, 0.0, 0.0], [0.0, person.build.stature, 0.0]])
        (_, feet), (_, head) = shot.camera(person.build.stature).project(feet_and_head)[0]
        assert 0.55 <= (feet - head) / 240 <= 0.85
        assert 0 < head < feet < 240


def test_places_differ_and_stay_the_same_for_their_person():
    shot = Shot.draw(np.random.default_rng(0), 120, 160)
    pictures = [background(place, (0, 2, 1), shot.camera(1.7), 120, 160).astype(int) for place in range(len(PLACES))]
    np.testing.assert_array_equal(pictures[0], background(0, (0, 2, 1), shot.camera(1.7), 120, 160))
    for first in range(len(PLACES)):
        for second in range(first):
            assert np.abs(pictures[first] - pictures[second]).mean() > 15


@pytest.mark.parametrize("names", [ACTIONS, ("stand-up",), ("push-up", "run"), ("drink", "throw", "put-down")])
def test_untrimmed_scripts_keep_their_promises_for_any_actions(names):
    for number in range(25):
        rng = np.random.default_rng(number)
        script = untrimmed_script(names, Style.draw(rng), rng)
        assert 20 <= script.duration_s <= 42
        assert 4 <= len(script.segments) <= 7
        assert {label for _, _, label in script.segments} <= set(names)
        times = [time for time, _ in script.keys]
        assert (np.diff(times) > 0).all()
        assert times[0] <= 0
        assert times[-1] >= script.duration_s
        for (_, end, _), (start, _, _) in zip(script.segments, script.segments[1:], strict=False):
            assert start - end >= 1.49
