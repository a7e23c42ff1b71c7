"""How well the timelines of whole videos agree with their labelled parts: what counts where rows are such parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from kineme.prediction.result import Segment
from kineme.prediction.segment_score import SegmentScore, score_segments
from kineme.training.metrics import bootstrap, group_interval

OVERLAPS = (0.3, 0.5)  # intersection over union from which on a segment counts as found
_CHANCE_DRAWS = 50


class SegmentDocument(TypedDict):
    """One segment of a timeline; ``confidence`` is 1 for a true one."""

    start_s: float
    end_s: float
    label: str
    confidence: float


class TimelineDocument(TypedDict):
    """A whole test video: the true segments and the predicted ones, without background."""

    name: str
    group: str
    duration_s: float
    true: list[SegmentDocument]
    predicted: list[SegmentDocument]


class OverlapMetrics(TypedDict):
    """Shares, 0 to 1, with intervals [low, high] over groups; F1 has None if groups do not differ."""

    recall: float
    recall_interval: list[float]
    precision: float
    precision_interval: list[float]
    f1: float
    f1_interval: list[float] | None
    chance_f1: float
    true_positives: int
    false_negatives: int
    false_positives: int


class ClassSegmentMetrics(TypedDict):
    """Of one label, at an overlap of 0.5; ``n`` true segments."""

    n: int
    recall: float | None
    precision: float | None
    f1: float | None


class SegmentMetrics(TypedDict):
    """``segments`` in ``metrics.json`` and ``comparison.json``, and of what :func:`kineme.evaluate` returns.

    ``overlaps`` has the keys ``"0.3"`` and ``"0.5"``. Where ``labelled_throughout`` is False, a predicted segment may
    be right and count as wrong, since nobody labelled it: recall is then the figure to look at.
    """

    videos: int
    groups: int
    actions: int
    predicted: int
    labelled_throughout: bool
    overlaps: dict[str, OverlapMetrics]
    per_class: dict[str, ClassSegmentMetrics]
    timelines: list[TimelineDocument]


@dataclass(frozen=True)
class VideoTimeline:
    """A whole video with its true and its predicted segments, in order, background left out.

    Args:
        name: of the video.
        group: of its rows.
        duration_s: of the video.
        true: its labelled parts.
        predicted: what a model says.
    """

    name: str
    group: str
    duration_s: float
    true: tuple[Segment, ...]
    predicted: tuple[Segment, ...]

    def score(self, overlap: float, label: str | None = None) -> SegmentScore:
        """The counts of this video, of one label or of all."""
        true, predicted = (
            [one for one in those if label in (None, one.label)] for those in (self.true, self.predicted)
        )
        return score_segments(true, predicted, self.duration_s, overlap=overlap)

    @classmethod
    def from_json(cls, document: TimelineDocument) -> VideoTimeline:
        """Read :meth:`to_json`'s document."""
        true, predicted = (tuple(Segment(**one) for one in document[kind]) for kind in ("true", "predicted"))
        return cls(document["name"], document["group"], document["duration_s"], true, predicted)

    def to_json(self) -> TimelineDocument:
        """Its document."""
        return {
            "name": self.name,
            "group": self.group,
            "duration_s": round(self.duration_s, 3),
            "true": [_document(one) for one in self.true],
            "predicted": [_document(one) for one in self.predicted],
        }


def pooled_f1(timelines: Sequence[VideoTimeline], overlap: float = 0.5) -> float:
    """F1 of all segments of some videos together."""
    return sum((one.score(overlap) for one in timelines), SegmentScore()).f1


def segment_metrics(
    timelines: Sequence[VideoTimeline], labels: Sequence[str], *, labelled_throughout: bool, seed: int = 0
) -> SegmentMetrics:
    """Measure the timelines of whole videos.

    A true segment is found where a predicted one of its label overlaps it by so much (intersection over union); each
    finds one at most. Source: Lea et al., "Temporal Convolutional Networks for Action Segmentation and Detection",
    CVPR 2017, https://arxiv.org/abs/1611.05267. Chance is the F1 of these predicted segments when each video's are
    moved along it at random, and their labels drawn by how common the true ones are.

    Args:
        timelines: at least one.
        labels: the classes.
        labelled_throughout: whether all that happens in the videos is labelled.
        seed: of the resampling and of chance.
    """
    chance = _chance(timelines, seed)
    return {
        "videos": len(timelines),
        "groups": len({one.group for one in timelines}),
        "actions": sum(len(one.true) for one in timelines),
        "predicted": sum(len(one.predicted) for one in timelines),
        "labelled_throughout": labelled_throughout,
        "overlaps": {
            f"{overlap:g}": _overlap_metrics(timelines, overlap, chance[overlap], seed) for overlap in OVERLAPS
        },
        "per_class": {label: _class_metrics(timelines, label) for label in labels},
        "timelines": [one.to_json() for one in timelines],
    }


def _overlap_metrics(timelines: Sequence[VideoTimeline], overlap: float, chance_f1: float, seed: int) -> OverlapMetrics:
    groups = [one.group for one in timelines]
    counts_V3 = np.array([_counts(one.score(overlap)) for one in timelines])
    sums_G3 = np.array([counts_V3[np.array(groups) == group].sum(axis=0) for group in sorted(set(groups))])
    found, missed, invented = (int(count) for count in counts_V3.sum(axis=0))

    def shares(wrong: int) -> tuple[float, list[float]]:
        right_N = np.concatenate([np.repeat([True, False], row[[0, wrong]]) for row in counts_V3])
        groups_N = np.repeat(groups, counts_V3[:, [0, wrong]].sum(axis=1))
        if not len(right_N):
            return 0.0, [0.0, 1.0]
        return float(right_N.mean()), list(group_interval(right_N, groups_N, seed=seed))

    (recall, recall_interval), (precision, precision_interval) = shares(1), shares(2)
    f1_interval = bootstrap(sums_G3.astype(float), _f1, seed)
    return {
        "recall": recall,
        "recall_interval": recall_interval,
        "precision": precision,
        "precision_interval": precision_interval,
        "f1": float(_f1(counts_V3.sum(axis=0)[None])[0]),
        "f1_interval": None if f1_interval is None else list(f1_interval),
        "chance_f1": chance_f1,
        "true_positives": found,
        "false_negatives": missed,
        "false_positives": invented,
    }


def _class_metrics(timelines: Sequence[VideoTimeline], label: str) -> ClassSegmentMetrics:
    counts_3 = np.array([_counts(one.score(0.5, label)) for one in timelines]).sum(axis=0)
    found, missed, invented = (int(count) for count in counts_3)
    return {
        "n": found + missed,
        "recall": found / (found + missed) if found + missed else None,
        "precision": found / (found + invented) if found + invented else None,
        "f1": float(_f1(counts_3[None])[0]) if found + missed else None,
    }


def _counts(score: SegmentScore) -> tuple[int, int, int]:
    return score.true_positives, score.false_negatives, score.false_positives


def _f1(counts_R3: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2 * counts_R3[:, 0] / np.maximum(1, counts_R3 @ np.array([2, 1, 1])))


def _chance(timelines: Sequence[VideoTimeline], seed: int) -> dict[float, float]:
    """F1 by luck at each overlap."""
    rng = np.random.default_rng(seed)
    labels = [one.label for timeline in timelines for one in timeline.true]
    counts = {overlap: np.zeros(3, int) for overlap in OVERLAPS}
    for timeline in timelines if labels else ():
        for _ in range(_CHANCE_DRAWS):
            moved_s = rng.uniform(0, timeline.duration_s)
            drawn = [
                Segment(start_s, min(start_s + one.end_s - one.start_s, timeline.duration_s), str(label), 1.0)
                for one, label in zip(timeline.predicted, rng.choice(labels, len(timeline.predicted)), strict=True)
                for start_s in [(one.start_s + moved_s) % timeline.duration_s]
            ]
            for overlap in OVERLAPS:
                score = score_segments(timeline.true, drawn, timeline.duration_s, overlap=overlap)
                counts[overlap] += np.array(_counts(score))
    return {overlap: float(_f1(count[None])[0]) for overlap, count in counts.items()}


def _document(one: Segment) -> SegmentDocument:
    return {
        "start_s": round(one.start_s, 3),
        "end_s": round(one.end_s, 3),
        "label": one.label,
        "confidence": round(one.confidence, 4),
    }
