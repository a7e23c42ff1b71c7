"""How well the segments of a video agree with the true ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kineme.prediction.result import Segment


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
        """Share of the true actions that were found; 0 without true actions."""
        return self.true_positives / max(1, self.true_positives + self.false_negatives)

    @property
    def precision(self) -> float:
        """Share of the predicted actions that match a true one; 0 without predicted actions."""
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


def _lengths(segments: Sequence[Segment]) -> NDArray[np.float64]:
    return np.array([one.end_s - one.start_s for one in segments], np.float64)


def _shared(some: Sequence[Segment], others: Sequence[Segment]) -> NDArray[np.float64]:
    """Seconds that segments have in common, each of the first with each of the others."""
    bounds_A2, bounds_T2 = (np.array([(s.start_s, s.end_s) for s in each]).reshape(-1, 2) for each in (some, others))
    ends_AT = np.minimum(bounds_A2[:, None, 1], bounds_T2[None, :, 1])
    shared_AT: NDArray[np.float64] = ends_AT - np.maximum(bounds_A2[:, None, 0], bounds_T2[None, :, 0])
    return np.maximum(shared_AT, 0.0)
