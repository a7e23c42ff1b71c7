"""The pictures of chapters 3 to 7, 9 and 10: networks drawn from their layers, and what the trained ones hold."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
from guide_paths import LABELS, WORK, Numbers, benchmark, clip, interval, metrics, model, percent, right_video, show
from matplotlib.figure import Figure
from network_diagram import network_diagram
from numpy.typing import NDArray
from style import WIDTH, Theme, save

RUNS = (
    "single-frame",
    "late-fusion-mean",
    "late-fusion",
    "early-fusion",
    "slow-fusion",
    "pose-lstm",
    "lrcn",
    "lrcn-imagenet",
    "leaky",
)
DRAWN = {"early-fusion": "pixels", "slow-fusion": "pixels", "convlstm": "changes", "lrcn": "motion-cnn"}


def network(theme: Theme, approach: str) -> Figure:
    """An approach's network for four classes."""
    from kineme.models.network import build_network
    from kineme.models.registry import make_approach
    from kineme.video.spec import ClipSpec

    built = build_network(make_approach(approach, {"backbone": DRAWN[approach]}), ClipSpec(), classes=4)
    return network_diagram(theme, built)


def has(run: str) -> bool:
    """Whether a run is there: pose needs weights that must be fetched."""
    return (WORK / "runs" / run / "metrics.json").is_file()


def confusion(theme: Theme) -> Figure:
    """What the single-frame model answers."""
    counts_KK = np.array(metrics("single-frame")["test"]["confusion"])
    figure, axes = theme.subplots(4.4, 2.9)
    axes.imshow(counts_KK, cmap=theme.heat, vmin=0, vmax=counts_KK.sum(axis=1).max())
    for row, column in np.ndindex(counts_KK.shape):
        axes.text(column, row, counts_KK[row, column], ha="center", va="center")
    axes.set_xticks(range(4), LABELS, fontsize=8.5)
    axes.set_yticks(range(4), LABELS, fontsize=8.5)
    axes.set(xlabel="answer", ylabel="truth")
    axes.tick_params(length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)
    return figure


def mean_or_order(theme: Theme) -> Figure:
    """Two ways to merge, in order and shuffled."""
    figure, axes = theme.subplots(WIDTH, 2.4)
    for place, (run, name) in enumerate((("late-fusion-mean", "mean"), ("late-fusion", "side by side"))):
        test = metrics(run)["test"]
        for offset, found, colour, label in (
            (-0.18, test, theme.blue, "in order"),
            (0.18, test["orders"]["shuffled"], theme.orange, "shuffled"),
        ):
            value, (low, high) = found["top1"], found["top1_interval"]
            axes.bar(place + offset, 100 * value, 0.32, color=colour, label=label if not place else None)
            axes.plot([place + offset] * 2, [100 * low, 100 * high], color=theme.ink, linewidth=1.3)
            axes.text(place + offset + 0.02, 100 * value / 2, f"{100 * value:.0f}", ha="center", color=theme.page)
        axes.text(place, -14, name, ha="center")
    axes.axhline(25, color=theme.faint, linestyle=":", linewidth=1.2)
    axes.set(ylim=(0, 103), ylabel="top-1, %", xlim=(-0.6, 2.0))
    axes.set_xticks([])
    axes.legend(loc="center right")
    axes.text(1.98, 27, "chance", ha="right", fontsize=9, color=theme.faint)
    return figure


def early_filters(theme: Theme) -> Figure:
    """The strongest filters of the first layer, frame by frame."""
    kernel = model("early-fusion").network.get_layer("head").get_layer("conv1").get_weights()[0]
    frames = model("early-fusion").card.spec.frames
    by_frame = kernel.reshape(5, 5, frames, 3, -1).mean(axis=3)  # (5, 5, T, filters)
    order = np.argsort(-np.abs(np.diff(by_frame.mean(axis=(0, 1)), axis=0)).sum(axis=0))[:6]
    figure, axes = theme.subplots(WIDTH, 2.35, 6, frames)
    for row, number in zip(axes, order, strict=True):
        largest = np.abs(by_frame[..., number]).max()
        for at, one in enumerate(row):
            show(one, by_frame[:, :, at, number], cmap=theme.balance, vmin=-largest, vmax=largest)
    return figure


@functools.cache
def time_fields() -> list[NDArray[np.float64]]:
    """How much each frame counts for a middle value after each convolution of the trained 3D CNN; sums are 1."""
    import tensorflow as tf

    from kineme.models.backend import keras

    head = model("slow-fusion").network.get_layer("head")
    clips = np.stack([clip(right_video(label, "slow-fusion")) for label in LABELS]).astype("float32") / 255
    centred = clips - clips.mean(axis=1, keepdims=True)
    start = head.get_layer("conv1").input
    rng = np.random.default_rng(0)
    found = []
    for number in range(1, 5):
        part = keras.Model(start, head.get_layer(f"conv{number}").output)
        total = np.zeros(clips.shape[1])
        for _ in range(8):
            x = tf.convert_to_tensor(centred)
            with tf.GradientTape() as tape:
                tape.watch(x)
                maps = part(x, training=False)
                weights = rng.choice([-1.0, 1.0], maps.shape[2:]).astype("float32")
                value = tf.reduce_sum(maps[:, maps.shape[1] // 2] * weights)
            total += np.abs(np.asarray(tape.gradient(value, x))).sum(axis=(0, 2, 3, 4))
        found.append(total / total.sum())
    return found


def time_field(theme: Theme) -> Figure:
    """Bars of it."""
    figure, axes = theme.subplots(WIDTH, 3.1, 4, 1, sharex=True)
    for number, (one, share_T, paper) in enumerate(zip(axes, time_fields(), (3, 5, 10, 20), strict=True), 1):
        one.bar(np.arange(20), share_T / share_T.max(), color=theme.blue)
        on = np.flatnonzero(share_T > 1e-9)
        one.plot([on[0] - 0.4, on[-1] + 0.4], [-0.13, -0.13], color=theme.orange, linewidth=2, clip_on=False)
        one.set(yticks=[], ylim=(0, 1.05), xlim=(-0.8, 23.5))
        one.set_ylabel(f"conv {number}", rotation=0, ha="right", va="center")
        one.text(20.2, 0.5, f"{len(on)} frames\n(on paper {paper})", va="center", fontsize=9, color=theme.orange)
        one.spines["left"].set_visible(False)
    axes[-1].set_xlabel("frame of the clip", labelpad=7)
    axes[-1].set_xticks(range(0, 20, 2))
    return figure


@functools.cache
def poses(label: str) -> tuple[Any, Any, Any]:
    """Frames, poses and features of the clip of a label; empty without the weights."""
    from kineme.models import weights
    from kineme.models.backbones.blazepose import PoseTracker
    from kineme.models.backbones.landmarks import landmark_features
    from kineme.video.clips import read_sampled_video
    from kineme.video.spec import ClipSpec

    files = weights.find("blazepose")
    strip = read_sampled_video(right_video(label), ClipSpec(height=224, width=298))
    if not files:
        return strip.frames_NHWC, None, None
    tracker = PoseTracker(files)
    found = [tracker(frame, instant) for frame, instant in zip(strip.frames_NHWC, strip.times_s, strict=True)]
    return strip.frames_NHWC, found, landmark_features(found, strip.times_s)


def skeletons(theme: Theme) -> Figure:
    """Frames with what was found in them."""
    from kineme.report.skeleton import draw_skeleton

    frames, found, _ = poses("sit-down")
    figure, axes = theme.subplots(WIDTH, 2.8, 2, 4)
    for one, at in zip(axes.ravel(), np.linspace(2, len(frames) - 3, 8).astype(int), strict=True):
        show(one, frames[at] if found is None else draw_skeleton(frames[at], found[at]))
    return figure


def landmark_curves(theme: Theme) -> Figure:
    """A position and a velocity over two clips."""
    from kineme.models.backbones.landmarks import LANDMARK_COUNT, LANDMARKS

    figure, axes = theme.subplots(WIDTH, 2.5, 1, 2)
    nose, hip = LANDMARKS.index("nose"), LANDMARKS.index("left hip")
    for label, colour in (("sit-down", theme.blue), ("stand-up", theme.orange)):
        features_TD = poses(label)[2]
        if features_TD is None:
            continue
        times = np.arange(len(features_TD)) / 8
        axes[0].plot(times, -features_TD[:, 2 * nose + 1], color=colour, label=label)
        axes[1].plot(times, -features_TD[:, 2 * LANDMARK_COUNT + 2 * hip + 1], color=colour, label=label)
    axes[0].set(title="nose above the hips", ylabel="body sizes", xlabel="s")
    axes[1].set(title="upward velocity of the left hip", ylabel="body sizes a second", xlabel="s")
    axes[1].axhline(0, color=theme.faint, linewidth=0.8)
    axes[0].legend()
    return figure


def main(folder: Path) -> Numbers:
    """Draw them all."""
    for approach in DRAWN:
        save(lambda theme, approach=approach: network(theme, approach), f"network-{approach}", folder)
    save(confusion, "confusion-single-frame", folder)
    save(mean_or_order, "mean-or-order", folder)
    save(early_filters, "early-filters", folder)
    save(time_field, "time-field", folder)
    save(skeletons, "skeletons", folder)
    save(landmark_curves, "landmark-features", folder)
    return {**_of_runs(), **_pose(), **_of_benchmark()}


def _of_runs() -> Numbers:
    numbers: Numbers = {}
    for run in filter(has, RUNS):
        found = metrics(run)
        said = json.loads((WORK / "runs" / run / "metrics.json").read_text())["model"]["approach"]
        command = f"kineme train: the run {run} ({said})"
        name = run.replace("-", "_")
        test = found["test"]
        numbers[f"{name}_top1"] = (percent(test["top1"]), command)
        numbers[f"{name}_interval"] = (interval(test["top1_interval"]), command)
        numbers[f"{name}_seconds"] = (f"{found['train']['training_seconds']:.0f}", command)
        for order, one in test["orders"].items():
            numbers[f"{name}_{order}"] = (percent(one["top1"]), command)
    return numbers


def _pose() -> Numbers:
    command = "kineme train pairs --approach pose-lstm"
    source = (f"{right_video('sit-down').name} and {right_video('stand-up').name}", command)
    if not has("pose-lstm"):
        sentence = (
            "BlazePose's weights were not available on the machine that built this page, so there is no figure here; "
            "kineme models pull blazepose downloads them."
        )
        return {"pose_sentence": (sentence, command), "pose_source": source}
    test = metrics("pose-lstm")["test"]
    sentence = (
        f"From landmarks alone it classifies {percent(test['top1'])} of the videos of people it never saw correctly; "
        f"with shuffled frames {percent(test['orders']['shuffled']['top1'])}, with reversed frames "
        f"{percent(test['orders']['reversed']['top1'])}."
    )
    return {"pose_sentence": (sentence, command), "pose_source": source}


def _of_benchmark() -> Numbers:
    found = benchmark("ut-interaction")
    command = "python benchmarks/ut_interaction.py"

    def one(part: str, name: str, figure: str = "top1") -> tuple[str, str]:
        return percent(next(one for one in found[part]["candidates"] if one["name"] == name)[figure]), command

    lrcn, late, i3d = "lrcn:efficientnet-lite0", "late-fusion:efficientnet-lite0", "late-fusion:i3d,merge=mean"
    values = {one["name"]: one for one in found["set1"]["candidates"]}
    lost = values[lrcn]["top1"] - values[lrcn]["shuffled_top1"]
    return {
        "ut_late_set1": one("set1", late),
        "ut_late_across": one("across", late),
        "ut_early_across": one("across from scratch", "early-fusion"),
        "ut_single_scratch_across": one("across from scratch", "single-frame"),
        "ut_i3d_set1": one("set1", i3d),
        "ut_i3d_across": one("across", i3d),
        "ut_pose_set1": one("set1", "pose-lstm"),
        "ut_pose_set2": one("set2", "pose-lstm"),
        "ut_pose_across": one("across", "pose-lstm"),
        "ut_pair_set1": one("set1", "pose-lstm:movenet"),
        "ut_pair_set2": one("set2", "pose-lstm:movenet"),
        "ut_pair_across": one("across", "pose-lstm:movenet"),
        "ut_lrcn_set1": one("set1", lrcn),
        "ut_lrcn_across": one("across", lrcn),
        "ut_lrcn_shuffled_set1": one("set1", lrcn, "shuffled_top1"),
        "ut_lrcn_lost_set1": (f"{100 * lost:.0f}", command),
    }
