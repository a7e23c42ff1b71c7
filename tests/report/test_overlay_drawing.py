"""The overlay: where it draws, how long its bars are, what it does with odd input."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.report.overlay import Timeline, draw_prediction

SIZES = [(120, 160), (240, 320), (480, 640), (720, 1280), (1280, 720), (1080, 1920)]
BLUE, GREY = (0, 114, 178), (98, 108, 124)


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def changed_box(before: np.ndarray, after: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((before != after).any(axis=2))
    return rows.min(), rows.max(), columns.min(), columns.max()


def bar_lengths(drawn: np.ndarray) -> list[int]:
    """Length in pixels of each bar, from the first to the last row of pixels of its colour."""
    lengths = []
    is_bar = (drawn == BLUE).all(axis=2) | (drawn == GREY).all(axis=2)
    start = None
    for row in [*is_bar, np.zeros(drawn.shape[1], bool)]:
        columns = np.nonzero(row)[0]
        if columns.size and start is None:
            start, lengths = True, [*lengths, 0]
        elif not columns.size:
            start = None
        if columns.size:
            lengths[-1] = max(lengths[-1], int(columns.max() - columns.min() + 1))
    return lengths


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_only_a_panel_in_the_upper_left_changes(height: int, width: int) -> None:
    frame = grey(height, width)
    kept = frame.copy()

    drawn = draw_prediction(frame, [("wave", 0.7), ("walk", 0.2), ("jump", 0.1)])

    top, bottom, left, right = changed_box(frame, drawn)
    assert top < 0.05 * height + 6
    assert left < 0.05 * width + 6
    assert bottom < 0.55 * height
    assert right < width
    assert (frame == kept).all(), "the frame handed in stays as it was"
    assert drawn.shape == frame.shape
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_bars_are_as_long_as_their_probabilities(height: int, width: int) -> None:
    full = bar_lengths(draw_prediction(grey(height, width), [("x", 1.0)]))[0]

    lengths = bar_lengths(draw_prediction(grey(height, width), [("x", 0.6), ("x", 0.3), ("x", 0.1)]))

    assert [length / full for length in lengths] == pytest.approx([0.6, 0.3, 0.1], abs=1.1 / full)


@pytest.mark.parametrize("odd", [float("nan"), -0.2, 1.7])
def test_probabilities_out_of_range_stay_inside_the_panel(odd: float) -> None:
    frame = grey(240, 320)
    box = changed_box(frame, draw_prediction(frame, [("wave", 0.5)]))

    assert changed_box(frame, draw_prediction(frame, [("wave", odd)])) == box


def test_a_long_label_is_shortened_and_its_number_stays_readable() -> None:
    frame = grey(240, 320)
    name = "waving both hands high above the head while turning " * 3
    short = draw_prediction(frame, [("wave", 0.05)], labels=("wave", name))
    long = draw_prediction(frame, [(name, 0.05)], labels=("wave", name))

    assert changed_box(frame, long) == changed_box(frame, short)
    number = slice(176, 202)  # columns where only "5 %" is written
    assert (long[:40, number] == short[:40, number]).all()


@pytest.mark.parametrize("label", ["абсейлинг", "τρέξιμο", "تشي", "太极拳", "a\nb\x07", "", "🤸", "e\u0301te\u0301"])
def test_any_script_can_be_a_label(label: str) -> None:
    draw_prediction(grey(240, 320), [(label, 0.5)], title=label)


def test_labels_are_visible_in_their_own_letters() -> None:
    drawn = {label: draw_prediction(grey(240, 320), [(label, 0.5)]).tobytes() for label in ("бег", "бук", "run", "rum")}

    assert len(set(drawn.values())) == 4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 300), (300, 8), (16, 16), (32, 48)])
def test_a_frame_too_small_for_a_panel_is_given_back(height: int, width: int) -> None:
    timeline = Timeline([(0.0, 1.0, "wave")], 1.0, 0.5)

    drawn = draw_prediction(grey(height, width), [("wave", 0.5)], title="title", timeline=timeline)

    assert drawn.shape == (height, width, 3)


def test_nothing_to_say_changes_nothing() -> None:
    frame = grey(240, 320)

    assert (draw_prediction(frame, []) == frame).all()


def test_a_read_only_view_is_drawn_on() -> None:
    frame = grey(480, 640)[:, ::-1]
    frame.flags.writeable = False

    assert (draw_prediction(frame, [("wave", 0.5)]) != frame).any()


def test_the_strip_shows_spans_of_the_current_label_and_the_play_head() -> None:
    timeline = Timeline([(0.0, 5.0, "walk"), (5.0, 10.0, "wave")], 10.0, 2.5)

    drawn = draw_prediction(grey(480, 640), [("wave", 0.9)], timeline=timeline)

    rows = np.nonzero((drawn[240:] == BLUE).all(axis=2).any(axis=1))[0] + 240
    strip = drawn[rows[len(rows) // 2]]
    blue, other = (np.nonzero((strip == colour).all(axis=1))[0] for colour in (BLUE, GREY))
    head = np.nonzero((strip == 255).all(axis=1))[0].mean()
    left, right = other.min(), blue.max()
    assert blue.min() == pytest.approx((left + right) / 2, abs=3)
    assert other.max() < blue.min()
    assert (head - left) / (right - left) == pytest.approx(0.25, abs=0.01)


def test_the_panel_is_as_wide_as_its_labels_need_and_keeps_its_width() -> None:
    def width(*labels: str, known: tuple[str, ...] = ()) -> int:
        frame = grey(240, 320)
        _, _, left, right = changed_box(frame, draw_prediction(frame, [(one, 0.3) for one in labels], labels=known))
        return right - left

    assert width("wave", "walk", "jump") < 0.4 * 320, "a hand that is raised in the middle stays free"
    assert width("wave") < width("wave", "pushing a wheelbarrow") <= 200
    assert width("wave", known=("wave", "jumping-jack, both arms")) == width("jumping-jack, both arms")
