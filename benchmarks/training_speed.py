"""Clips a second of training, beside the same networks as the textbook's readers run them.

Three networks (LRCN of 73,060 parameters, ConvLSTM of 44,524, a 3D CNN) learn from clips of 20 x 64 x 64. Each side is
a process of its own and trains one epoch whenever it is its turn:

* the textbook: ``fit`` on float64 arrays in memory, four clips a step, TensorFlow as it comes, and once more with
  oneDNN switched the other way. Whether TensorFlow uses oneDNN by itself depends on the processor: it does on those
  with instructions for neural networks (AVX512-VNNI, AMX), and not on others. The marks are against TensorFlow as it
  comes on the machine at hand;
* Kineme: ``kineme.training.fit.fit`` as ``kineme train`` calls it, frames read from the cache on disk and augmented;
* for ConvLSTM, a plain PyTorch one on float32 arrays in memory, where a Python with torch is named.

    python benchmarks/training_speed.py --torch-python PYTHON --out benchmarks/results/training-speed.json

The networks are the same and so is the task: background, which ``kineme train`` adds to what it learns from by default
(half as many windows again), is left out here. Work is counted from the layers: a multiplication and an addition for
each weight and place, three times over for a step (forward, gradient of the weights, gradient of the input), but for
the first layer, which needs no gradient of its input.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from pairs import Side, Turns, limits, mark, ratio, record, shown, spread, table, take_turns

CLASSES, BATCH = 4, 16
SAME = {  # the approach and options of Kineme that are the textbook's network
    "lrcn": ("lrcn", {"backbone": "small-cnn"}),
    "convlstm": ("convlstm", {"backbone": "pixels"}),
    "slow-fusion": ("slow-fusion", {"centre": False}),
}
MARKS = {"lrcn": 12.0, "convlstm": 6.0, "slow-fusion": 5.0}  # times the textbook's clips a second
TORCH_MARK = 2.0  # times the plain PyTorch ConvLSTM's
CLIPS = {"lrcn": 96, "convlstm": 48, "slow-fusion": 48}  # an epoch
TEXTBOOK = {"textbook, oneDNN on": "1", "textbook, oneDNN off": "0"}  # one of them is TensorFlow as it comes


def main() -> None:
    parser = argparse.ArgumentParser(description="Clips a second of training beside the textbook's.")
    parser.add_argument("networks", nargs="*", default=list(SAME), metavar="NETWORK", help=", ".join(SAME))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch-python", help="a Python that has torch, for the plain PyTorch ConvLSTM")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return SIDES[arguments.side](arguments.networks[0], arguments.data)
    as_it_comes = onednn_as_it_comes()
    result = record("keras", "tensorflow", "numpy", limits=limits(), as_it_comes=as_it_comes, networks={})
    print(f"TensorFlow as it comes on this processor: {as_it_comes}")
    with tempfile.TemporaryDirectory(prefix="kineme-training-") as work:
        draw(Path(work))
        for name in arguments.networks:
            result["networks"][name] = measure(name, Path(work), arguments, as_it_comes)
            show(name, result["networks"][name], result["limits"]["matrix_float32_gflops"])
    result["met"] = all(one["met"] for network in result["networks"].values() for one in network["marks"].values())
    if arguments.out:
        from kineme.files import write_json

        write_json(arguments.out, result)
    sys.exit(0 if result["met"] else 1)


def draw(folder: Path) -> None:
    """A few videos of drawn people; which ones does not matter to the time that learning from them takes."""
    from drawn_people.make import make_dataset

    make_dataset(folder / "videos", clips=16, people=4, actions=["wave", "squat", "punch", "sit-down"], untrimmed=0)


def onednn_as_it_comes() -> str:
    """Whether TensorFlow uses oneDNN where nobody has said anything."""
    ask = "from tensorflow.python.framework import test_util; print(test_util.IsMklEnabled())"
    env = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    env["TF_CPP_MIN_LOG_LEVEL"] = "3"
    done = subprocess.run([sys.executable, "-c", ask], env=env, check=True, stdout=subprocess.PIPE, text=True)
    return "textbook, oneDNN on" if done.stdout.split()[-1] == "True" else "textbook, oneDNN off"


def measure(name: str, work: Path, arguments: argparse.Namespace, as_it_comes: str) -> dict[str, Any]:
    """Clips a second of every side, in turn."""
    me = [__file__, name, "--data", str(work), "--side"]
    plain = {"KERAS_BACKEND": None, "TF_CPP_MIN_LOG_LEVEL": "3"}
    settings = {label: {**plain, "TF_ENABLE_ONEDNN_OPTS": value} for label, value in TEXTBOOK.items()}
    sides = {label: Side([*me, "textbook"], env=env) for label, env in settings.items()}
    sides["kineme"] = Side([*me, "kineme"], env={**plain, "TF_ENABLE_ONEDNN_OPTS": None})
    if arguments.torch_python and name == "convlstm":
        sides["pytorch"] = Side([*me, "pytorch"], python=arguments.torch_python)
    with ExitStack() as stack:
        for side in sides.values():
            stack.enter_context(side)
        taken: dict[str, list[float]] = {label: [] for label in sides}
        for number in range(1 + arguments.rounds):  # the first compiles
            for label, side in sides.items():
                value = side.turn()
                if number:
                    taken[label].append(value)
    facts = sides[as_it_comes].facts
    times = {label: ratio(taken["kineme"], values) for label, values in taken.items() if label != "kineme"}
    marks = {"times_the_textbook_as_it_comes": mark(times[as_it_comes]["median"], MARKS[name])}
    if "pytorch" in times:
        marks["times_pytorch"] = mark(times["pytorch"]["median"], TORCH_MARK)
    return {
        "parameters": {label: side.facts["parameters"] for label, side in sides.items()},
        "mflop_a_clip": facts["mflop_a_clip"],
        "clips_an_epoch": CLIPS[name],
        "clips_a_second": {label: spread(values) for label, values in taken.items()},
        "times_as_fast": times,
        "marks": marks,
    }


def show(name: str, result: dict[str, Any], peak: float) -> None:
    rows = []
    for label, rate in result["clips_a_second"].items():
        share = rate["median"] * result["mflop_a_clip"] / 1e3 / peak
        times = result["times_as_fast"].get(label)
        rows.append([label, shown(rate), f"{share:.1%}", shown(times) if times else ""])
    print(f"\n{name}: {result['mflop_a_clip']:.0f} MFLOP a clip, {result['parameters']['kineme']:,} parameters")
    table(["side", "clips/s", "of the matrix rate", "Kineme is times as fast"], rows)
    for what, one in result["marks"].items():
        print(f"{what}: {one['value']}, mark {one['least']}: {'met' if one['met'] else 'NOT met'}")


# Sides


def textbook_side(name: str, _: Path) -> None:
    """One call of ``fit``; each of its epochs waits for a turn."""
    import textbook
    from keras.callbacks import Callback

    class Epochs(Callback):  # type: ignore[misc]
        def __init__(self, turns: Turns) -> None:
            super().__init__()
            self.turns, self.started = turns, 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if not self.turns.wait():
                sys.exit()
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.turns.answer(CLIPS[name] / (time.perf_counter() - self.started))

    network = textbook.compiled(name, CLASSES)
    clips, labels = drawn_arrays(name)
    turns = Turns(parameters=network.count_params(), mflop_a_clip=mflop_a_clip(network))
    network.fit(clips, np.eye(CLASSES)[labels], epochs=10**6, batch_size=4, verbose=0, callbacks=[Epochs(turns)])


def kineme_side(name: str, folder: Path, **facts: Any) -> None:
    """One training of a few epochs a turn, as ``kineme train`` does it once the videos are decoded; see take_turns."""
    from kineme.dataset.scan import scan
    from kineme.models.backend import seed_everything
    from kineme.models.registry import make_approach
    from kineme.training.cache import FrameCache
    from kineme.training.fit import fit
    from kineme.training.learner import make_learner
    from kineme.training.options import TrainOptions
    from kineme.video.spec import ClipSpec

    seed_everything(0)
    learner = make_learner(make_approach(*SAME[name]), ClipSpec(), CLASSES)
    cache = FrameCache(learner.spec, folder=folder / "strips")
    videos = scan(folder / "videos")
    _, items = cache.prepare(videos, videos.labels)
    items = (items * CLIPS[name])[: CLIPS[name]]
    options = TrainOptions(epochs=3, batch_size=BATCH)

    def clips_a_second() -> float:
        history = fit(learner.trained, items, [], cache, options, checkpoint=None, settings={}, label=None)
        return len(items) * len(history) / sum(row["seconds"] for row in history)

    take_turns(clips_a_second, parameters=learner.network.count_params(), **facts)


def pytorch_side(name: str, _: Path) -> None:
    """A plain PyTorch ConvLSTM: of each frame, one convolution of the input and one of the state."""
    import torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self, inputs: int, filters: int) -> None:
            super().__init__()
            self.filters = filters
            self.of_input = nn.Conv2d(inputs, 4 * filters, 3)
            self.of_state = nn.Conv2d(filters, 4 * filters, 3, padding=1, bias=False)

        def forward(self, maps_BTCHW: torch.Tensor) -> torch.Tensor:
            batch, frames, _, height, width = maps_BTCHW.shape
            h = c = maps_BTCHW.new_zeros(batch, self.filters, height - 2, width - 2)
            states = []
            for number in range(frames):
                gates = self.of_input(maps_BTCHW[:, number]) + self.of_state(h)
                i, f, g, o = gates.chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                states.append(h)
            return torch.stack(states, dim=1)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = (3, 4, 8, 14, 16)
            self.layers = nn.ModuleList(Layer(*two) for two in itertools.pairwise(sizes))
            self.pool = nn.MaxPool3d((1, 2, 2), ceil_mode=True)
            self.dropout = nn.Dropout(0.2)
            self.last = nn.Linear(20 * 3 * 3 * 16, CLASSES)

        def forward(self, maps_BTCHW: torch.Tensor) -> torch.Tensor:
            for number, layer in enumerate(self.layers):
                maps_BTCHW = self.pool(layer(self.dropout(maps_BTCHW) if number else maps_BTCHW))
            return self.last(maps_BTCHW.flatten(1))

    torch.manual_seed(0)
    network, count = Network(), CLIPS[name]
    optimiser = torch.optim.Adam(network.parameters())
    clips, labels = drawn_arrays(name)
    clips_NTCHW = torch.from_numpy(clips.astype(np.float32)).permute(0, 1, 4, 2, 3).contiguous()
    labels_N = torch.from_numpy(labels)

    def clips_a_second() -> float:
        started = time.perf_counter()
        for numbers in torch.randperm(count).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(clips_NTCHW[numbers]), labels_N[numbers]).backward()
            optimiser.step()
        return count / (time.perf_counter() - started)

    take_turns(clips_a_second, parameters=sum(weight.numel() for weight in network.parameters()))


SIDES = {"textbook": textbook_side, "kineme": kineme_side, "pytorch": pytorch_side}


def drawn_arrays(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Clips as the textbook holds them, and their labels."""
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (CLIPS[name], 20, 64, 64, 3), np.uint8) / 255
    return clips, rng.integers(0, CLASSES, CLIPS[name])


def mflop_a_clip(network: Any) -> float:
    """Millions of floating point operations of one training step for one clip, counted from the layers."""
    forward = []
    for layer in network.layers:
        inner = getattr(layer, "layer", layer)  # of TimeDistributed
        shape = layer.output.shape
        kernels = [weight for weight in inner.weights if weight.name.endswith("kernel")]
        if not kernels:
            continue
        places = math.prod(shape[1:-1])
        if type(layer).__name__ == "LSTM":
            places = layer.input.shape[1]
        forward.append(2 * places * sum(math.prod(kernel.shape) for kernel in kernels))
    return round((3 * sum(forward) - forward[0]) / 1e6, 1)


if __name__ == "__main__":
    main()
