"""The linear head: solved to its optimum, out of fold on groups; and the mean of the probabilities of several."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from kineme.errors import KinemeError, UsageError
from kineme.models.joined import mean_scores, member_specs
from kineme.models.registry import find_backbone, make_approach, recommended
from kineme.training.folds import grouped_folds
from kineme.training.linear import PooledWindows
from kineme.training.linear_weights import solve


def made_up(count: int = 40, classes: int = 3, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    labels = np.arange(count) % classes
    return (rng.normal(0, 1, (count, size)) + 4 * np.eye(classes, size)[labels]).astype(np.float32) * 3 + 7, labels


@pytest.mark.parametrize("size", [6, 90])
def test_the_head_is_the_optimum_of_logistic_regression(size: int) -> None:
    features, labels = made_up(size=size)
    found = solve(features, labels, np.ones(len(labels)), 3).logits(features)
    scaled = StandardScaler().fit_transform(features.astype(np.float64))
    wanted = LogisticRegression(C=0.01, tol=1e-10, max_iter=10_000).fit(scaled, labels).decision_function(scaled)
    np.testing.assert_allclose(found - found.mean(1, keepdims=True), wanted - wanted.mean(1, keepdims=True), atol=2e-3)


def test_two_classes_and_one_that_is_never_seen() -> None:
    features, labels = made_up(classes=2)
    logits = solve(features, labels, np.ones(len(labels)), 3).logits(features)
    assert (logits[:, :2].argmax(axis=1) == labels).mean() > 0.9
    assert (logits.argmax(axis=1) < 2).all()


def test_a_long_video_counts_no_more_than_a_short_one() -> None:
    features, labels = made_up(30)
    once = PooledWindows(features, np.arange(30), np.ones(30, bool), labels, ["g"] * 30).solve(3)
    item_W = np.concatenate([np.arange(30), np.zeros(50, int)])
    longer = np.concatenate([features, np.repeat(features[:1], 50, axis=0)])
    often = PooledWindows(longer, item_W, np.ones(80, bool), labels, ["g"] * 30).solve(3)
    np.testing.assert_allclose(often.kernel_FK, once.kernel_FK, atol=1e-5)


def test_filmed_background_has_the_logit_zero() -> None:
    features, labels = made_up(60, classes=4)
    background = labels == 3
    found = solve(features, labels, np.ones(60), 3).logits(features)
    assert (found.max(axis=1)[background] < 0).mean() > 0.7
    assert (found.max(axis=1)[~background] > 0).mean() > 0.7


def test_windows_without_anybody_teach_nothing_and_answer_with_zeros() -> None:
    features, labels = made_up(30)
    empty = np.concatenate([features, np.zeros((12, features.shape[1]), np.float32)])
    windows = PooledWindows(empty, np.arange(42), np.ones(42, bool), np.append(labels, np.zeros(12, int)), ["g"] * 42)
    weights = windows.solve(3)
    np.testing.assert_allclose(weights.kernel_FK, solve(features, labels, np.ones(30), 3).kernel_FK, atol=1e-6)
    assert not weights.logits(empty)[30:].any()
    assert windows.with_people(42)[1] == pytest.approx(30 / 42)
    few = PooledWindows(empty[20:], np.arange(22), np.ones(22, bool), np.zeros(22, int), ["g"] * 22)
    assert not few.with_people(22)[0].pooled_WF.any()


def test_a_head_that_looks_at_no_feature_answers_the_frequencies_of_the_classes() -> None:
    features, _ = made_up(30)
    labels = np.array([0] * 20 + [2] * 10)
    windows = PooledWindows(features, np.arange(30), np.ones(30, bool), labels, ["g"] * 30)
    logits = windows.solve(3, looks_at_features=False).logits(features)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, np.repeat([[20 / 30.5, 0.5 / 30.5, 10 / 30.5]], 30, axis=0), atol=1e-6)


def test_no_group_is_in_two_folds_and_every_clip_in_one() -> None:
    labels = np.arange(60) % 3
    groups = [f"p{number // 6}" for number in range(60)]
    folds = grouped_folds(labels, groups)
    assert sorted(np.concatenate(folds).tolist()) == list(range(60))
    of_group = [
        {number for number, fold in enumerate(folds) if set(fold) & set(np.flatnonzero(np.array(groups) == g))}
        for g in set(groups)
    ]
    assert len(folds) == 5
    assert all(len(numbers) == 1 for numbers in of_group)
    assert [one.tolist() for one in grouped_folds(labels, groups)] == [one.tolist() for one in folds]
    assert len(grouped_folds(labels[:4], ["same"] * 4)) == 2, "with one group, clips stand for groups"
    assert grouped_folds([0], ["alone"]) == []


def test_probabilities_of_members_are_averaged_and_who_saw_nobody_is_left_out() -> None:
    one, two = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    found = np.exp(mean_scores([one, two], 2))
    np.testing.assert_allclose(found[0, 0], (1 / (1 + np.exp(-2)) + 1 / (1 + np.exp(1))) / 2, rtol=1e-5)
    np.testing.assert_allclose(found[1, 0], 1 / (1 + np.exp(-1)), rtol=1e-5)
    assert not mean_scores([one, two], 2)[2].any()
    beside = mean_scores([np.hstack([one, one + 3]), np.hstack([two, np.zeros((3, 2))])], 2)[:, 2:]
    np.testing.assert_allclose(beside, [[5.0, 3.0], [4.0, 3.0], [3.0, 3.0]])


@pytest.mark.parametrize("name", ["i3d+movenet", "movenet+i3d", "efficientnet-lite0+i3d", "movenet+efficientnet-lite0"])
def test_members_cover_the_same_seconds_with_as_many_windows(name: str) -> None:
    record = find_backbone(name)
    specs = member_specs(record, record.spec)
    assert len({spec.seconds for spec in specs}) == 1
    for duration_s in (0.5, 2.56, 3.1, 7.77, 20.0):
        assert len({len(spec.window_starts(spec.tick_count(duration_s))) for spec in specs}) == 1


def test_what_cannot_be_joined_is_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="small-cnn is not"):
        find_backbone("i3d+small-cnn")
    with pytest.raises(UsageError, match="twice"):
        find_backbone("i3d+i3d")
    with pytest.raises(KinemeError, match="there is no backbone 'none'"):
        find_backbone("i3d+none")


def test_a_linear_head_is_what_suits_frozen_features_unless_another_is_asked_for() -> None:
    assert recommended("late-fusion", "i3d")["head"] == "linear"
    assert make_approach("late-fusion", recommended("late-fusion", "i3d+movenet")).has_linear_head
    assert "head" not in recommended("late-fusion", "i3d", {"merge": "mean"})
    assert "head" not in recommended("late-fusion", "small-cnn")
