"""Checks, fetches, predicts and explains videos in processes that may crash; see :mod:`kineme.subprocesses`.

:func:`check`, :func:`fetch` and :func:`work` are each called in processes of their own. Each replies with a document:
``result``, or ``error`` for the visitor and ``trace`` for the log alone.
"""

from __future__ import annotations

import functools
import itertools
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineme.errors import KinemeError, VideoError
from kineme.serving.check_video import LimitError, check_video
from kineme.serving.links import LinkError, fetch_link, guard_process
from kineme.serving.store import ANNOTATED, PICTURE, UPLOAD, is_disk_full
from kineme.text import json_text

if TYPE_CHECKING:
    from kineme.model import Model
    from kineme.prediction.result import Prediction
    from kineme.video.container import NamedFile

_CURVES = 12  # labels whose probability the page follows
_RECOGNISING = {True: 0.95, False: 0.3}  # of the work, for heavy models and others; the rest is drawing
_EXPLAINING = 0.7  # of the work of an explanation; the rest is drawing
_REPORT_EVERY_S = 0.2
_SURE_AFTER_S = 1.0  # of a phase, how long it may take

Request = dict[str, Any]
Reply = dict[str, Any]
Report = Callable[[dict[str, Any]], None]


def check(request: Request) -> Reply:
    """Look at an upload."""
    _begin((), programs=True, nice=0)  # somebody waits for it
    return _reply(request, lambda file: check_video(file, request["limits"], request["cpu_s"]))


def fetch(request: Request, on_progress: Report) -> Reply:
    """Fetch a link, and check the file."""
    refused = _begin(tuple(request["networks"]), programs=False, nice=5)
    refused.clear()

    def fetch_and_check(file: NamedFile) -> None:
        on_progress({"phase": "fetching", "share": 0.0})
        try:
            max_bytes = int(request["limits"]["max_bytes"])
            fetch_link(request["url"], file, request["networks"], max_bytes, request["cookies"])
        except KinemeError as error:
            if refused:
                raise LinkError(str(refused[0])) from error
            raise LimitError("failed", str(error)) from error
        check_video(file, request["limits"])

    return _reply(request, fetch_and_check)


def work(request: Request, on_progress: Report) -> Reply:
    """Predict or explain a video; without one, load the models."""
    _begin(tuple(request["networks"]), programs=True, nice=5)  # cameras and the page go first
    if "folder" not in request:
        for where in request["models"]:
            _model(where)
        return {"result": {}}
    from kineme.people.find import keep_tracks_in

    keep_tracks_in(_temporary(request))
    do = _explain if request["explain"] else _predict
    return _reply(request, lambda file: do(request, file, on_progress))


@functools.cache
def _begin(networks: tuple[str, ...], *, programs: bool, nice: int) -> list[LinkError]:
    """Prepare this process, once; returns the calls that are refused from now on."""
    with suppress(AttributeError, OSError):  # there is no such thing, or it is not allowed
        os.nice(nice)
    return guard_process(networks, programs=programs)


@functools.cache
def _model(where: str) -> Model:
    from kineme import api

    return api.load(where)


def _temporary(request: Request) -> Path:
    """A folder that goes with the job, however this process ends."""
    return Path(request["folder"], "tmp")


def _reply(request: Request, do: Callable[[NamedFile], dict[str, Any] | None]) -> Reply:
    """The answer to a request, whatever happens."""
    from kineme.video.container import NamedFile

    temporary = _temporary(request)
    try:
        temporary.mkdir(exist_ok=True)
        tempfile.tempdir = str(temporary)
        return {"result": do(NamedFile(str(Path(request["folder"], UPLOAD)), request["name"])) or {}}
    except Exception as error:
        return _error_reply(error, request)


def _predict(request: Request, file: NamedFile, report: Report) -> dict[str, Any]:
    import numpy as np

    from kineme.prediction.people import follows_people
    from kineme.prediction.predict import predict_file
    from kineme.report.annotate import annotate_video
    from kineme.report.save import skeletons
    from kineme.report.tables import TEXTS
    from kineme.video.probe import probe

    report({"phase": "loading", "share": 0.0})
    model = _model(request["model"])
    info, half_way = probe(file), _RECOGNISING[model.card.is_heavy]
    recognising = _Meter(report, "recognising", 0.0, half_way)
    people = follows_people(model)
    result = replace(predict_file(model, file, "auto", recognising.reach, people=people), source=request["source"])
    if not np.isfinite(result.window_probabilities_WK).all():
        raise LimitError("bad_model", "the model gives no numbers for this video; its file may be damaged")
    frames = max(1, info.frame_count or round(result.duration_s * result.fps))
    drawing, warnings = _Meter(report, "drawing", half_way, 1.0), list(result.warnings)
    drawn = itertools.count(1)
    annotate_video(
        file,
        Path(request["folder"], ANNOTATED),
        result.probabilities_at,
        result.labels,
        result.segments,
        decorate=skeletons(model.poses) if model.poses else None,
        people=result.people or (),
        on_frame=lambda: drawing.reach(next(drawn) / frames),
        on_warning=warnings.append,
    )
    result = replace(result, warnings=tuple(dict.fromkeys(warnings)))
    return {**{kind: write(result) for kind, write in TEXTS.items()}, "curves": json_text(_curves(result), indent=None)}


def _explain(request: Request, file: NamedFile, report: Report) -> dict[str, Any]:
    from kineme.prediction.explain.explain import explain_file
    from kineme.report.explain_picture import explain_picture
    from kineme.report.explain_save import document, drawer_of
    from kineme.report.explain_video import explain_video
    from kineme.video.container import NamedFile
    from kineme.video.probe import probe

    report({"phase": "loading", "share": 0.0})
    model, folder = _model(request["model"]), Path(request["folder"])
    explaining = _Meter(report, "explaining", 0.0, _EXPLAINING)
    named = NamedFile(file.path, request["source"])
    found = explain_file(model, named, label=request["label"], on_progress=explaining.reach)
    drawer, info = drawer_of(found, model), probe(file)
    explain_picture(found, file, folder / PICTURE, drawer)
    frames = max(1, info.frame_count or round(info.duration_s * float(info.fps)))
    drawing, drawn = _Meter(report, "drawing", _EXPLAINING, 1.0), itertools.count(1)
    explain_video(found, file, folder / ANNOTATED, drawer, on_frame=lambda: drawing.reach(next(drawn) / frames))
    Path(file).unlink()  # a second name of the video that was predicted
    return {"json": json_text(document(found), indent=None)}


def _error_reply(error: Exception, request: Request) -> Reply:
    """The error message for a visitor and the one for the log: visitors see nothing of this machine."""
    name = request["name"]
    if any(map(is_disk_full, _causes(error))):
        code, message = "disk_full", "the server's disk is full; try again later"
    elif isinstance(error, LinkError):
        code, message = "link_refused", str(error)
    elif isinstance(error, LimitError):
        code, message = error.code, str(error)
    elif isinstance(error, VideoError):
        code, message = "bad_video", str(error)
    elif isinstance(error, MemoryError):
        code, message = "out_of_memory", f"{name}: takes more memory than there is"
    else:
        code = "failed" if isinstance(error, KinemeError) else "internal"
        message = "something went wrong here; the server's log says what"
        return {"error": {"code": code, "message": message}, "trace": traceback.format_exc()}
    if request["folder"] in message:
        message = f"{name}: cannot be worked on; the server's log says why"
    return {"error": {"code": code, "message": message}, "trace": str(error)}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class _Meter:
    """Reports now and then how far the work has come, and how long it may still take."""

    def __init__(self, report: Report, phase: str, begin: float, end: float) -> None:
        self._report, self._phase, self._begin, self._end = report, phase, begin, end
        self._started_s, self._reported_s = time.monotonic(), 0.0

    def reach(self, part: float) -> None:
        """So much of the phase is done, from 0 to 1."""
        part = min(part, 1.0)
        now_s = time.monotonic()
        if now_s - self._reported_s < _REPORT_EVERY_S:
            return
        self._reported_s = now_s
        took_s = now_s - self._started_s
        progress = {"phase": self._phase, "share": round(self._begin + part * (self._end - self._begin), 4)}
        if part and took_s > _SURE_AFTER_S:
            to_come = (1 - self._end) / (self._end - self._begin)  # the next phase, as a share of this one
            progress["left_s"] = round(took_s / part * (1 - part + to_come), 1)
        self._report(progress)


def _curves(result: Prediction) -> dict[str, Any]:
    """What the page needs to follow the playhead: middles of the windows, and the likeliest labels at each."""
    best = result.window_probabilities_WK.max(axis=0).argsort()[::-1][:_CURVES]
    return {
        "duration_s": round(result.duration_s, 3),
        "middles": result.window_times_W2.mean(axis=1).clip(0, result.duration_s).round(3).tolist(),
        "labels": [result.labels[k] for k in best],
        "probabilities": result.window_probabilities_WK.T[best].round(4).tolist(),
    }
