"""The picture of what more videos cost: processor time for each, and memory."""

from __future__ import annotations

from pathlib import Path

from guide_paths import Numbers, benchmark
from matplotlib.figure import Figure
from style import WIDTH, Theme, save


def growth(theme: Theme) -> Figure:
    """Both against the number of videos, a line for each command."""
    counts = benchmark("growth")["counts"]
    videos = sorted(map(int, counts))
    figure, axes = theme.subplots(WIDTH, 3.0, columns=2)
    colours = {"train": theme.blue, "check": theme.orange, "predict": theme.green}
    for command, colour in colours.items():
        costs = [counts[str(count)][command] for count in videos]
        name = "train --fast" if command == "train" else command
        axes[0].plot(videos, [one["cpu_s_per_video"] for one in costs], color=colour, marker="o", label=name)
        axes[1].plot(videos, [one["peak_bytes"] / 1e6 for one in costs], color=colour, marker="o", label=name)
    for one, what in zip(axes, ("processor seconds for each video", "memory, MB"), strict=True):
        one.set(xscale="log", xlabel="videos", ylabel=what, ylim=(0, None))
        one.set_xticks(videos, [f"{count:,}" for count in videos])
        one.minorticks_off()
    axes[0].legend(fontsize=9)
    return figure


def main(folder: Path) -> Numbers:
    """Draw."""
    save(growth, "growth", folder)
    return {}
