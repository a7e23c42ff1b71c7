"""The cost of one engine, stage by stage, from start to the first prediction, for files and streams."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.memory import peak_mb
from kineme.models.compilers import COMPILERS
from kineme.people.region import region_ticks
from kineme.prediction.engine import PartName
from kineme.prediction.engines.compiled import CompiledEngine
from kineme.prediction.engines.select import open_engine
from kineme.prediction.featurizers import Tick
from kineme.prediction.joined import JoinedScorer, leader_number, model_ticks
from kineme.prediction.stream import Stream
from kineme.prediction.stream_ticks import Mode
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import WindowScorer, file_stride
from kineme.video.prefetch import prefetch

_MOST, SLOW_S = 200, 2.0  # runs; what takes so long is run twice


class StreamDocument(TypedDict, total=False):
    """What a frame costs that the model sees in a stream, or in ``none`` why there is no such stream."""

    ms_a_frame: float
    frames_per_s: float
    none: str


class FileDocument(TypedDict, total=False):
    """What looking at ``video_s`` of the video costs."""

    seconds: float
    video_s: float
    stride: int | None  # removed from what :func:`kineme.benchmark.benchmark` gives
    frames_per_s: float  # of the video
    times_real_time: float


class EngineDocument(TypedDict, total=False):
    """What an engine costs, or ``error`` alone."""

    error: str
    open_s: float  # from the model to the first answer
    compile_s: float  # the same where parts had to be compiled, which are kept from then on
    compiled: bool  # removed from what :func:`kineme.benchmark.benchmark` gives
    ms: dict[
        str, float
    ]  # medians: backbone (a frame), head (a window), step (a frame's features), or network (a window); of joined
    # backbones, those of each member: "i3d network"
    file: FileDocument
    streams: dict[str, StreamDocument]  # exact and carried
    gflop: dict[str, float]  # of a frame and a window, or of a clip, where LiteRT can tell
    memory_mb: int | None  # most resident memory
    times_decoding_alone: float
    share_of_work: dict[str, float]  # decode, resize, backbone and head, or network
    gflops: float
    share_of_matrix_rate: float


def measure_engine(engine: str, model: str, video: str, part_s: float, budget_s: float) -> EngineDocument:
    """Measure one engine in this process.

    Args:
        engine: its name.
        model: what :func:`kineme.load` takes.
        video: the first ``part_s`` seconds of it are used.
        part_s: seconds.
        budget_s: how long each thing is measured.
    """
    timed_median = partial(median_s, budget_s)
    started = time.perf_counter()
    loaded = TrainedModel.load(model)
    opened_s = time.perf_counter() - started
    end_s = None if loaded.card.spec.fps is None else part_s
    shown = [_shown(one, video, part_s) for one in loaded.members or (loaded,)]
    started = time.perf_counter()
    stages = [
        _Stages(one, engine, of_ticks, timed_median)
        for one, of_ticks in zip(loaded.members or (loaded,), shown, strict=True)
    ]
    document: EngineDocument = {"open_s": round(opened_s + time.perf_counter() - started, 2), "gflop": {}}
    scorers = [one.scorer for one in stages]
    whole: Any = JoinedScorer(loaded, scorers) if loaded.members else scorers[0]
    stride = file_stride(loaded)
    ms: dict[str, float] = {}
    for one in stages:
        name = f"{one.model.card.backbone.name} " if loaded.members else ""
        ms |= {f"{name}{stage}": value for stage, value in one.ms().items()}
        document["gflop"] |= {f"{name}{part}": value for part, value in one.gflop().items()}

    def look_at() -> None:
        """What ``predict`` does of a file."""
        for _ in whole.score(video, prefetch(model_ticks(loaded, video, end_s=end_s)), stride):
            pass

    is_slow = any(one.of_window_s >= SLOW_S for one in stages)
    file_s = timed_median(look_at, warm=not is_slow)
    document["file"] = {"seconds": round(file_s, 4), "video_s": round(part_s, 2), "stride": stride}
    leader = leader_number(loaded) if loaded.members else 0
    frames = [pixels for _, pixels in shown[leader]]
    document["streams"] = {mode: _stream(loaded, engine, mode, frames, timed_median) for mode in get_args(Mode)}
    if "ms_a_frame" in document["streams"]["carried"] and loaded.card.is_per_frame and not loaded.members:
        with suppress(KinemeError):
            ms["step"] = 1e3 * _step_s(loaded, engine, stages[0].window, timed_median)
    document["ms"] = {name: float(f"{value:.4g}") for name, value in ms.items()}
    document["memory_mb"] = peak_mb()
    document["compiled"] = engine != "keras" and "keras" in sys.modules
    return document


def _shown(model: TrainedModel, video: str, part_s: float) -> list[Tick]:
    """The ticks of the part, at least as many as a clip has."""
    spec = model.card.spec
    shown = [pixels for _, pixels in region_ticks(video, spec, end_s=None if spec.fps is None else part_s)]
    shown = list(itertools.islice(itertools.cycle(shown), max(len(shown), spec.frames)))
    return [(number * spec.step_s(part_s), pixels) for number, pixels in enumerate(shown)]


class _Stages:
    """A model, or a member of joined backbones, that has scored its first window."""

    def __init__(
        self, model: TrainedModel, engine: str, of_ticks: list[Tick], timed_median: Callable[..., float]
    ) -> None:
        self.model, self._some, self._timed_median = model, of_ticks[:32], timed_median
        self.scorer = WindowScorer(model, open_engine(engine, model))
        self.window = np.stack(self.scorer.featurizer(of_ticks[: model.card.spec.frames]))
        self.scorer.score_batch(self.window[None])

    @cached_property
    def of_window_s(self) -> float:
        """Seconds that a window takes, its features apart."""
        return self._timed_median(lambda: self.scorer.score_batch(self.window[None]))

    def ms(self) -> dict[str, float]:
        """Milliseconds of each stage."""
        if not self.model.card.is_per_frame:
            return {"network": 1e3 * self.of_window_s}

        def featurize() -> None:
            self.scorer.featurizer.reset()  # else it would know them already
            self.scorer.featurizer(self._some)

        return {"head": 1e3 * self.of_window_s, "backbone": 1e3 * self._timed_median(featurize) / len(self._some)}

    def gflop(self) -> dict[str, float]:
        """See :func:`_gflop`."""
        return _gflop(self.model, ("frame", "window") if self.model.card.is_per_frame else ("clip",))


def _stream(
    model: TrainedModel, engine: str, mode: str, shown: Sequence[NDArray[np.uint8]], timed_median: Callable[..., float]
) -> StreamDocument:
    """The cost of a frame that comes when it is due, once the first answer is out."""
    try:
        stream = Stream(model, mode=mode, engine=engine)
    except KinemeError as error:
        return {"none": str(error)}
    spec, count = model.card.spec, itertools.count()
    assert spec.fps is not None
    step_s = 1 / spec.fps

    def push(frames: int) -> None:
        for number in itertools.islice(count, frames):
            stream.push(shown[number % len(shown)], number * step_s)

    block = max(stream.stride, 1 if model.card.is_heavy else 16)
    push(spec.frames)
    of_frame_s = timed_median(lambda: push(block), warm=False) / block
    return {"ms_a_frame": float(f"{1e3 * of_frame_s:.4g}"), "frames_per_s": float(f"{1 / of_frame_s:.4g}")}


def _step_s(model: TrainedModel, engine: str, window: NDArray[Any], timed_median: Callable[..., float]) -> float:
    step = open_engine(engine, model).function("step")
    states = [np.zeros(shape, np.float32) for shape in step.input_shapes[1:]]
    return timed_median(lambda: step(window[:1], *states))


def _gflop(model: TrainedModel, parts: Iterable[PartName]) -> dict[str, float]:
    """Arithmetic of parts in 1e9 operations; nothing where one is not compiled for LiteRT."""
    from kineme.models.flops import flops

    found: dict[str, float] = {}
    for part in parts:
        if part == "frame" and model.poses:
            return {}
        try:
            exported = model.exported
            path = exported.path if exported else CompiledEngine(model, COMPILERS["litert"]).file(part)
            name = exported.name_of(part) if exported else part
            found[part] = float(f"{flops(path.read_bytes(), name) / 1e9:.4g}")
        except (OSError, ImportError):
            return {}
    return found


def median_s(budget_s: float, call: Callable[[], Any], *, warm: bool = True) -> float:
    """The median wall time of a call, repeated for so many seconds; ``warm``: after one that does not count."""
    if warm:
        call()
    return float(np.median(times_s(call, budget_s, 3)))


def times_s(call: Callable[[], Any], budget_s: float, fewest: int) -> list[float]:
    """Wall times of repeated calls; of a slow one fewer."""
    taken: list[float] = []
    while len(taken) < fewest or (sum(taken) < budget_s and len(taken) < _MOST):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
        if sum(taken) > SLOW_S:
            break
    return taken
