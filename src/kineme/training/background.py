"""Background clips made from the training clips, so that a network learns to reject other actions.

Nobody has to film or label it. A clip is held still at a moment; or it is seen from outside, the middle of the window
lying before its movement begins or after it has ended, and frames held still where the clip has none. Such windows
get the label K, one past the classes, whose logit is fixed at 0: a softmax does not mind by how much all logits are
shifted, so this costs the classes nothing, and the network has K outputs as ever. To learn with examples of unknown
classes is outlier exposure (Hendrycks et al., "Deep Anomaly Detection with Outlier Exposure", ICLR 2019).

In a long video an action also enters and leaves the window. So some windows of the classes are taken in the same way,
with the middle of the window inside the movement: what the middle shows is what a window is named after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kineme.models.scoring import score_clips
from kineme.training.cache import FrameCache
from kineme.training.items import Item

if TYPE_CHECKING:
    from kineme.training.learner import Learner

SHARE = 0.5  # windows of background for each clip
PARTLY = 0.3  # share of the clips that are seen entering or leaving
_HOLD = 0.25  # a clip's end moves if it changes by more than this, on the way from its stillest to its liveliest
_STILLER = 0.5  # a clip whose stillest moments are not that much stiller than its liveliest moves all the time


def learns_background(learner: Learner) -> bool:
    """Whether a network learns background: one that is trained from scratch does.

    Behind EfficientNet it cost accuracy: on UT-Interaction, set 1, leaving one sequence out, top-1 of ``lrcn`` fell
    from 0.82 to 0.79 (two seeds). Features of I3D and of landmarks describe movement already, so nothing in them can be
    held.
    """
    return learner.encoder is None and not learner.backbone_weights


class Background:
    """Makes background of clips.

    Args:
        items: the clips.
        cache: where their records come from.
        numbers: of the items that it may be made of; all by default.
    """

    def __init__(self, items: Sequence[Item], cache: FrameCache, numbers: Iterable[int] | None = None) -> None:
        self._items, self._cache = items, cache
        able = range(len(items)) if numbers is None else numbers
        self._moving = {number: self._moving_part(items[number]) for number in able}

    def __contains__(self, number: int) -> bool:
        """Whether it is made of the item of this number."""
        return number in self._moving

    def negative_window(self, number: int, view: int, rng: np.random.Generator) -> NDArray[Any]:
        """A window of clip ``number`` in which its action does not happen: frames_THWC, or features_TD."""
        item, spec, step = self._items[number], self._cache.spec, self._cache.per_frame
        if rng.random() < 0.5:
            wobble = int(rng.integers(3))  # real stillness is never quite still
            ticks = int(rng.integers(item.ticks)) + rng.integers(-wobble, wobble + 1, spec.frames)
            return self._cache.records(item, np.clip(ticks, 0, item.ticks - 1).tolist(), view)
        first, last = self._moving[number]
        away = step * float(rng.uniform(1, max(2, spec.frames / 2)))
        return self._around(number, first - away if rng.random() < 0.5 else last + away, view, rng)

    def positive_window(self, number: int, view: int, rng: np.random.Generator) -> NDArray[Any]:
        """A window whose middle lies in the movement of clip ``number``, wherever its ends may be."""
        return self._around(number, float(rng.uniform(*self._moving[number])), view, rng)

    def _moving_part(self, item: Item) -> tuple[int, int]:
        """First and last tick of the movement; of a part, at most its labelled time."""
        first, last = _moving_part(self._cache.records(item, list(range(item.ticks))))
        rate, begins_s = self._cache.spec.fps, item.stretch.start_s
        if rate is None or item.end_s is None:
            return first, last
        ticks = (np.array([item.start_s, item.end_s]) - begins_s) * rate * self._cache.per_frame
        low, high = np.clip(np.rint(ticks), 0, item.ticks - 1).astype(int).tolist()
        return (max(first, low), min(last, high)) if max(first, low) < min(last, high) else (low, high)

    def _around(self, number: int, middle: float, view: int, rng: np.random.Generator) -> NDArray[Any]:
        """The window around a fine tick, with one of two neighbouring frames held beyond the ends of the clip."""
        item, frames = self._items[number], self._cache.spec.frames
        offsets = self._cache.per_frame * (np.arange(frames) - (frames - 1) / 2)
        ticks, held, last = np.rint(middle + offsets).astype(int), rng.integers(0, 2, frames), item.ticks - 1
        ticks = np.where(ticks < 0, held, np.where(ticks > last, last - held, ticks))
        return self._cache.records(item, np.clip(ticks, 0, last).tolist(), view)


def negatives_per_batch(clips: int) -> int:
    """Windows of background that are added to so many clips of a step."""
    return max(1, round(SHARE * clips))


def score_background(network: Any, items: Sequence[Item], cache: FrameCache, seed: int) -> NDArray[np.float32]:
    """Logits_NK of a window of background made of each item."""
    background = Background(items, cache)
    rngs = [np.random.default_rng([seed, number]) for number in range(len(items))]
    return score_clips(network, (background.negative_window(number, 0, rng) for number, rng in enumerate(rngs)))


def _moving_part(records_N: NDArray[Any]) -> tuple[int, int]:
    """First and last tick of a clip's movement: what stands still at its ends is left out."""
    last = len(records_N) - 1
    if last < 4:
        return 0, last
    changes = np.abs(np.diff(records_N.astype(np.float32), axis=0)).reshape(last, -1).mean(axis=1)
    changes = np.convolve(np.pad(changes, 1, mode="edge"), np.ones(3) / 3, "valid")
    stillest, liveliest = np.quantile(changes, [0.1, 0.9])
    if stillest >= _STILLER * liveliest:
        return 0, last
    moving = np.flatnonzero(changes > stillest + _HOLD * (liveliest - stillest))
    return int(moving[0]), int(moving[-1]) + 1
