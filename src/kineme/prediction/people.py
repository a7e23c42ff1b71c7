"""What each person in a video does: the windows of each track are scored as those of a video are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kineme.errors import KinemeError
from kineme.people.find import RATE, find_people
from kineme.people.region import region_ticks
from kineme.people.tracks import Track
from kineme.prediction.result import PersonPrediction
from kineme.prediction.summary import summarize_person
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import collect_windows, file_stride, open_scorer
from kineme.progress import progress
from kineme.progress import track as show_progress
from kineme.video.container import PathLike
from kineme.video.prefetch import prefetch

SHORTEST_S = 0.5  # whoever is seen for less gets no timeline


def predict_people(
    model: TrainedModel, path: PathLike, engine: str, duration_s: float, *, on_warning: Callable[[str], None]
) -> tuple[PersonPrediction, ...]:
    """A timeline for each person in a video, in the order of appearance; empty where nobody is found.

    A model that was not trained on single persons sees each of them cut out all the same, and ``on_warning`` is told.

    Raises:
        KinemeError: the weights of the detector are not on this machine; the engine cannot run the model.
        VideoError: the video cannot be used.
    """
    if note := why_figures_do_not_hold(model):
        on_warning(note)
    name = Path(str(path)).name
    with progress(f"{name}, looking for people", math.ceil(RATE * duration_s)) as advance:
        people = find_people(path, on_progress=lambda time_s: advance())
    if not people.tracks:
        on_warning("nobody was found in it")
    long_enough = [one for one in people.tracks if one.end_s - one.start_s >= SHORTEST_S]
    if left_out := len(people.tracks) - len(long_enough):
        on_warning(f"{left_out} of {len(people.tracks)} people are seen for less than {SHORTEST_S:g} s and left out")
    found = []
    for one in show_progress(long_enough, f"{name}, people", len(long_enough)):
        try:
            found.append(_predict_person(model, path, one, engine, duration_s))
        except KinemeError as error:  # too short for a model that refuses such videos
            on_warning(f"person {one.id}: {error}")
    return tuple(found)


def why_figures_do_not_hold(model: TrainedModel) -> str | None:
    """In one line, what differs between a model's training and what it sees of a single person; None if nothing."""
    if model.card.spec.region == "person":
        return None
    return (
        f"{model.name} was trained on whole frames, and for --people each person is cut out of them: its accuracy was "
        "not measured on that; a model trained with --region person has figures that hold"
    )


def _predict_person(
    model: TrainedModel, path: PathLike, track: Track, engine: str, duration_s: float
) -> PersonPrediction:
    start_s, end_s = track.start_s, min(track.end_s + 1 / RATE, duration_s)
    spec = replace(model.card.spec, region="person")
    shown = prefetch(region_ticks(path, spec, start_s=start_s, end_s=end_s, track=track.id))
    times_W2, logits_WK = collect_windows(
        open_scorer(model, engine).score(path, shown, file_stride(model)), len(model.labels)
    )
    return summarize_person(model, track, times_W2, logits_WK, start_s=start_s, end_s=end_s)
