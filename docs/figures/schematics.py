"""Draws how frames meet in each approach, one step of the LSTM, and other plain diagrams of the guide."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from guide_paths import Numbers, clip, right_video
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from style import WIDTH, Theme, save

FRAMES = 6  # of a clip that are drawn
_PITCH, _LEFT = 0.92, 0.75


def _frames(theme: Theme, axes: Any, y: float, *, size: float = 0.62) -> list[float]:
    """A row of frames of a real clip; gives the middles."""
    film = clip(right_video("sit-down"))
    xs = [_LEFT + _PITCH * number + 0.35 for number in range(FRAMES)]
    for x, at in zip(xs, np.linspace(0, len(film) - 1, FRAMES).astype(int), strict=True):
        axes.imshow(film[at], extent=(x - size / 2, x + size / 2, y, y + size), zorder=2)
        axes.add_patch(Rectangle((x - size / 2, y), size, size, fill=False, edgecolor=theme.line, linewidth=1))
    return xs


def _canvas(theme: Theme, height: float) -> tuple[Figure, Any]:
    figure, axes = theme.canvas(WIDTH, height)
    return figure, axes


def _finish(axes: Any, height: float) -> None:
    axes.set(xlim=(0, WIDTH), ylim=(0, height), aspect="auto")  # pictures change them


def _vector(theme: Theme, axes: Any, x: float, y: float, colour: str, *, cells: int = 5, wide: float = 0.42) -> None:
    step = wide / cells
    for cell in range(cells):
        corner = (x - wide / 2 + step * cell, y)
        axes.add_patch(Rectangle(corner, step, 0.14, facecolor=colour, alpha=0.25 + 0.13 * (cell * 7 % 5), linewidth=0))
    axes.add_patch(Rectangle((x - wide / 2, y), wide, 0.14, fill=False, edgecolor=colour, linewidth=1))


def _note(theme: Theme, axes: Any, x: float, y: float, text: str, **more: Any) -> None:
    axes.text(x, y, text, **{"va": "center", "fontsize": 9, "color": theme.faint, **more})


def single_frame(theme: Theme) -> Figure:
    """Frames to scores, scores to their mean."""
    figure, axes = _canvas(theme, 3.1)
    xs = _frames(theme, axes, 0.1)
    for x in xs:
        theme.arrow(axes, (x, 0.76), (x, 0.98))
        theme.box(axes, x - 0.31, 1.0, 0.62, 0.36, "CNN", colour=theme.blue)
        theme.arrow(axes, (x, 1.38), (x, 1.58))
        _vector(theme, axes, x, 1.6, theme.orange, cells=4)
        theme.arrow(axes, (x, 1.76), (3.4 + (x - 3.4) * 0.35, 2.22))
    theme.box(axes, 2.4, 2.24, 2.0, 0.36, "mean of the scores", colour=theme.orange)
    theme.arrow(axes, (3.4, 2.62), (3.4, 2.86))
    _note(theme, axes, 3.4, 2.98, "answer", ha="center", color=theme.ink)
    _note(theme, axes, 6.55, 1.18, "same\nweights")
    _note(theme, axes, 6.55, 1.67, "scores")
    _finish(axes, 3.1)
    return figure


def late_fusion(theme: Theme) -> Figure:
    """Frames to features, features side by side into one layer."""
    figure, axes = _canvas(theme, 3.3)
    xs = _frames(theme, axes, 0.1)
    for x in xs:
        theme.arrow(axes, (x, 0.76), (x, 0.98))
        theme.box(axes, x - 0.31, 1.0, 0.62, 0.36, "CNN", colour=theme.blue)
        theme.arrow(axes, (x, 1.38), (x, 1.58))
        _vector(theme, axes, x, 1.6, theme.green, wide=_PITCH)
        theme.arrow(axes, (x, 1.78), (3.4 + (x - 3.4) * 0.55, 2.20))
    theme.box(axes, 1.6, 2.24, 3.6, 0.36, "fusion: one dense layer over all frames", colour=theme.orange)
    theme.arrow(axes, (3.4, 2.62), (3.4, 2.90))
    _note(theme, axes, 3.4, 3.05, "scores", ha="center", color=theme.ink)
    _note(theme, axes, 6.55, 1.18, "same\nweights")
    _note(theme, axes, 6.55, 1.67, "features")
    _finish(axes, 3.3)
    return figure


def early_fusion(theme: Theme) -> Figure:
    """A stack of frames into the first layer."""
    figure, axes = _canvas(theme, 2.2)
    film = clip(right_video("sit-down"))
    size = 1.15
    for number in range(FRAMES - 1, -1, -1):
        x, y = 0.25 + 0.16 * number, 0.25 + 0.11 * number
        at = round(number * (len(film) - 1) / (FRAMES - 1))
        axes.imshow(film[at], extent=(x, x + size, y, y + size), zorder=10 - number)
        edge = Rectangle((x, y), size, size, fill=False, edgecolor=theme.page, linewidth=1.2, zorder=10.5 - number)
        axes.add_patch(edge)
    _note(theme, axes, 1.32, 0.1, "20 frames × 3 colours = 60 channels", ha="center")
    for x, wide, text, colour in (
        (2.75, 1.35, "first convolution:\nfilters 5 × 5,\n60 channels deep", theme.orange),
        (4.55, 1.0, "the rest of\na 2D CNN", theme.blue),
        (6.0, 0.8, "dense\nlayer", theme.green),
    ):
        theme.arrow(axes, (x - 0.40, 1.05), (x - 0.04, 1.05))
        theme.box(axes, x, 0.62, wide, 0.86, text, colour=colour)
    _note(theme, axes, 3.42, 1.75, "frames meet here", ha="center", color=theme.orange)
    _note(theme, axes, 5.05, 0.38, "no time left", ha="center")
    _finish(axes, 2.2)
    return figure


def slow_fusion(theme: Theme) -> Figure:
    """The lines that reach one value, layer by layer."""
    figure, axes = _canvas(theme, 3.5)
    steps = [(20, 1), (20, 1), (20, 1), (10, 2), (5, 4)]  # values in time and distance, after the input and each layer
    names = ["20 frames", "conv 1: sees 3", "conv 2: sees 5", "conv 3: sees 10", "conv 4: sees 20"]
    left, right = 1.55, 6.95

    def x_of(level: int, at: int) -> float:
        return left + (at * steps[level][1] + (steps[level][1] - 1) / 2) * (right - left) / 19

    def y_of(level: int) -> float:
        return 0.35 + level * 0.68

    reached = {2}  # in the top layer
    for level in range(4, -1, -1):
        count, distance = steps[level]
        for at in range(count):
            on = at in reached
            colour = theme.orange if on else theme.line
            axes.add_patch(Circle((x_of(level, at), y_of(level)), 0.065, facecolor=colour, edgecolor="none", zorder=3))
        _note(theme, axes, 0.05, y_of(level), names[level], color=theme.ink if level else theme.faint)
        if not level:
            break
        below: set[int] = set()
        ratio = distance // steps[level - 1][1]
        for at in reached:
            for nearby in (at - 1, at, at + 1):
                for inner in range(ratio):
                    child = nearby * ratio + inner
                    if 0 <= child < steps[level - 1][0]:
                        below.add(child)
                        line = ([x_of(level, at), x_of(level - 1, child)], [y_of(level), y_of(level - 1)])
                        axes.plot(*line, color=theme.orange, linewidth=0.8, alpha=0.7)
        reached = below
    _finish(axes, 3.5)
    return figure


def lrcn(theme: Theme) -> Figure:
    """Frames to features, features one after the other into a state."""
    figure, axes = _canvas(theme, 3.25)
    xs = _frames(theme, axes, 0.1)
    for number, x in enumerate(xs):
        theme.arrow(axes, (x, 0.76), (x, 0.98))
        theme.box(axes, x - 0.31, 1.0, 0.62, 0.36, "CNN", colour=theme.blue)
        theme.arrow(axes, (x, 1.38), (x, 1.56))
        _vector(theme, axes, x, 1.58, theme.green)
        theme.arrow(axes, (x, 1.74), (x, 1.94))
        theme.box(axes, x - 0.31, 1.96, 0.62, 0.36, "LSTM", colour=theme.purple)
        if number:
            theme.arrow(axes, (xs[number - 1] + 0.31, 2.14), (x - 0.33, 2.14), color=theme.purple, linewidth=1.6)
    theme.arrow(axes, (xs[-1], 2.34), (xs[-1], 2.58))
    theme.box(axes, xs[-1] - 0.42, 2.60, 0.84, 0.32, "dense", colour=theme.orange)
    theme.arrow(axes, (xs[-1] - 0.44, 2.76), (xs[-1] - 0.85, 2.76))
    _note(theme, axes, xs[-1] - 0.92, 2.76, "scores", ha="right", color=theme.ink)
    _note(theme, axes, xs[0] + 0.05, 2.52, "the state goes from frame to frame", ha="left", color=theme.purple)
    _note(theme, axes, 6.62, 1.18, "same\nweights")
    _note(theme, axes, 6.62, 2.14, "same\nweights")
    _finish(axes, 3.25)
    return figure


def cell(theme: Theme, *, maps: bool) -> Figure:
    """One step of an LSTM, or of a ConvLSTM where states are stacks of maps."""
    figure, axes = _canvas(theme, 3.5)
    body = FancyBboxPatch(
        (1.15, 0.55), 4.9, 2.55, boxstyle="round,pad=0,rounding_size=0.15", facecolor=theme.panel, edgecolor=theme.line
    )
    axes.add_patch(body)

    def state(x: float, y: float, colour: str) -> None:
        if not maps:
            _vector(theme, axes, x, y - 0.07, colour)
            return
        for plane in range(2, -1, -1):
            corner = (x - 0.20 + 0.07 * plane, y - 0.20 + 0.07 * plane)
            axes.add_patch(Rectangle(corner, 0.32, 0.32, facecolor=theme.page, edgecolor=colour, linewidth=1))
            axes.add_patch(Rectangle(corner, 0.32, 0.32, facecolor=colour, alpha=0.25, linewidth=0))
            for line in (1, 2):
                at = 0.32 * line / 3
                axes.plot([corner[0] + at] * 2, [corner[1], corner[1] + 0.32], color=colour, linewidth=0.4)
                axes.plot([corner[0], corner[0] + 0.32], [corner[1] + at] * 2, color=colour, linewidth=0.4)

    def knot(x: float, y: float, sign: str) -> None:
        axes.add_patch(Circle((x, y), 0.13, facecolor=theme.page, edgecolor=theme.ink, linewidth=1.1, zorder=4))
        axes.text(x, y - 0.01, sign, ha="center", va="center", fontsize=11, zorder=5)

    top, low = 2.72, 0.95
    state(0.55, top, theme.orange)
    _note(theme, axes, 0.55, top + 0.36, "cell $c_{t-1}$", ha="center", color=theme.orange)
    theme.arrow(axes, (0.82, top), (1.95, top), color=theme.orange, linewidth=2)
    knot(2.1, top, "×")
    theme.arrow(axes, (2.23, top), (3.45, top), color=theme.orange, linewidth=2)
    knot(3.6, top, "+")
    theme.arrow(axes, (3.73, top), (6.32, top), color=theme.orange, linewidth=2)
    state(6.65, top, theme.orange)
    _note(theme, axes, 6.65, top + 0.36, "$c_t$", ha="center", color=theme.orange)

    state(0.55, low, theme.purple)
    _note(theme, axes, 0.55, low - 0.36, "output $h_{t-1}$", ha="center", color=theme.purple)
    product = "conv" if maps else "weights"
    for x, name, what, colour in (
        (2.1, "σ", "forget", theme.red),
        (3.0, "σ", "input", theme.green),
        (4.0, "tanh", "candidate", theme.blue),
        (5.1, "σ", "output", theme.teal),
    ):
        theme.box(axes, x - 0.36, 1.22, 0.72, 0.34, name, colour=colour)
        _note(theme, axes, x, 1.08 - 0.02, what, ha="center", fontsize=8, color=colour)
    axes.plot([0.82, 5.1], [low - 0.22] * 2, color=theme.faint, linewidth=1.1)
    axes.plot([0.82, 0.82], [low - 0.22, low], color=theme.faint, linewidth=1.1)
    for x in (2.1, 3.0, 4.0, 5.1):
        theme.arrow(axes, (x, low - 0.22), (x, low - 0.02))
    _note(theme, axes, 1.25, low - 0.12, product, fontsize=8)
    theme.arrow(axes, (2.1, 1.58), (2.1, top - 0.14))
    axes.plot([3.0, 3.0, 3.47], [1.58, 2.05, 2.05], color=theme.faint, linewidth=1.1)
    axes.plot([4.0, 4.0, 3.73], [1.58, 2.05, 2.05], color=theme.faint, linewidth=1.1)
    knot(3.6, 2.05, "×")
    theme.arrow(axes, (3.6, 2.19), (3.6, top - 0.14))
    axes.plot([4.62, 4.62], [top, 2.40], color=theme.faint, linewidth=1.1)
    _note(theme, axes, 4.72, 2.38, "tanh", fontsize=8)
    theme.arrow(axes, (4.62, 2.40), (4.98, 2.12))
    axes.plot([5.1, 5.1], [1.58, 1.92], color=theme.faint, linewidth=1.1)
    knot(5.1, 2.05, "×")
    axes.plot([5.23, 5.75, 5.75], [2.05, 2.05, low], color=theme.purple, linewidth=1.6)
    theme.arrow(axes, (5.75, low), (6.32, low), color=theme.purple, linewidth=1.6)
    state(6.65, low, theme.purple)
    _note(theme, axes, 6.65, low - 0.36, "$h_t$", ha="center", color=theme.purple)
    state(3.0, 0.24, theme.grey)
    _note(theme, axes, 3.42, 0.24, "what is new: $x_t$" + (", maps" if maps else ", features of the frame"))
    theme.arrow(axes, (3.0 if not maps else 2.72, 0.34 if not maps else 0.3), (2.6, low - 0.23))
    _finish(axes, 3.5)
    return figure


def split_grid(theme: Theme) -> Figure:
    """People in rows, clips in columns: whole rows held out, or clips at random."""
    figure, axes = _canvas(theme, 2.75)
    colours = {"train": theme.blue, "validation": theme.yellow, "test": theme.orange}
    people, clips = 10, 8
    rng = np.random.default_rng(3)
    by_person = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    at_random = rng.permutation(np.repeat(["train", "validation", "test"], [48, 16, 16])).reshape(people, clips)
    for left, title in ((1.05, "by person: honest"), (4.25, "by clip: leaky")):
        axes.text(left, 2.55, title, fontsize=10, fontweight="bold")
        for person in range(people):
            for number in range(clips):
                part = by_person[person] if "person" in title else str(at_random[person, number])
                corner = (left + 0.28 * number, 2.22 - 0.20 * person)
                axes.add_patch(Rectangle(corner, 0.25, 0.17, facecolor=colours[part], linewidth=0))
    _note(theme, axes, 0.92, 2.30, "person 1", ha="right", fontsize=8)
    _note(theme, axes, 0.92, 0.50, "person 10", ha="right", fontsize=8)
    for number, (part, colour) in enumerate(colours.items()):
        x = 2.2 + 1.15 * number
        axes.add_patch(Rectangle((x, 0.08), 0.2, 0.14, facecolor=colour, linewidth=0))
        _note(theme, axes, x + 0.27, 0.15, part, color=theme.ink)
    _finish(axes, 2.75)
    return figure


def training_loop(theme: Theme) -> Figure:
    """The steps of an epoch."""
    figure, axes = _canvas(theme, 2.75)
    y = 1.75
    steps = (
        ("videos,\nby person", theme.grey),
        ("random\nwindow", theme.blue),
        ("moved,\nrelit", theme.blue),
        ("batch\nof 16", theme.blue),
        ("network", theme.purple),
        ("loss", theme.orange),
    )
    for number, (text, colour) in enumerate(steps):
        x = 0.12 + 1.18 * number
        theme.box(axes, x, y, 0.94, 0.56, text, colour=colour, fontsize=9.5)
        if number:
            theme.arrow(axes, (x - 0.23, y + 0.28), (x - 0.02, y + 0.28))
    theme.arrow(axes, (6.48, y + 0.58), (5.32, y + 0.58), connectionstyle="arc3,rad=0.45", color=theme.orange)
    _note(theme, axes, 5.9, y + 0.90, "gradient: change the weights", ha="center", fontsize=8.5, color=theme.orange)
    theme.box(axes, 0.12, 0.35, 2.12, 0.56, "other people: validation", colour=theme.yellow, fontsize=9.5)
    theme.arrow(axes, (2.26, 0.63), (5.28, y - 0.03), connectionstyle="arc3,rad=0.18")
    _note(theme, axes, 3.3, 0.45, "after each epoch: better? keep these weights.\nnot for 20 epochs? stop.", fontsize=9)
    theme.arrow(axes, (0.59, y - 0.02), (0.59, 0.93))
    _finish(axes, 2.75)
    return figure


def running(theme: Theme) -> Figure:
    """Windows over a file; a ring or a state on a stream."""
    figure, axes = _canvas(theme, 3.2)
    _note(theme, axes, 0.05, 3.02, "a file", color=theme.ink, fontweight="bold")
    axes.plot([0.9, 7.0], [2.3, 2.3], color=theme.faint, linewidth=1.2)
    for number in range(9):
        x = 0.9 + 0.61 * number
        y = 2.45 + 0.16 * (number % 3)
        axes.add_patch(Rectangle((x, y), 1.22, 0.11, facecolor=theme.blue, alpha=0.55, linewidth=0))
    _note(theme, axes, 0.05, 2.62, "windows")
    for start, end, text, colour in (
        (0.9, 1.9, "", theme.line),
        (1.9, 3.0, "sit-down", theme.orange),
        (3.0, 4.3, "", theme.line),
        (4.3, 5.6, "pick-up", theme.green),
        (5.6, 7.0, "", theme.line),
    ):
        axes.add_patch(Rectangle((start, 1.95), end - start - 0.02, 0.22, facecolor=colour, linewidth=0))
        axes.text((start + end) / 2, 2.06, text, ha="center", va="center", fontsize=8.5, color=theme.page)
    _note(theme, axes, 0.05, 2.06, "segments")
    _note(theme, axes, 0.05, 1.55, "a stream", color=theme.ink, fontweight="bold")
    theme.box(axes, 0.9, 1.02, 0.82, 0.34, "new frame", fontsize=8.5)
    theme.box(axes, 2.0, 1.02, 0.6, 0.34, "CNN", colour=theme.blue)
    theme.arrow(axes, (1.73, 1.19), (1.98, 1.19))
    theme.arrow(axes, (2.62, 1.22), (3.05, 1.36))
    theme.arrow(axes, (2.62, 1.16), (3.05, 0.42))
    for cell_number in range(14):
        corner = (3.1 + 0.13 * cell_number, 1.27)
        shade = 0.25 + 0.6 * (cell_number == 13)
        axes.add_patch(
            Rectangle(corner, 0.11, 0.22, facecolor=theme.green, alpha=shade, edgecolor=theme.green, linewidth=0.5)
        )
    theme.box(axes, 5.2, 1.21, 1.1, 0.34, "LSTM, 20 steps", colour=theme.purple, fontsize=8.5)
    theme.arrow(axes, (4.93, 1.38), (5.18, 1.38))
    _note(theme, axes, 6.36, 1.38, "exact", color=theme.ink)
    _note(theme, axes, 3.1, 1.66, "features of the last 20 frames", fontsize=8.5)
    theme.box(axes, 3.1, 0.22, 1.1, 0.34, "LSTM, 1 step", colour=theme.purple, fontsize=8.5)
    theme.arrow(axes, (3.95, 0.58), (3.35, 0.58), connectionstyle="arc3,rad=0.8", color=theme.purple, linewidth=1.4)
    _note(theme, axes, 3.65, 0.92, "state", ha="center", fontsize=8.5, color=theme.purple)
    _note(theme, axes, 4.3, 0.39, "carried: has read everything since the start", color=theme.ink)
    _finish(axes, 3.2)
    return figure


def decision(theme: Theme) -> Figure:
    """Where to begin."""
    figure, axes = _canvas(theme, 3.6)
    questions = (
        ("Can one photograph tell\nthe actions apart?", "single-frame\non efficientnet-lite0"),
        ("May no pixels be kept, or is\nit about the body alone?", "pose-lstm"),
        ("Does accuracy come before\ncost (no camera, no phone)?", "late-fusion, merge=mean\non i3d"),
    )
    for number, (question, choice) in enumerate(questions):
        y = 2.9 - 0.95 * number
        theme.box(axes, 0.6, y, 2.5, 0.58, question, colour=theme.blue, fontsize=9.5)
        theme.box(axes, 4.4, y, 2.2, 0.58, choice, colour=theme.green, fontsize=9.5)
        theme.arrow(axes, (3.12, y + 0.29), (4.38, y + 0.29))
        _note(theme, axes, 3.7, y + 0.40, "yes", ha="center")
        theme.arrow(axes, (1.85, y - 0.02), (1.85, y - 0.36))
        _note(theme, axes, 1.95, y - 0.18, "no")
    theme.box(axes, 0.6, 0.02, 2.5, 0.5, "lrcn on efficientnet-lite0", colour=theme.green, fontsize=9.5)
    _note(theme, axes, 3.35, 0.27, "thousands of videos? then try --finetune as well", fontsize=9)
    _finish(axes, 3.6)
    return figure


DRAWINGS: dict[str, Callable[[Theme], Figure]] = {
    "fusion-single-frame": single_frame,
    "fusion-late-fusion": late_fusion,
    "fusion-early-fusion": early_fusion,
    "fusion-slow-fusion": slow_fusion,
    "fusion-lrcn": lrcn,
    "lstm-cell": partial(cell, maps=False),
    "convlstm-cell": partial(cell, maps=True),
    "split": split_grid,
    "training-loop": training_loop,
    "running": running,
    "decision": decision,
}


def main(folder: Path) -> Numbers:
    """Draw them all."""
    for name, make in DRAWINGS.items():
        save(make, name, folder)
    return {}
