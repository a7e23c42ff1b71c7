"""Predicts a video: its windows are scored, and the scores are combined."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kineme.prediction.featurizers import Tick
from kineme.prediction.joined import Scored, model_shots
from kineme.prediction.people import predict_people
from kineme.prediction.result import Prediction
from kineme.prediction.summary import summarize_windows
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import collect_windows, file_stride, open_scorer
from kineme.progress import progress
from kineme.sources.local_video import FetchOptions
from kineme.video.cuts import by_shot
from kineme.video.prefetch import prefetch
from kineme.video.probe import probe

OnProgress = Callable[[float], None]

_WITH_PEOPLE = 1280  # pixels


def fetch_options(model: TrainedModel, *, people: bool = False, **more: Any) -> FetchOptions:
    """How a model's videos are fetched: no larger than it needs."""
    return FetchOptions(min_side=smallest_side(model, people), **more)


def smallest_side(model: TrainedModel, people: bool) -> int:
    """How many pixels wide a video is to be fetched at least; people may be cut out of it."""
    specs = [model.card.spec, *(one.card.spec for one in model.members)]
    sides = [max(spec.height, spec.width) for spec in specs]
    return max(*sides, _WITH_PEOPLE if people or model.card.spec.region != "frame" else 0)


def predict_file(
    model: TrainedModel,
    path: str | os.PathLike[str],
    engine: str = "auto",
    on_progress: OnProgress | None = None,
    *,
    people: bool = False,
    person: int | None = None,
) -> Prediction:
    """The prediction of a video file; arguments and errors as of :meth:`kineme.model.Model.predict`.

    Args:
        model: that looks.
        path: of the file.
        engine: that runs the model.
        on_progress: called with the progress in the video, from 0 to 1.
        people: whether each person gets a timeline too.
        person: track of the person to look at, for a model of the region ``"person"``; None is the one who moves most.
    """
    scorer = open_scorer(model, engine)
    started = time.perf_counter()
    info = probe(path)
    warnings: list[str] = []
    stride = file_stride(model)
    cuts: list[float] = []
    of_shots = model_shots(model, path, cuts.append, track=person, on_warning=warnings.append)
    shown: Iterator[tuple[int, Tick]] = prefetch(of_shots)
    if on_progress:
        shown = _telling(shown, info.duration_s, on_progress)
    scored: Iterator[Scored] = itertools.chain.from_iterable(
        scorer.score(path, shot, stride) for shot in by_shot(shown)
    )
    if model.card.is_heavy:
        scored = _shown(scored, f"{Path(str(path)).name}, seconds", info.duration_s)
    times_W2, logits_WK = collect_windows(scored, len(model.labels))
    found = None
    if people:
        found = predict_people(model, path, engine, info.duration_s, on_warning=warnings.append)
    result = summarize_windows(
        model,
        str(path),
        times_W2,
        logits_WK,
        duration_s=info.duration_s,
        fps=float(info.fps),
        cuts=cuts,
        warnings=warnings,
        timing={"seconds": round(time.perf_counter() - started, 3), "windows": len(times_W2)},
    )
    return replace(result, people=found)


def _shown(scored: Iterator[Scored], label: str, duration_s: float) -> Iterator[Scored]:
    """The same windows, while progress shows how far the video is: cuts decide how many windows it has."""
    total, done = max(1, math.ceil(duration_s)), 0
    with progress(label, total) as advance:
        for times_T, scores_S in scored:
            reached = min(total, math.ceil(times_T.max()))
            if reached > done:
                advance(reached - done)
                done = reached
            yield times_T, scores_S
        if done < total:  # frames that are spread over a video do not reach its end
            advance(total - done)


def _telling(
    numbered: Iterable[tuple[int, Tick]], duration_s: float, on_progress: OnProgress
) -> Iterator[tuple[int, Tick]]:
    """The same ticks; with each that is done with, how far the video is."""
    for shot, tick in numbered:
        yield shot, tick
        on_progress(min(1.0, tick[0] / duration_s) if duration_s else 1.0)
