"""Evaluates a training: the test as filmed and with changed frames, baselines, open-set scores, timelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.table import SPLITS
from kineme.models.open_set import DistanceDetector, OpenSetDetector
from kineme.models.timeline_settings import TimelineSettings
from kineme.training.background import score_background
from kineme.training.baselines import baseline_predictions
from kineme.training.cache import FrameCache
from kineme.training.evaluate import classification_metrics, order_metrics, score_items, score_windows
from kineme.training.false_alarms import TriggerMetrics, trigger_metrics
from kineme.training.fit import TrainingResult
from kineme.training.fit_open_set import (
    FEW,
    RefusedShare,
    best_of_videos,
    fit_distances,
    fit_open_set,
    open_set_metrics,
)
from kineme.training.items import Item
from kineme.training.learner import Learner
from kineme.training.metrics import accuracy_with_interval, baselines
from kineme.training.places import Backgrounds, person_mask
from kineme.training.prepare import Prepared
from kineme.training.segment_metrics import SegmentMetrics, segment_metrics
from kineme.training.selection import Selection
from kineme.training.timelines import labelled_videos, predict_timelines


class OpenSetMetrics(TypedDict):
    """``unknown`` in ``metrics.json``: what the threshold of :class:`~kineme.models.open_set.OpenSetDetector` does."""

    threshold: float
    refused_at_most: float
    held_out: NotRequired[int]  # videos that the threshold was set on; older files lack it
    learned_from_background: bool
    actions_refused: RefusedShare
    background_refused: RefusedShare | None


class MeasuredDocument(TypedDict):
    """What of ``metrics.json`` is measured: ``test`` and ``validation`` as ``evaluate_scores`` gives them, and more."""

    test: dict[str, Any]
    validation: NotRequired[dict[str, Any]]
    unknown: NotRequired[OpenSetMetrics]
    segments: NotRequired[SegmentMetrics]
    triggers: NotRequired[TriggerMetrics]
    selection: NotRequired[Selection]


@dataclass(frozen=True, eq=False)
class Measured:
    """The result of :func:`measure`.

    Args:
        document: what goes into ``metrics.json``.
        logits_NK: of the test videos.
        learner: whose network is written: it gives what the detector takes.
        open_set: what tells known actions from others; None where there were no validation videos to tell by.
        timeline: how windows become segments; None where there were no whole validation videos to tell by.
        test_open_set_scores_N: of each test video's best window, or None.
        background_open_set_scores_N: of background of test videos, or None.
        warnings: what the user should know.
    """

    document: MeasuredDocument
    logits_NK: NDArray[np.float32]
    learner: Learner
    open_set: OpenSetDetector | DistanceDetector | None = None
    timeline: TimelineSettings | None = None
    test_open_set_scores_N: NDArray[np.float64] | None = None
    background_open_set_scores_N: NDArray[np.float64] | None = None
    warnings: list[str] = field(default_factory=list)


def measure(prepared: Prepared, result: TrainingResult, seed: int) -> Measured:
    """Measure the trained network on groups it never saw.

    Args:
        prepared: the videos and the trained network.
        result: of the training.
        seed: of resampling and shuffling.
    """
    learner, cache, labels = prepared.learner, prepared.cache, prepared.labels
    tested, held_out = prepared.parts["test"], result.held_out
    logits_NK = score_items(learner.trained, tested, cache, label="testing")
    test = classification_metrics(logits_NK, tested, labels, result.temperature, seed)
    test |= order_metrics(learner.trained, tested, cache, logits_NK, labels, seed, label="testing")
    truth_N, groups_N = np.array([item.label for item in tested]), [item.group for item in tested]
    frame_cache, backgrounds = None if learner.encoder else cache, Backgrounds(person_mask())
    predictions = baseline_predictions(prepared.table, frame_cache=frame_cache, backgrounds=backgrounds)
    test["baselines"] = baselines(predictions, truth_N, groups_N, len(labels), seed=seed)
    test["background_without"] = backgrounds.without
    document: MeasuredDocument = {"test": test}
    if held_out.items:
        document["validation"] = classification_metrics(
            held_out.video_logits, held_out.items, labels, result.temperature, seed
        )
    measured = Measured(document, logits_NK, learner_of_scores(learner, result))
    if len(held_out.items) > 1 and learner.approach.looks_at_features:
        measured = _with_open_set(prepared, result, measured, seed)
        known_N = measured.test_open_set_scores_N
        assert known_N is not None
        right_N = (logits_NK.argmax(axis=1) == truth_N) & (known_N >= 0)
        test["as_used"] = accuracy_with_interval(right_N, groups_N, seed=seed)
    return _with_timelines(prepared, result, measured, seed)


def _with_open_set(prepared: Prepared, result: TrainingResult, measured: Measured, seed: int) -> Measured:
    """Fit the open-set detector on the held-out videos, and measure its refusals on the test videos."""
    trained, cache, parts = measured.learner.trained, prepared.cache, prepared.parts
    detector, refused = fit_detector(trained, cache, parts["train"], result, background=prepared.background)
    test_N = best_of_videos(detector, *score_windows(trained, parts["test"], cache))
    background_M, background_groups = None, [item.group for item in parts["test"]]
    if prepared.gaps["test"]:
        background_M = best_of_videos(detector, *score_windows(trained, prepared.gaps["test"], cache))
        background_groups = [item.group for item in prepared.gaps["test"]]
    elif prepared.background:
        background_M = detector.score(score_background(trained, parts["test"], cache, seed))
    measured.document["unknown"] = {
        "threshold": detector.threshold,
        "refused_at_most": refused,
        "held_out": len(result.held_out.items),
        "learned_from_background": prepared.background,
        "actions_refused": open_set_metrics(test_N, [item.group for item in parts["test"]], seed=seed),
        "background_refused": None
        if background_M is None
        else open_set_metrics(background_M, background_groups, seed=seed),
    }
    return replace(
        measured, open_set=detector, test_open_set_scores_N=test_N, background_open_set_scores_N=background_M
    )


def learner_of_scores(learner: Learner, result: TrainingResult) -> Learner:
    """The learner whose networks give distances beside the logits, where the solved head keeps clips."""
    if result.solved is None or len(result.held_out.items) < 2 or not (clips := result.solved.weights.clips):
        return learner
    found = learner.with_distances(clips)
    result.solved.weights.assign_to(found.trained)
    return found


def fit_detector(
    trained: Any, cache: FrameCache, train: Sequence[Item], result: TrainingResult, *, background: bool
) -> tuple[OpenSetDetector | DistanceDetector, float]:
    """Fit the open-set detector on the held-out videos, at least two; see :func:`fit_open_set`."""
    held_out, trained_VK = result.held_out, None
    if result.solved and result.solved.weights.clips:
        clips = result.solved.weights.clips
        return fit_distances(result.solved.scores_WS, held_out.item_W, clips, background=background)
    if len(held_out.items) < FEW and not result.solved:
        trained_VK, _ = score_windows(trained, train, cache)
    return fit_open_set(held_out.logits_WK, held_out.item_W, trained_VK, background=background)


def _with_timelines(prepared: Prepared, result: TrainingResult, measured: Measured, seed: int) -> Measured:
    """Predict whole videos, where rows are parts of them: how windows become segments is found on held-out videos."""
    videos = {name: labelled_videos(prepared.table.in_split(name)) for name in SPLITS}
    if videos["test"] and prepared.card.spec.fps is None:
        note = "clips are spread over whole videos, so there are no timelines: give --fps to find parts in long videos"
        return replace(measured, warnings=[note])
    predicted = predict_timelines(
        replace(prepared.card, temperature=result.temperature, open_set=measured.open_set),
        measured.learner,
        videos,
        prepared.cache,
        result.solved,
        label="whole videos",
    )
    if predicted.test:
        throughout = all(one.throughout for one in videos["test"])
        measured.document["segments"] = segment_metrics(
            predicted.test, prepared.labels, labelled_throughout=throughout, seed=seed
        )
    if triggers := trigger_metrics(predicted.held_out, prepared.labels):
        measured.document["triggers"] = triggers
    return replace(measured, warnings=predicted.warnings, timeline=predicted.card.timeline)
