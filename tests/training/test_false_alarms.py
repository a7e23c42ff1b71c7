"""False alarms an hour of background: counted on videos whose windows are made up."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.prediction.result import Segment
from kineme.training.false_alarms import trigger_metrics
from kineme.training.timelines import LabelledVideo, ScoredVideo


def scored(*shown: tuple[float, float, int, float], throughout: bool = True, known: bool = True) -> ScoredVideo:
    """A video of 100 s, with "a" from 20 to 30 s and "b" from 60 to 70 s; it shows (from, to, label, probability)."""
    times_W = np.arange(0, 100, 0.25)
    probabilities_WK = np.full((len(times_W), 2), 0.4)
    for begin_s, end_s, label, value in shown:
        probabilities_WK[(times_W >= begin_s) & (times_W < end_s), label] = value
    true = (Segment(20, 30, "a", 1.0), Segment(60, 70, "b", 1.0))
    video = LabelledVideo("v.mp4", "v.mp4", "v", true, throughout)
    return ScoredVideo(video, 100.0, times_W, probabilities_WK, None if known else np.full(len(times_W), -1.0))


def test_false_alarms_are_counted_by_the_hour_of_background_at_each_threshold():
    one = scored((20.5, 29, 0, 0.99), (60, 70, 0, 0.75), (80, 82, 1, 0.85))  # found, the wrong label, nothing there
    other = scored((10, 12, 1, 0.65), (19.25, 25, 0, 0.65))
    found = trigger_metrics([one, other], ("a", "b"))
    assert (found["videos"], found["groups"], found["actions"]) == (2, 1, 4)
    assert found["background_hours"] == pytest.approx(160 / 3600)
    rows = {row["threshold"]: row for row in found["thresholds"]}
    assert {threshold: row["false_alarms"] for threshold, row in rows.items()} == {
        0.5: 3,
        0.6: 3,
        0.7: 2,
        0.8: 1,
        0.9: 0,
        0.95: 0,
    }
    assert {threshold: row["found"] for threshold, row in rows.items()} == {
        0.5: 0.5,
        0.6: 0.5,
        0.7: 0.25,
        0.8: 0.25,
        0.9: 0.25,
        0.95: 0.25,
    }
    assert rows[0.7]["per_hour"] == pytest.approx(2 * 3600 / 160)
    low, high = rows[0.7]["per_hour_interval"]
    assert (low * 160 / 3600, high * 160 / 3600) == pytest.approx((0.2422, 7.2247), abs=1e-3)  # Garwood's, of 2
    assert rows[0.9]["per_hour_interval"][0] == 0
    assert rows[0.9]["per_hour_interval"][1] == pytest.approx(3.689 * 3600 / 160, rel=1e-3)


def test_only_videos_that_are_labelled_throughout_tell_of_false_alarms():
    assert trigger_metrics([scored(throughout=False)], ("a", "b")) is None
    assert trigger_metrics([], ("a", "b")) is None


def test_what_is_refused_as_unknown_is_no_alarm():
    found = trigger_metrics([scored((80, 82, 1, 0.99), known=False)], ("a", "b"))
    assert [row["false_alarms"] for row in found["thresholds"]] == [0] * 6
