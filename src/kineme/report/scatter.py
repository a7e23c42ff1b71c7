"""Accuracy against cost, one dot for each candidate, with labels that keep clear of one another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import matplotlib
import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from kineme.report.drawing import BLUE, INK, MUTED, ORANGE, STYLE, new_figure, percents, settle, to_svg
from kineme.report.verdict import is_interval
from kineme.text import one_line

MOST_NAMES = 8  # dots up to which they are named; of more the ranks are shown

_MARKS = {"best": ("D", ORANGE, 46), "near": ("o", BLUE, 34), "worse": ("o", MUTED, 26)}
_LEGEND = {"best": "best", "near": "not distinguishable", "worse": "worse"}


class Dot(NamedTuple):
    """A candidate: name, rank, cost (above 0), accuracy from 0 to 1 with an interval, and how it compares."""

    name: str
    rank: int
    cost: float
    accuracy: float
    interval: Any = None
    kind: Literal["best", "near", "worse"] = "near"


def accuracy_against_cost(dots: Sequence[Dot], *, xlabel: str) -> str:
    """Draw the dots, cost on a logarithmic axis, as SVG.

    Args:
        dots: at least one. Up to :data:`MOST_NAMES` are named, of more the ranks are shown.
        xlabel: what the cost is.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = new_figure(4.4, 4.4)
        axes.set_xscale("log")
        low, high = min(dot.cost for dot in dots), max(dot.cost for dot in dots)
        middle, room = (low * high) ** 0.5, max((high / low) ** 0.5 * 1.6, 4.0)
        axes.set_xlim(middle / room, middle * room)
        lowest = min(dot.interval[0] if is_interval(dot.interval) else dot.accuracy for dot in dots)
        axes.set_ylim(max(np.floor(lowest * 10 - 0.5) / 10, 0) - 0.02, 1.04)
        axes.yaxis.set_major_formatter(percents())
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid()
        axes.set_xlabel(xlabel)
        axes.set_ylabel("top-1")
        for dot in dots:
            if is_interval(dot.interval):
                axes.plot([dot.cost] * 2, dot.interval, color=_MARKS[dot.kind][1], linewidth=1.2, alpha=0.7)
        for kind, (marker, colour, size) in _MARKS.items():
            of_kind = [dot for dot in dots if dot.kind == kind]
            if of_kind:
                places = [dot.cost for dot in of_kind], [dot.accuracy for dot in of_kind]
                axes.scatter(*places, s=size, marker=marker, color=colour, linewidth=0, zorder=3, label=_LEGEND[kind])
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0, handletextpad=0.2, columnspacing=1)

        names = [one_line(dot.name, 34) if len(dots) <= MOST_NAMES else str(dot.rank) for dot in dots]
        texts = [
            axes.annotate(
                name,
                (dot.cost, dot.accuracy),
                (0, 0),
                textcoords="offset points",
                ha="center",
                va="center_baseline",
                fontweight="bold" if dot.kind == "best" else "normal",
                arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 2},
                color=INK,
            )
            for name, dot in zip(names, dots, strict=True)
        ]
        for text in texts:
            text.set_in_layout(False)
        settle(figure)
        places_N2 = axes.transData.transform([(dot.cost, dot.accuracy) for dot in dots])
        ends = [dot.interval if is_interval(dot.interval) else (dot.accuracy,) * 2 for dot in dots]
        lines_N2 = np.array(
            [
                axes.transData.transform([(dot.cost, y) for y in pair])[:, 1]
                for dot, pair in zip(dots, ends, strict=True)
            ]
        )
        sizes_N2 = np.array([(len(name) * 5.2 + 4, 11.0) for name in names])
        area = axes.get_window_extent()
        offsets_N2 = place_labels(places_N2, sizes_N2, lines_N2, (area.x0, area.y0, area.x1, area.y1))
        for text, offset in zip(texts, offsets_N2, strict=True):
            text.set_position(offset)
            if text.arrow_patch is not None and abs(offset[1]) < 22:  # near enough to need no line
                text.arrow_patch.set_visible(False)
        return to_svg(figure)


def place_labels(
    dots_N2: NDArray[np.float64],
    sizes_N2: NDArray[np.float64],
    lines_N2: NDArray[np.float64],
    area: tuple[float, float, float, float],
) -> NDArray[np.float64]:
    """Find a place for the label of each dot, close to it and clear of dots and of the labels before it.

    Args:
        dots_N2: x and y of each dot.
        sizes_N2: width and height of each label.
        lines_N2: lowest and highest y of the upright line through each dot; crossing one is allowed but avoided.
        area: left, bottom, right and top that labels must not leave.

    Returns:
        Offset of each label's middle from its dot, (N, 2).
    """
    left, bottom, right, top = area
    placed: list[NDArray[np.float64]] = []  # left, bottom, right, top of each label
    offsets = []
    keep_clear = np.hstack([dots_N2 - 5, dots_N2 + 5])
    upright = np.column_stack([dots_N2[:, 0] - 1, lines_N2[:, 0], dots_N2[:, 0] + 1, lines_N2[:, 1]])
    for dot, size in zip(dots_N2, sizes_N2, strict=True):
        best_cost, best = np.inf, (np.zeros(2), np.zeros(4))
        for across, up in itertools.product(np.linspace(-1, 1, 9), np.arange(-132, 133, 6.0)):
            offset = np.array([across * (size[0] / 2 + 8), up])
            box = np.concatenate([dot + offset - size / 2, dot + offset + size / 2])
            outside = box[0] < left or box[1] < bottom or box[2] > right or box[3] > top
            taken = _overlaps(box, np.array(placed)) if placed else 0
            cost = 1000 * outside + 1000 * taken + 300 * _overlaps(box, keep_clear) + 15 * _overlaps(box, upright)
            cost += abs(up) + 3 * abs(abs(across) - 1)
            if cost < best_cost:
                best_cost, best = cost, (offset, box)
        offsets.append(best[0])
        placed.append(best[1])
    return np.array(offsets)


def _overlaps(box: NDArray[np.float64], others_M4: NDArray[np.float64]) -> int:
    """How many of the others the box touches."""
    apart = (others_M4[:, :2] >= box[2:]) | (others_M4[:, 2:] <= box[:2])
    return int((~apart.any(axis=1)).sum())
