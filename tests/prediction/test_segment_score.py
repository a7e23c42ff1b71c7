"""What counts as found, missed and invented, and how sure the shares of many videos are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kineme.prediction.result import Segment
from kineme.prediction.segment_score import ScoredVideo, SegmentScore, score_segments, segment_metrics


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


def many(predicted_of, videos=12):
    """Videos of six people, two each, with ten actions of three labels in a minute."""
    rng = np.random.default_rng(0)
    for number in range(videos):
        labels = rng.choice(["wave", "squat", "clap"], 10)
        true = spans(*((6.0 * k + 1, 6.0 * k + 3, str(label)) for k, label in enumerate(labels)))
        yield ScoredVideo(true, predicted_of(number, true), 60.0, f"person{number // 2}")


def test_metrics_of_many_videos_at_two_overlaps():
    def half_of_them(number, true):  # found: those with an even number, and of two people also the others
        return [*true[::2], *(true[1::2] if number < 4 else []), *spans((58, 59, "wave"), (59, 60, "background"))]

    videos = list(many(half_of_them))
    found = segment_metrics(videos, overlap=0.5)
    assert (found["true_segments"], found["predicted_segments"], found["true_positives"]) == (120, 92, 80)
    assert (found["recall"], found["precision"]) == (80 / 120, 80 / 92)
    assert found["f1"] == pytest.approx(2 * 80 / (120 + 92))
    low, high = found["recall_interval"]  # over six people, of whom two have a recall of 1 and four of one half
    assert 0.5 <= low < 0.6 < 0.75 < high <= 1
    assert found["f1_interval"][0] < found["f1"] < found["f1_interval"][1]
    assert 0.02 < found["f1_chance"] < 0.3
    shorter = [replace(one, predicted=[replace(s, end_s=s.end_s - 1.2) for s in one.true]) for one in videos]
    assert segment_metrics(shorter, overlap=0.3)["f1"] == 1.0  # 0.8 of 2 s
    assert segment_metrics(shorter, overlap=0.5)["f1"] == 0.0


def test_an_interval_has_width_where_everything_was_found_and_none_where_nothing_is():
    perfect = segment_metrics(list(many(lambda number, true: true)))
    assert perfect["f1"] == 1.0
    assert perfect["f1_interval"] == pytest.approx([0.025 ** (1 / 6), 1.0])  # six people, all of them right
    nothing = segment_metrics([ScoredVideo([], [], 10.0, "a")])
    assert (nothing["recall_interval"], nothing["f1_interval"], nothing["f1"]) == (None, None, 0.0)
    silent = segment_metrics(list(many(lambda number, true: [])))
    assert (silent["recall"], silent["precision_interval"], silent["f1_chance"]) == (0.0, None, 0.0)
