"""The pictures of chapter 8: the gates of the trained LRCN over real clips, and gradients that vanish or do not."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from guide_paths import LABELS, Numbers, clip, model, right_video, strip
from matplotlib.figure import Figure
from numpy.typing import NDArray
from style import WIDTH, Theme, save

Array = NDArray[np.float64]

DELAY, UNITS, NETWORKS, STEPS = 60, 32, 3, 400  # of the task that asks for memory


@functools.cache
def gates_of(label: str) -> dict[str, Array]:
    """Gates, cell and probabilities of the LRCN at every frame of a clip of a label: (T, units) or (T, K)."""
    network = model("lrcn").network
    backbone, head = network.get_layer("backbone"), network.get_layer("head")
    features_TD = np.asarray(backbone(clip(right_video(label))[None]))[0].astype(np.float64)
    kernel, recurrent, bias = (np.asarray(one, np.float64) for one in head.get_layer("lstm").get_weights())
    dense, dense_bias = (np.asarray(one, np.float64) for one in head.get_layer("logits").get_weights())
    h = c = np.zeros(recurrent.shape[0])
    found: dict[str, list[Array]] = {"input": [], "forget": [], "output": [], "cell": [], "probabilities": []}
    for x in features_TD:
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        logits = (h @ dense + dense_bias) / model("lrcn").card.temperature
        powers = np.exp(logits - logits.max())
        for name, value in zip(found, (i, f, o, c, powers / powers.sum()), strict=True):
            found[name].append(value)
    return {name: np.array(rows) for name, rows in found.items()}


def gates(theme: Theme) -> Figure:
    """Two clips beside each other: frames, forget gate, input gate, cell, answer."""
    labels = ("sit-down", "stand-up")
    order = np.argsort(gates_of(labels[0])["cell"][-1] - gates_of(labels[1])["cell"][-1])
    figure = Figure(figsize=(WIDTH, 6.4), layout="constrained")
    grid = figure.add_gridspec(5, 2, height_ratios=[0.62, 1.5, 1.5, 1.5, 1.25])
    colours = dict(zip(LABELS, (theme.green, theme.purple, theme.blue, theme.orange), strict=True))
    for column, label in enumerate(labels):
        found = gates_of(label)
        top = figure.add_subplot(grid[0, column])
        top.imshow(strip(clip(right_video(label)), 7), extent=(-0.5, 19.5, 0, 1), aspect="auto")
        top.axis("off")
        top.set_title(label, fontsize=10, color=colours[label], fontweight="bold")
        for row, (name, map_, low) in enumerate(
            (("forget", theme.heat, 0.0), ("input", theme.heat, 0.0), ("cell", theme.balance, -1.5)), 1
        ):
            axes = figure.add_subplot(grid[row, column])
            high = 1.5 if name == "cell" else 1.0
            image = axes.imshow(
                found[name][:, order].T, aspect="auto", interpolation="nearest", cmap=map_, vmin=low, vmax=high
            )
            axes.set_xticks([])
            axes.set_yticks([])
            if not column:
                axes.set_ylabel({"cell": "cell"}.get(name, f"{name} gate"), fontsize=9)
            else:
                bar = figure.colorbar(image, ax=axes, fraction=0.045, pad=0.02)
                bar.ax.tick_params(labelsize=7.5)
                bar.outline.set_visible(False)
        last = figure.add_subplot(grid[4, column])
        for number, name in enumerate(LABELS):
            last.plot(100 * found["probabilities"][:, number], color=colours[name], label=name)
        last.set(ylim=(-3, 103), xlim=(-0.5, 19.5), xlabel="frame")
        last.set_xticks(range(0, 20, 4))
        if not column:
            last.set_ylabel("answer so far, %", fontsize=9)
            last.legend(fontsize=7.5, ncols=2, loc="upper left")
    return figure


@functools.cache
def vanishing() -> dict[str, Any]:
    """Gradients before and after training on the task, for both kinds; and how often each is right afterwards.

    Each row of ``gradients`` is the mean size of the gradient of the answer for the input so many steps back, as a
    share of that for the last, geometric mean over networks.
    """
    import tensorflow as tf

    from kineme.models.backend import keras

    rng = np.random.default_rng(0)

    def batch(count: int) -> tuple[Any, Any]:
        x = rng.normal(0, 0.3, (count, DELAY + 1, 4)).astype("float32")
        labels = rng.integers(0, 2, count)
        x[:, 0, :2] = 0
        x[np.arange(count), 0, labels] = 1.0
        return x, labels

    def gradient(network: Any) -> Array:
        x, _ = batch(64)
        tensor = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            logits = network(tensor)
            value = tf.reduce_sum(logits[:, 1] - logits[:, 0])
        size = np.linalg.norm(np.asarray(tape.gradient(value, tensor)), axis=2).mean(axis=0)
        return np.asarray(size / size[-1], np.float64)

    found: dict[str, Any] = {"gradients": {}, "right": {}, "each": {}}
    for kind in ("SimpleRNN", "LSTM"):
        before, after, right = [], [], []
        for seed in range(NETWORKS):
            keras.utils.set_random_seed(seed)
            inputs = keras.Input((DELAY + 1, 4))
            layer = getattr(keras.layers, kind)(UNITS, unroll=False)
            network = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)))
            network.compile(
                keras.optimizers.Adam(3e-3, clipnorm=1.0),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
            before.append(gradient(network))
            for _ in range(STEPS):
                network.train_on_batch(*batch(64))
            after.append(gradient(network))
            x, labels = batch(512)
            right.append(float((np.asarray(network(x)).argmax(axis=1) == labels).mean()))
        for when, rows in (("before", before), ("after", after)):
            found["gradients"][kind, when] = np.exp(np.log(np.maximum(rows, 1e-30)).mean(axis=0))
        found["right"][kind] = float(np.mean(right))
        found["each"][kind] = right
    return found


def vanishing_gradient(theme: Theme) -> Figure:
    """Curves over steps back."""
    found = vanishing()["gradients"]
    figure, axes = theme.subplots(WIDTH, 2.8, 1, 2, sharey=True)
    for one, when, title in zip(axes, ("before", "after"), ("before training", "after training"), strict=True):
        for kind, name, colour in (("SimpleRNN", "plain", theme.orange), ("LSTM", "LSTM", theme.blue)):
            values = np.maximum(found[kind, when][::-1], 1e-14)
            one.plot(np.arange(DELAY + 1), values, color=colour, label=name)
        one.set(yscale="log", xlabel="steps back", title=title, ylim=(1e-14, 1e4))
        one.grid(axis="y")
    axes[0].set_ylabel("gradient, last step = 1")
    axes[0].legend()
    return figure


def main(folder: Path) -> Numbers:
    """Draw them all."""
    save(gates, "gates", folder)
    save(vanishing_gradient, "vanishing-gradient", folder)
    found = vanishing()
    command = "python docs/figures/make.py inside_lstm"
    plain, lstm = found["right"]["SimpleRNN"], found["right"]["LSTM"]
    first = {kind: found["gradients"][kind, "after"][0] for kind in ("SimpleRNN", "LSTM")}
    sentence = (
        f"After {STEPS} steps of training, the LSTM is right in {100 * lstm:.0f}\u00a0% of new sequences, the plain "
        f"network in {100 * plain:.0f}\u00a0% (a coin: 50\u00a0%). The gradient for the first input is then "
        f"{first['LSTM']:.1g} times that for the last in the LSTM, and {first['SimpleRNN']:.0e} in the plain one."
    )
    return {"vanish_runs": (str(NETWORKS), command), "vanish_sentence": (sentence, command)}
