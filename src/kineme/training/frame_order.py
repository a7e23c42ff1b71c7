"""A clip with its frames in another order: accuracy that remains then does not come from time."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError

FrameOrder = Literal["ordered", "shuffled", "reversed", "frozen"]
CHANGED_ORDERS: tuple[FrameOrder, ...] = ("shuffled", "reversed", "frozen")


def reorder(frames_THWC: NDArray[Any], frame_order: FrameOrder, rng: np.random.Generator) -> NDArray[Any]:
    """Frames, or their features, in another order.

    Args:
        frames_THWC: T of anything.
        frame_order: ``"ordered"`` as filmed; ``"shuffled"``, ``"reversed"`` or ``"frozen"`` (the middle frame
            throughout) ask whether a network uses time at all.
        rng: of the shuffling.

    Raises:
        UsageError: an unknown frame order.
    """
    check_order(frame_order)
    if frame_order == "shuffled":
        return frames_THWC[rng.permutation(len(frames_THWC))]
    if frame_order == "reversed":
        return frames_THWC[::-1]
    if frame_order == "frozen":
        return np.repeat(frames_THWC[len(frames_THWC) // 2][None], len(frames_THWC), axis=0)
    return frames_THWC


def check_order(frame_order: str) -> None:
    """Raise UsageError for an unknown frame order."""
    if frame_order not in get_args(FrameOrder):
        raise UsageError(f"frame order must be one of {', '.join(get_args(FrameOrder))}, not {frame_order!r}")
