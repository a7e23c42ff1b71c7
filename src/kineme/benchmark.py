"""The cost of a model on this machine, per stage and engine, compared with the limits of the machine.

Each engine is measured in a process of its own, where nothing else has taken memory or time.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.prediction.engines.select import EngineName, check_engine, is_installed
from kineme.prediction.measure import EngineDocument, median_s, times_s
from kineme.progress import progress
from kineme.subprocesses import ProcessError, call_in_process
from kineme.video.decode import Decoder
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.model import Model

ENGINES: tuple[str, ...] = tuple(name for name in get_args(EngineName) if name != "auto")

BUDGET_S = 0.8  # of one measurement
_LONGEST_S = 20.0  # of a video that is looked at
_DRAWN_S, _DRAWN_WIDTH, _DRAWN_HEIGHT, _DRAWN_FPS = 12.0, 640, 480, 25
_LONGEST_PROCESS_S = 600


class ClipDocument(TypedDict):
    """What the model sees of a video."""

    frames: int
    fps: float | None
    height: int
    width: int


class VideoDocument(TypedDict):
    """The video that is measured on; ``drawn`` where nobody named one."""

    path: str
    width: int
    height: int
    fps: float
    codec: str
    duration_s: float
    seconds_used: float
    drawn: bool


class BenchmarkDocument(TypedDict):
    """What :func:`benchmark` gives: ``--json``."""

    model: str
    approach: str
    backbone: str | None
    clip: ClipDocument
    members: dict[str, ClipDocument]  # of joined backbones
    video: VideoDocument
    limits: dict[str, float]  # matrix_gflops (float32, NumPy on all cores), decode_fps (of all of the video, alone)
    stages_ms: dict[str, float | None]  # decode (some frames need not be), resize (a frame the model sees), draw
    engines: dict[str, EngineDocument]
    sentence: str


def benchmark(
    model: str | os.PathLike[str],
    video: str | os.PathLike[str] | None = None,
    *,
    engines: Sequence[str] | None = None,
    budget_s: float = BUDGET_S,
) -> BenchmarkDocument:
    """Measure a model, its stages and their common parts, on each engine.

    Times are medians of repeated runs, each stage by itself; files and streams are timed as a whole, as
    :meth:`~kineme.model.Model.predict` and :meth:`~kineme.model.Model.stream` run them. Of a
    video that is longer, the first 20 s are used.

    Args:
        model: what :func:`kineme.load` takes.
        video: to measure on; by default drawn people, 640 x 480, 25 frames a second.
        engines: names; by default all that there are.
        budget_s: how long each thing is measured.

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
        document: BenchmarkDocument = {
            "model": loaded.name,
            "approach": loaded.card.approach,
            "backbone": loaded.card.config.get("backbone"),
            "clip": _clip(spec),
            "members": {one.card.backbone.name: _clip(one.card.spec) for one in loaded.members},
            "video": {
                "path": info.path,
                "width": info.width,
                "height": info.height,
                "fps": round(float(info.fps), 3),
                "codec": info.codec,
                "duration_s": round(info.duration_s, 2),
                "seconds_used": round(part_s, 2),
                "drawn": video is None,
            },
            "limits": limits,
            "stages_ms": stages,
            "engines": {},
            "sentence": "",
        }
        advance(note="this machine")
        for name in names:
            try:
                measured = _measure_in_subprocess(name, os.fspath(model), str(source), part_s, budget_s)
            except KinemeError as error:
                measured = {"error": str(error)}
            document["engines"][name] = measured
            advance(note=name)
    ran = [one for one in document["engines"].values() if "error" not in one]
    if not ran:
        raise KinemeError("; ".join(one["error"] for one in document["engines"].values()))
    gflop = next((one["gflop"] for one in ran if one["gflop"]), {})  # the same for all; LiteRT's files tell
    for one in ran:
        one["gflop"] = gflop
        _add_shares(one, document)
    document["sentence"] = _sentence(document)
    return document


def _clip(spec: ClipSpec) -> ClipDocument:
    return {"frames": spec.frames, "fps": spec.fps, "height": spec.height, "width": spec.width}


def _measure_in_subprocess(engine: str, *others: Any) -> EngineDocument:
    """Measure in a process of its own; once more where parts were compiled, which takes memory of its own."""
    compile_s: float | None = None
    while True:
        try:
            document: EngineDocument = call_in_process(
                "kineme.prediction.measure:measure_engine", engine, *others, timeout_s=_LONGEST_PROCESS_S
            )
        except ProcessError as error:
            raise KinemeError(f"{engine}: {error}") from error
        if compile_s is None and document.pop("compiled"):
            compile_s = document["open_s"]
            continue
        document.pop("compiled", None)
        if compile_s is not None:
            document["compile_s"] = compile_s
        return document


def _measure_machine(
    video: Path, model: Model, part_s: float, budget_s: float
) -> tuple[dict[str, float | None], dict[str, float]]:
    """Stages that are the same on every engine, and the limits of the machine."""
    spec, timed_median = model.card.spec, partial(median_s, budget_s)

    def decode(step_s: float | None = None) -> int:
        with Decoder(video) as decoder:
            return sum(1 for _ in itertools.takewhile(lambda one: one.pts_s < part_s, decoder.iter_frames(0.0, step_s)))

    frames = decode()
    every_s = timed_median(decode, warm=False) / frames
    decode_s = timed_median(lambda: decode(spec.step_s(part_s)), warm=False) / frames
    with Decoder(video) as decoder:
        small, large = decoder.converter(size=(spec.height, spec.width), fit=spec.fit), decoder.converter()
        some = [one.frame for one in itertools.islice(decoder.iter_frames(), 8)]
    resize_s = timed_median(lambda: [small(frame) for frame in some]) / len(some)
    draw_s = None
    with suppress(ModuleNotFoundError):  # an installation that only predicts
        draw_s = timed_median(lambda: _draw_on(large(some[0]), model.labels))
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(1536, 1536)).astype(np.float32) for _ in range(2))
    product_s = min(times_s(lambda: left @ right, budget_s, 8))
    stages = {"decode": decode_s, "resize": resize_s, "draw": draw_s}
    limits = {"matrix_gflops": round(2 * 1536**3 / product_s / 1e9, 1), "decode_fps": round(1 / every_s)}
    return {name: value and float(f"{1e3 * value:.4g}") for name, value in stages.items()}, limits


def _draw_on(frame_HWC: NDArray[np.uint8], labels: Sequence[str]) -> None:
    from kineme.report.overlay import draw_prediction

    draw_prediction(frame_HWC, [(label, 0.5) for label in labels[:3]])


def _add_shares(found: EngineDocument, document: BenchmarkDocument) -> None:
    """What an engine's times mean for the video and beside the limits."""
    video, stages, limits, ms = document["video"], document["stages_ms"], document["limits"], found["ms"]
    file = found["file"]
    file["times_real_time"] = float(f"{file['video_s'] / file['seconds']:.3g}")
    file["frames_per_s"] = float(f"{video['fps'] * file['video_s'] / file['seconds']:.4g}")
    found["times_decoding_alone"] = float(f"{file['frames_per_s'] / limits['decode_fps']:.2g}")
    spec = ClipSpec(frames=document["clip"]["frames"], fps=document["clip"]["fps"])
    windows = len(spec.window_starts(spec.tick_count(file["video_s"]), file.pop("stride")))
    # Each member of joined backbones reads the video for itself.
    seen = {f"{name} ": _ticks(clip, file["video_s"]) for name, clip in document["members"].items()}
    seen = seen or {"": _ticks(document["clip"], file["video_s"])}
    work = {
        "decode": (stages["decode"] or 0.0) * video["fps"] * file["video_s"] * len(seen),
        "resize": (stages["resize"] or 0.0) * sum(seen.values()),
    }
    times = {"backbone": seen, "head": dict.fromkeys(seen, windows), "network": dict.fromkeys(seen, windows)}
    stages_of = [(member, stage) for member in seen for stage in times if f"{member}{stage}" in ms]
    networks = {f"{member}{stage}": ms[f"{member}{stage}"] * times[stage][member] for member, stage in stages_of}
    work |= networks
    found["share_of_work"] = {name: round(value / sum(work.values()), 3) for name, value in work.items()}
    gflop = found["gflop"]
    if gflop and len({name.rpartition(" ")[0] for name in gflop}) == len(seen):
        runs = {f"{member}{part}": windows for member in seen for part in ("window", "clip")}
        runs |= {f"{member}frame": count for member, count in seen.items()}
        arithmetic = sum(value * runs[part] for part, value in gflop.items())
        found["gflops"] = float(f"{arithmetic / (sum(networks.values()) / 1e3):.3g}")
        found["share_of_matrix_rate"] = float(f"{found['gflops'] / limits['matrix_gflops']:.2g}")


def _ticks(clip: ClipDocument, video_s: float) -> int:
    return ClipSpec(frames=clip["frames"], fps=clip["fps"]).tick_count(video_s)


def _sentence(document: BenchmarkDocument) -> str:
    """The conclusion: the fastest engine, and where its time goes."""
    ran = {name: one for name, one in document["engines"].items() if "error" not in one}
    best = max(ran, key=lambda name: float(ran[name]["file"]["times_real_time"]))
    rate = ran[best]["file"]["times_real_time"]
    stage, share = max(ran[best]["share_of_work"].items(), key=lambda item: float(item[1]))
    called = {"decode": "decoding", "resize": "resizing", "network": "the network"}.get(stage, f"the {stage}")
    return f"{rate:.3g} times real time on {best}; {100 * share:.0f} % of the work is {called}"


def _longest(spec: ClipSpec, heavy: bool) -> float:
    """Seconds of video that are looked at; a window of a heavy network takes seconds itself."""
    clip_s = spec.seconds or 0.0
    return clip_s if heavy else max(_LONGEST_S, clip_s)


def _draw(folder: Path, spec: ClipSpec, heavy: bool) -> Path:
    """A video of drawn people, again from the start after its end."""
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
