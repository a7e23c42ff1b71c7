"""The rule by which the default approach is kept or gives way, on what candidates gave on folds."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.training.selection import Role, Tried, candidate_figures, choose

GROUPS = [f"person{number:02}" for number in range(10) for _ in range(6)]


def tried(role: Role, share: float, seed: int = 0, what: str = "") -> Tried:
    """Right on that share of the clips of every group."""
    rng = np.random.default_rng(seed)
    right_GN = [rng.permutation(np.arange(6) < round(share * 6)) for _ in range(10)]
    return Tried(what or role, what or role, role, np.concatenate(right_GN).astype(float))


def chosen(*others: Tried, default: float = 4 / 6, groups: list[str] = GROUPS, **how: object) -> str:
    return choose([tried("default", default), *others], groups, 3, **how).chosen.name


def test_the_default_is_kept_where_nothing_is_clearly_better():
    assert chosen(tried("other", 4 / 6, 1), tried("simple", 3 / 6), tried("guess", 2 / 6)) == "default"


def test_something_clearly_better_is_taken_and_the_best_of_those():
    assert chosen(tried("other", 5 / 6, 1), tried("other", 1.0, what="best")) == "best"


def test_what_is_better_in_few_groups_may_be_luck():
    better = tried("default", 4 / 6)
    assert better.right_N is not None
    lucky = better.right_N.copy()
    lucky[:24] = 1  # four people
    assert chosen(Tried("lucky", "lucky", "other", lucky)) == "default"


def test_single_frames_are_taken_where_they_do_as_well():
    assert chosen(tried("simple", 4 / 6, 3)) == "simple"
    assert chosen(tried("simple", 3 / 6, 3)) == "default"


def test_single_frames_that_are_no_better_than_guessing_are_not_taken():
    assert chosen(tried("simple", 2 / 6, 3), default=1 / 6) == "default"


def test_the_most_frequent_class_is_taken_only_where_it_is_right_more_often_than_the_best():
    assert chosen(tried("guess", 4 / 6), default=2 / 6) == "guess"
    assert chosen(tried("guess", 2 / 6), default=2 / 6) == "default"
    assert chosen(tried("guess", 4 / 6), tried("other", 5 / 6), default=2 / 6) == "other"
    assert chosen(tried("guess", 4 / 6), tried("live", 3 / 6), live=True) == "guess"


@pytest.mark.parametrize(("share", "learned"), [(2 / 6, False), (5 / 6, True)])
def test_it_says_whether_anything_was_learned(share, learned):
    assert choose([tried("default", share), tried("guess", 2 / 6)], GROUPS, 3).learned is learned


def test_for_live_use_the_best_of_those_that_stream_is_taken():
    assert chosen(tried("live", 3 / 6, what="a"), tried("live", 4 / 6, what="b"), default=1.0, live=True) == "b"


def test_a_default_that_could_not_be_measured_is_kept_and_told_of():
    failed = Tried("default", "default", "default", not_measured="no memory")
    verdict = choose([failed, tried("guess", 2 / 6)], GROUPS, 3)
    assert verdict.chosen is failed
    assert not verdict.learned
    assert "no memory" in verdict.reason


def test_whole_videos_count_where_rows_are_parts_of_them():
    groups = [f"person{number:02}" for number in range(8)]
    right_N = np.ones(len(GROUPS))
    default = Tried("default", "default", "default", right_N, "", (np.full(8, 0.2), groups), 0.2)
    better = Tried("other", "other", "other", right_N, "", (np.full(8, 0.8), groups), 0.8)
    assert choose([default, better], GROUPS, 3).chosen is better
    figures = candidate_figures([default, better], GROUPS)
    assert [one["segment_f1"] for one in figures] == [0.2, 0.8]
    assert figures[1]["p"] < 0.05


def test_figures_say_what_was_not_measured():
    figures = candidate_figures([tried("default", 0.5), Tried("x", "x", "other", not_measured="too few")], GROUPS)
    assert figures[0]["top1"] == 0.5
    assert figures[1] == {"name": "x", "what": "x", "role": "other", "not_measured": "too few"}
