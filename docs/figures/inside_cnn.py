"""The pictures of chapter 2: filters, feature maps and receptive fields of trained networks."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from guide_paths import Numbers, benchmark, clip, model, percent, right_video, show
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from network_diagram import network_diagram
from numpy.typing import NDArray
from style import WIDTH, Theme, save

DEPTHS = {
    "conv_stem": "after 1 layer",
    "blocks-2-project_conv": "block 3",
    "blocks-4-project_conv": "block 5",
    "blocks-10-project_conv": "block 11",
    "blocks-15-project_conv": "block 16",
}
PRETRAINED_BLOCKS = (2, 4, 7, 10)  # of EfficientNet, counted from 0
FRAMES = 64  # that gradients are averaged over


@functools.cache
def efficientnet() -> Any:
    """The pretrained network."""
    from kineme.models.backbones import efficientnet_lite0
    from kineme.models.weights import require

    network = efficientnet_lite0.build()
    efficientnet_lite0.load_weights(network, require("efficientnet-lite0"))
    return network


def small_cnn(theme: Theme) -> Figure:
    """The layers of the CNN for one frame."""
    from kineme.models.backbones.small_cnn import frame_network

    return network_diagram(theme, frame_network(64, 64))


def filters(theme: Theme) -> Figure:
    """The first layer's filters as little pictures, those of colours and edges sorted by strength."""
    kernel = efficientnet().get_layer("conv_stem").get_weights()[0]  # (3, 3, 3, 32)
    order = np.argsort(-kernel.std(axis=(0, 1, 2)))
    figure, axes = theme.subplots(WIDTH, 2.05, 3, 11)
    for one in axes.ravel():
        one.axis("off")
    for one, number in zip(axes.ravel(), order, strict=False):
        image = kernel[..., number]
        largest = np.abs(image).max()
        one.imshow(0.5 + 0.5 * image / largest, interpolation="nearest")
    return figure


@functools.cache
def photograph() -> NDArray[np.uint8]:
    """A flower of 224 by 224 pixels."""
    from sklearn.datasets import load_sample_image

    image = load_sample_image("flower.jpg")
    side = min(image.shape[:2])
    left = (image.shape[1] - side) // 2
    return cv2.resize(image[:side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)


def feature_maps(theme: Theme) -> Figure:
    """What filters at five depths answer to, the four strongest of each."""
    from kineme.models.backend import keras

    network = efficientnet()
    maps = keras.Model(network.input, [network.get_layer(name).output for name in DEPTHS])
    found = [np.asarray(one)[0] for one in maps(photograph()[None])]
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    grid = figure.add_gridspec(4, len(DEPTHS) + 2)
    first = figure.add_subplot(grid[1:3, :2])
    show(first, photograph())
    first.set_title("photograph", fontsize=9)
    for column, (name, map_HWC) in enumerate(zip(DEPTHS, found, strict=True)):
        strongest = np.argsort(-map_HWC.std(axis=(0, 1)))[:4]
        for row, channel in enumerate(strongest):
            axes = figure.add_subplot(grid[row, column + 2])
            one = np.maximum(map_HWC[..., channel] - np.median(map_HWC[..., channel]), 0)
            show(axes, one, cmap="magma", vmin=0, vmax=np.quantile(one, 0.995) + 1e-6)
            if not row:
                axes.set_title(f"{DEPTHS[name]}\n{map_HWC.shape[0]} × {map_HWC.shape[1]}", fontsize=8.5)
    return figure


@functools.cache
def receptive_fields() -> list[tuple[int, float, NDArray[np.float64]]]:
    """For each convolution of the trained small CNN, of a place near the middle of its maps.

    The width of its receptive field on paper, where its middle lies, and the mean gradient for each of 64 x 64 pixels.
    """
    network = model("lrcn").network.get_layer("backbone").get_layer("frame_network")
    film = np.concatenate([clip(right_video(label)) for label in model("lrcn").labels]).astype("float32") / 255
    frames = (film[1:] - film[:-1])[:FRAMES]  # what changed, as the network was trained on
    frames = frames + np.random.default_rng(0).normal(0, 0.05, frames.shape).astype("float32")
    found = []
    r, j = 1, 1
    for number, pool in enumerate((4, 4, 2, 2), 1):
        r += 2 * j
        found.append((r, *_measured(network.input, network.get_layer(f"conv{number}").output, frames, j)))
        r += (pool - 1) * j
        j *= pool
    return found


@functools.cache
def pretrained_fields() -> list[tuple[int, float, NDArray[np.float64]]]:
    """The same of four depths of EfficientNet-Lite0, for 224 x 224 pixels, over crops of photographs."""
    from kineme.models.backbones.efficientnet_lite0 import _STAGES

    rng = np.random.default_rng(0)
    crops = np.stack([np.roll(photograph(), rng.integers(0, 224, 2), axis=(0, 1)) for _ in range(8)])
    blocks = [
        (kernel, stride if not again else 1) for repeats, kernel, stride, *_ in _STAGES for again in range(repeats)
    ]
    start = efficientnet().get_layer("scale").output
    scaled = crops.astype("float32") / 128 - 127 / 128
    found = []
    r, j = 3, 2
    for number, (kernel, stride) in enumerate(blocks):
        r += (kernel - 1) * j
        j *= stride
        if number in PRETRAINED_BLOCKS:
            end = efficientnet().get_layer(f"blocks-{number}-project_conv").output
            found.append((r, *_measured(start, end, scaled, j)))
    return found


def _measured(start: Any, end: Any, frames_NHWC: NDArray[np.float32], j: int) -> tuple[float, NDArray[np.float64]]:
    """Where the middle of a map's middle place lies, and the mean size of its gradient for each pixel; its sum is 1."""
    import tensorflow as tf

    from kineme.models.backend import keras

    part = keras.Model(start, end)
    side = part.output.shape[1]
    total = np.zeros(frames_NHWC.shape[1:3])
    rng = np.random.default_rng(0)
    for first in range(0, len(frames_NHWC), 16):
        frames = tf.convert_to_tensor(frames_NHWC[first : first + 16])
        for _ in range(4):
            with tf.GradientTape() as tape:
                tape.watch(frames)
                maps = part(frames, training=False)
                weights = rng.choice([-1.0, 1.0], maps.shape[-1]).astype("float32")  # channels must not cancel
                value = tf.reduce_sum(maps[:, side // 2, side // 2] * weights)
            total += np.abs(np.asarray(tape.gradient(value, frames))).sum(axis=(0, 3))
    return (side // 2 + 0.5) * j - 0.5, np.asarray(total / total.sum())


def receptive_field(theme: Theme) -> Figure:
    """Where the gradient lies, and the square on paper; the small CNN above, the pretrained one below."""
    figure, axes = theme.subplots(WIDTH, 4.3, 2, 4)
    titles = [f"conv {number}" for number in range(1, 5)], [f"block {number + 1}" for number in PRETRAINED_BLOCKS]
    for row, fields, names in zip(axes, (receptive_fields(), pretrained_fields()), titles, strict=True):
        for one, (paper, middle, gradient), name in zip(row, fields, names, strict=True):
            size = len(gradient)
            show(one, gradient / np.quantile(gradient, 0.9995), cmap=theme.heat, vmin=0, vmax=1)
            edge = {"fill": False, "linewidth": 1}
            one.add_patch(Rectangle((-0.5, -0.5), size, size, edgecolor=theme.line, **edge))
            corner = middle - paper / 2
            square = {**edge, "edgecolor": theme.blue, "linestyle": "--", "linewidth": 1.3}
            one.add_patch(Rectangle((corner, corner), paper, paper, **square))
            one.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
            one.set_title(f"{name}: {paper} pixels", fontsize=9)
    axes[0, 0].set_ylabel("small CNN", fontsize=9)
    axes[1, 0].set_ylabel("EfficientNet-Lite0", fontsize=9)
    return figure


def half_width(middle: float, gradient: NDArray[np.float64]) -> int:
    """Side of the square around the middle that holds half of the gradient."""
    away = np.abs(np.arange(len(gradient)) - middle)
    return next(side for side in range(1, 999) if gradient[np.ix_(away <= side / 2, away <= side / 2)].sum() >= 0.5)


def main(folder: Path) -> Numbers:
    """Draw them all."""
    save(small_cnn, "network-frame", folder)
    save(filters, "filters", folder)
    save(feature_maps, "feature-maps", folder)
    save(receptive_field, "receptive-field", folder)
    fields = receptive_fields()
    command = "python docs/figures/make.py inside_cnn"
    paper = [str(r) for r, _, _ in fields]
    return {
        "rf_frames": (str(FRAMES), command),
        "rf_paper": (", ".join(paper[:-1]) + " and " + paper[-1], command),
        "rf_paper_big": (str(pretrained_fields()[2][0]), command),
        "rf_half_big": (str(half_width(*pretrained_fields()[2][1:])), command),
        "rf_half3": (str(half_width(*fields[2][1:])), command),
        "ut_background": (
            percent(benchmark("ut-interaction")["set1"]["baselines"]["background_only"]["top1"]),
            "python benchmarks/ut_interaction.py",
        ),
        "ut_background_masked": (percent(_masked_background()), "python benchmarks/person_mask.py"),
    }


def _masked_background() -> float:
    """Top-1 of the background without people on set 1 of UT-Interaction."""
    rows = benchmark("person-mask")["ut_interaction"]
    return next(row["top1"] for row in rows if row["way"] == "person mask" and row["videos"].startswith("set1"))
