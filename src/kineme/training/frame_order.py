"""A clip with its frames in another order: accuracy that remains then does not come from time."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.video.spec import ClipSpec

FrameOrder = Literal["ordered", "shuffled", "reversed", "frozen"]
CHANGED_ORDERS: tuple[FrameOrder, ...] = ("shuffled", "reversed", "frozen")


def reorder(
    frames_THWC: NDArray[Any], frame_order: FrameOrder, rng: np.random.Generator, spec: ClipSpec, distinct: int
) -> NDArray[Any]:
    """Frames, or their features, in another order, as if the video itself had them in that order.

    A video shorter than a clip is filled up only afterwards: if its repeated last frame were shuffled with the rest,
    a model could still count how the action ended.

    Args:
        frames_THWC: T of anything.
        frame_order: ``"ordered"`` as filmed; ``"shuffled"``, ``"reversed"`` or ``"frozen"`` (the middle frame
            throughout) ask whether a network uses time at all.
        rng: of the shuffling.
        spec: of the clip; it says how a short video is filled up.
        distinct: the number of frames, from the first, that are not repetitions; T or more if none are.

    Raises:
        UsageError: an unknown frame order.

    Example:
        >>> spec = ClipSpec(frames=5, short="hold")
        >>> reorder(np.array([0, 1, 2, 2, 2]), "reversed", np.random.default_rng(0), spec, 3).tolist()
        [2, 1, 0, 0, 0]
    """
    check_order(frame_order)
    if frame_order == "ordered":
        return frames_THWC
    count = min(distinct, len(frames_THWC))
    orders = {
        "shuffled": rng.permutation(count),
        "reversed": np.arange(count)[::-1],
        "frozen": np.full(count, count // 2),
    }
    reordered_THWC: NDArray[Any] = frames_THWC[orders[frame_order][spec.window(0, count)]]
    return reordered_THWC


def check_order(frame_order: str) -> None:
    """Raise UsageError for an unknown frame order."""
    if frame_order not in get_args(FrameOrder):
        raise UsageError(f"frame order must be one of {', '.join(get_args(FrameOrder))}, not {frame_order!r}")
