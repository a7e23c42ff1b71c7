"""What counts as found, missed and invented."""

from __future__ import annotations

import pytest

from kineme.prediction.result import Segment
from kineme.prediction.segment_score import SegmentScore, score_segments


def spans(*parts: tuple[float, float, str]) -> list[Segment]:
    return [Segment(*part, 1.0) for part in parts]


TRUE = spans((1, 3, "wave"), (5, 6, "squat"))


def test_equal_segments_are_perfect_and_nothing_at_all_finds_nothing():
    score = score_segments(TRUE, spans((0, 1, "background"), *((s.start_s, s.end_s, s.label) for s in TRUE)), 8.0)
    assert (score.true_positives, score.false_negatives, score.false_positives, score.f1) == (2, 0, 0, 1.0)
    assert (score.pause_share, score.right_share) == (1.0, 1.0)
    score = score_segments(TRUE, spans((0, 8, "background")), 8.0)
    assert (score.true_positives, score.false_negatives, score.false_positives, score.f1) == (0, 2, 0, 0.0)
    assert (score.pause_share, score.right_share) == (1.0, 0.0)


def test_half_of_the_union_is_enough_and_less_is_not():
    assert score_segments(TRUE[:1], spans((1, 2, "wave")), 8.0).true_positives == 1
    assert score_segments(TRUE[:1], spans((1, 1.9, "wave")), 8.0).true_positives == 0
    assert score_segments(TRUE[:1], spans((1, 3, "squat")), 8.0).true_positives == 0


def test_one_action_is_found_once_and_time_is_counted():
    score = score_segments(TRUE, spans((0.5, 2.5, "wave"), (2.5, 4.0, "wave")), 8.0)
    assert (score.true_positives, score.false_negatives, score.false_positives) == (1, 1, 1)
    assert score.right_s == pytest.approx(2.0)
    assert score.pause_s == pytest.approx(5.0)
    assert score.background_s == pytest.approx(3.5)
    both = score + score
    assert (both.true_positives, both.pause_s, both.f1) == (2, 10.0, score.f1)
    assert SegmentScore().f1 == 0
