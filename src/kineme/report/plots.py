"""The figures of the reports that hold bars, curves and matrices, as SVG text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from kineme.report.drawing import BLUE, INK, MUTED, ORANGE, STYLE, new_figure, percents, to_svg
from kineme.report.verdict import BASELINES, ORDERS, is_interval, is_number
from kineme.text import one_line

_CELL = (31 / 255, 132 / 255, 196 / 255)  # cells of the confusion matrix; how opaque they are is the share
FEWEST_IN_BIN = 5  # predictions of a dot of the reliability diagram
MOST_BARS = 24  # classes with a bar of their own; of more, the worst are drawn
_MOST_NUMBERS = 12  # classes up to which cells of the confusion matrix hold numbers
MOST_NAMES = 30  # classes up to which its rows and columns are named


def learning_curves(history: Sequence[Mapping[str, Any]], *, best_epoch: int | None = None) -> tuple[str, str]:
    """Draw loss and accuracy over the epochs.

    Args:
        history: rows of ``history.csv`` with ``epoch``, ``loss``, ``accuracy`` and, where there was a validation
            set, ``val_loss`` and ``val_accuracy``.
        best_epoch: the epoch whose weights were kept; marked where given.

    Returns:
        Two SVG documents: loss, accuracy.
    """
    return _curve(history, "loss", best_epoch), _curve(history, "accuracy", best_epoch)


def _curve(history: Sequence[Mapping[str, Any]], key: str, best_epoch: int | None) -> str:
    with matplotlib.rc_context(STYLE):
        figure, axes = new_figure(4.4, 2.9)
        for name, column, colour, dashes in (
            ("training", key, BLUE, "-"),
            ("validation", f"val_{key}", ORANGE, (0, (4, 1.5))),
        ):
            points = [(row["epoch"], row[column]) for row in history if is_number(row.get(column))]
            if points:
                marker = "o" if len(points) <= 15 else ""
                axes.plot(*zip(*points, strict=True), color=colour, linestyle=dashes, marker=marker, ms=3.5, label=name)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="weights kept")
        axes.set_xlabel("epoch")
        axes.set_ylabel(key)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        if key == "accuracy":
            axes.set_ylim(0, 1.02)
            axes.yaxis.set_major_formatter(percents())
        else:
            axes.set_ylim(bottom=0)
        axes.legend(loc="best", handlelength=2.4)
        return to_svg(figure)


class Bar(NamedTuple):
    """One bar: its name, its length from 0 to 1, the interval if there is one, and its meaning."""

    name: str
    value: float
    interval: Any = None
    kind: Literal["model", "baseline", "claim"] = "model"


def comparison(test: Mapping[str, Any]) -> str:
    """Draw the model's top-1 beside that of the baselines, with their intervals, as SVG.

    Args:
        test: the ``test`` object of ``metrics.json``.
    """
    rows = [Bar("this model", test["top1"], test.get("top1_interval"))]
    return bars([*rows, *(bar._replace(name=bar.name.split(" (")[0]) for bar in baseline_bars(test))])


def orders(test: Mapping[str, Any]) -> str:
    """Draw top-1 with the frames as filmed and in other orders, beside single frames, as SVG.

    Args:
        test: the ``test`` object of ``metrics.json``, with ``orders``.
    """
    rows = [Bar("as filmed", test["top1"], test.get("top1_interval"))]
    rows += [
        Bar(name, test["orders"][order]["top1"], test["orders"][order].get("top1_interval"))
        for order, name in ORDERS.items()
        if is_number((test["orders"].get(order) or {}).get("top1"))
    ]
    single = {"baselines": {"single_frame": (test.get("baselines") or {}).get("single_frame")}}
    return bars([*rows, *(bar._replace(name="single frames (baseline)") for bar in baseline_bars(single))])


def baseline_bars(test: Mapping[str, Any]) -> list[Bar]:
    """A bar for each of the ``baselines`` that ``test`` has."""
    found = ((name, (test.get("baselines") or {}).get(key) or {}) for key, name in BASELINES.items())
    return [
        Bar(name, figures["top1"], figures.get("top1_interval"), "baseline")
        for name, figures in found
        if is_number(figures.get("top1"))
    ]


def bars(rows: Sequence[Bar], *, long_names: bool = False) -> str:
    """Draw shares as bars with their intervals, one under another, as SVG.

    Baselines are grey; a claim that is not to be believed is an outline only.

    Args:
        rows: the bars, from the top.
        long_names: set each name above its bar rather than beside it.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = new_figure(4.4, 0.45 + (0.43 if long_names else 0.36) * max(len(rows), 1))
        _bars_with_intervals(axes, rows, long_names=long_names)
        return to_svg(figure)


def per_class(figures_by_label: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw the recall of each class with its interval, best first, as SVG (of many classes, only the worst 24).

    Args:
        figures_by_label: ``per_class`` of ``metrics.json``. Classes without test videos are left out.

    """
    rows = [
        Bar(label, figures["recall"], figures.get("recall_interval"))
        for label, figures in figures_by_label.items()
        if is_number(figures.get("recall")) and figures.get("n")
    ]
    rows.sort(key=lambda bar: -bar.value)
    rows = rows[-MOST_BARS:]
    with matplotlib.rc_context(STYLE):
        figure, axes = new_figure(4.4, 0.45 + 0.27 * max(len(rows), 1))
        _bars_with_intervals(axes, rows)
        return to_svg(figure)


def _bars_with_intervals(axes: Axes, rows: Sequence[Bar], *, long_names: bool = False) -> None:
    height, shift = (0.36, 0.2) if long_names else (0.62, 0.0)
    for row, (name, value, interval, kind) in enumerate(rows):
        place = row + shift
        if kind == "claim":
            axes.barh(place, value, height=height, fill=False, edgecolor=ORANGE, linewidth=1.4, linestyle=(0, (4, 2)))
        else:
            colour = MUTED if kind == "baseline" else BLUE
            axes.barh(place, value, height=height, color=colour, alpha=0.55, linewidth=0)
        if is_interval(interval) and interval[1] > interval[0]:
            axes.plot(interval, [place, place], color=INK, linewidth=1.4, solid_capstyle="butt", clip_on=False)
            for end in interval:
                axes.plot([end, end], [place - 0.14, place + 0.14], color=INK, linewidth=1.4, clip_on=False)
        axes.plot(value, place, "o", color=INK, ms=4, clip_on=False)
        if long_names:
            axes.text(0, place - height / 2 - 0.06, one_line(name, 60), color=INK, va="bottom")
    if long_names:
        axes.set_yticks([])
    else:
        axes.set_yticks(range(len(rows)), [one_line(bar.name, 24) for bar in rows], color=INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(percents())
    axes.grid(axis="x")


def confusion_matrix(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Draw a confusion matrix as SVG: rows are the truth, columns are the predictions.

    A cell is the darker the larger its share of its row. Up to 12 classes cells hold their counts; above 30, rows
    and columns are numbered from 1 rather than named.

    Args:
        confusion: counts (K, K).
        labels: the K names.
    """
    counts = np.asarray(confusion, float).reshape(len(labels), len(labels))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(labels)
    cells = np.empty((size, size, 4))
    cells[..., :3] = _CELL
    faintest = 0.08 if size <= _MOST_NUMBERS else 0.25  # a lone small cell must still be seen
    cells[..., 3] = np.where(shares > 0, faintest + (1 - faintest) * shares, 0)
    side = min(max(2.0 + 0.25 * size, 3.2), 6.0)
    with matplotlib.rc_context({**STYLE, "font.size": 9.5 if size <= 20 else 8}):
        figure, axes = new_figure(side, side)
        axes.imshow(cells, interpolation="none")
        for spine in axes.spines.values():
            spine.set_visible(True)
        axes.tick_params(length=0)
        if size <= MOST_NAMES:
            names = [one_line(label, 20) for label in labels]
            slant = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if size > 2 else {}
            axes.set_xticks(range(size), names, color=INK, **slant)  # type: ignore[arg-type]
            axes.set_yticks(range(size), names, color=INK)
            axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
            axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
            axes.grid(which="minor")
            axes.tick_params(which="minor", length=0)
        else:
            places = [0, *range(9, size, 10)]
            axes.set_xticks(places, [str(place + 1) for place in places])
            axes.set_yticks(places, [str(place + 1) for place in places])
            axes.grid()
        if size <= _MOST_NUMBERS:
            for row, column in zip(*np.nonzero(counts), strict=True):
                colour = "#ffffff" if shares[row, column] > 0.5 else INK
                axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=colour)
        axes.set_xlabel("predicted")
        axes.set_ylabel("truth")
        return to_svg(figure)


def open_set_scores(test_N: Sequence[float], background_N: Sequence[float]) -> str:
    """Draw how known the test videos are to the model, and background made of them, as SVG: two histograms.

    Args:
        test_N: open-set scores of test videos; from 0 on they are taken for one of the actions.
        background_N: open-set scores of background, perhaps none.
    """
    values = np.concatenate([test_N, background_N])
    edges = np.linspace(min(values.min(), -1.0), max(values.max(), 1.0), 31)
    with matplotlib.rc_context(STYLE):
        figure, axes = new_figure(4.4, 2.9)
        for name, some, colour in (("known actions", test_N, BLUE), ("background", background_N, ORANGE)):
            if len(some):
                axes.hist(some, edges.tolist(), color=colour, alpha=0.75, label=name)
        axes.axvline(0, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label="threshold")
        axes.set_xlabel("open-set score")
        axes.set_ylabel("videos")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="best")
        return to_svg(figure)


def reliability(bins: Sequence[Mapping[str, Any]]) -> str:
    """Draw a reliability diagram (Guo et al. 2017, "On Calibration of Modern Neural Networks") as SVG.

    Args:
        bins: each with ``n``, the mean ``confidence`` and the ``accuracy`` of its predictions, both 0 to 1. Those of
            fewer than five predictions are left out, since they show luck.
    """
    filled = [
        row
        for row in bins
        if row.get("n", 0) >= FEWEST_IN_BIN and is_number(row.get("confidence")) and is_number(row.get("accuracy"))
    ]
    most = max((row["n"] for row in filled), default=1)
    with matplotlib.rc_context(STYLE):
        figure, axes = new_figure(4.4, 3.9)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)), label="perfect calibration")
        for row in filled:
            axes.plot([row["confidence"]] * 2, [row["confidence"], row["accuracy"]], color=ORANGE, linewidth=1.4)
        axes.scatter(
            [row["confidence"] for row in filled],
            [row["accuracy"] for row in filled],
            s=[20 + 130 * row["n"] / most for row in filled],
            color=BLUE,
            zorder=3,
            clip_on=False,
            linewidth=0,
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.xaxis.set_major_formatter(percents())
        axes.yaxis.set_major_formatter(percents())
        axes.set_xlabel("probability it gave")
        axes.set_ylabel("share that was right")
        axes.grid()
        axes.legend(loc="upper left")
        return to_svg(figure)
