"""The picture and the table of chapter 15."""

from __future__ import annotations

from pathlib import Path

from approaches import has
from guide_paths import TRANSCRIPTS, Numbers, benchmark, interval, metrics, percent
from matplotlib.figure import Figure
from style import WIDTH, Theme, save
from uses_time import NAMES


def within_and_across(theme: Theme) -> Figure:
    """A line for each candidate from one place to another."""
    found = benchmark("ut-interaction")
    within = {one["name"]: 100 * one["top1"] for one in found["set1"]["candidates"]}
    across = {one["name"]: 100 * one["top1"] for one in found["across"]["candidates"]}
    figure, axes = theme.subplots(WIDTH, 4.6)
    names = sorted(across, key=lambda name: -across[name])
    places = _apart([across[name] for name in names], 4.3)
    for name, place in zip(names, places, strict=True):
        colour = theme.blue if ":i3d" in name else theme.purple if "pose" in name else theme.orange
        colour = theme.green if name == "lrcn:efficientnet-lite0" else colour
        axes.plot([0, 1], [within[name], across[name]], color=colour, marker="o", markersize=5)
        axes.plot([1.01, 1.05], [across[name], place], color=theme.line, linewidth=0.8)
        said = name.replace("efficientnet-lite0", "ImageNet").replace(",merge=mean", ", mean").replace(":", " on ")
        axes.text(1.06, place, f"{said}  {across[name]:.0f}", va="center", fontsize=9, color=colour)
    for value, text in ((found["set1"]["baselines"]["background_only"]["top1"], "background alone"), (1 / 6, "chance")):
        end = found["across"]["baselines"]["background_only"]["top1"] if text != "chance" else 1 / 6
        axes.plot([0, 1], [100 * value, 100 * end], color=theme.faint, linestyle=":", linewidth=1.2)
        axes.text(-0.02, 100 * value, text, ha="right", va="center", fontsize=9, color=theme.faint)
    axes.set(xlim=(-0.42, 1.95), ylim=(12, 102), ylabel="top-1, %")
    axes.set_xticks([0, 1], ["within set 1", "across the sets"])
    axes.spines["bottom"].set_visible(False)
    return figure


def _apart(values: list[float], distance: float) -> list[float]:
    """Falling values moved so far that names beside them do not touch."""
    placed: list[float] = []
    for value in values:
        placed.append(min(value, placed[-1] - distance) if placed else value + 2)
    return placed


def table() -> str:
    """What each of the guide's models does, as Markdown."""
    lines = [
        "| model | top-1 | 95 % interval | shuffled | reversed | training | weights |",
        "|---|---|---|---|---|---|---|",
    ]
    for run, name in NAMES.items():
        if not has(run):
            continue
        found = metrics(run)
        test = found["test"]
        lines.append(
            f"| {name} | {percent(test['top1'])} | {interval(test['top1_interval'])} | "
            f"{percent(test['orders']['shuffled']['top1'])} | {percent(test['orders']['reversed']['top1'])} | "
            f"{found['train']['training_seconds']:.0f} s | {found['model']['parameters']:,} |"
        )
    return "\n".join(lines) + "\n"


def main(folder: Path) -> Numbers:
    """Draw and write."""
    save(within_and_across, "within-and-across", folder)
    (TRANSCRIPTS / "table.md").write_text(table(), encoding="utf-8")
    return {}
