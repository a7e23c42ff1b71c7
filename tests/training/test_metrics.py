"""Metrics against known answers, intervals against coverage, and the baselines on real videos."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import av
import numpy as np
import pytest

from kineme.dataset.scan import scan
from kineme.errors import KinemeError
from kineme.training.baselines import simple_predictions, single_frame_predictions
from kineme.training.metrics import (
    baselines,
    calibration_error,
    evaluate_scores,
    fit_temperature,
    group_interval,
    holm,
    paired_test,
    shuffle_recall_drop,
    softmax,
)
from kineme.training.places import background

UT_INTERACTION = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ut-interaction"


def sure_of(answers: list[int], classes: int, probability: float = 0.9) -> np.ndarray:
    """Probabilities with one clear answer each."""
    scores = np.full((len(answers), classes), (1 - probability) / (classes - 1))
    scores[np.arange(len(answers)), answers] = probability
    return scores


def test_figures_of_a_small_case_worked_by_hand():
    truth = [0, 0, 0, 0, 1, 1, 2, 2]
    answers = [0, 0, 0, 1, 1, 1, 0, 1]  # class c is never answered
    figures = evaluate_scores(sure_of(answers, 4), truth, [f"g{i}" for i in range(8)], ["a", "b", "c", "d"])
    assert (figures["n"], figures["groups"], figures["top1"], figures["top5"]) == (8, 8, 5 / 8, None)
    assert figures["confusion"] == [[3, 1, 0, 0], [0, 2, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    f1 = {"a": 2 * 3 / (4 + 4), "b": 2 * 2 / (2 + 4), "c": 0.0}
    assert figures["macro_f1"] == pytest.approx(sum(f1.values()) / 3)
    of_a = figures["per_class"]["a"]
    assert (of_a["n"], of_a["precision"], of_a["recall"], of_a["f1"]) == (4, 0.75, 0.75, 0.75)
    assert (figures["per_class"]["c"]["precision"], figures["per_class"]["c"]["recall"]) == (0.0, 0.0)
    assert figures["per_class"]["d"] == {"n": 0, "precision": 0.0, "recall": None, "f1": None, "recall_interval": None}
    assert figures["calibration_error"] == pytest.approx(0.9 - 5 / 8)
    for name in ("top1", "macro_f1"):
        low, high = figures[f"{name}_interval"]
        assert 0 <= low < figures[name] < high <= 1
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_top5_is_given_for_more_than_five_classes():
    ranked = np.array([[0.3, 0.25, 0.2, 0.15, 0.07, 0.03]] * 4)
    assert evaluate_scores(ranked, [0, 4, 5, 5], list("wxyz"), list("abcdef"))["top5"] == 0.5


def test_same_seed_same_figures_and_group_names_do_not_matter():
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60)
    groups = np.repeat(np.arange(12), 5)
    first = evaluate_scores(scores, truth, groups, list("abc"), seed=1)
    assert first == evaluate_scores(scores, truth, [f"person{g:02}" for g in groups], list("abc"), seed=1)


def test_no_clip_or_no_numbers_is_an_error():
    with pytest.raises(KinemeError, match="no clip"):
        evaluate_scores(np.empty((0, 2)), [], [], ["a", "b"])
    with pytest.raises(KinemeError, match="not numbers"):
        evaluate_scores(np.array([[np.nan, np.nan]]), [0], ["g"], ["a", "b"])


# Intervals


def test_clips_of_one_group_do_not_count_as_independent():
    rng = np.random.default_rng(0)
    per_group = rng.random(20) < 0.7
    low, high = group_interval(np.repeat(per_group, 50), np.repeat(np.arange(20), 50))
    low_alone, high_alone = group_interval(per_group, np.arange(20))
    assert (low, high) == pytest.approx((low_alone, high_alone), abs=0.02)
    low_wrong, high_wrong = group_interval(np.repeat(per_group, 50), np.arange(1000))
    assert high_wrong - low_wrong < 0.3 * (high - low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    skill = rng.beta(4, 2, (150, 25))  # 150 studies of 25 people, each right with their own probability
    covered = 0
    for study in skill:
        correct = rng.random((25, 6)) < study[:, None]
        low, high = group_interval(correct.ravel(), np.repeat(np.arange(25), 6))
        covered += low <= 4 / 6 <= high
    assert 0.87 <= covered / 150 <= 0.99


@pytest.mark.parametrize(
    ("correct", "groups", "expected"),
    [
        ([True] * 10, list("aabbccddee"), (0.025 ** (1 / 5), 1.0)),  # five groups, all right
        ([False] * 4, list("aabb"), (0.0, 1 - 0.025**0.5)),
        ([True] * 9, ["a"] * 9, (0.025, 1.0)),
        ([True, False, True], ["a"] * 3, (0.0, 1.0)),  # one group, partly right, says nothing of others
    ],
)
def test_where_resampling_has_no_width_the_exact_binomial_over_groups_is_used(correct, groups, expected):
    assert group_interval(correct, groups) == pytest.approx(expected)
    figures = evaluate_scores(sure_of([int(not c) for c in correct], 2), np.zeros(len(correct)), groups, ["a", "b"])
    assert figures["top1_interval"] == pytest.approx(expected)
    assert figures["macro_f1_interval"][0] <= figures["macro_f1"] <= figures["macro_f1_interval"][1]
    assert "exact binomial" in figures["interval_method"]


def test_groups_that_agree_on_a_share_in_between_get_the_width_of_their_clips():
    low, high = group_interval([True, False, False, False] * 10, np.repeat(np.arange(10), 4))
    assert (low, high) == pytest.approx((0.1269, 0.4120), abs=1e-3)  # Clopper and Pearson, 10 of 40


def test_few_groups_carry_a_caution():
    scores, truth = sure_of([0, 0, 0, 1], 2), [0, 0, 0, 0]
    assert "too narrow" in evaluate_scores(scores, truth, list("abcd"), ["x", "y"])["interval_method"]
    many = evaluate_scores(np.tile(scores, (5, 1)), truth * 5, range(20), ["x", "y"])["interval_method"]
    assert many.startswith("95 %, percentile bootstrap over 20 groups")
    assert "too narrow" not in many


# Probabilities


def test_calibration_error_of_known_cases():
    truth = np.zeros(10, int)
    assert calibration_error(sure_of([0] * 7 + [1] * 3, 2, 0.7), truth) == pytest.approx(0.0, abs=1e-12)
    assert calibration_error(sure_of([1] * 10, 2, 1.0), truth) == pytest.approx(1.0)
    mixed = np.concatenate([sure_of([0] * 5, 2, 0.6), sure_of([1] * 5, 2, 0.95)])  # gaps of 0.4 and 0.95
    assert calibration_error(mixed, truth) == pytest.approx((0.4 + 0.95) / 2)


def test_softmax_with_temperature():
    logits = np.array([[0.0, np.log(3.0)], [1000.0, 0.0]])
    assert softmax(logits) == pytest.approx(np.array([[0.25, 0.75], [1.0, 0.0]]))
    assert softmax(logits, 0.5)[0] == pytest.approx([0.1, 0.9])


@pytest.mark.parametrize("true_temperature", [0.3, 1.0, 4.0])
def test_the_temperature_is_recovered(true_temperature):
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (4000, 4))
    truth = np.array([rng.choice(4, p=p) for p in softmax(honest)])
    found = fit_temperature(honest * true_temperature, truth)
    assert found == pytest.approx(true_temperature, rel=0.1)
    assert calibration_error(softmax(honest * true_temperature, found), truth) < 0.03


def test_the_temperature_stays_in_its_bounds():
    assert fit_temperature(np.array([[0.01, 0.0]] * 100), [0] * 99 + [1]) == pytest.approx(0.05, rel=1e-2)
    assert fit_temperature(np.array([[9.0, 0.0]] * 5), [1] * 5) == pytest.approx(20, rel=1e-2)


def test_a_few_clips_that_are_all_right_do_not_make_the_model_surer():
    assert fit_temperature(np.array([[0.5, 0.0]] * 5), [0] * 5) == 1.0
    assert fit_temperature(np.empty((0, 3)), []) == 1.0


# Baselines


def test_the_background_is_what_stays_whatever_the_light():
    rng = np.random.default_rng(0)
    scene = rng.integers(20, 120, (48, 64, 3), dtype=np.uint8)
    still, moving = np.stack([scene] * 12), np.stack([scene] * 12)
    for t in range(12):
        moving[t, 10:40, 5 * t : 5 * t + 10] = 255  # someone walks by
    assert background(still).dtype == np.float32
    assert background(still).shape == (576,)
    assert background(moving) == pytest.approx(background(still), abs=1e-6)
    assert background(np.stack([scene * 2] * 12)) == pytest.approx(background(still), abs=1e-2)
    assert not np.allclose(background(still), background(still[:, ::-1]), atol=1e-2)
    assert not background(np.full((1, 9, 9, 3), 7, np.uint8)).any()


def test_baselines_of_a_small_case():
    train, test = ["a", "a", "a", "b", "b", "c"], ["a", "a", "b", "c"]
    places = {"a": 0.0, "b": 5.0, "c": 9.0}
    train_ND = np.array([[places[label]] for label in train], np.float32)
    test_ND = np.array([[0.4], [4.6], [5.1], [8.0]], np.float32)  # the second looks like b
    answers = simple_predictions(train, 4, train_ND, test_ND)
    result = baselines(answers, test, ["g", "h", "g", "i"], 3)
    assert {name: figures["top1"] for name, figures in result.items()} == {
        "chance": pytest.approx(1 / 3),
        "majority": 0.5,
        "background_only": 0.75,
    }
    for figures in result.values():
        low, high = figures["top1_interval"]
        assert 0 <= low <= figures["top1"] <= high <= 1
    assert json.dumps(result)


@pytest.mark.skipif(not UT_INTERACTION.is_dir(), reason="needs shared/data/ut-interaction beside the repository")
def test_the_background_alone_tells_something_on_real_videos():
    table = scan(UT_INTERACTION)
    labels, groups = table.rows["label"].to_numpy(), table.rows["group"].to_numpy()
    pictures = []
    for path in table.rows["path"]:
        with av.open(path, metadata_errors="ignore") as container:
            container.streams.video[0].codec_context.skip_frame = "NONKEY"
            frames = [frame.to_ndarray(format="rgb24", width=64, height=64) for frame in container.decode(video=0)]
        pictures.append(background(np.stack(frames)))
    pictures_ND = np.stack(pictures)

    right = 0.0
    for sequence in np.unique(groups):  # leave one sequence out within each of the two sets
        test = groups == sequence
        train = np.char.startswith(groups.astype(str), sequence[:4]) & ~test
        answers = simple_predictions(labels[train], test.sum(), pictures_ND[train], pictures_ND[test])
        right += (answers["background_only"] == labels[test]).sum()
    assert 0.25 <= right / len(labels) <= 0.5  # chance is 0.167


def test_single_frames_tell_what_frames_show_and_nothing_else():
    rng = np.random.default_rng(0)
    truth_N = np.arange(80) % 4
    features_NFD = rng.normal(0, 0.3, (80, 3, 6)).astype(np.float32)
    features_NFD[:, :, 0] += (truth_N // 2)[:, None]  # the frames show which pair, not which of the two
    answers_N = single_frame_predictions(features_NFD[:40], truth_N[:40], features_NFD[40:])
    assert (answers_N // 2 == truth_N[40:] // 2).mean() > 0.9
    assert 0.2 < (answers_N == truth_N[40:]).mean() < 0.8


@pytest.mark.parametrize("classes", [2, 3])
def test_a_frame_that_is_certain_is_no_division_by_zero(classes):
    truth_N = np.arange(30) % classes
    train_NFD = np.eye(classes, dtype=np.float32)[truth_N][:, None].repeat(2, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answers_N = single_frame_predictions(train_NFD, truth_N, 1e5 * train_NFD)
    np.testing.assert_array_equal(answers_N, truth_N)


def test_a_paired_test_counts_groups_not_clips():
    groups_N = np.repeat(np.arange(8), 10)
    always, never = np.ones(80), np.zeros(80)
    assert paired_test(always, never, groups_N) == pytest.approx(2 / 2**8)  # all eight signs alike, either way
    assert paired_test(always, always, groups_N) == 1.0
    one_group = np.where(groups_N == 3, 0, 1)  # ten clips of one person are one piece of evidence
    assert paired_test(always, one_group, groups_N) == 1.0
    assert paired_test(always, one_group, np.arange(80)) < 0.01
    many = np.repeat(np.arange(40), 2)
    assert paired_test(np.ones(80), np.zeros(80), many) < 0.001
    assert paired_test(np.arange(80) % 4 < 2, np.arange(80) % 4 >= 2, many) > 0.5


def test_a_paired_test_finds_no_difference_too_often_only_by_its_level():
    rng = np.random.default_rng(0)
    groups_N = np.repeat(np.arange(10), 3)
    found = [paired_test(rng.random(30) < 0.7, rng.random(30) < 0.7, groups_N) < 0.05 for _ in range(300)]
    assert np.mean(found) < 0.08


def test_holm_raises_the_p_values_of_several_tests():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_motion_reliance_is_the_recall_that_shuffling_takes():
    truth_N = np.array([0, 0, 0, 0, 1, 1])
    answers = {"ordered": np.array([0, 0, 0, 0, 1, 1]), "shuffled": np.array([0, 1, 1, 1, 1, 1])}
    assert shuffle_recall_drop(answers, truth_N, ["sit", "walk", "none"]) == {"sit": 0.75, "walk": 0.0, "none": None}
