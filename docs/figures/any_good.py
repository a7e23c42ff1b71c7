"""The pictures of chapter 12: what a leaky split claims, and how wide an interval is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from guide_paths import Numbers, interval, metrics, percent
from matplotlib.figure import Figure
from style import WIDTH, Theme, save


def leak(theme: Theme) -> Figure:
    """Two bars."""
    test = metrics("leaky")["test"]
    figure, axes = theme.subplots(WIDTH, 2.0)
    bars = (("random split: leaky", test, theme.orange), ("split by person: honest", test["honest"], theme.blue))
    for place, (name, found, colour) in enumerate(bars):
        value, (low, high) = found["top1"], found["top1_interval"]
        axes.barh(1 - place, 100 * value, 0.55, color=colour)
        axes.plot([100 * low, 100 * high], [1 - place] * 2, color=theme.ink, linewidth=1.4)
        axes.text(1.5, 1 - place, f"{name}, {100 * value:.0f} %", va="center", color=theme.page, fontweight="bold")
    axes.axvline(25, color=theme.faint, linestyle="--", linewidth=1.2)
    axes.text(25.5, -0.62, "chance", fontsize=8.5, color=theme.faint)
    axes.set(xlim=(0, 101), ylim=(-0.7, 1.45), xlabel="top-1, %", yticks=[])
    axes.spines["left"].set_visible(False)
    return figure


def widths() -> dict[int, tuple[float, float]]:
    """The interval when nine in ten people are right, one clip each, by their number."""
    from kineme.training.metrics import group_interval

    found = {}
    for people in (10, 20, 50, 100, 200):
        right_N = np.arange(people) >= people // 10
        found[people] = group_interval(right_N, np.arange(people))
    return found


def intervals(theme: Theme) -> Figure:
    """Lines of it."""
    figure, axes = theme.subplots(WIDTH, 2.3)
    for place, (low, high) in enumerate(widths().values()):
        axes.plot([100 * low, 100 * high], [-place] * 2, color=theme.blue, linewidth=5, solid_capstyle="round")
        axes.plot(90, -place, "o", color=theme.page, markersize=4)
        axes.text(100 * low - 1.2, -place, f"{100 * low:.0f}", ha="right", va="center", fontsize=9)
        axes.text(100 * high + 1.0, -place, f"{100 * high:.0f}", ha="left", va="center", fontsize=9)
    axes.set_yticks([-place for place in range(len(widths()))], [f"{people} people" for people in widths()])
    axes.set(xlim=(60, 104), xlabel="top-1, %", ylim=(-len(widths()) + 0.4, 0.6))
    axes.grid(axis="x")
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    return figure


def by_clips(test: dict[str, Any]) -> str:
    """The interval of a test figure if its clips were independent."""
    from kineme.training.metrics import group_interval

    right = round(test["top1"] * test["n"])
    return interval(group_interval(np.arange(test["n"]) < right, np.arange(test["n"])))


def main(folder: Path) -> Numbers:
    """Draw them all."""
    save(leak, "leak", folder)
    save(intervals, "intervals", folder)
    test = metrics("leaky")["test"]
    command = "kineme train rooms --leaky-random-split"
    command_here = "python docs/figures/make.py any_good"
    return {
        "leaky_top1": (percent(test["top1"]), command),
        "honest_top1": (percent(test["honest"]["top1"]), command),
        "leak_gap": (f"{100 * (test['top1'] - test['honest']['top1']):.0f}", command),
        "lrcn_interval_clips": (by_clips(metrics("lrcn")["test"]), command_here),
        "honest_interval": (interval(test["honest"]["top1_interval"]), command),
        "honest_interval_clips": (by_clips(test["honest"]), command_here),
    }
