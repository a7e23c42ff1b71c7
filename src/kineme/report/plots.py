"""The figures of the report, as SVG text that follows the reader's light or dark setting.

Figures are drawn by matplotlib with a few fixed colours. Afterwards each is replaced by a CSS variable that the SVG
itself defines, once for light and once for dark, so one picture serves both. Text stays text: the browser's fonts
draw it, in any script. Blue and orange are of Okabe and Ito's set, which colour-blind readers tell apart.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kineme.report.verdict import is_interval, is_number

# Each colour as it is drawn, and what it becomes on a light and on a dark page.
_INK, _MUTED, _GRID, _BLUE, _ORANGE = "#1b1d21", "#5d6470", "#dde1e7", "#0072b2", "#d55e00"
_DARK = {_INK: "#e9ecf1", _MUTED: "#a3abb8", _GRID: "#353b45", _BLUE: "#4fb0e8", _ORANGE: "#f59a4b"}
_CELL = (31 / 255, 132 / 255, 196 / 255)  # cells of the confusion matrix; how opaque they are is the share

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "kineme",
    "text.parse_math": False,  # a label may hold "$"
    "font.size": 9.5,
    "text.color": _INK,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}
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
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(4.4, 2.9)
        for name, column, colour, dashes in (
            ("training", key, _BLUE, "-"),
            ("validation", f"val_{key}", _ORANGE, (0, (4, 1.5))),
        ):
            points = [(row["epoch"], row[column]) for row in history if is_number(row.get(column))]
            if points:
                marker = "o" if len(points) <= 15 else ""
                axes.plot(*zip(*points, strict=True), color=colour, linestyle=dashes, marker=marker, ms=3.5, label=name)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=_MUTED, linewidth=1, linestyle=(0, (1, 2)), label="weights kept")
        axes.set_xlabel("epoch")
        axes.set_ylabel(key)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        if key == "accuracy":
            axes.set_ylim(0, 1.02)
            axes.yaxis.set_major_formatter(_percents())
        else:
            axes.set_ylim(bottom=0)
        axes.legend(loc="best", handlelength=2.4)
        return _svg(figure)


def comparison(test: Mapping[str, Any]) -> str:
    """Draw the model's top-1 beside that of the baselines, with their intervals, as SVG.

    Args:
        test: the ``test`` object of ``metrics.json``.
    """
    baselines = test.get("baselines") or {}
    rows: list[tuple[str, Any, Any]] = [("this model", test["top1"], test.get("top1_interval"))]
    for key, name in (
        ("background_only", "background only"),
        ("majority", "commonest class"),
        ("chance", "guessing"),
    ):
        figures = baselines.get(key) or {}
        if is_number(figures.get("top1")):
            rows.append((name, figures["top1"], figures.get("top1_interval")))
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(4.4, 0.45 + 0.36 * len(rows))
        _bars_with_intervals(axes, rows, first_differs=True)
        return _svg(figure)


def per_class(figures_by_label: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw the recall of each class with its interval, best first, as SVG (of many classes, only the worst 24).

    Args:
        figures_by_label: ``per_class`` of ``metrics.json``. Classes without test videos are left out.

    """
    rows = [
        (label, figures["recall"], figures.get("recall_interval"))
        for label, figures in figures_by_label.items()
        if is_number(figures.get("recall")) and figures.get("n")
    ]
    rows.sort(key=lambda row: -row[1])
    rows = rows[-MOST_BARS:]
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(4.4, 0.45 + 0.27 * max(len(rows), 1))
        _bars_with_intervals(axes, rows)
        return _svg(figure)


def _bars_with_intervals(axes: Axes, rows: Sequence[tuple[str, Any, Any]], *, first_differs: bool = False) -> None:
    for place, (_, value, interval) in enumerate(rows):
        colour = _MUTED if first_differs and place else _BLUE
        axes.barh(place, value, height=0.62, color=colour, alpha=0.55, linewidth=0)
        if is_interval(interval) and interval[1] > interval[0]:
            axes.plot(interval, [place, place], color=_INK, linewidth=1.4, solid_capstyle="butt", clip_on=False)
            for end in interval:
                axes.plot([end, end], [place - 0.14, place + 0.14], color=_INK, linewidth=1.4, clip_on=False)
        axes.plot(value, place, "o", color=_INK, ms=4, clip_on=False)
    axes.set_yticks(range(len(rows)), [_name(label, 24) for label, _, _ in rows], color=_INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(_percents())
    axes.grid(axis="x")


def confusion_matrix(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Draw a confusion matrix as SVG: rows are the truth, columns what was predicted.

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
    with matplotlib.rc_context({**_STYLE, "font.size": 9.5 if size <= 20 else 8}):
        figure, axes = _figure(side, side)
        axes.imshow(cells, interpolation="none")
        for spine in axes.spines.values():
            spine.set_visible(True)
        axes.tick_params(length=0)
        if size <= MOST_NAMES:
            names = [_name(label, 20) for label in labels]
            slant = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if size > 2 else {}
            axes.set_xticks(range(size), names, color=_INK, **slant)  # type: ignore[arg-type]
            axes.set_yticks(range(size), names, color=_INK)
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
                colour = "#ffffff" if shares[row, column] > 0.5 else _INK
                axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=colour)
        axes.set_xlabel("predicted")
        axes.set_ylabel("truth")
        return _svg(figure)


def reliability(bins: Sequence[Mapping[str, Any]]) -> str:
    """Draw a reliability diagram (Guo et al. 2017, "On Calibration of Modern Neural Networks") as SVG.

    Args:
        bins: each with ``n``, and where n is above 0 the mean ``confidence`` and the ``accuracy`` of its
            predictions, both 0 to 1.
    """
    filled = [
        row for row in bins if row.get("n") and is_number(row.get("confidence")) and is_number(row.get("accuracy"))
    ]
    most = max((row["n"] for row in filled), default=1)
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(4.4, 3.9)
        axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=1.2, linestyle=(0, (4, 2)), label="honest probabilities")
        for row in filled:
            axes.plot([row["confidence"]] * 2, [row["confidence"], row["accuracy"]], color=_ORANGE, linewidth=1.4)
        axes.scatter(
            [row["confidence"] for row in filled],
            [row["accuracy"] for row in filled],
            s=[20 + 130 * row["n"] / most for row in filled],
            color=_BLUE,
            zorder=3,
            clip_on=False,
            linewidth=0,
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.xaxis.set_major_formatter(_percents())
        axes.yaxis.set_major_formatter(_percents())
        axes.set_xlabel("probability it gave")
        axes.set_ylabel("share that was right")
        axes.grid()
        axes.legend(loc="upper left")
        return _svg(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of so many inches with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def _percents() -> PercentFormatter:
    return PercentFormatter(1.0, decimals=0, symbol="\u00a0%")


def _name(label: str, most: int) -> str:
    """A label on one line, without control characters, shortened to ``most`` letters."""
    clean = " ".join("".join(letter if letter.isprintable() else " " for letter in label).split())
    return clean if len(clean) <= most else clean[: most - 1].rstrip() + "…"


def _svg(figure: Figure) -> str:
    """The figure as a deterministic SVG document whose colours follow the reader's setting."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser draws the text, not this font
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    light, dark = [], []
    for place, (colour, at_night) in enumerate(_DARK.items()):
        text = re.sub(rf"(fill|stroke): {colour}", rf"\1: var(--c{place})", text)
        light.append(f"--c{place}:{colour}")
        dark.append(f"--c{place}:{at_night}")
    style = (
        f"<style>:root{{{';'.join(light)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{';'.join(dark)}}}}}</style>"
    )
    text = re.sub(
        r"(font-family: )'DejaVu Sans'[^;\"]*", r"\1system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", text
    )
    return re.sub(r"(<svg [^>]*>)", lambda found: found[1] + style, text, count=1)
