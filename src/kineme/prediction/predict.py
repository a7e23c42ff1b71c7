"""From a video to its prediction: its windows are scored and summed up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from kineme.errors import KinemeError, UsageError
from kineme.prediction.featurizers import Tick
from kineme.prediction.result import Prediction
from kineme.prediction.summary import summarize_windows
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import file_stride, open_scorer
from kineme.progress import track
from kineme.sources.local import FetchOptions, LocalVideo, local_videos
from kineme.video.clips import ticks
from kineme.video.prefetch import prefetch
from kineme.video.probe import probe

OnProgress = Callable[[float], None]


def fetch_options(model: TrainedModel, start_s: float = 0.0, end_s: float | None = None) -> FetchOptions:
    """How a model's videos are fetched: no larger than it needs."""
    spec = model.card.spec
    return FetchOptions(min_side=max(spec.height, spec.width), start_s=start_s, end_s=end_s)


def predict_sources(
    model: TrainedModel,
    sources: Iterable[str | os.PathLike[str]],
    options: FetchOptions,
    engine: str,
    on_progress: OnProgress | None,
    on_error: Callable[[str, KinemeError], None] | None,
) -> Generator[Prediction, None, None]:
    """The predictions of several sources; see :meth:`kineme.model.Model.predict`."""
    for source in sources:
        try:
            with closing(local_videos([os.fspath(source)], options, on_error=on_error)) as videos:
                for video in videos:
                    try:
                        with video.named():
                            result = predict_video(model, video, engine, on_progress)
                        yield result
                    except KinemeError as error:
                        if on_error is None:
                            raise
                        on_error(video.source, error)
        except KinemeError as error:
            if on_error is None or isinstance(error, UsageError):
                raise
            on_error(os.fspath(source), error)


def predict_video(
    model: TrainedModel, video: LocalVideo, engine: str, on_progress: OnProgress | None = None
) -> Prediction:
    """The prediction of a source, under the name that it was asked for."""
    result = predict_file(model, video.path, engine, on_progress)
    return replace(result, source=video.source, warnings=tuple(map(video.in_words, result.warnings)))


def predict_file(
    model: TrainedModel, path: str | os.PathLike[str], engine: str = "auto", on_progress: OnProgress | None = None
) -> Prediction:
    """The prediction of a video file; arguments and errors as of :meth:`kineme.model.Model.predict`."""
    scorer = open_scorer(model, engine)
    started = time.perf_counter()
    info = probe(path)
    spec = model.card.spec
    warnings: list[str] = []
    stride = file_stride(model)
    shown = prefetch(ticks(path, spec, on_warning=warnings.append))
    if on_progress:
        shown = _telling(shown, info.duration_s, on_progress)
    scored = scorer.score(path, shown, stride)
    if model.card.is_heavy:
        count = len(spec.window_starts(spec.tick_count(info.duration_s), stride))
        scored = track(scored, f"{Path(path).name}, windows", count)
    times, rows = zip(*((times_T, logits_K) for times_T, logits_K in scored), strict=True)
    return summarize_windows(
        model,
        os.fspath(path),
        np.array([(times_T[0], times_T[-1]) for times_T in times]),
        np.stack(rows),
        duration_s=info.duration_s,
        fps=float(info.fps),
        warnings=warnings,
        timing={"seconds": round(time.perf_counter() - started, 3), "windows": len(times)},
    )


def _telling(of_ticks: Iterable[Tick], duration_s: float, on_progress: OnProgress) -> Iterator[Tick]:
    """The same ticks; with each that is done with, how far the video is."""
    for tick in of_ticks:
        yield tick
        on_progress(min(1.0, tick[0] / duration_s) if duration_s else 1.0)
