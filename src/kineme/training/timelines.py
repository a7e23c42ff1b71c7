"""Whole videos with labelled parts: their true segments, and the predictions of the network in training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.labels import BACKGROUND
from kineme.dataset.table import ClipTable
from kineme.errors import VideoError
from kineme.models.model_file import ModelCard
from kineme.models.scoring import score_clips
from kineme.models.timeline_settings import TimelineSettings
from kineme.prediction.result import Segment
from kineme.prediction.timeline import segments
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import file_stride
from kineme.progress import track
from kineme.training.cache import FrameCache
from kineme.training.items import Item
from kineme.training.joined_cache import JoinedCache, Windows
from kineme.training.learner import Learner
from kineme.training.linear import LinearResult
from kineme.training.parts import by_video, is_part, labelled_throughout
from kineme.training.segment_metrics import VideoTimeline, pooled_f1
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

_FEWEST = 5  # labelled parts of whole validation videos, to choose settings by
# Shares of the usual shortest segment and smoothing, and margins. Of those that are as good, the first is taken: it
# gives the fewest short segments, so that a few validation videos do not decide for noise.
_AS_GOOD = 0.02
_FAR = 100.0  # open-set scores beyond are as good as that
_TRIED = ((1.0, 0.5, 0.25, 0.1), (1.0, 0.5, 0.25, 0.1), (1.0, 0.5, 2.0, 0.0))
_ONSETS = np.linspace(0.1, 0.9, 9)  # shares of the windows that lie below the onsets that are tried


@dataclass(frozen=True)
class LabelledVideo:
    """A video of which a table has parts.

    Args:
        path: of the file.
        name: as shown to people.
        group: of its rows.
        true: its labelled parts, without those called background; one may end after the video.
        throughout: whether all that happens in it is labelled.
        track: the person in it that the parts are about; None for all of it.
    """

    path: str
    name: str
    group: str
    true: tuple[Segment, ...]
    throughout: bool
    track: int | None = None


def labelled_videos(table: ClipTable) -> list[LabelledVideo]:
    """The videos of which the table has parts, and parts only."""
    found = []
    for (path, person), rows in by_video(table.rows.to_dicts()).items():
        if not all(map(is_part, rows)):
            continue
        true = [
            Segment(row["start_s"], math.inf if row["end_s"] is None else row["end_s"], row["label"], 1.0)
            for row in rows
            if row["label"].lower() != BACKGROUND
        ]
        name, group = rows[0]["name"], rows[0]["group"]
        found.append(LabelledVideo(path, name, group, tuple(true), labelled_throughout(rows), person))
    return found


def timeline_of(video: LabelledVideo, predicted: Sequence[Segment], duration_s: float) -> VideoTimeline:
    """The true and the predicted segments of a video; predicted background is left out."""
    true = tuple(replace(one, end_s=min(one.end_s, duration_s)) for one in video.true if one.start_s < duration_s)
    actions = tuple(one for one in predicted if not one.is_background)
    return VideoTimeline(video.name, video.group, duration_s, true, actions)


@dataclass(frozen=True, eq=False)
class ScoredVideo:
    """The windows of a whole video as a network scores them.

    Args:
        video: with its true segments.
        duration_s: of it.
        times_W: middle of each window, in seconds.
        probabilities_WK: calibrated.
        open_set_scores_W: from 0 on one of the labels; None where the network cannot tell.
    """

    video: LabelledVideo
    duration_s: float
    times_W: NDArray[np.float64]
    probabilities_WK: NDArray[np.float64]
    open_set_scores_W: NDArray[np.float64] | None

    def timeline(self, labels: Sequence[str], settings: TimelineSettings) -> VideoTimeline:
        """Its true and its predicted segments."""
        found = segments(self.times_W, self.probabilities_WK, self.open_set_scores_W, labels, self.duration_s, settings)
        return timeline_of(self.video, found, self.duration_s)


def score_videos(
    card: ModelCard, learner: Learner, videos: Sequence[LabelledVideo], cache: FrameCache, *, label: str | None = None
) -> tuple[list[ScoredVideo], list[str]]:
    """The windows of whole videos, from the cache: those of :meth:`kineme.model.Model.predict`.

    Args:
        card: its clips have a rate: frames spread over a whole video have no timeline.
        learner: trained.
        videos: to score.
        cache: of the model's spec and encoder.
        label: what the progress bar says; None shows none.

    Returns:
        The videos, and a line for each that could not be read.
    """
    model = TrainedModel(learner.network, card, card.approach)
    scored, warnings = [], []
    for video in track(videos, label):
        try:
            item, duration_s = cache.whole(video.path, video.track), probe(video.path).duration_s
            times_W, _ = _windows(item, cache, file_stride(model), duration_s)
            logits_WK = _score(learner.trained, item, cache, file_stride(model), duration_s)
        except VideoError as error:
            warnings.append(f"{video.name}: has no timeline ({error.reason})")
            continue
        scores_W = model.open_set_score(logits_WK)
        scored.append(ScoredVideo(video, duration_s, times_W, model.probabilities(logits_WK), scores_W))
    return scored, warnings


@dataclass(frozen=True, eq=False)
class PredictedTimelines:
    """The result of :func:`predict_timelines`.

    Args:
        card: with the settings that were found.
        test: the timelines of the test videos.
        held_out: the windows of the videos by which the settings were found.
        warnings: a line for each test video that could not be read.
    """

    card: ModelCard
    test: list[VideoTimeline]
    held_out: list[ScoredVideo]
    warnings: list[str]


def _score(
    network: Any, item: Item, cache: FrameCache | JoinedCache, stride: int | None, duration_s: float
) -> NDArray[np.float32]:
    """Logits_WK of the windows of a whole video."""

    def of_member(head: Any, items: Sequence[Item], its: FrameCache) -> Windows:
        _, starts = _windows(items[0], its, stride, duration_s)
        logits_WK = score_clips(head, (its.window(items[0], start) for start in starts))
        return logits_WK, np.zeros(len(logits_WK), np.int64)

    if isinstance(cache, JoinedCache):
        return cache.score(of_member, network, [item])[0]
    return of_member(network, [item], cache)[0]


def predict_timelines(
    card: ModelCard,
    learner: Learner,
    videos: Mapping[str, Sequence[LabelledVideo]],
    cache: FrameCache,
    solved: LinearResult | None = None,
    *,
    label: str | None = None,
) -> PredictedTimelines:
    """The timelines of whole test videos, by settings found on validation videos.

    Behind a solved head these are the training videos too, each scored by a head that was solved without it.

    Args:
        card: see :func:`score_videos`.
        learner: trained.
        videos: those of each split.
        cache: see :func:`score_videos`.
        solved: the solved head and those of its folds.
        label: what the progress bars say; None shows none.
    """
    if not videos["test"]:
        return PredictedTimelines(card, [], [], [])
    said = [f"{label} ({name})" if label else None for name in ("validation", "test")]
    if solved:
        held_out = _score_out_of_fold(card, learner, [*videos["train"], *videos["validation"]], cache, solved)
    else:
        held_out, _ = score_videos(card, learner, videos["validation"], cache, label=said[0])
    card = replace(card, timeline=fit_timeline(held_out, card))
    scored, warnings = score_videos(card, learner, videos["test"], cache, label=said[1])
    timelines = [one.timeline(card.labels, card.timeline_settings) for one in scored]
    return PredictedTimelines(card, timelines, held_out, warnings)


def _score_out_of_fold(
    card: ModelCard, learner: Learner, videos: Sequence[LabelledVideo], cache: FrameCache, solved: LinearResult
) -> list[ScoredVideo]:
    """The windows of whole training videos, each by a head that was solved without the group of the video."""
    scored: list[ScoredVideo] = []
    try:
        for numbers, weights in solved.folds:
            paths = {solved.held_out[number].path for number in numbers.tolist()}
            weights.assign_to(learner.trained)
            scored += score_videos(card, learner, [video for video in videos if video.path in paths], cache)[0]
    finally:
        solved.weights.assign_to(learner.trained)
    return scored


def fit_timeline(scored: Sequence[ScoredVideo], card: ModelCard) -> TimelineSettings | None:
    """The settings by which whole validation videos give the highest F1 of segments; None where these are too few.

    Without that, what lasts less than a second or so is taken for noise: right for clips of unknown surroundings, and
    wrong where labelled actions are that short. The onset too is chosen here: the threshold of the model refuses few
    actions, however much background that lets through.
    """
    if sum(len(one.video.true) for one in scored) < _FEWEST:
        return None
    usual = TimelineSettings.of(card.spec)
    shapes = [
        TimelineSettings(smooth_s=smooth * usual.smooth_s, shortest_s=shortest * usual.shortest_s, margin=margin)
        for shortest, smooth, margin in itertools.product(*_TRIED)
    ]
    best = _best(shapes, scored, card)
    known = [one.open_set_scores_W for one in scored if one.open_set_scores_W is not None]
    if known:
        onsets = np.quantile(np.clip(np.concatenate(known), -_FAR, _FAR), _ONSETS).round(4).tolist()
        best = _best([best, *(replace(best, onset=onset) for onset in onsets)], scored, card)
    if best.onset:
        best = _best([best, *(replace(shape, onset=best.onset) for shape in shapes)], scored, card)
    return best


def _best(tried: Sequence[TimelineSettings], scored: Sequence[ScoredVideo], card: ModelCard) -> TimelineSettings:
    """The first of the settings that are nearly as good as the best."""
    f1s = [pooled_f1([one.timeline(card.labels, settings) for one in scored]) for settings in tried]
    return next(settings for settings, f1 in zip(tried, f1s, strict=True) if f1 >= max(f1s) - _AS_GOOD)


def _windows(
    item: Item, cache: FrameCache, stride: int | None, duration_s: float
) -> tuple[NDArray[np.float64], list[int]]:
    """The middle of each window of prediction, in seconds, and where it begins in the cache."""
    spec: ClipSpec = cache.spec
    if cache.per_window:
        firsts = spec.window_starts(spec.tick_count(duration_s), stride)[: item.ticks]
        starts = list(range(len(firsts)))
    else:
        firsts = spec.window_starts(-(-item.ticks // cache.per_frame), stride)
        starts = [first * cache.per_frame for first in firsts]
    assert spec.fps is not None
    return (np.array(firsts) + (spec.frames - 1) / 2) / spec.fps, starts
