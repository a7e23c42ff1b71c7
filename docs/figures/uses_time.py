"""The pictures of chapter 13: frames in four orders, what is left of each model, and which frames decided."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from approaches import has
from guide_paths import Numbers, clip, metrics, model, right_video, show, strip
from matplotlib.figure import Figure
from style import WIDTH, Theme, save

NAMES = {
    "single-frame": "single frame, ImageNet",
    "late-fusion-mean": "late fusion, mean, ImageNet",
    "late-fusion": "late fusion, ImageNet",
    "lrcn-imagenet": "LRCN, ImageNet",
    "early-fusion": "early fusion",
    "slow-fusion": "slow fusion",
    "pose-lstm": "pose, LSTM",
    "lrcn": "LRCN",
}


def orders(theme: Theme) -> Figure:
    """A clip in four orders."""
    from kineme.training.frame_order import reorder
    from kineme.video.spec import ClipSpec

    spec = ClipSpec(height=120, width=160)
    film = clip(right_video("sit-down"), height=spec.height, width=spec.width)
    figure, axes = theme.subplots(WIDTH, 3.3, 4, 1)
    for one, order in zip(axes, ("ordered", "shuffled", "reversed", "frozen"), strict=True):
        show(one, strip(reorder(film, order, np.random.default_rng(0), spec, len(film))))
        one.set_ylabel(order, rotation=0, ha="right", va="center", fontsize=9)
    return figure


def time_used(theme: Theme) -> Figure:
    """Dots on a line for each model."""
    runs = [run for run in NAMES if has(run)]
    figure, axes = theme.subplots(WIDTH, 0.36 * len(runs) + 1.0)
    marks = {"reversed": ("v", theme.purple), "shuffled": ("s", theme.orange), "frozen": ("D", theme.grey)}
    for place, run in enumerate(runs):
        test = metrics(run)["test"]
        values = {order: 100 * test["orders"][order]["top1"] for order in marks}
        top1 = 100 * test["top1"]
        axes.plot([min(values.values()), top1], [-place] * 2, color=theme.line, linewidth=1.5, zorder=1)
        for order, value in values.items():
            shape, colour = marks[order]
            axes.plot(value, -place, shape, color=colour, markersize=6.5, label=order if not place else None, alpha=0.9)
        axes.plot(top1, -place, "o", color=theme.blue, markersize=8, label="in order" if not place else None)
    axes.axvline(25, color=theme.faint, linestyle="--", linewidth=1)
    axes.set_yticks([-place for place in range(len(runs))], [NAMES[run] for run in runs])
    axes.set(xlim=(-3, 103), xlabel="top-1, %", ylim=(-len(runs) + 0.4, 0.6))
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    figure.legend(loc="outside upper right", ncols=4, fontsize=9)
    return figure


@functools.cache
def explained(label: str) -> Any:
    """Which frames decided in a clip, by holding spans of it still and by gradient."""
    return model("lrcn").explain(right_video(label))


def decided(theme: Theme) -> Figure:
    """Frames, and beneath them how much each spoke for the answer."""
    from kineme.video.clips import read_sampled_video

    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    grid = figure.add_gridspec(4, 1, height_ratios=[0.8, 1, 0.8, 1])
    for number, label in enumerate(("sit-down", "stand-up")):
        found = explained(label)
        film = read_sampled_video(right_video(label), model("lrcn").card.spec).frames_NHWC
        top, low = figure.add_subplot(grid[2 * number]), figure.add_subplot(grid[2 * number + 1])
        end = float(found.ends[-1])
        top.imshow(strip(film, 12), extent=(0, end, 0, 1), aspect="auto")
        top.axis("off")
        top.set_title(label, fontsize=9.5, pad=3)
        width = np.diff(np.append(found.times_N, end))
        colours = [theme.orange if one else theme.line for one in found.is_salient]
        low.bar(found.times_N, found.attributions["occlusion"], width * 0.92, align="edge", color=colours, linewidth=0)
        low.set(xlim=(0, end), ylabel="log-odds")
        if number:
            low.set_xlabel("s")
    return figure


def main(folder: Path) -> Numbers:
    """Draw them all."""
    save(orders, "frame-orders", folder)
    save(time_used, "time-used", folder)
    save(decided, "which-frames", folder)
    return {}
