"""How well segments agree with the true ones: recall, precision and F1 of whole videos, with intervals and chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from kineme.prediction.result import Segment

OVERLAPS = (0.3, 0.5)

_RESAMPLES = 2000
_CHANCE_DRAWS = 50


@dataclass(frozen=True)
class SegmentScore:
    """Counts that add up over videos.

    Args:
        true_positives: true actions that were found.
        false_negatives: true actions that were missed.
        false_positives: predicted actions that match no true one.
        action_s: seconds of true actions.
        right_s: of these, seconds with the right label.
        pause_s: seconds of pauses.
        background_s: of these, seconds called background.
    """

    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0
    action_s: float = 0.0
    right_s: float = 0.0
    pause_s: float = 0.0
    background_s: float = 0.0

    def __add__(self, other: SegmentScore) -> SegmentScore:
        return SegmentScore(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def recall(self) -> float:
        """Share of the true actions that were found; 0 where there is none."""
        return self.true_positives / max(1, self.true_positives + self.false_negatives)

    @property
    def precision(self) -> float:
        """Share of the predicted actions that match a true one; 0 where there is none."""
        return self.true_positives / max(1, self.true_positives + self.false_positives)

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision, 0 to 1."""
        return 2 * self.true_positives / max(1, 2 * self.true_positives + self.false_negatives + self.false_positives)

    @property
    def pause_share(self) -> float:
        """Share of the time of pauses that is called background."""
        return self.background_s / self.pause_s if self.pause_s else 1.0

    @property
    def right_share(self) -> float:
        """Share of the time of actions with the right label."""
        return self.right_s / self.action_s if self.action_s else 1.0


@dataclass(frozen=True)
class ScoredVideo:
    """The true and the predicted timeline of one video.

    Args:
        true: the true actions, which do not overlap; all else is pause.
        predicted: the predicted segments, background among them.
        duration_s: of the video.
        group: what is resampled as one for the intervals: a person, a scene, or the video itself.
    """

    true: Sequence[Segment]
    predicted: Sequence[Segment]
    duration_s: float
    group: str


class SegmentMetrics(TypedDict):
    """How well the timelines of several videos are predicted, at one overlap. Intervals are [low, high] at 95 %."""

    overlap: float
    videos: int
    groups: int
    true_segments: int
    predicted_segments: int
    true_positives: int
    recall: float
    recall_interval: list[float] | None
    precision: float
    precision_interval: list[float] | None
    f1: float
    f1_interval: list[float] | None
    f1_chance: float


def score_segments(
    true: Sequence[Segment], predicted: Iterable[Segment], duration_s: float, *, overlap: float = 0.5
) -> SegmentScore:
    """Compare the segments of one video with the true ones.

    An action is found if a segment of its label overlaps it by ``overlap`` or more (intersection over union); each
    segment finds one action at most. Source: Lea et al., `Temporal Convolutional Networks for Action Segmentation
    and Detection <https://arxiv.org/abs/1611.05267>`_, CVPR 2017, segmental F1.

    Args:
        true: the true actions, which do not overlap; all else is pause.
        predicted: the segments to judge, background among them.
        duration_s: of the video.
        overlap: 0 to 1.
    """
    actions = [one for one in predicted if not one.is_background]
    shared_AT = _shared(actions, true)
    is_same_AT = np.array([[one.label == other.label for other in true] for one in actions], bool)
    is_same_AT = is_same_AT.reshape(shared_AT.shape)
    lengths_A, lengths_T = _lengths(actions), _lengths(true)
    with np.errstate(invalid="ignore"):
        overlap_AT = shared_AT / (lengths_A[:, None] + lengths_T - shared_AT)
    overlap_AT = np.where(is_same_AT & (shared_AT > 0), overlap_AT, 0.0)
    matched = {int(row_T.argmax()) for row_T in overlap_AT if len(true) and row_T.max() >= max(overlap, 1e-9)}
    return SegmentScore(
        true_positives=len(matched),
        false_negatives=len(true) - len(matched),
        false_positives=len(actions) - len(matched),
        action_s=float(lengths_T.sum()),
        right_s=float(shared_AT[is_same_AT].sum()),
        pause_s=duration_s - float(lengths_T.sum()),
        background_s=duration_s - float(lengths_T.sum() + lengths_A.sum() - shared_AT.sum()),
    )


def segment_metrics(videos: Sequence[ScoredVideo], *, overlap: float = 0.5, seed: int = 0) -> SegmentMetrics:
    """Recall, precision and F1 of the segments of several videos, counted over all of them together.

    The intervals are percentile bootstraps over groups (2,000 resamples). Where all groups have the same share,
    resampling has no width: then the exact binomial interval (Clopper and Pearson) is taken, over groups where the
    share is 0 or 1, else over segments. It is None where there is nothing to take a share of.

    ``f1_chance`` is the mean F1 of predictions that know nothing of the videos: the same segments, turned about in
    each video by a random time, with their labels shuffled among all.

    Args:
        videos: at least one.
        overlap: see :func:`score_segments`.
        seed: of the resampling and the shuffling.
    """
    scores = [score_segments(one.true, one.predicted, one.duration_s, overlap=overlap) for one in videos]
    groups, group_V = np.unique([one.group for one in videos], return_inverse=True)
    counts_G3 = np.zeros((len(groups), 3))
    np.add.at(counts_G3, group_V, [(one.true_positives, one.false_negatives, one.false_positives) for one in scores])
    found_G, missed_G, invented_G = counts_G3.T
    total = sum(scores, SegmentScore())
    return {
        "overlap": overlap,
        "videos": len(videos),
        "groups": len(groups),
        "true_segments": total.true_positives + total.false_negatives,
        "predicted_segments": total.true_positives + total.false_positives,
        "true_positives": total.true_positives,
        "recall": total.recall,
        "recall_interval": _share_interval(found_G, found_G + missed_G, seed),
        "precision": total.precision,
        "precision_interval": _share_interval(found_G, found_G + invented_G, seed),
        "f1": total.f1,
        "f1_interval": _share_interval(2 * found_G, 2 * found_G + missed_G + invented_G, seed),
        "f1_chance": _chance(videos, overlap, seed),
    }


def _share_interval(part_G: NDArray[Any], whole_G: NDArray[Any], seed: int) -> list[float] | None:
    """See :func:`segment_metrics`."""
    from scipy import stats

    part_G, whole_G = part_G[whole_G > 0], whole_G[whole_G > 0]
    if not len(whole_G):
        return None
    if np.ptp(part_G / whole_G) > 0:
        picks_RG = np.random.default_rng(seed).integers(len(whole_G), size=(_RESAMPLES, len(whole_G)))
        shares_R = part_G[picks_RG].sum(axis=1) / whole_G[picks_RG].sum(axis=1)
        return [float(edge) for edge in np.quantile(shares_R, [0.025, 0.975])]
    share = part_G.sum() / whole_G.sum()
    count = len(whole_G) if share in (0, 1) else round(whole_G.sum())
    interval = stats.binomtest(round(share * count), count).proportion_ci()
    return [float(interval.low), float(interval.high)]


def _chance(videos: Sequence[ScoredVideo], overlap: float, seed: int) -> float:
    """See :func:`segment_metrics`."""
    rng = np.random.default_rng(seed)
    actions = [[one for one in video.predicted if not one.is_background] for video in videos]
    labels = [one.label for of_video in actions for one in of_video]
    f1s = []
    for _ in range(_CHANCE_DRAWS if labels else 0):
        shuffled = iter(rng.permutation(labels).tolist())
        total = SegmentScore()
        for video, of_video in zip(videos, actions, strict=True):
            shift_s = rng.uniform(0, video.duration_s)
            turned = [replace(_turned(one, shift_s, video.duration_s), label=next(shuffled)) for one in of_video]
            total += score_segments(video.true, turned, video.duration_s, overlap=overlap)
        f1s.append(total.f1)
    return float(np.mean(f1s)) if f1s else 0.0


def _turned(segment: Segment, shift_s: float, duration_s: float) -> Segment:
    """The segment so much later, on a circle; of one that lies across the end, the longer piece."""
    start_s = (segment.start_s + shift_s) % duration_s
    end_s = start_s + segment.end_s - segment.start_s
    if end_s <= duration_s:
        return replace(segment, start_s=start_s, end_s=end_s)
    if duration_s - start_s >= end_s - duration_s:
        return replace(segment, start_s=start_s, end_s=duration_s)
    return replace(segment, start_s=0.0, end_s=end_s - duration_s)


def _lengths(segments: Sequence[Segment]) -> NDArray[np.float64]:
    return np.array([one.end_s - one.start_s for one in segments], np.float64)


def _shared(some: Sequence[Segment], others: Sequence[Segment]) -> NDArray[np.float64]:
    """Seconds that segments have in common, each of the first with each of the others."""
    bounds_A2, bounds_T2 = (np.array([(s.start_s, s.end_s) for s in each]).reshape(-1, 2) for each in (some, others))
    ends_AT = np.minimum(bounds_A2[:, None, 1], bounds_T2[None, :, 1])
    shared_AT: NDArray[np.float64] = ends_AT - np.maximum(bounds_A2[:, None, 0], bounds_T2[None, :, 0])
    return np.maximum(shared_AT, 0.0)
