"""Which operations take the time of a training step, and how near to the machine's limits each of them is.

The graph of one training step (forward, backward; 16 clips of 20 x 64 x 64) of LRCN, ConvLSTM and slow fusion is taken
apart. Each operation with its shapes is run alone, on one thread (the gradient of a pooling with that pooling, once
more), and its processor time is set beside three limits:

* the rate of a product of large square matrices;
* the rate of the product of the matrices that the convolution stands for, without the cost of arranging them;
* the time of moving its inputs and outputs once, at the rate of copying a large array.

Processor time, not wall time: other programs on the machine change it little.

    python benchmarks/roofline.py --out benchmarks/results/roofline.json
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pairs import record, table

from kineme.files import write_json

BATCH, CLASSES = 16, 4
NETWORKS = {  # as in training_speed.py
    "lrcn": {"backbone": "small-cnn"},
    "convlstm": {"backbone": "pixels"},
    "slow-fusion": {"centre": False},
}
LEAST_BYTES = 1_000_000  # operations that move less are counted as "small"
NO_WORK = {"Const", "Placeholder", "ReadVariableOp", "Identity", "NoOp", "Reshape", "Shape", "ExpandDims", "Squeeze"}
BUDGET_S = 0.05  # of each measurement
ONE_THREAD = dict.fromkeys(
    ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"
)


def main() -> None:
    parser = argparse.ArgumentParser(description="The operations of a training step beside the machine's limits.")
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    if not ONE_THREAD.items() <= os.environ.items():  # libraries read these when they are loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    limits = {"matrix_gflops": round(matrix_gflops(1024, 1024, 1024), 1), "copy_gb_s": round(copy_gb_s(), 2)}
    print(f"one thread: {limits['matrix_gflops']} GFLOP/s in matrix products, {limits['copy_gb_s']} GB/s in copies")
    result = record("keras", "tensorflow", "numpy", threads=1, batch=BATCH, limits=limits, networks={})
    for name in arguments.networks:
        result["networks"][name] = profile(name, limits)
        show(name, result["networks"][name])
        if arguments.out:
            write_json(arguments.out, result)


def profile(name: str, limits: dict[str, float]) -> dict[str, Any]:
    """The time of a step, and of each kind of operation in it."""
    step, inputs = training_step(name)
    whole_s = cpu_s(lambda: step(*inputs))
    found: dict[tuple[Any, ...], list[Any]] = {}
    small = 0
    for operation in needed(step.graph.outputs):
        if operation.type in NO_WORK or not operation.outputs:
            continue
        if moved_bytes(operation) < LEAST_BYTES:
            small += 1
            continue
        found.setdefault(key_of(operation), [operation, 0])[1] += 1
    rows = [row for operation, count in found.values() if (row := measured(operation, count, limits))]
    kinds: dict[str, dict[str, float]] = defaultdict(
        lambda: dict.fromkeys(("ms", "gflop", "gb", "own_ms", "least_ms"), 0.0)
    )
    for row in rows:
        for key in kinds[row["kind"]]:
            kinds[row["kind"]][key] += row[key]
    gflop = sum(row["gflop"] for row in rows)
    return {
        "step_ms": round(1e3 * whole_s, 1),
        "gflop": round(gflop, 2),
        "share_of_matrix_rate": round(gflop / whole_s / limits["matrix_gflops"], 3),
        "alone_ms": round(sum(row["ms"] for row in rows), 1),
        "small_operations": small,
        "kinds": {kind: rounded(one) for kind, one in sorted(kinds.items(), key=lambda item: -item[1]["ms"])},
        "operations": [rounded(row) for row in sorted(rows, key=lambda row: -row["ms"])[:12]],
    }


def training_step(name: str) -> tuple[Any, list[Any]]:
    """The graph of the gradients of a batch, and its inputs."""
    from kineme.models.backend import keras, seed_everything
    from kineme.models.network import build_network
    from kineme.models.registry import make_approach
    from kineme.video.spec import ClipSpec

    seed_everything(0)  # loads Keras, and TensorFlow as Kineme sets it

    import tensorflow as tf

    network = build_network(make_approach(name, NETWORKS[name]), ClipSpec(), CLASSES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (BATCH, *network.input.shape[1:]), np.uint8)
    labels = rng.integers(0, CLASSES, BATCH)

    def gradients(clips_BTHWC: Any, labels_B: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(labels_B, network(clips_BTHWC, training=True))
        return tape.gradient(value, network.trainable_variables)

    signature = [tf.TensorSpec(one.shape, one.dtype) for one in (clips, labels)]
    step = tf.function(gradients, input_signature=signature).get_concrete_function()
    step.holder = network  # the graph does not keep its variables alive
    return step, [tf.constant(clips), tf.constant(labels)]


def needed(outputs: list[Any]) -> list[Any]:
    """The operations that the outputs depend on; a graph has others too, which are not run."""
    found: dict[str, Any] = {}
    waiting = [one.op for one in outputs]
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found[operation.name] = operation
            waiting += [one.op for one in operation.inputs]
    return list(found.values())


def key_of(operation: Any) -> tuple[Any, ...]:
    """Tells operations apart that may take another time."""
    shapes = tuple(str(one.shape) + one.dtype.name for one in operation.inputs)
    values = tuple(str(np.array(one)) for one in map(constant, operation.inputs) if one is not None and one.size < 16)
    attributes = {name: str(operation.get_attr(name)) for name in operation.node_def.attr if not name.startswith("_")}
    return operation.type, shapes, values, tuple(sorted(attributes.items()))


def measured(operation: Any, count: int, limits: dict[str, float]) -> dict[str, Any] | None:
    """What so many of an operation take in a step, beside the limits."""
    call = alone(operation)
    if call is None:
        return None
    flop, product = arithmetic(operation)
    gb = moved_bytes(operation) / 1e9
    own_s = flop / 1e9 / matrix_gflops(*product) if product else 0.0
    least_s = max(flop / 1e9 / limits["matrix_gflops"], gb / limits["copy_gb_s"])
    kind = operation.type if product or "Pool" in operation.type or "Norm" in operation.type else "other"
    return {
        "kind": kind,
        "what": f"{operation.type} {' '.join(str(one.shape) for one in operation.inputs)}",
        "count": count,
        "ms": 1e3 * count * cpu_s(call),
        "gflop": count * flop / 1e9,
        "gb": count * gb,
        "own_ms": 1e3 * count * own_s,
        "least_ms": 1e3 * count * least_s,
    }


def alone(operation: Any) -> Callable[[], Any] | None:
    """A graph of that operation and nothing else, with noise for its inputs; None where it cannot be run alone."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    fixed = [constant(one) for one in operation.inputs]
    if "Backprop" in operation.type:  # the sizes of what it makes, which the graph reads off a variable
        fixed[1 if "Filter" in operation.type else 0] = np.array(operation.outputs[0].shape, np.int32)
    open_inputs = [one for one, value in zip(operation.inputs, fixed, strict=True) if value is None]
    if any(not one.shape.is_fully_defined() for one in operation.inputs):
        return None
    given = [tf.constant(noise(rng, tuple(one.shape), one.dtype.as_numpy_dtype)) for one in open_inputs]

    def body(*arrays: Any) -> Any:
        remaining = iter(arrays)
        values = [next(remaining) if value is None else tf.constant(value) for value in fixed]
        graph = tf.compat.v1.get_default_graph()
        attributes = dict(operation.node_def.attr)
        kinds = [one.dtype for one in operation.outputs]
        if "MaxPool" in operation.type and "Grad" in operation.type:
            # oneDNN keeps what the pooling found for its gradient, which is many times slower where it is found anew.
            values[1] = graph.create_op(
                operation.type.removesuffix("Grad"), values[:1], kinds, attrs=attributes
            ).outputs[0]
        copy = graph.create_op(operation.type, values, kinds, attrs=attributes)
        return copy.outputs

    try:
        run = tf.function(body).get_concrete_function(*(tf.TensorSpec(one.shape, one.dtype) for one in given))
        run(*given)
    except (tf.errors.OpError, ValueError, TypeError, NotImplementedError):
        return None
    return lambda: run(*given)


def constant(tensor: Any) -> Any:
    """The value of an input that is known beforehand, such as sizes and axes."""
    import tensorflow as tf

    return tf.get_static_value(tensor)


def noise(rng: np.random.Generator, shape: tuple[int, ...], kind: Any) -> Any:
    if np.issubdtype(kind, np.floating):
        return rng.normal(size=shape).astype(kind)
    return rng.integers(0, 2, shape).astype(kind)


def moved_bytes(operation: Any) -> int:
    """Bytes of all inputs and outputs."""
    every = (*operation.inputs, *operation.outputs)
    return sum(
        math.prod(one.shape) * one.dtype.size for one in every if one.shape.is_fully_defined() and one.dtype.size
    )


def arithmetic(operation: Any) -> tuple[int, tuple[int, int, int] | None]:
    """Multiplications and additions, and the sizes (M, K, N) of the product of matrices that it stands for."""
    kind, shapes = operation.type, [tuple(one.shape) for one in operation.inputs]
    if kind == "MatMul":
        out = tuple(operation.outputs[0].shape)
        inner = math.prod(shapes[0]) // out[0]
        return 2 * math.prod(out) * inner, (out[0], inner, out[1])
    if not kind.startswith("Conv"):
        return 0, None
    if "BackpropFilter" in kind:
        kernel, gradient = tuple(operation.outputs[0].shape), shapes[2]
    elif "BackpropInput" in kind:
        kernel, gradient = shapes[1], shapes[2]
    else:
        kernel, gradient = shapes[1], tuple(operation.outputs[0].shape)
    places, patch, channels = math.prod(gradient[:-1]), math.prod(kernel[:-1]), kernel[-1]
    sizes = {"Filter": (patch, places, channels), "Input": (places, channels, patch)}
    product = next((size for name, size in sizes.items() if f"Backprop{name}" in kind), (places, patch, channels))
    return 2 * places * patch * channels, product


def cpu_s(call: Callable[[], Any]) -> float:
    """Processor time of a call: the least of several blocks of calls."""
    call()
    taken: list[float] = []
    ends = time.process_time() + BUDGET_S
    while len(taken) < 3 or time.process_time() < ends:
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return min(taken)


def matrix_gflops(rows: int, inner: int, columns: int) -> float:
    rng = np.random.default_rng(0)
    left, right = (rng.random(shape, np.float32) for shape in ((rows, inner), (inner, columns)))
    return 2 * rows * inner * columns / cpu_s(lambda: left @ right) / 1e9


def copy_gb_s() -> float:
    """Bytes read and written a second when an array much larger than the caches is copied."""
    source = np.ones(2**25, np.float32)
    target = np.empty_like(source)
    return 2 * source.nbytes / cpu_s(lambda: np.copyto(target, source)) / 1e9


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in row.items()}


def show(name: str, found: dict[str, Any]) -> None:
    print(
        f"\n{name}: a step takes {found['step_ms']} ms for {found['gflop']} GFLOP, {found['share_of_matrix_rate']:.0%} "
        f"of the matrix rate; its operations one by one {found['alone_ms']} ms"
    )
    limits = ("ms as a matrix product", "ms at the limits")
    table(["operations", "ms", "GFLOP", "GB", *limits], list(lines(found["kinds"])))
    head = ["the slowest", "times", "ms", "GFLOP", *limits]
    keys = ("what", "count", "ms", "gflop", "own_ms", "least_ms")
    table(head, [[one[key] for key in keys] for one in found["operations"]])


def lines(kinds: dict[str, dict[str, float]]) -> Iterator[list[Any]]:
    for kind, one in kinds.items():
        yield [kind, one["ms"], one["gflop"], one["gb"], one["own_ms"], one["least_ms"]]


if __name__ == "__main__":
    main()
