"""Detector and tracker together: frames in, people who are followed out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kineme.people.colours import colours_of
from kineme.people.detector import PeopleDetector
from kineme.people.tracker import TrackedPerson, Tracker


class PeopleFollower:
    """Finds and follows everybody, look by look. Use it in one thread.

    Its rows are those of a file without cuts: see :func:`kineme.find_people`.

    Args:
        second_look: see :class:`~kineme.people.detector.PeopleDetector`.

    Raises:
        KinemeError: the weights are not on this machine; the line says how to get them.
    """

    def __init__(self, *, second_look: bool = True) -> None:
        self._detect, self._tracker = PeopleDetector(second_look=second_look), Tracker()

    def reset(self) -> None:
        """Forget everybody who is followed, as at a cut."""
        self._detect.reset()
        self._tracker.reset()

    def look(self, frame_HWC: NDArray[np.uint8], time_s: float) -> tuple[TrackedPerson, ...]:
        """Everybody who is followed now; see :meth:`Tracker.update <kineme.people.tracker.Tracker.update>`.

        Args:
            frame_HWC: uint8, RGB, at the size it is displayed at.
            time_s: when it was taken, later than the look before.
        """
        found = self._detect(frame_HWC, self._tracker.boxes)
        return self._tracker.update(found, time_s, colours_of(frame_HWC, found))
