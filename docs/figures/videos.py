"""The pictures of chapter 1: how a clip is sampled, what it looks like, and what a wrong rate does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from guide_paths import WORK, Numbers, clip, metrics, model, percent, right_video, show, strip
from matplotlib.figure import Figure
from PIL import Image
from style import WIDTH, Theme, save

RATES = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 25.0)


def sampling(theme: Theme) -> Figure:
    """Three files of the same movement, and the instants of a clip."""
    figure, axes = theme.canvas(WIDTH, 2.85)
    rng = np.random.default_rng(1)
    uneven = np.cumsum(rng.choice([0.03, 0.05, 0.11, 0.17], 60))
    rows = (
        ("25 a second", np.arange(0, 3, 0.04)),
        ("uneven", np.append(0, uneven[uneven < 3])),
        ("10 a second", np.arange(0, 3, 0.1)),
    )
    left, scale = 1.05, 2.0
    for number, (name, times) in enumerate(rows):
        y = 2.25 - 0.85 * number
        axes.text(0.05, y + 0.17, name, va="center", fontsize=9)
        instants = np.arange(20) * 0.125
        shown = {int(np.searchsorted(times, instant + 1e-6, side="right")) - 1 for instant in instants}
        for at, start in enumerate(times):
            end = times[at + 1] if at + 1 < len(times) else 3.0
            colour = theme.orange if at in shown else theme.line
            axes.bar(
                left + start * scale, 0.34, (end - start) * scale - 0.012, y, align="edge", color=colour, linewidth=0
            )
        for instant in instants:
            x = left + instant * scale
            theme.arrow(axes, (x, y - 0.2), (x, y - 0.02), mutation_scale=6)
    axes.text(left, 0.04, "0 s", fontsize=8, color=theme.faint, ha="center")
    axes.text(left + 2.375 * scale, 0.04, "2.375 s", fontsize=8, color=theme.faint, ha="center")
    axes.text(left + 3 * scale, 0.04, "3 s", fontsize=8, color=theme.faint, ha="center")
    return figure


def filmstrips(theme: Theme) -> Figure:
    """A clip of each of two actions whose frames are the same."""
    figure, axes = theme.subplots(WIDTH, 2.15, 2, 1)
    for one, label in zip(axes, ("sit-down", "stand-up"), strict=True):
        show(one, strip(clip(right_video(label), height=120, width=160)))
        one.set_title(label, fontsize=9, pad=3)
    return figure


def side_by_side(folder: Path) -> None:
    """Twenty frames in three ways, playing at one speed: spread, by the spec, and consecutive."""
    from kineme.video.clips import read_sampled_video
    from kineme.video.decode import read_frames
    from kineme.video.spec import ClipSpec

    video = next((WORK / "strangers" / "untrimmed").glob("*.mp4"))
    start = _first_action_s(video) - 0.4
    large = {"height": 120, "width": 160}
    whole = read_sampled_video(video, ClipSpec(frames=20, fps=3.0, **large), start_s=start).frames_NHWC[:20]
    meant = read_sampled_video(video, ClipSpec(frames=20, fps=8.0, **large), start_s=start).frames_NHWC[:20]
    dense = []
    for frame in read_frames(video, start_s=start + 0.6, size=(120, 160)):
        dense.append(frame.pixels_HWC)
        if len(dense) == 20:
            break
    gap = np.zeros((120, 8, 4), np.uint8)  # see-through
    images = []
    for three in zip(whole, meant, dense, strict=True):
        a, b, c = (np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in three)
        images.append(Image.fromarray(np.concatenate([a, gap, b, gap, c], axis=1)))
    images += [images[-1]] * 6
    images[0].save(
        folder / "wrong-rate.webp", save_all=True, append_images=images[1:], duration=125, loop=0, quality=80
    )


def _first_action_s(video: Path) -> float:
    import polars as pl

    rows = pl.read_csv(video.parent / "segments.csv").filter(pl.col("path") == video.name)
    return float(rows["start_s"][0])


def by_rate() -> dict[float, float]:
    """Top-1 of the LRCN on its test videos, with their clips taken at other rates."""
    from kineme.dataset.split_csv import read_split_csv
    from kineme.training.cache import FrameCache
    from kineme.training.evaluate import score_items
    from kineme.training.items import parts_of

    lrcn = model("lrcn")
    table = read_split_csv(WORK / "runs" / "lrcn" / "split.csv", WORK / "pairs")
    table = replace(table, rows=table.rows.filter(table.rows["split"] == "test"))
    found = {}
    for rate in RATES:
        cache = FrameCache(replace(lrcn.card.spec, fps=rate), per_frame=1)
        test = parts_of(*cache.prepare(table, lrcn.labels))["test"]
        answers = score_items(lrcn.network, test, cache).argmax(axis=1)
        found[rate] = float((answers == [item.label for item in test]).mean())
    return found


def accuracy_by_rate(theme: Theme, found: dict[float, float]) -> Figure:
    """A line over rates."""
    figure, axes = theme.subplots(WIDTH, 2.7)
    axes.plot(list(found), [100 * value for value in found.values()], marker="o", color=theme.blue)
    axes.axvline(8, color=theme.orange, linestyle="--", linewidth=1.2)
    axes.text(8.2, 4, "as trained", color=theme.orange, fontsize=9)
    axes.axhline(25, color=theme.faint, linestyle=":", linewidth=1.2)
    axes.text(RATES[0], 27, "chance", color=theme.faint, fontsize=9)
    axes.set(xscale="log", xlabel="frames a second of the test clips", ylabel="top-1, %", ylim=(0, 103))
    axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    axes.minorticks_off()
    axes.grid(axis="y")
    return figure


def main(folder: Path) -> Numbers:
    """Draw them all."""
    save(sampling, "clip-sampling", folder)
    save(filmstrips, "filmstrip", folder)
    side_by_side(folder)
    found = by_rate()
    save(lambda theme: accuracy_by_rate(theme, found), "accuracy-by-rate", folder)
    command = "python docs/figures/make.py videos"
    numbers: Numbers = {f"rate_{rate:g}": (percent(value), command) for rate, value in found.items()}
    numbers["lrcn_n"] = (str(metrics("lrcn")["test"]["n"]), "kineme train pairs --approach lrcn")
    return numbers
