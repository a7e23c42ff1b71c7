"""Whole videos whose parts are labelled: what is true of them, and what a network in training says of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.labels import BACKGROUND
from kineme.dataset.table import ClipTable
from kineme.errors import VideoError
from kineme.models.model_file import ModelCard
from kineme.models.scoring import score_clips
from kineme.prediction.result import Segment
from kineme.prediction.summary import summarize_windows
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import file_stride
from kineme.progress import track
from kineme.training.cache import FrameCache, Item
from kineme.training.learner import Learner
from kineme.training.parts import by_video, is_part, labelled_throughout
from kineme.training.segment_metrics import VideoTimeline
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec


@dataclass(frozen=True)
class LabelledVideo:
    """A video of which a table has parts.

    Args:
        path: of the file.
        name: as shown to people.
        group: of its rows.
        true: its labelled parts, without those called background; one may end after the video.
        throughout: whether all that happens in it is labelled.
    """

    path: str
    name: str
    group: str
    true: tuple[Segment, ...]
    throughout: bool


def labelled_videos(table: ClipTable) -> list[LabelledVideo]:
    """The videos of which the table has parts, and parts only."""
    found = []
    for path, rows in by_video(table.rows.to_dicts()).items():
        if not all(map(is_part, rows)):
            continue
        true = [
            Segment(row["start_s"], math.inf if row["end_s"] is None else row["end_s"], row["label"], 1.0)
            for row in rows
            if row["label"].lower() != BACKGROUND
        ]
        found.append(LabelledVideo(path, rows[0]["name"], rows[0]["group"], tuple(true), labelled_throughout(rows)))
    return found


def timeline_of(video: LabelledVideo, predicted: Sequence[Segment], duration_s: float) -> VideoTimeline:
    """The true and the predicted segments of a video; what is predicted as background is left out."""
    true = tuple(replace(one, end_s=min(one.end_s, duration_s)) for one in video.true if one.start_s < duration_s)
    actions = tuple(one for one in predicted if not one.is_background)
    return VideoTimeline(video.name, video.group, duration_s, true, actions)


def predict_timelines(
    card: ModelCard, learner: Learner, videos: Sequence[LabelledVideo], cache: FrameCache, *, label: str | None = None
) -> tuple[list[VideoTimeline], list[str]]:
    """What a model says of whole videos, from the cache: the same as :meth:`kineme.model.Model.predict` says of them.

    Args:
        card: its clips have a rate: frames spread over a whole video have no timeline.
        learner: trained.
        videos: to predict.
        cache: of the model's spec and encoder.
        label: what the progress bar says; None shows none.

    Returns:
        The timelines, and a line for each video that could not be read.
    """
    model = TrainedModel(learner.network, card, card.approach)
    timelines, warnings = [], []
    for video in track(videos, label):
        try:
            item = cache.whole(video.path)
            info = probe(video.path)
            times_W2, starts = _windows(item, cache, file_stride(model), info.duration_s)
            logits_WK = score_clips(learner.trained, (cache.window(item, start) for start in starts))
        except VideoError as error:
            warnings.append(f"{video.name}: has no timeline ({error.reason})")
            continue
        found = summarize_windows(
            model, video.path, times_W2, logits_WK, duration_s=info.duration_s, fps=float(info.fps)
        )
        timelines.append(timeline_of(video, found.segments, info.duration_s))
    return timelines, warnings


def _windows(
    item: Item, cache: FrameCache, stride: int | None, duration_s: float
) -> tuple[NDArray[np.float64], list[int]]:
    """First and last instant of each window of prediction, and where it begins in the cache."""
    spec: ClipSpec = cache.spec
    if cache.per_window:
        firsts = spec.window_starts(spec.tick_count(duration_s), stride)[: item.ticks]
        starts = list(range(len(firsts)))
    else:
        firsts = spec.window_starts(-(-item.ticks // cache.per_frame), stride)
        starts = [first * cache.per_frame for first in firsts]
    assert spec.fps is not None
    first_W = np.array(firsts) / spec.fps
    return np.stack([first_W, first_W + (spec.frames - 1) / spec.fps], axis=1), starts
