"""Predictions for each person in a video: the windows of each track are scored like those of a video."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.models.backbones.people_features import PeopleFeatures
from kineme.people.find import RATE, find_people
from kineme.people.tracker import certain_from
from kineme.people.tracks import People, Track
from kineme.prediction.engine import Array
from kineme.prediction.engines.select import open_engine
from kineme.prediction.joined import model_ticks
from kineme.prediction.result import PersonPrediction
from kineme.prediction.summary import summarize_person
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import WindowScorer, collect_windows, file_stride, open_scorer
from kineme.progress import progress
from kineme.progress import track as show_progress
from kineme.video.container import PathLike
from kineme.video.prefetch import prefetch
from kineme.video.spec import ClipSpec

SHORTEST_S = 0.5  # whoever is seen for less gets no timeline
_EPSILON_S = 1e-6


def predict_people(
    model: TrainedModel, path: PathLike, engine: str, duration_s: float, *, on_warning: Callable[[str], None]
) -> tuple[PersonPrediction, ...]:
    """A timeline for each person in a video, in the order of appearance; empty where nobody is found.

    A model that was not trained on single persons still gets each of them cut out, and ``on_warning`` gets a note.

    Raises:
        KinemeError: the weights of the detector are not on this machine; the engine cannot run the model.
        VideoError: the video cannot be used.
    """
    if note := people_note(model):
        on_warning(note)
    name = Path(str(path)).name
    with progress(f"{name}, looking for people", math.ceil(RATE * duration_s)) as advance:
        people = find_people(path, on_progress=lambda time_s: advance())
    if not people.tracks:
        on_warning("nobody was found in it")
    long_enough = [one for one in people.tracks if one.end_s - _known_from(one) >= SHORTEST_S]
    if left_out := len(people.tracks) - len(long_enough):
        on_warning(f"{left_out} of {len(people.tracks)} people are seen for less than {SHORTEST_S:g} s and left out")
    found = []
    for one in show_progress(long_enough, f"{name}, people", len(long_enough)):
        try:
            found.append(_predict_person(model, path, people, one, engine, duration_s))
        except KinemeError as error:  # too short for a model that refuses such videos
            on_warning(f"person {one.id}: {error}")
    return tuple(found)


def people_note(model: TrainedModel) -> str | None:
    """In one line, the difference between a model's training and its input of each person; None if equal."""
    if reads_joints(model):
        if not model.card.architecture.reads_others:
            return None
        return f"{model.name} classifies two people together: each person is paired with the nearest other person"
    if model.card.spec.region == "person":
        return None
    trained_on = "whole frames" if model.card.spec.region == "frame" else "a region of all people"
    return (
        f"{model.name} was trained on {trained_on}, and --people cuts out each person: its measured accuracy does not "
        "apply; train with --region person for one that does"
    )


def follows_people(model: TrainedModel) -> bool:
    """Whether a model was made for single people: its figures hold for each of them."""
    return reads_joints(model) or model.card.spec.region == "person"


def reads_joints(model: TrainedModel) -> bool:
    """Whether a model reads the joints of people who are followed, and not pixels."""
    return model.poses is not None and model.poses.tracks


def _predict_person(
    model: TrainedModel, path: PathLike, people: People, track: Track, engine: str, duration_s: float
) -> PersonPrediction:
    spec, end_s = model.card.spec, min(track.end_s + 1 / RATE, duration_s)
    start_s = _known_from(track)
    if spec.fps is not None:  # on a tick of the video
        start_s = math.ceil(start_s * spec.fps - _EPSILON_S) / spec.fps
    if reads_joints(model):
        scorer = WindowScorer(model, open_engine(engine, model), has_features=True)
        of_ticks = _rows(model, people, track, start_s, end_s)
    else:
        scorer = open_scorer(model, engine)
        of_ticks = prefetch(model_ticks(model, path, change=_of_person, start_s=start_s, end_s=end_s, track=track.id))
    times_W2, logits_WK = collect_windows(scorer.score(path, of_ticks, file_stride(model)), len(model.labels))
    return summarize_person(model, track, times_W2, logits_WK, start_s=start_s, end_s=end_s)


def _of_person(spec: ClipSpec) -> ClipSpec:
    return replace(spec, region="person")


def _known_from(track: Track) -> float:
    """When a stream too would have known of the person."""
    return float(track.times_T[certain_from(track)])


def _rows(
    model: TrainedModel, people: People, track: Track, start_s: float, end_s: float
) -> Iterator[tuple[float, Array]]:
    """Instant and features of the joints at the ticks: of one person, or of the person and whoever is nearest."""
    spec, features = model.card.spec, PeopleFeatures()
    step_s = spec.step_s(end_s - start_s)
    others = [nearest(people, track)] if model.card.architecture.reads_others else []
    for number in range(spec.tick_count(end_s - start_s)):
        time_s = start_s + number * step_s
        seen = {one.id: _joints_at(one, time_s) for one in (track, *filter(None, others))}
        yield time_s, features({id_: joints_JC for id_, joints_JC in seen.items() if joints_JC is not None}, time_s)


def _joints_at(track: Track, time_s: float) -> NDArray[np.float32] | None:
    """Joints_JC at an instant; None where the person is hidden, or not there."""
    look = int(np.searchsorted(track.times_T, time_s + _EPSILON_S)) - 1
    is_there = look >= 0 and time_s <= track.end_s + 1 / RATE
    return track.joints_at(time_s) if is_there and track.scores_T[look] else None


def nearest(people: People, track: Track) -> Track | None:
    """Who else is nearest to a person while both are there, by the middles of their boxes; None where nobody is."""
    distances = {}
    for other in people.tracks:
        _, ours, theirs = np.intersect1d(track.times_T, other.times_T, return_indices=True)
        if other.id != track.id and len(ours):
            middles = [one.reshape(-1, 2, 2).mean(axis=1) for one in (track.boxes_T4[ours], other.boxes_T4[theirs])]
            distances[other.id] = float(np.median(np.linalg.norm(middles[0] - middles[1], axis=1)))
    best = min(distances, key=lambda one: distances[one], default=None)
    return next((one for one in people.tracks if one.id == best), None)
