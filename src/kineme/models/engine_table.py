"""Which engine runs a network fastest on this machine: measured once, and kept on disk.

There is one entry for each kind of network, part, input shape, number of threads and set of versions; weights do not
matter. An entry is a JSON file in ``engines`` of the user's cache folder, made when such a network is first run: each
engine runs the network in a process of its own, where the time of a run and the memory are measured.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from kineme.errors import KinemeError
from kineme.files import file_lock
from kineme.memory import peak_mb
from kineme.models.compilers import COMPILERS, Compiler
from kineme.models.engine_trial import Trial, example_inputs, fastest_ms
from kineme.models.litert import engine_cache, made_with
from kineme.models.tracing import on_tensorflow, traced
from kineme.subprocesses import WorkerProcess

SUFFIX = ".engines"
KERAS = "keras"
MOST_MEMORY = 1.5  # times the least: an engine that takes more is used only where no other can be
AS_FAST = 1.1  # times the fastest: of engines as near as that, the one with the least memory is used

_PROCESS_MB = 120  # of a process that predicts, but for the engine
_ROUNDS, _BUDGET_S = 3, 0.08  # of an engine in a round
_LONGEST_S = 60.0  # of one call
_SIDE, _FRAMES = 112, 16  # to which the clips of heavy networks are cut down for the measurement

_unkept: dict[str, dict[str, Cost]] = {}  # entries for which there is no disk


class Cost(TypedDict):
    """What an engine took: milliseconds of a run, and megabytes of its process where the system tells."""

    ms: float
    mb: float | None


@dataclass(frozen=True)
class Kind:
    """A kind of network: all that changes how long a run takes.

    Args:
        what: names the network without its weights; something that JSON holds.
        part: of it that is run.
        threads: to run it on.
        build: makes a Keras model of that kind.
        scale: how many times as much the networks of that kind do as the one that is built; that may be a small one.
        compiled: by the name of an engine, what that has compiled already of such a network; else None.
    """

    what: Any
    part: str
    threads: int
    build: Callable[[], Any]
    scale: float = 1.0
    compiled: Callable[[str], bytes | None] = lambda _: None

    @property
    def key(self) -> str:
        """Names its entry in the table."""
        versions = made_with() | {one.name: one.version for one in _installed()}
        told = [versions, platform.machine(), os.cpu_count(), self.threads, self.part, self.what]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def small_clip(frames: int, height: int, width: int) -> tuple[int, int, int]:
    """The size of the clips on which a heavy network is measured."""
    return min(frames, _FRAMES), min(height, _SIDE), min(width, _SIDE)


def clip_kind(backbone: str, size: tuple[int, int, int], threads: int, build: Callable[[int, int, int], Any]) -> Kind:
    """A backbone that sees whole clips, whatever head follows it: that takes next to nothing.

    Args:
        backbone: its name.
        size: frames, height and width of a clip.
        threads: to run it on.
        build: makes it for clips of another size.
    """
    small = small_clip(*size)
    scale = math.prod(size) / math.prod(small)
    return Kind([backbone, size], "clip", threads, lambda: build(*small), scale)


def engines_for(kind: Kind) -> list[str]:
    """The engines that run a kind of network here, the best first; the last is Keras, which runs anything.

    Engines that are missing in the table are measured now, by one process at a time.
    """
    if not _installed():
        return [KERAS]
    entry = _find(kind.key)
    if entry is None:
        with ExitStack() as stack:
            with suppress(KinemeError):  # there is no such folder, and none can be made
                stack.enter_context(file_lock(engine_cache().folder / "measuring.lock"))
            entry = _find(kind.key) or _measure(kind)
    order = ranked(entry)
    return order if KERAS in order else [*order, KERAS]


def ranked(entry: Mapping[str, Cost]) -> list[str]:
    """Engines, the best first.

    Those over :data:`MOST_MEMORY` times the least memory come last. Of the others, those within :data:`AS_FAST` times
    the fastest come first, in the order of their memory, and then the rest in the order of their time.
    """
    least_mb = min((one["mb"] for one in entry.values() if one["mb"] is not None), default=0.0)
    fitting = {name for name, one in entry.items() if one["mb"] is None or one["mb"] <= MOST_MEMORY * least_mb}
    best_ms = min((entry[name]["ms"] for name in fitting), default=0.0)

    def order(name: str) -> tuple[bool, bool, float]:
        ms, mb = entry[name]["ms"], entry[name]["mb"] or 0.0
        is_near = ms <= AS_FAST * best_ms
        return name not in fitting, not is_near, mb if is_near else ms

    return sorted(entry, key=order)


def _find(key: str) -> dict[str, Cost] | None:
    content = engine_cache().read(f"{key}{SUFFIX}")
    with suppress(ValueError, KeyError, TypeError, AttributeError):  # damaged: it is measured anew
        if content is not None:
            return {str(name): _read_cost(one) for name, one in json.loads(content)["engines"].items()}
    return _unkept.get(key)


def _read_cost(one: Any) -> Cost:
    return {"ms": float(one["ms"]), "mb": None if one["mb"] is None else float(one["mb"])}


def _measure(kind: Kind) -> dict[str, Cost]:
    network = kind.build()  # also says where there is no such part
    if not on_tensorflow():  # nothing is compiled, and the table is for what is
        return {}
    with tempfile.TemporaryDirectory(prefix="kineme-") as work, ExitStack() as stack:
        runs: dict[str, Callable[[], Trial]] = {}
        for compiler in _installed():
            path = Path(work, compiler.file_name("network"))
            with suppress(KinemeError):  # this engine lacks an operation
                path.write_bytes(kind.compiled(compiler.name) or compiler.compile(kind.part, network))
                worker = WorkerProcess("kineme.models.engine_trial:try_out")
                stack.callback(worker.stop)
                runs[compiler.name] = _trial(worker, [compiler.name, str(path), kind.part, kind.threads])
        if kind.scale > 1:  # elsewhere Keras alone takes more memory than is allowed
            runs[KERAS] = _keras_trial(network)
        entry = _costs(runs, kind.scale)
    key = kind.key
    cache = engine_cache()
    cache.write(f"{key}{SUFFIX}", json.dumps({"what": [kind.part, kind.what], "engines": entry}).encode())
    if cache.problem:
        _unkept[key] = entry
    return entry


def _trial(worker: WorkerProcess, arguments: Sequence[Any]) -> Callable[[], Trial]:
    def run() -> Trial:
        found: Trial = worker.call(*arguments, _BUDGET_S, timeout_s=_LONGEST_S)
        return found

    return run


def _keras_trial(network: Any) -> Callable[[], Trial]:
    import tensorflow as tf

    given = example_inputs([(1, *one.shape[1:]) for one in network.inputs], [one.dtype for one in network.inputs])
    inputs = [tf.constant(one) for one in given]
    graph = traced(network)

    def run() -> Trial:
        ms = fastest_ms(lambda: graph(*inputs), _BUDGET_S)
        return {"ms": ms, "before_mb": 0, "loaded_mb": peak_mb(), "peak_mb": peak_mb()}

    return run


def _costs(runs: Mapping[str, Callable[[], Trial]], scale: float) -> dict[str, Cost]:
    """The cost of each engine; all are run in turn, so that a busy machine is as busy for each."""
    trials: dict[str, list[Trial]] = {name: [] for name in runs}
    working = dict(runs)
    for _ in range(1 + _ROUNDS):  # the first is slower: memory is taken, caches are filled
        for name, run in list(working.items()):
            try:
                trials[name].append(run())
            except (KinemeError, OSError):  # it crashed, takes a minute, or no process can be started
                trials[name].clear()
                del working[name]
    return {name: _cost(several, scale) for name, several in trials.items() if several}


def _cost(several: Sequence[Trial], scale: float) -> Cost:
    ms = min(one["ms"] for one in several[1:] or several)
    before, loaded, peak = (several[-1][name] for name in ("before_mb", "loaded_mb", "peak_mb"))
    if before is None or loaded is None or peak is None:
        return {"ms": scale * ms, "mb": None}
    return {"ms": scale * ms, "mb": _PROCESS_MB + loaded - before + scale * (peak - loaded)}


def _installed() -> list[Compiler]:
    return [one for one in COMPILERS.values() if one.is_installed]
