"""Runs a compiled network in a process that does nothing else, to measure its time and memory."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from kineme.memory import peak_mb
from kineme.models.compilers import COMPILERS, CompiledFunction


class Trial(TypedDict):
    """What some runs took.

    ``ms`` is the time of the fastest in milliseconds; ``before_mb``, ``loaded_mb`` and ``peak_mb`` are the most memory
    of the process before the engine was loaded, before the network was run, and in all, None where the system does not
    tell.
    """

    ms: float
    before_mb: int | None
    loaded_mb: int | None
    peak_mb: int | None


@functools.cache
def _ready(engine: str, path: str, part: str, threads: int) -> tuple[CompiledFunction, int | None, int | None]:
    before_mb = peak_mb()
    return COMPILERS[engine].open(Path(path).read_bytes(), part, threads), before_mb, peak_mb()


def try_out(engine: str, path: str, part: str, threads: int, budget_s: float) -> Trial:
    """Run a compiled network until the time is over, at least once; it stays loaded for the next call.

    Args:
        engine: its name.
        path: of the compiled network.
        part: its name.
        threads: to run it on.
        budget_s: seconds.
    """
    function, before_mb, loaded_mb = _ready(engine, path, part, threads)
    inputs = example_inputs(function.input_shapes, function.input_types)
    ms = fastest_ms(lambda: function(*inputs), budget_s)
    return {"ms": ms, "before_mb": before_mb, "loaded_mb": loaded_mb, "peak_mb": peak_mb()}


def example_inputs(shapes: list[tuple[int, ...]], types: list[str]) -> list[NDArray[Any]]:
    """Noise for inputs of these shapes and NumPy types: pixels where they are ``uint8``, small numbers elsewhere."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 256, shape, np.uint8) if kind == "uint8" else rng.random(shape, np.float32)
        for shape, kind in zip(shapes, types, strict=True)
    ]


def fastest_ms(call: Callable[[], object], budget_s: float) -> float:
    """Milliseconds of the fastest of repeated calls; the others were slowed by other programs."""
    end_s, best_s = time.perf_counter() + budget_s, float("inf")
    while True:
        started_s = time.perf_counter()
        call()
        finished_s = time.perf_counter()
        best_s = min(best_s, finished_s - started_s)
        if finished_s > end_s:
            return 1e3 * best_s
