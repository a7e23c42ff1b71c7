"""Plots follow the reader's colours and keep every label; filmstrips hold the frames they should."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from helpers_report import SIX, report, time_figures

from kineme.report import plots
from kineme.report.filmstrip import filmstrip, jpeg_data_uri
from kineme.report.scatter import Dot, accuracy_against_cost, place_labels
from kineme.report.verdict import confused_pairs, headline, percent
from kineme.training.metrics import baselines, evaluate_scores

LABELS = ["<b>", "a $b$ & c", "太极拳", "fill: x"]


def texts(svg: str) -> list[str]:
    return [
        "".join(node.itertext()) for node in ElementTree.fromstring(svg.encode()).iter() if node.tag.endswith("text")
    ]


@pytest.mark.parametrize("count", [1, 2, 12, 13, 31, 101])
def test_a_confusion_matrix_of_any_size_can_be_drawn(count: int) -> None:
    names = [f"action {i}" for i in range(count)]
    found = texts(plots.confusion_matrix((np.eye(count, dtype=int) * 7).tolist(), names))

    assert ("7" in found) == (count <= 12)
    assert (names[-1] in found) == (count <= 30)


def test_labels_are_drawn_as_they_are_written() -> None:
    found = texts(plots.confusion_matrix(np.eye(4, dtype=int).tolist(), LABELS))

    assert set(LABELS) <= set(found)


def test_control_characters_do_not_break_the_drawing() -> None:
    assert "a b" in texts(plots.confusion_matrix([[1, 0], [0, 1]], ["a\x07\nb", "c"]))


def test_every_drawn_colour_has_one_for_dark_pages() -> None:
    run = report(SIX)
    dots = [Dot(kind, 1, 2.0, 0.5, [0.4, 0.6], kind) for kind in ("best", "near", "worse")]
    for svg in (
        accuracy_against_cost(dots, xlabel="ms"),
        plots.bars([plots.Bar("a", 0.5, [0.4, 0.6], kind) for kind in ("model", "baseline", "claim")], long_names=True),
        plots.orders({**run.test, **time_figures(run.test, 0.5)}),
        *plots.learning_curves(run.history, best_epoch=3),
        plots.comparison(run.test),
        plots.per_class(run.test["per_class"]),
        plots.reliability(run.reliability),
    ):
        drawn = svg.split("</style>", 1)[1]
        assert "prefers-color-scheme:dark" in svg
        assert "#" not in "".join(part.split(";")[0].split('"')[0] for part in drawn.split("stroke: ")[1:])
        assert "fill: #" not in drawn


def test_the_comparison_draws_the_intervals_of_the_baselines_as_metrics_write_them() -> None:
    labels_N, groups_N = np.tile([0, 1, 2], 8), np.repeat(np.arange(8), 3)
    scores_NK = np.random.default_rng(0).dirichlet([1, 1, 1], 24) * 0.5 + np.eye(3)[labels_N] * 0.5
    test = evaluate_scores(scores_NK, labels_N, groups_N, ["a", "b", "c"])
    test["baselines"] = baselines({"majority": np.arange(24) % 2}, labels_N, groups_N, 3)
    without = {name: {"top1": figures["top1"]} for name, figures in test["baselines"].items()}

    assert plots.comparison(test).count("<path") > plots.comparison({**test, "baselines": without}).count("<path")


@pytest.mark.parametrize(
    "history",
    [
        [{"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.4}],
        [{"epoch": i, "loss": float("nan") if i == 2 else 1.0, "accuracy": 0.5} for i in range(1, 5)],
        [{"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": None, "val_accuracy": None}],
    ],
)
def test_short_and_broken_histories_can_be_drawn(history: list[dict[str, float]]) -> None:
    loss, accuracy = plots.learning_curves(history)

    assert "training" in texts(loss)
    assert "training" in texts(accuracy)


def test_recalls_of_many_classes_show_the_worst() -> None:
    per_class = {f"class {i}": {"n": 5, "recall": i / 100, "recall_interval": [0.0, 1.0]} for i in range(100)}
    found = texts(plots.per_class(per_class))

    assert "class 0" in found
    assert "class 50" not in found


def test_a_filmstrip_runs_from_the_first_frame_to_the_last() -> None:
    frames_THWC = np.zeros((20, 60, 80, 3), np.uint8)
    frames_THWC[...] = np.arange(20).reshape(-1, 1, 1, 1) * 10

    strip = filmstrip(frames_THWC, count=5, height=48)

    assert strip.shape == (48, 5 * 64 + 4 * 2, 3)
    assert [int(strip[24, 32 + place * 66, 0]) for place in range(5)] == [0, 50, 100, 140, 190]


@pytest.mark.parametrize("total", [1, 3, 200])
def test_a_filmstrip_of_few_frames_holds_each_once(total: int) -> None:
    strip = filmstrip(np.zeros((total, 10, 10, 3), np.uint8), count=8, height=20)

    assert strip.shape[1] == min(total, 8) * 22 - 2


def test_a_packed_picture_keeps_its_colours() -> None:
    import base64

    import cv2

    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    data = base64.b64decode(jpeg_data_uri(red).split(",")[1])

    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert bgr[8, 8].tolist() == pytest.approx([0, 0, 255], abs=3)


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.934, "93 %"), (1.0, "100 %"), (0.997, "99.7 %"), (0.99999, "99.9 %"), (0.0, "0 %"), (0.002, "0.2 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, said: str) -> None:
    assert percent(share) == said


def test_confused_pairs_come_most_frequent_first() -> None:
    pairs = confused_pairs([[5, 3, 0], [1, 9, 0], [0, 0, 4]], ["a", "b", "c"])

    assert pairs == [("a", "b", 3, 3 / 8), ("b", "a", 1, 0.1)]


def test_one_person_is_not_called_people() -> None:
    assert "1 person it never saw" in headline({"n": 5, "groups": 1, "top1": 0.8}, group_noun="people")


@pytest.mark.parametrize("count", [1, 2, 8, 20])
@pytest.mark.parametrize("spread", [0.0, 4.0, 200.0])
def test_labels_touch_neither_one_another_nor_the_edge(count: int, spread: float) -> None:
    rng = np.random.default_rng(count)
    dots_N2 = np.array([130.0, 140.0]) + rng.uniform(-0.5, 0.5, (count, 2)) * spread
    sizes_N2 = np.full((count, 2), [160.0 if count <= 8 else 14.0, 11.0])
    lines_N2 = dots_N2[:, 1:] + [-20, 20]

    middles_N2 = dots_N2 + place_labels(dots_N2, sizes_N2, lines_N2, (0, 0, 260, 280))

    low_N2, high_N2 = middles_N2 - sizes_N2 / 2, middles_N2 + sizes_N2 / 2
    assert (low_N2 >= 0).all()
    assert (high_N2 <= [260, 280]).all()
    for one in range(count):
        for other in range(one):
            apart = (low_N2[one] >= high_N2[other]) | (low_N2[other] >= high_N2[one])
            assert apart.any(), f"{other} and {one}"


@pytest.mark.parametrize("count", [1, 8, 9, 20])
def test_many_dots_have_their_ranks_and_few_their_names(count: int) -> None:
    dots = [Dot(f"approach {i}", i, 0.3 * i, 0.9 - 0.02 * i) for i in range(1, count + 1)]

    found = texts(accuracy_against_cost(dots, xlabel="ms"))

    assert (f"approach {count}" in found) == (count <= 8)
    assert (str(count) in found) == (count > 8) or count == 1  # "1" is a cost as well


def test_the_single_frame_baseline_is_drawn_beside_the_others() -> None:
    test = report(SIX).test
    test["baselines"]["single_frame"] = {"top1": 0.4, "top1_interval": [0.3, 0.5]}

    assert "single frames" in texts(plots.comparison(test))
