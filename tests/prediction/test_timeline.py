"""Windows become segments: where they begin and end, what is too short, what is background."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kineme.prediction.timeline import Timeline, TimelineSettings, segments

LABELS = ("wave", "squat")
STEP_S = 0.125


def curve(*parts: tuple[float, str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, probabilities and open-set scores of windows every eighth of a second; parts are seconds, label, score."""
    rows, known = [], []
    for seconds, label, value in parts:
        count = round(seconds / STEP_S)
        rows += [[0.9, 0.1] if label == "wave" else [0.1, 0.9]] * count
        known += [value] * count
    return STEP_S * (0.5 + np.arange(len(rows))), np.array(rows), np.array(known)


def told(found) -> list[tuple[float, float, str]]:
    return [(round(one.start_s, 3), round(one.end_s, 3), one.label) for one in found]


def test_actions_and_pauses_are_told_apart_with_borders_where_the_open_set_score_changes():
    times, rows, known = curve((2, "wave", -5), (3, "wave", 5), (2, "squat", -5), (3, "squat", 5), (2, "wave", -5))
    found = segments(times, rows, known, LABELS, 12.0)
    assert [one.label for one in found] == ["background", "wave", "background", "squat", "background"]
    borders = [one.end_s for one in found]
    assert borders == pytest.approx([2, 5, 7, 10, 12], abs=0.26)
    assert found[0].start_s == 0
    assert all(one.end_s == other.start_s for one, other in itertools.pairwise(found))
    assert found[1].confidence == pytest.approx(0.9, abs=0.05)
    assert found[0].confidence > 0.9


def test_without_smoothing_borders_lie_halfway_between_two_windows():
    times, rows, known = curve((1, "wave", 5), (1, "squat", 5))
    found = segments(times, rows, known, LABELS, 2.0, TimelineSettings(smooth_s=0))
    assert told(found) == [(0, 1, "wave"), (1, 2, "squat")]


def test_hysteresis_an_action_lasts_down_to_the_lower_threshold_but_begins_at_the_upper_alone():
    settings = TimelineSettings(smooth_s=0, margin=1.0)
    times, rows, known = curve((1, "wave", -5), (1, "wave", -0.5), (1, "wave", 2), (1, "wave", -0.5), (1, "wave", -5))
    assert told(segments(times, rows, known, LABELS, 5.0, settings)) == [
        (0, 1, "background"),
        (1, 4, "wave"),
        (4, 5, "background"),
    ]
    times, rows, known = curve((1, "wave", -5), (2, "wave", -0.5), (2, "wave", -5))
    assert told(segments(times, rows, known, LABELS, 5.0, settings)) == [(0, 5, "background")]


def test_an_action_begins_at_the_onset_where_one_was_chosen():
    settings = TimelineSettings(smooth_s=0, margin=1.0, onset=3.0)
    times, rows, known = curve((1, "wave", 2.9), (1, "wave", 2.5), (1, "wave", 3.5), (1, "wave", 2.5), (1, "wave", 1.5))
    assert told(segments(times, rows, known, LABELS, 5.0, settings)) == [(0, 4, "wave"), (4, 5, "background")]
    times, rows, known = curve((1, "wave", 0.5), (1, "wave", 2.5), (3, "wave", 0.5))  # known, but below the onset
    assert told(segments(times, rows, known, LABELS, 5.0, settings)) == [(0, 5, "background")]


def test_settings_with_and_without_an_onset_are_read_as_they_were_written():
    for settings in (TimelineSettings(margin=0.5), TimelineSettings(onset=-2.5)):
        assert TimelineSettings.from_json(settings.to_json()) == settings
    assert "onset" not in TimelineSettings().to_json()  # older versions read such files
    with pytest.raises(ValueError, match="onset"):
        TimelineSettings(onset=-2000)


@pytest.mark.parametrize("known_then", [-5.0, 5.0])
def test_what_does_not_last_is_given_to_what_goes_on_around_it(known_then):
    settings = TimelineSettings(smooth_s=0, shortest_s=0.5)
    moment = (0.375, "squat", known_then)
    times, rows, known = curve((2, "wave", 5), moment, (2, "wave", 5))
    assert told(segments(times, rows, known, LABELS, 4.375, settings)) == [(0, 4.375, "wave")]
    times, rows, known = curve((2, "wave", 5), (0.5, "squat", known_then), (2, "wave", 5))
    assert len(segments(times, rows, known, LABELS, 4.5, settings)) == 3


def test_a_moment_at_the_beginning_or_the_end_is_no_segment():
    settings = TimelineSettings(smooth_s=0, shortest_s=0.5)
    times, rows, known = curve((0.25, "squat", 5), (2, "wave", 5), (0.25, "squat", 5))
    assert told(segments(times, rows, known, LABELS, 2.5, settings)) == [(0, 2.5, "wave")]


def test_one_window_is_one_segment_and_none_is_none():
    for known, label in ((0.1, "squat"), (-0.1, "background"), (None, "squat")):
        known_W = None if known is None else [known]
        for duration_s in (0.1, 2.5):
            found = segments([duration_s / 2], [[0.3, 0.7]], known_W, LABELS, duration_s)
            assert told(found) == [(0, duration_s, label)]
    assert segments([], np.empty((0, 2)), None, LABELS, 1.0) == ()
    assert Timeline(LABELS).current is None


def test_a_class_called_background_is_background():
    times, rows, _ = curve((2, "wave", 0), (2, "squat", 0))
    found = segments(times, rows, None, ("wave", "Background"), 4.0)
    assert [one.label for one in found] == ["wave", "background"]
    assert [one.is_background for one in found] == [False, True]


def test_online_gives_the_same_segments_as_the_whole_and_soon_after_they_end():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.02, 0.3, 400))
    slow = np.convolve(rng.normal(0, 1, 430), np.ones(31) / 6, "valid")
    rows = np.stack([0.5 + np.clip(slow, -1, 1) / 2, 0.5 - np.clip(slow, -1, 1) / 2], axis=1)
    known = 3 * np.convolve(rng.normal(0, 1, 420), np.ones(21) / 5, "valid")
    whole = segments(times, rows, known, LABELS, times[-1] + 1)
    assert 10 < len(whole) < 200
    settings = TimelineSettings()
    timeline, found = Timeline(LABELS, settings), []
    for time_s, row, one in zip(times, rows, known, strict=True):
        over = timeline.push(time_s, row, one)
        for segment in over:
            assert segment.end_s < time_s
        found += over
        if found:  # what goes on begins where the last one ended
            assert timeline.current is not None
            assert timeline.current.start_s == found[-1].end_s
    found += timeline.close(times[-1] + 1)
    assert tuple(found) == whole
    assert {one.label for one in whole} == {"wave", "squat", "background"}


def test_a_steady_stream_is_told_without_delay_beyond_the_stated_one():
    times, rows, known = curve((2, "wave", 5), (4, "squat", 5))
    settings = TimelineSettings(smooth_s=0.5, shortest_s=0.5)
    timeline = Timeline(LABELS, settings)
    over = [
        (time_s, one)
        for time_s, row, value in zip(times, rows, known, strict=True)
        for one in timeline.push(time_s, row, value)
    ]
    ((told_s, one),) = over
    assert one.label == "wave"
    assert told_s - one.end_s <= 0.25 + 0.5 + 2 * STEP_S
