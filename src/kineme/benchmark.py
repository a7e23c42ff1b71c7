"""What a model costs on this machine, stage by stage, on each engine, and how much of the machine's limits it uses.

Each engine is measured in a process of its own, where nothing else has taken memory or time.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.memory import peak_mb
from kineme.prediction.engine import PartName
from kineme.prediction.engines.litert import LiteRTEngine
from kineme.prediction.engines.select import EngineName, check_engine, is_installed, open_engine
from kineme.prediction.windows import WindowScorer, file_stride
from kineme.progress import progress
from kineme.subprocesses import ProcessError, call_in_process
from kineme.video.clips import ticks
from kineme.video.decode import Decoder
from kineme.video.prefetch import prefetch
from kineme.video.probe import VideoInfo, probe
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.model import Model

ENGINES: tuple[str, ...] = tuple(name for name in get_args(EngineName) if name != "auto")

BUDGET_S = 0.8  # of one measurement
_MOST, _SLOW_S = 200, 2.0  # runs; what takes so long is run twice
_LONGEST_S = 20.0  # of a video that is looked at
_DRAWN_S, _DRAWN_WIDTH, _DRAWN_HEIGHT, _DRAWN_FPS = 12.0, 640, 480, 25
_LONGEST_PROCESS_S = 600


def benchmark(
    model: str | os.PathLike[str],
    video: str | os.PathLike[str] | None = None,
    *,
    engines: Sequence[str] | None = None,
    budget_s: float = BUDGET_S,
) -> dict[str, Any]:
    """Measure a model, its stages and what they share, on each engine.

    Times are medians of repeated runs, each stage by itself; files and streams are timed as a whole, as
    :meth:`~kineme.model.Model.predict` and :meth:`~kineme.model.Model.stream` run them. Of a
    video that is longer, the first 20 s are used.

    Args:
        model: what :func:`kineme.load` takes.
        video: to measure on; by default drawn people, 640 x 480, 25 frames a second.
        engines: names; by default all that there are.
        budget_s: how long each thing is measured.

    Returns:
        A document. ``video``: the facts, and ``drawn``. ``limits``: ``matrix_gflops`` (float32 matrix product of
        NumPy on all cores) and ``decode_fps`` (decoding all of that video and nothing else). ``stages_ms``: ``decode``
        (a frame of the video, some of which need not be decoded), ``resize`` (a frame the model sees), ``draw`` (a
        frame of an annotated video).
        ``engines``: for each name :func:`measure_engine`'s document with the shares of the limits, or ``error``.
        ``sentence``: the conclusion.

    Raises:
        UsageError: there is no such engine.
        KinemeError: the model or the video cannot be used, or no engine can run it.
    """
    from kineme import api

    for name in engines or ():
        check_engine(name)
    loaded = api.load(model)
    names = tuple(engines or (("litert",) if loaded.exported else filter(is_installed, ENGINES)))
    spec = loaded.card.spec
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kineme-"))
        source = Path(video) if video is not None else _draw(Path(folder), spec, loaded.card.is_heavy)
        info = probe(source)
        part_s = info.duration_s if spec.fps is None else min(info.duration_s, _longest(spec, loaded.card.is_heavy))
        advance = stack.enter_context(progress("measuring", 1 + len(names)))
        stages, limits = _measure_machine(source, loaded, part_s, budget_s)
        document: dict[str, Any] = {
            "model": loaded.name,
            "approach": loaded.card.approach,
            "backbone": loaded.card.config.get("backbone"),
            "clip": {"frames": spec.frames, "fps": spec.fps, "height": spec.height, "width": spec.width},
            "video": {**_facts(info), "seconds_used": round(part_s, 2), "drawn": video is None},
            "limits": limits,
            "stages_ms": stages,
            "engines": {},
        }
        advance(note="this machine")
        for name in names:
            try:
                found = _measure_in_subprocess(name, os.fspath(model), str(source), part_s, budget_s)
            except KinemeError as error:
                found = {"error": str(error)}
            document["engines"][name] = found
            advance(note=name)
    ran = [one for one in document["engines"].values() if "error" not in one]
    if not ran:
        raise KinemeError("; ".join(one["error"] for one in document["engines"].values()))
    gflop: dict[str, float] = next(
        (one["gflop"] for one in ran if one["gflop"]), {}
    )  # the same for all; LiteRT's files tell
    for one in ran:
        one["gflop"] = gflop
        _add_shares(one, document)
    document["sentence"] = _sentence(document)
    return document


def measure_engine(engine: str, model: str, video: str, part_s: float, budget_s: float) -> dict[str, Any]:
    """Measure one engine in this process.

    Args:
        engine: its name.
        model: what :func:`kineme.load` takes.
        video: the first ``part_s`` seconds of it are used.
        part_s: seconds.
        budget_s: how long each thing is measured.

    Returns:
        ``open_s``: from the model to the first answer. ``compiled``: whether parts were compiled, which are kept from
        then on. ``ms``: medians of ``backbone`` (a frame), ``head`` (a window), ``step`` (a frame's features
        with the carried state), or ``network`` (a window, where it looks at whole clips). ``file``: ``seconds`` of
        looking at ``video_s`` of it, ``frames_per_s`` of the video and ``times_real_time``. ``streams``: for ``exact``
        and ``carried``, ``ms_a_frame`` that the model sees and ``frames_per_s``, or why there is none.
        ``gflop``: of a backbone, a head or a network, where LiteRT can tell. ``memory_mb``: most resident memory.
    """
    from kineme import api

    median_s = partial(_median_s, budget_s)
    started = time.perf_counter()
    loaded = api.load(model)
    opened_s = time.perf_counter() - started
    spec = loaded.card.spec
    shown = [pixels for _, pixels in ticks(video, spec, end_s=None if spec.fps is None else part_s)]
    shown = list(itertools.islice(itertools.cycle(shown), max(len(shown), spec.frames)))
    timed = [(number * spec.step_s(part_s), pixels) for number, pixels in enumerate(shown)]
    started = time.perf_counter()
    scorer = WindowScorer(loaded, open_engine(engine, loaded))
    window = np.stack(scorer.featurizer(timed[: spec.frames]))
    scorer.score_batch(window[None])
    document: dict[str, Any] = {
        "open_s": round(opened_s + time.perf_counter() - started, 2),
    }
    of_window_s = median_s(lambda: scorer.score_batch(window[None]))
    per_frame = loaded.card.is_per_frame
    ms = {"head" if per_frame else "network": 1e3 * of_window_s}
    if per_frame:
        some = timed[:32]

        def featurize() -> None:
            scorer.featurizer.reset()  # else it would know them already
            scorer.featurizer(some)

        ms["backbone"] = 1e3 * median_s(featurize) / len(some)
    stride = file_stride(loaded)
    file_s = median_s(lambda: _look_at(video, scorer, spec, part_s, stride), warm=of_window_s < _SLOW_S)
    document["file"] = {"seconds": round(file_s, 4), "video_s": round(part_s, 2), "stride": stride}
    document["streams"] = {mode: _stream(loaded, engine, mode, shown, median_s) for mode in get_args(_mode())}
    if "ms_a_frame" in document["streams"]["carried"] and per_frame:
        with suppress(KinemeError):
            ms["step"] = 1e3 * _step_s(loaded, engine, window, median_s)
    document["ms"] = {name: float(f"{value:.4g}") for name, value in ms.items()}
    document["gflop"] = _gflop(loaded, ("frame", "window") if per_frame else ("clip",))
    document["memory_mb"] = peak_mb()
    document["compiled"] = engine != "keras" and "keras" in sys.modules
    return document


def _measure_in_subprocess(engine: str, *others: Any) -> dict[str, Any]:
    """:func:`measure_engine` in a process of its own; once more where it compiled, which takes memory of its own."""
    document: dict[str, Any] = {}
    for _ in range(2):
        try:
            found = call_in_process("kineme.benchmark:measure_engine", engine, *others, timeout_s=_LONGEST_PROCESS_S)
        except ProcessError as error:
            raise KinemeError(f"{engine}: {error}") from error
        first, document = document, found
        if not document.pop("compiled"):
            break
    return document | ({"compile_s": first["open_s"]} if first else {})


def _measure_machine(
    video: Path, model: Model, part_s: float, budget_s: float
) -> tuple[dict[str, float | None], dict[str, float]]:
    """Stages that are the same on every engine, and the limits of the machine."""
    spec, median_s = model.card.spec, partial(_median_s, budget_s)

    def decode(step_s: float | None = None) -> int:
        with Decoder(video) as decoder:
            return sum(1 for _ in itertools.takewhile(lambda one: one.pts_s < part_s, decoder.iter_frames(0.0, step_s)))

    frames = decode()
    every_s = median_s(decode, warm=False) / frames
    decode_s = median_s(lambda: decode(spec.step_s(part_s)), warm=False) / frames
    with Decoder(video) as decoder:
        small, large = decoder.converter(size=(spec.height, spec.width), fit=spec.fit), decoder.converter()
        some = [one.frame for one in itertools.islice(decoder.iter_frames(), 8)]
    resize_s = median_s(lambda: [small(frame) for frame in some]) / len(some)
    draw_s = None
    with suppress(ModuleNotFoundError):  # an installation that only predicts
        draw_s = median_s(lambda: _draw_on(large(some[0]), model.labels))
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(1536, 1536)).astype(np.float32) for _ in range(2))
    product_s = min(_times_s(lambda: left @ right, budget_s, 8))
    stages = {"decode": decode_s, "resize": resize_s, "draw": draw_s}
    limits = {"matrix_gflops": round(2 * 1536**3 / product_s / 1e9, 1), "decode_fps": round(1 / every_s)}
    return {name: value and float(f"{1e3 * value:.4g}") for name, value in stages.items()}, limits


def _draw_on(frame_HWC: NDArray[np.uint8], labels: Sequence[str]) -> None:
    from kineme.report.overlay import draw_prediction

    draw_prediction(frame_HWC, [(label, 0.5) for label in labels[:3]])


def _add_shares(found: dict[str, Any], document: dict[str, Any]) -> None:
    """What an engine's times mean for the video and beside the limits."""
    video, stages, limits, ms = document["video"], document["stages_ms"], document["limits"], found["ms"]
    file = found["file"]
    file["times_real_time"] = float(f"{file['video_s'] / file['seconds']:.3g}")
    file["frames_per_s"] = float(f"{video['fps'] * file['video_s'] / file['seconds']:.4g}")
    found["times_decoding_alone"] = float(f"{file['frames_per_s'] / limits['decode_fps']:.2g}")
    spec = ClipSpec(frames=document["clip"]["frames"], fps=document["clip"]["fps"])
    seen = spec.tick_count(file["video_s"])
    windows = len(spec.window_starts(seen, file.pop("stride")))
    work = {
        "decode": stages["decode"] * video["fps"] * file["video_s"],
        "resize": stages["resize"] * seen,
        "backbone": ms.get("backbone", 0.0) * seen,
        "head": ms.get("head", ms.get("network", 0.0)) * windows,
    }
    if "network" in ms:
        work["network"] = work.pop("head")
        del work["backbone"]
    found["share_of_work"] = {name: round(value / sum(work.values()), 3) for name, value in work.items()}
    gflop = found["gflop"]
    if gflop:
        arithmetic = gflop.get("frame", 0.0) * seen + gflop.get("window", gflop.get("clip", 0.0)) * windows
        network_s = sum(work.get(name, 0.0) for name in ("backbone", "head", "network")) / 1e3
        found["gflops"] = float(f"{arithmetic / network_s:.3g}")
        found["share_of_matrix_rate"] = float(f"{found['gflops'] / limits['matrix_gflops']:.2g}")


def _sentence(document: dict[str, Any]) -> str:
    """The conclusion: the fastest engine, and where its time goes."""
    ran = {name: one for name, one in document["engines"].items() if "error" not in one}
    best = max(ran, key=lambda name: float(ran[name]["file"]["times_real_time"]))
    rate = ran[best]["file"]["times_real_time"]
    stage, share = max(ran[best]["share_of_work"].items(), key=lambda item: float(item[1]))
    called = {"decode": "decoding", "resize": "resizing", "network": "the network"}.get(stage, f"the {stage}")
    return f"{rate:.3g} times real time on {best}; {100 * share:.0f} % of the work is {called}"


def _look_at(video: str, scorer: WindowScorer, spec: ClipSpec, part_s: float, stride: int | None) -> None:
    """What ``predict`` does of a file."""
    for _ in scorer.score(video, prefetch(ticks(video, spec, end_s=None if spec.fps is None else part_s)), stride):
        pass


def _stream(
    model: Model, engine: str, mode: str, shown: Sequence[NDArray[np.uint8]], median_s: Callable[..., float]
) -> dict[str, Any]:
    """The cost of a frame that comes when it is due, once the first answer is out."""
    try:
        stream = model.stream(mode=mode, engine=engine)
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
    of_frame_s = median_s(lambda: push(block), warm=False) / block
    return {"ms_a_frame": float(f"{1e3 * of_frame_s:.4g}"), "frames_per_s": float(f"{1 / of_frame_s:.4g}")}


def _step_s(model: Model, engine: str, window: NDArray[Any], median_s: Callable[..., float]) -> float:
    step = open_engine(engine, model).function("step")
    states = [np.zeros(shape, np.float32) for shape in step.input_shapes[1:]]
    return median_s(lambda: step(window[:1], *states))


def _gflop(model: Model, parts: Iterable[PartName]) -> dict[str, float]:
    """Arithmetic of parts in 1e9 operations; nothing where one is not compiled for LiteRT."""
    from kineme.models.flops import flops

    found: dict[str, float] = {}
    for part in parts:
        if part == "frame" and model.poses:
            return {}
        try:
            path = model.path if model.exported and model.path else LiteRTEngine(model).file(part)
            found[part] = float(f"{flops(path.read_bytes(), part) / 1e9:.4g}")
        except (OSError, ImportError):
            return {}
    return found


def _median_s(budget_s: float, call: Callable[[], Any], *, warm: bool = True) -> float:
    if warm:
        call()
    return float(np.median(_times_s(call, budget_s, 3)))


def _times_s(call: Callable[[], Any], budget_s: float, fewest: int) -> list[float]:
    """Wall times of repeated calls; of a slow one fewer."""
    taken: list[float] = []
    while len(taken) < fewest or (sum(taken) < budget_s and len(taken) < _MOST):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
        if sum(taken) > _SLOW_S:
            break
    return taken


def _mode() -> Any:
    from kineme.prediction.stream import Mode

    return Mode


def _longest(spec: ClipSpec, heavy: bool) -> float:
    """Seconds of video that are looked at; a window of a heavy network takes seconds itself."""
    clip_s = spec.seconds or 0.0
    return clip_s if heavy else max(_LONGEST_S, clip_s)


def _facts(info: VideoInfo) -> dict[str, Any]:
    return {
        "path": info.path,
        "width": info.width,
        "height": info.height,
        "fps": round(float(info.fps), 3),
        "codec": info.codec,
        "duration_s": round(info.duration_s, 2),
    }


def _draw(folder: Path, spec: ClipSpec, heavy: bool) -> Path:
    """A video of drawn people, again from the start where what was drawn ends."""
    from drawn_people.make import make_dataset
    from kineme.video.decode import read_frames
    from kineme.video.write import VideoWriter

    make_dataset(folder / "drawn", clips=1, people=1, untrimmed=0, width=_DRAWN_WIDTH, height=_DRAWN_HEIGHT, workers=1)
    (clip,) = (folder / "drawn").glob("*/person*")
    frames = [frame.pixels_HWC for frame in read_frames(clip)]
    seconds = (spec.seconds or 0.0) + 0.2 if heavy else max(_DRAWN_S, spec.seconds or 0.0)
    path = folder / "drawn people.mp4"
    with VideoWriter(path, width=_DRAWN_WIDTH, height=_DRAWN_HEIGHT, fps=_DRAWN_FPS) as writer:
        for frame in itertools.islice(itertools.cycle(frames), round(seconds * _DRAWN_FPS)):
            writer.write(frame)
    return path
