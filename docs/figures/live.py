"""The pictures of chapter 14: a long video, a stream in its two modes, and what a frame costs."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from guide_paths import LABELS, WORK, Numbers, benchmark, model, percent, show, strip
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from style import WIDTH, Theme, save


def long_video() -> Path:
    """An untrimmed video of somebody whom no training has seen."""
    return min((WORK / "strangers" / "untrimmed").glob("*.mp4"))


def colours_of(theme: Theme) -> dict[str, str]:
    """A colour for each action."""
    return dict(zip(LABELS, (theme.green, theme.purple, theme.blue, theme.orange), strict=True))


def true_segments() -> list[tuple[float, float, str]]:
    """What happens when."""
    import polars as pl

    rows = pl.read_csv(long_video().parent / "segments.csv").filter(pl.col("path") == long_video().name)
    return [(row["start_s"], row["end_s"], row["label"]) for row in rows.iter_rows(named=True)]


def both_modes(model: Any, video: Path) -> dict[str, list[tuple[float, Any]]]:
    """Time and probabilities at every frame of a video, as a stream gives them in its two modes."""
    from kineme.video.decode import read_frames

    found = {}
    for mode in ("exact", "carried"):
        with model.stream(mode=mode) as stream:
            found[mode] = [
                (frame.pts_s, probabilities_K)
                for frame in read_frames(video)
                if (probabilities_K := stream.push(frame.pixels_HWC, frame.pts_s)) is not None
            ]
    return found


@functools.cache
def streamed() -> dict[str, tuple[Any, Any]]:
    """Of the LRCN and the long video: times and probabilities of each mode."""
    return {
        mode: (np.array([at for at, _ in rows]), np.array([one for _, one in rows]))
        for mode, rows in both_modes(model("lrcn"), long_video()).items()
    }


def exact_and_carried(theme: Theme) -> Figure:
    """The probability of what happens, in both modes."""
    figure, axes = theme.subplots(WIDTH, 3.2, 2, 1, sharex=True, sharey=True)
    colours = colours_of(theme)
    for one, (mode, (times, probabilities_NK)) in zip(axes, streamed().items(), strict=True):
        for start, end, label in true_segments():
            one.axvspan(start, end, color=colours[label], alpha=0.22, linewidth=0)
        for number, label in enumerate(LABELS):
            one.plot(times, 100 * probabilities_NK[:, number], color=colours[label], linewidth=1.5, label=label)
        one.set(ylim=(-3, 103), title=mode, ylabel="%")
    axes[1].set_xlabel("s")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=4, fontsize=8.5)
    return figure


@functools.cache
def predicted() -> Any:
    """The prediction for the long video."""
    return model("lrcn").predict(long_video())


def timeline(theme: Theme) -> Figure:
    """Frames, true and predicted segments, curves."""
    from kineme.video.clips import read_sampled_video
    from kineme.video.spec import ClipSpec

    found, colours = predicted(), colours_of(theme)
    film = read_sampled_video(long_video(), ClipSpec(fps=2, height=90, width=120)).frames_NHWC
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    grid = figure.add_gridspec(4, 1, height_ratios=[0.9, 0.28, 0.28, 1.6])
    axes = [figure.add_subplot(grid[row]) for row in range(4)]
    show(axes[0], strip(film, 12), aspect="auto", extent=(0, found.duration_s, 0, 1))
    said = [(one.start_s, one.end_s, one.label) for one in found.actions]
    for one, name, segments in ((axes[1], "true", true_segments()), (axes[2], "found", said)):
        for start, end, label in segments:
            one.add_patch(Rectangle((start, 0), end - start, 1, facecolor=colours[label], linewidth=0))
        one.set(ylim=(0, 1), yticks=[], xticks=[])
        one.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        one.spines[:].set_visible(True)
        one.spines[:].set_color(theme.line)
    middles = found.window_times_W2.mean(axis=1)
    for number, label in enumerate(LABELS):
        axes[3].plot(middles, 100 * found.window_probabilities_WK[:, number], color=colours[label], label=label)
    axes[3].set(ylim=(-3, 103), xlabel="s", ylabel="%")
    axes[3].legend(ncols=4, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.28))
    for one in axes:
        one.set_xlim(0, found.duration_s)
    return figure


def cost(theme: Theme) -> Figure:
    """Milliseconds for one more frame."""
    textbook = benchmark("streaming")["textbook"]
    rows = [("the tutorial's loop", textbook["loop_ms_a_frame"], theme.orange)]
    engines = {"keras": "Keras", "litert": "LiteRT"}
    rows += [
        (
            f"stream, {way['mode']}, {engines[way['engine']]}",
            way["ms_a_frame"],
            theme.blue if way["engine"] == "litert" else theme.teal,
        )
        for way in sorted(textbook["ways"], key=lambda way: -way["ms_a_frame"])
    ]
    figure, axes = theme.subplots(WIDTH, 2.5)
    for place, (_, value, colour) in enumerate(rows):
        axes.barh(-place, value - 0.05, 0.62, left=0.05, color=colour)
        axes.text(value * 1.12 + 0.05, -place, f"{value:.2g} ms" if value < 100 else f"{value:.0f} ms", va="center")
    axes.set_yticks([-place for place in range(len(rows))], [name for name, _, _ in rows])
    axes.axvline(40, color=theme.faint, linestyle="--", linewidth=1)
    axes.text(41, -len(rows) + 0.55, "25 frames a second", fontsize=8.5, color=theme.faint)
    axes.set(xscale="log", xlim=(0.05, 700), xlabel="milliseconds")
    axes.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    axes.tick_params(left=False)
    return figure


def main(folder: Path) -> Numbers:
    """Draw them all."""
    save(timeline, "timeline", folder)
    save(exact_and_carried, "exact-and-carried", folder)
    save(cost, "cost-per-frame", folder)
    found = benchmark("streaming")
    ways = {(way["engine"], way["mode"]): way["ms_a_frame"] for way in found["textbook"]["ways"]}
    drift, line = found["drift"], benchmark("timeline")
    streaming, timelines = "python benchmarks/streaming.py", "python benchmarks/timeline.py"
    return {
        "loop_ms": (f"{found['textbook']['loop_ms_a_frame']:.0f}", streaming),
        "exact_ms": (f"{ways['litert', 'exact']:.2g}", streaming),
        "carried_ms": (f"{ways['litert', 'carried']:.2g}", streaming),
        "drift_seconds": (f"{drift['seconds']:.0f}", streaming),
        "drift_same": (percent(drift["same_label"]), streaming),
        "drift_exact": (percent(drift["exact_right"]), streaming),
        "drift_carried": (percent(drift["carried_right"]), streaming),
        "pauses": (percent(line["pauses_called_background"]["value"]), timelines),
        "segment_f1": (f"{line['segment_f1']['value']:.2f}", timelines),
    }
