"""The tracker: numbers stay with their people, whatever the detector does. No network is needed."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.models.backbones.movenet import Detections
from kineme.people.colours import colours_of, likeness
from kineme.people.similarity import box_overlaps, points_of, similarity
from kineme.people.tracker import LONGEST_GAP_S, SURE, UNSURE, Tracker

STEP_S = 0.125
# Where the joints of somebody who stands are, in shares of the box.
STANDING = np.array(
    [
        *((0.5, 0.07), (0.55, 0.05), (0.45, 0.05), (0.6, 0.06), (0.4, 0.06)),
        *((0.75, 0.2), (0.25, 0.2), (0.9, 0.35), (0.1, 0.35), (0.95, 0.5), (0.05, 0.5)),
        *((0.65, 0.5), (0.35, 0.5), (0.65, 0.75), (0.35, 0.75), (0.65, 1), (0.35, 1)),
    ],
    np.float32,
)


def body(x: float, y: float = 100.0, height: float = 200.0, width: float = 80.0, score: float = 0.6) -> tuple:
    """Joints, box and score of somebody whose box begins at ``x``, ``y``."""
    joints = np.column_stack([STANDING * (width, height) + (x, y), np.full(17, score)])
    return joints, (x, y, x + width, y + height), score


def look(*people: tuple) -> Detections:
    joints, boxes, scores = zip(*people, strict=True) if people else ((), (), ())
    return Detections(
        np.array(joints, np.float32).reshape(-1, 17, 3),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
    )


def follow(looks: list[Detections]) -> Tracker:
    tracker = Tracker(keeps=True)
    for number, found in enumerate(looks):
        tracker.update(found, number * STEP_S)
    return tracker


def test_two_who_cross_keep_their_numbers():
    looks = [look(body(20 * t), body(600 - 20 * t, 110)) for t in range(30)]
    tracks = follow(looks).tracks()
    assert [track.id for track in tracks] == [1, 2]
    assert tracks[0].boxes_T4[-1, 0] == pytest.approx(580, abs=8)
    assert tracks[1].boxes_T4[-1, 0] == pytest.approx(20, abs=8)


@pytest.mark.parametrize("front", [4, 32])
def test_who_comes_out_of_an_embrace_is_known_by_the_clothes(front):
    """They walk up to each other, are seen as one for some time, and go back, each to the own side."""
    red, blue = np.array([[0.8, 0.1, 0.1, 0.2, 0.2, 0.3], [0.1, 0.1, 0.7, 0.5, 0.5, 0.5]], np.float32)
    together = [([body(300)], [red if t < front else blue]) for t in range(max(8, front))]
    apart = [([body(300 - 24 * t), body(320 + 24 * t)], [red, blue]) for t in range(10)]
    looks = [([body(60 + 24 * t), body(560 - 24 * t)], [red, blue]) for t in range(10)] + together + apart

    def sides(*, with_colours: bool) -> list[float]:
        tracker = Tracker(keeps=True)
        for number, (bodies, colours) in enumerate(looks):
            tracker.update(look(*bodies), number * STEP_S, np.stack(colours) if with_colours else None)
        return [track.boxes_T4[-1, 0] for track in tracker.tracks()]

    if front == 4:
        first, second = sides(with_colours=False)
        assert second < 150 < 500 < first, "by their places alone the two are taken for each other"
    else:
        assert len(sides(with_colours=False)) == 3, "who is not seen for four seconds is somebody new"
    first, second = sides(with_colours=True)
    assert first < 150 < 500 < second


def test_two_who_are_taken_for_each_other_are_exchanged_once_they_stand_apart():
    """They go back, each to the own side; by their speed each would be expected on the other."""
    red, blue = np.array([[0.8, 0.1, 0.1, 0.2, 0.2, 0.3], [0.1, 0.1, 0.7, 0.5, 0.5, 0.5]], np.float32)
    looks = [([body(60 + 24 * t), body(560 - 24 * t)], [red, blue]) for t in range(10)]
    looks += [([body(290), body(310)], [(red + blue) / 2] * 2) for _ in range(8)]
    looks += [([body(290 - 24 * t), body(310 + 24 * t)], [red, blue]) for t in range(10)]
    tracker, nobody = Tracker(keeps=True), np.full((2, 6), np.nan, np.float32)
    for number, (bodies, colours) in enumerate(looks):
        tracker.update(look(*bodies), number * STEP_S, np.stack(colours))
    first, second = tracker.tracks()
    assert first.boxes_T4[-1, 0] < 150 < 450 < second.boxes_T4[-1, 0]
    assert (np.abs(np.diff(first.boxes_T4[:, 0])) < 120).all(), "soon, while they are still close"
    tracker = Tracker(keeps=True)
    for number, (bodies, _) in enumerate(looks):
        tracker.update(look(*bodies), number * STEP_S, nobody)
    first, second = tracker.tracks()
    assert second.boxes_T4[-1, 0] < 150 < 450 < first.boxes_T4[-1, 0], "nobody knows what they wear"


def test_colours_are_those_of_torso_and_thighs_and_unknown_where_joints_are_hidden():
    frame = np.zeros((400, 300, 3), np.uint8)
    frame[140:200], frame[200:300] = (200, 0, 0), (0, 0, 100)
    seen, hidden = body(100), body(100, score=0.1)
    colours_P6 = colours_of(frame, look(seen, hidden))
    assert colours_P6[0] * 255 == pytest.approx([200, 0, 0, 0, 0, 100], abs=12)
    assert np.isnan(colours_P6[1]).all()
    same, other, unknown = likeness(colours_P6[0], np.stack([colours_P6[0], colours_P6[0][::-1], colours_P6[1]]))
    assert same == pytest.approx(1)
    assert other < 0.4
    assert unknown == 0.5


@pytest.mark.parametrize("gap", [1, 4, 8])
def test_who_is_hidden_while_walking_is_the_same_person_behind(gap):
    looks = [look(body(12 * t)) if not 10 <= t < 10 + gap else look() for t in range(30)]
    (track,) = follow(looks).tracks()
    assert len(track.times_T) == 30
    assert np.flatnonzero(track.scores_T == 0).tolist() == list(range(10, 10 + gap))
    assert (track.joints_TJC[10 : 10 + gap, :, 2] == 0).all()
    assert np.abs(np.diff(track.boxes_T4[:, 0])).max() < 12 * (gap + 1), "the box stays near while nobody is seen"


def test_who_is_away_for_long_is_somebody_new():
    away = round(LONGEST_GAP_S / STEP_S) + 1
    looks = [look(body(50))] * 5 + [look()] * away + [look(body(50))] * 5
    first, second = follow(looks).tracks()
    assert (first.id, second.id) == (1, 2)
    assert first.end_s == 4 * STEP_S, "rows after somebody was last seen are no part of a track"


def test_an_unsure_detection_continues_a_track_and_begins_none():
    unsure = (SURE + UNSURE) / 2
    assert follow([look(body(50, score=unsure))] * 5).tracks() == ()
    (track,) = follow([look(body(50))] * 3 + [look(body(50, score=unsure))] * 5).tracks()
    assert (track.scores_T > 0).all()
    (track,) = follow([look(body(50))] * 3 + [look(body(50, score=UNSURE / 2))] * 5).tracks()
    assert len(track.times_T) == 3


def test_a_detection_of_one_frame_is_nobody_unless_it_is_very_sure():
    assert follow([look(), look(body(50, score=0.35)), look(), look()]).tracks() == ()
    (track,) = follow([look(), look(body(50, score=0.9)), look(), look()]).tracks()
    assert track.times_T.tolist() == [STEP_S]


def test_people_who_come_and_go_have_their_own_times():
    looks = [look(*([body(0)] if t < 12 else []), *([body(400)] if t >= 8 else [])) for t in range(20)]
    first, second = follow(looks).tracks()
    assert (first.start_s, first.end_s) == (0, 11 * STEP_S)
    assert (second.start_s, second.end_s) == (8 * STEP_S, 19 * STEP_S)


def test_a_cut_ends_all_tracks():
    tracker = Tracker(keeps=True)
    for time_s in (0.0, 0.1, 5.0, 5.1, 1.0, 1.1):  # a gap, then a step back
        tracker.update(look(body(50)), time_s)
    assert [(track.id, len(track.times_T)) for track in tracker.tracks()] == [(1, 2), (2, 2), (3, 2)]


def test_a_live_tracker_says_what_a_file_has_and_keeps_nothing():
    looks = [look(body(10 * t), *([body(400)] if t % 7 else [])) for t in range(40)]
    live, said = Tracker(), {}
    for number, found in enumerate(looks):
        for person in live.update(found, number * STEP_S):
            said[person.id, number * STEP_S] = person
    assert live.tracks() == ()
    for track in follow(looks).tracks():
        for time_s, joints_JC, box_4, score in zip(
            track.times_T.tolist(), track.joints_TJC, track.boxes_T4, track.scores_T.tolist(), strict=True
        ):
            person = said[track.id, time_s]
            assert np.array_equal(person.joints_JC, joints_JC)
            assert np.array_equal(person.box_4, box_4)
            assert person.score == pytest.approx(score)


def test_smoothing_calms_who_stands_and_does_not_hold_back_who_runs():
    rng = np.random.default_rng(0)
    shaky = [look(body(100 + rng.normal(0, 3), 100 + rng.normal(0, 3))) for _ in range(40)]
    (track,) = follow(shaky).tracks()
    raw = np.std([one.joints_PJC[0, 0, 0] for one in shaky])
    assert np.std(track.joints_TJC[10:, 0, 0]) < 0.8 * raw
    (runner,) = follow([look(body(40 * t)) for t in range(20)]).tracks()
    assert runner.boxes_T4[-1, 0] == pytest.approx(40 * 19, abs=12)


def test_similarity_is_1_for_the_same_and_0_for_somebody_far_away():
    found = look(body(100), body(110), body(500))
    points_PX2 = points_of(found)
    same, near, far = similarity(points_PX2[0], points_PX2, found.joints_PJC[0, :, 2])
    assert same == pytest.approx(1.0)
    assert 0.5 < near < 0.95
    assert far < 0.01
    assert box_overlaps(points_PX2[0, 17:], points_PX2[:, 17:]).tolist() == pytest.approx([1.0, 70 / 90, 0.0])
