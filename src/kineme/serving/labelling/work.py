"""What takes long, each in a process of its own that may crash; see :mod:`kineme.subprocesses`."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kineme.model import Model

Report = Callable[[float], None]

_COPY_HEIGHT = 720  # of a copy that browsers play: enough to see what happens
_REPORT_STEP = 0.01
_REPORT_EVERY_S = 0.3
_SAME_S = 1e-3


def copy_for_browsers(source: str, target: str, on_progress: Report) -> None:
    """Write a copy of a video that every browser plays: H.264, at most 720 rows, the time stamps of the original."""
    from kineme.video.decode import read_frames
    from kineme.video.probe import probe
    from kineme.video.write import VideoWriter

    _yield_to_others()
    info, tell = probe(source), _meter(on_progress)
    height = min(info.height, _COPY_HEIGHT)
    size = height + height % 2, _even(info.width * height / info.height)
    options = {"g": "25", "crf": "23", "preset": "ultrafast"}  # many key frames: stepping back is quick
    with VideoWriter(target, width=size[1], height=size[0], fps=info.fps, options=options) as writer:
        for frame in read_frames(source, size=size):
            writer.write(frame.pixels_HWC, frame.pts_s, duration_s=frame.duration_s)
            tell(frame.pts_s / max(info.duration_s, 1e-3))


def propose(model: str, source: str, on_progress: Report) -> dict[str, Any]:
    """What a model finds in a video: its segments, and how unsure it is of the whole, from 0 to 1."""
    import numpy as np

    from kineme.prediction.predict import predict_file

    _yield_to_others()
    found = predict_file(_model(model), source, "auto", _meter(on_progress))
    ordered_WK = np.sort(found.window_probabilities_WK, axis=1)
    margins_W = ordered_WK[:, -1] - ordered_WK[:, -2]
    proposals = [
        {
            "id": hashlib.sha256(f"{one.label}|{one.start_s:.2f}|{one.end_s:.2f}".encode()).hexdigest()[:16],
            "start_s": round(one.start_s, 4),
            "end_s": round(one.end_s, 4),
            "label": one.label,
            "confidence": round(one.confidence, 4),
        }
        for one in found.actions
    ]
    return {"proposals": proposals, "doubt": round(float(1 - margins_W.mean()), 4) if len(margins_W) else 1.0}


def people(source: str, on_progress: Report) -> dict[str, Any]:
    """Where everybody is in a video: for each person times, and boxes (x, y, width, height) in parts of the frame."""
    from kineme.people.find import find_people
    from kineme.video.probe import probe

    _yield_to_others()
    duration_s, tell = max(probe(source).duration_s, 1e-3), _meter(on_progress)
    found = find_people(source, on_progress=lambda time_s: tell(time_s / duration_s))
    tracks = []
    for one in found.tracks:
        x0_T, y0_T, x1_T, y1_T = (one.boxes_T4 / ([found.width, found.height] * 2)).T
        boxes = zip(x0_T, y0_T, x1_T - x0_T, y1_T - y0_T, strict=True)
        rounded = [[round(float(value), 4) for value in box] for box in boxes]
        tracks.append({"id": one.id, "times_s": one.times_T.round(3).tolist(), "boxes": rounded})
    return {"tracks": tracks}


def places(source: str, others: dict[str, str], on_progress: Report) -> list[str]:
    """The groups of other videos that show the same place; see :func:`kineme.serving.labelling.groups.same_place`."""
    from kineme.serving.labelling.groups import same_place

    _yield_to_others()
    on_progress(0.0)
    return same_place(Path(source), {Path(path): group for path, group in others.items()})


def train(table: str, out: str, approach: str | None, on_progress: Callable[[Any], None]) -> dict[str, Any]:
    """Train on the table; gives the sentences that open the report. Progress is a step, its count and the total."""
    from kineme import api
    from kineme.progress import listening
    from kineme.report.verdict import headline

    told_s = 0.0

    def tell(label: str, done: int, total: int | None) -> None:
        nonlocal told_s
        if time.monotonic() - told_s > _REPORT_EVERY_S or done == total:
            told_s = time.monotonic()
            on_progress([label, done, total])

    with listening(tell):
        run = api.train(table, out, approach=approach)
    metrics = run.metrics
    said = headline(metrics["test"], group_noun=metrics["data"]["group_noun"])
    return {"verdict": said, "model": out}


@functools.cache
def _model(where: str) -> Model:
    from kineme import api

    return api.load(where)


@functools.cache
def _yield_to_others() -> None:
    with suppress(AttributeError, OSError):  # there is no such thing, or it is not allowed
        os.nice(5)


def _meter(report: Report) -> Report:
    """Reports progress in visible steps."""
    told = -1.0

    def reach(share: float) -> None:
        nonlocal told
        if share - told >= _REPORT_STEP:
            told = share
            report(min(1.0, share))

    return reach


def _even(value: float) -> int:
    return max(2, round(value / 2) * 2)


def clip_of(recorded: str, target: str, seconds: float, on_progress: Report) -> dict[str, Any]:
    """Make a clip of exactly so many seconds of what a browser recorded, as MP4.

    Raises:
        KinemeError: it cannot be read, or is shorter than that by more than a frame.
    """
    from kineme.errors import KinemeError
    from kineme.video.decode import read_frames
    from kineme.video.write import VideoWriter

    frames, first_s, end_s, step_s = 0, 0.0, 0.0, 0.0
    with ExitStack() as stack:
        writer: VideoWriter | None = None
        for frame in read_frames(recorded):
            if writer is None:
                height, width = frame.pixels_HWC.shape[:2]
                writer = stack.enter_context(VideoWriter(target, width=width, height=height, fps=30))
                first_s = frame.pts_s
            time_s = frame.pts_s - first_s
            if time_s >= seconds - _SAME_S:
                break
            step_s = max(step_s, frame.duration_s)
            end_s = min(seconds, time_s + frame.duration_s)
            writer.write(frame.pixels_HWC, time_s, duration_s=end_s - time_s)
            frames += 1
        if end_s < seconds - step_s - _SAME_S:
            raise KinemeError(f"the recording is {end_s:.1f} s long, not {seconds:g} s; record it again")
    return {"frames": frames, "duration_s": round(end_s, 4)}
