"""The pictures of chapter 8: the gates of the trained LRCN over real clips, and gradients that vanish or do not."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from guide_paths import LABELS, Numbers, clip, model, percent, right_video, strip
from matplotlib.figure import Figure
from numpy.typing import NDArray
from style import WIDTH, Theme, save

Array = NDArray[np.float64]

DELAY, UNITS, NETWORKS, STEPS = 60, 32, 2, 300  # of the task that asks for memory


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
            figure.legend(*last.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8.5)
    return figure


def kinds() -> dict[str, Any]:
    """Makers of the layers that are compared."""
    from kineme.models.backend import keras

    layers, initializers = keras.layers, keras.initializers

    class Remember(initializers.Initializer):
        """Biases of an LSTM: 4 for the forget gate, which then begins at 0.98, and 0 for all else."""

        def __call__(self, shape: Any, dtype: Any = None, **more: Any) -> Any:
            biases = np.zeros(shape, "float32")
            biases[shape[0] // 4 : shape[0] // 2] = 4.0
            return keras.ops.convert_to_tensor(biases)

    small = initializers.RandomNormal(stddev=0.1)
    return {
        "plain, small random weights": lambda: layers.SimpleRNN(UNITS, recurrent_initializer=small),
        "plain, orthogonal weights": lambda: layers.SimpleRNN(UNITS),
        "LSTM, forget gates at 0.73": lambda: layers.LSTM(UNITS),
        "LSTM, forget gates at 0.98": lambda: layers.LSTM(UNITS, unit_forget_bias=False, bias_initializer=Remember()),
    }


@functools.cache
def vanishing() -> dict[str, tuple[Array, float]]:
    """For each kind, gradients before training, and how often it is right on new sequences after it.

    The gradient is the mean size of that of the answer for the input of each step, as a share of the last one's,
    geometric mean over networks.
    """
    from kineme.models.backend import keras

    rng = np.random.default_rng(0)
    found = {}
    for name, make in kinds().items():
        gradients, right = [], []
        for seed in range(NETWORKS):
            keras.utils.set_random_seed(seed)
            inputs = keras.Input((DELAY + 1, 4))
            network = keras.Model(inputs, keras.layers.Dense(2)(make()(inputs)))
            network.compile(
                keras.optimizers.Adam(3e-3, clipnorm=1.0),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
            gradients.append(_gradient(network, *_sequences(64, rng)))
            for _ in range(STEPS):
                network.train_on_batch(*_sequences(64, rng))
            x, labels = _sequences(512, rng)
            right.append(float((np.asarray(network(x)).argmax(axis=1) == labels).mean()))
        found[name] = (np.exp(np.log(np.maximum(gradients, 1e-30)).mean(axis=0)), float(np.mean(right)))
    return found


def _sequences(count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The task: the first input names one of two classes; then come inputs of noise."""
    x = rng.normal(0, 0.3, (count, DELAY + 1, 4)).astype("float32")
    labels = rng.integers(0, 2, count)
    x[:, 0, :2] = 0
    x[np.arange(count), 0, labels] = 1.0
    return x, labels


def _gradient(network: Any, x: NDArray[np.float32], labels: NDArray[np.int64]) -> Array:
    import tensorflow as tf

    tensor = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        logits = network(tensor)
        value = tf.reduce_sum(logits[:, 1] - logits[:, 0])
    size = np.linalg.norm(np.asarray(tape.gradient(value, tensor)), axis=2).mean(axis=0)
    return np.asarray(size / size[-1], np.float64)


def vanishing_gradient(theme: Theme) -> Figure:
    """Curves over steps back, and what became of them."""
    figure, axes = theme.subplots(WIDTH, 3.3)
    colours = (theme.orange, theme.yellow, theme.teal, theme.blue)
    for (name, (gradient_T, right)), colour in zip(vanishing().items(), colours, strict=True):
        label = f"{name}: afterwards {100 * right:.0f} % right"
        axes.plot(np.arange(DELAY + 1), gradient_T[::-1], color=colour, label=label)
    axes.set(yscale="log", xlabel="steps back", ylabel="gradient, last step = 1", ylim=(1e-21, 1e3), xlim=(0, DELAY))
    axes.grid(axis="y")
    axes.legend(loc="lower left")
    return figure


def main(folder: Path) -> Numbers:
    """Draw them all."""
    save(gates, "gates", folder)
    save(vanishing_gradient, "vanishing-gradient", folder)
    command = "python docs/figures/make.py inside_lstm"
    numbers: Numbers = {"vanish_runs": (str(NETWORKS), command), "vanish_steps": (str(STEPS), command)}
    for name, (_, right) in zip(("small", "orthogonal", "lstm", "open"), vanishing().values(), strict=True):
        numbers[f"vanish_{name}"] = (percent(right), command)
    return numbers
