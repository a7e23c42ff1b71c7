"""How well segments agree with the true ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kineme.prediction.result import Segment


@dataclass(frozen=True)
class SegmentScore:
    """Counts that add up over videos.

    Args:
        found: true actions that were found.
        missed: true actions that were not.
        invented: actions said to be there that are not.
        action_s: seconds of true actions.
        right_s: of these, seconds with the right label.
        pause_s: seconds of pauses.
        background_s: of these, seconds called background.
    """

    found: int = 0
    missed: int = 0
    invented: int = 0
    action_s: float = 0.0
    right_s: float = 0.0
    pause_s: float = 0.0
    background_s: float = 0.0

    def __add__(self, other: SegmentScore) -> SegmentScore:
        return SegmentScore(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def f1(self) -> float:
        """The harmonic mean of the shares of true segments found and of found segments that are true; 0 to 1."""
        return 2 * self.found / max(1, 2 * self.found + self.missed + self.invented)

    @property
    def pause_share(self) -> float:
        """Share of the time of pauses that is called background."""
        return self.background_s / self.pause_s if self.pause_s else 1.0

    @property
    def right_share(self) -> float:
        """Share of the time of actions with the right label."""
        return self.right_s / self.action_s if self.action_s else 1.0


def score_segments(
    true: Sequence[Segment], said: Iterable[Segment], duration_s: float, *, overlap: float = 0.5
) -> SegmentScore:
    """Compare the segments of one video with the true ones.

    An action is found if a segment of its label overlaps it by ``overlap`` or more (intersection over union); each
    segment finds one action at most. Source: Lea et al., "Temporal Convolutional Networks for Action Segmentation
    and Detection", CVPR 2017, segmental F1.

    Args:
        true: the true actions, which do not overlap; all else is pause.
        said: what is to be judged, background among it.
        duration_s: of the video.
        overlap: 0 to 1.
    """
    actions = [one for one in said if not one.is_background]
    taken: set[int] = set()
    found = 0
    for segment in actions:
        shares = [_overlap(segment, one) if one.label == segment.label else 0.0 for one in true]
        best = int(np.argmax(shares)) if shares else 0
        if shares and shares[best] >= overlap and best not in taken:
            taken.add(best)
            found += 1
    action_s = sum(one.end_s - one.start_s for one in true)
    covered_s = sum(one.end_s - one.start_s for one in actions)
    within_s = sum(_shared(one, other) for one in actions for other in true)
    return SegmentScore(
        found=found,
        missed=len(true) - found,
        invented=len(actions) - found,
        action_s=action_s,
        right_s=sum(_shared(one, other) for one in actions for other in true if one.label == other.label),
        pause_s=duration_s - action_s,
        background_s=duration_s - action_s - (covered_s - within_s),
    )


def _shared(one: Segment, other: Segment) -> float:
    """Seconds that two segments have in common."""
    return max(0.0, min(one.end_s, other.end_s) - max(one.start_s, other.start_s))


def _overlap(one: Segment, other: Segment) -> float:
    shared = _shared(one, other)
    return shared / (one.end_s - one.start_s + other.end_s - other.start_s - shared) if shared else 0.0
