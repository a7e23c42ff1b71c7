"""Checks, fetches and predicts videos in a process that may crash.

The other side of :mod:`kineme.serving.worker_process`: requests come on standard input and replies go to standard
output, a JSON document a line.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineme.errors import KinemeError, VideoError
from kineme.serving.links import LinkError, check_link, guard_connections
from kineme.serving.store import ANNOTATED, PICTURE, UPLOAD

if TYPE_CHECKING:
    from kineme.model import Model
    from kineme.prediction.result import Prediction

# Those of FFmpeg's readers that read the file itself. Others are playlists, which name further files to read.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegts,mpegvideo,h264,hevc,m4v,mjpeg,flv,asf,ogg,gif,ivf,dv,mxf,nut,"
    "rm,wtv,yuv4mpegpipe"
)
_CURVES = 12  # labels whose probability the page follows
_RECOGNISING = {True: 0.95, False: 0.3}  # of the work, for heavy models and others; the rest is drawing
_EXPLAINING = 0.7  # of the work of an explanation; the rest is drawing
_REPORT_EVERY_S = 0.2
_SURE_AFTER_S = 1.0  # of a phase, how long it may take

Report = Callable[[dict[str, Any]], None]


class _LimitError(Exception):
    """A video is beyond a limit; ``str(error)`` says which."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_video(path: Path, name: str, limits: dict[str, float]) -> dict[str, Any]:
    """Look at a file as far as is needed to know whether it may be worked on.

    Raises:
        VideoError: it is no video that can be read.
        _LimitError: it is beyond ``max_duration_s`` or ``max_pixels``.
    """
    import av
    import av.error

    from kineme.video.container import DECODER_OPTIONS
    from kineme.video.probe import probe

    try:
        av.open(
            str(path), options={**DECODER_OPTIONS, "format_whitelist": _CONTAINERS}, metadata_errors="ignore"
        ).close()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(path, "is not a video that can be read") from error
    info = probe(path)
    if info.duration_s > limits["max_duration_s"]:
        limit = f"{limits['max_duration_s'] / 60:g} minutes"
        raise _LimitError("too_long", f"{name}: is {info.duration_s / 60:.1f} minutes long, and the limit is {limit}")
    if info.width * info.height > limits["max_pixels"]:
        megapixels = f"{limits['max_pixels'] / 1e6:.1f} megapixels"
        raise _LimitError("too_many_pixels", f"{name}: is {info.width} x {info.height}, and the limit is {megapixels}")
    return {"duration_s": info.duration_s, "width": info.width, "height": info.height, "fps": float(info.fps)}


class _Worker:
    """Handles requests; keeps the models it has loaded."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._models: dict[str, Model] = {}

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request: a document with ``result`` or ``error``."""
        name = request.get("name", "")
        path = Path(request["folder"], UPLOAD) if "folder" in request else None
        try:
            if request["do"] == "load":
                for model in request["models"]:
                    self._model(model)
                return {"result": {}}
            assert path is not None
            if request["do"] == "check":
                return {"result": check_video(path, name, request["limits"])}
            work = self._explain if request["do"] == "explain" else self._predict
            return {"result": work(path, request)}
        except (_LimitError, KinemeError, LinkError, MemoryError) as error:
            message = str(error).replace(str(path), name)
            kinds = {VideoError: "bad_video", LinkError: "link_refused", MemoryError: "out_of_memory"}
            code = error.code if isinstance(error, _LimitError) else kinds.get(type(error), "failed")
            return {"error": {"code": code, "message": message or "out of memory"}}
        except Exception:
            message = "something went wrong here; the server's log says what"
            return {"error": {"code": "internal", "message": message}, "trace": traceback.format_exc()}

    def _model(self, where: str) -> Model:
        from kineme import api

        if where not in self._models:
            self._models[where] = api.load(where)
        return self._models[where]

    def _predict(self, path: Path, request: dict[str, Any]) -> dict[str, Any]:
        from kineme.report.annotate import annotate_video
        from kineme.report.save import skeletons
        from kineme.report.tables import TEXTS
        from kineme.video.probe import probe

        model = self._begin(path, request)
        info, half_way = probe(path), _RECOGNISING[model.card.is_heavy]
        recognising = _Meter(self._report, "recognising", 0.0, half_way)
        result = replace(model.predict(path, on_progress=recognising.reach), source=request["url"] or request["name"])
        frames = max(1, info.frame_count or round(result.duration_s * result.fps))
        drawing, notes = _Meter(self._report, "drawing", half_way, 1.0), list(result.warnings)
        drawn = itertools.count(1)

        def probabilities_at(time_s: float) -> Any:
            drawing.reach(next(drawn) / frames)
            return result.probabilities_at(time_s)

        annotate_video(
            path,
            path.with_name(ANNOTATED),
            probabilities_at,
            result.labels,
            result.segments,
            decorate=skeletons(model.poses) if model.poses else None,
            on_warning=notes.append,
        )
        warnings = tuple(dict.fromkeys(line.replace(str(path), request["name"]) for line in notes))
        result = replace(result, warnings=warnings)
        return {**{kind: write(result) for kind, write in TEXTS.items()}, "curves": json.dumps(_curves(result))}

    def _begin(self, path: Path, request: dict[str, Any]) -> Model:
        """Make the video ready, and the model that is to look at it."""
        temporary = path.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        tempfile.tempdir = str(temporary)  # so that it goes with the job, however this process ends
        if request["url"] and request["do"] == "predict":
            self._report({"phase": "fetching", "share": 0.0})
            _fetch(request["url"], path, request)
        check_video(path, request["name"], request["limits"])
        self._report({"phase": "loading", "share": 0.0})
        return self._model(request["model"])

    def _explain(self, path: Path, request: dict[str, Any]) -> dict[str, Any]:
        from kineme.prediction.explain.explain import explain_file
        from kineme.report.explain_picture import explain_picture
        from kineme.report.explain_save import document, drawer_of
        from kineme.report.explain_video import explain_video
        from kineme.video.container import NamedFile
        from kineme.video.probe import probe

        model = self._begin(path, request)
        named = NamedFile(str(path), request["url"] or request["name"])
        explaining = _Meter(self._report, "explaining", 0.0, _EXPLAINING)
        found = explain_file(model, named, label=request["label"], on_progress=explaining.reach)
        drawer, info = drawer_of(found, model), probe(path)
        explain_picture(found, path, path.with_name(PICTURE), drawer)
        frames = max(1, info.frame_count or round(info.duration_s * float(info.fps)))
        drawing, drawn = _Meter(self._report, "drawing", _EXPLAINING, 1.0), itertools.count(1)
        explain_video(
            found, path, path.with_name(ANNOTATED), drawer, on_frame=lambda: drawing.reach(next(drawn) / frames)
        )
        path.unlink()  # a second name of the video that was predicted
        return {"json": json.dumps(document(found))}


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


def _fetch(url: str, path: Path, request: dict[str, Any]) -> None:
    """Fetch a video from a link to ``path``."""
    from kineme.sources.links import fetch_videos
    from kineme.sources.local_video import FailedVideo, FetchOptions

    check_link(url, request["networks"])
    options = FetchOptions(min_side=480, with_sound=True, max_bytes=int(request["limits"]["max_bytes"]))
    try:
        with closing(fetch_videos(url, options)) as videos:
            video = next(videos)
            if isinstance(video, FailedVideo):
                raise video.error
            os.replace(video.path, path)  # noqa: PTH105 (both are in the job's folder)
    except KinemeError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, LinkError) or "links may only lead" in str(cause):
                raise LinkError("links may only lead to public addresses") from error
            cause = cause.__cause__ or cause.__context__
        raise


def main() -> None:
    """Handle requests until there are no more; end at once when the server goes down."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no reply
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server
    with suppress(AttributeError, OSError):  # there is no such thing, or it is not allowed
        os.nice(5)  # cameras and the page go first
    requests: queue.Queue[dict[str, Any]] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            requests.put(json.loads(line))
        os._exit(0)

    def send(document: dict[str, Any]) -> None:
        replies.write(json.dumps(document).encode() + b"\n")
        replies.flush()

    threading.Thread(target=listen, daemon=True).start()
    guarded = False
    worker = _Worker(send)
    sys.modules["curl_cffi"] = None  # type: ignore[assignment]  # yt-dlp would use it, and its connections are not seen
    while True:
        request = requests.get()
        if not guarded:
            guard_connections(request["networks"])
            guarded = True
        send(worker.reply(request))


if __name__ == "__main__":
    main()
