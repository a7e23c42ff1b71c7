"""Poses: where the joints of people are in a frame, what finds them, and what features say of which joint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Frame = NDArray[np.uint8]
People = Literal["one", "pair", "all"]  # of several in a frame: whom a model reads


@dataclass(frozen=True)
class Skeleton:
    """The joints that a network finds of a body.

    Args:
        joints: their names; left and right, the first word of most, are the person's own.
        connections: pairs of joints to draw a line between.
    """

    joints: tuple[str, ...]
    connections: tuple[tuple[int, int], ...]

    @cached_property
    def nobody(self) -> Pose:
        """The pose where there is nobody."""
        count = len(self.joints)
        return Pose(np.zeros((count, 2), np.float32), np.zeros(count, np.float32), 0.0, self)


@dataclass(frozen=True, eq=False)
class Pose:
    """Where the joints of one person are in a frame.

    Args:
        landmarks_L2: float32, (L, 2): x to the right and y down, in pixels of the frame; may lie outside it.
        visibility_L: float32, (L,), 0 to 1: how likely each is in the frame and not hidden.
        score: 0 to 1, how likely there is a person at all; 0 where nobody was found, and all else is zero too.
        skeleton: which joints they are.
    """

    landmarks_L2: Array
    visibility_L: Array
    score: float
    skeleton: Skeleton

    @property
    def found(self) -> bool:
        """Whether there is anybody."""
        return self.score > 0


@dataclass(frozen=True, eq=False)
class PoseLayout:
    """How the D features of an instant relate to the joints of P people.

    Args:
        skeleton: the L joints of a body.
        people: P.
        joints_DJ: float32, (D, P * L): which share of each number is about which joint, people after people.
        is_motion_D: whether a number is a speed, which is zero where people stand still.
        flag_D: for each number the one that is above zero where it means anything.
        noun: what a body of the skeleton is called where there are several.
        ways: the orders and signs in which the numbers of some of several people mean the same, (V, C) each, given
            which people and whether a mirror image means the same; None where there is nothing to choose.
    """

    skeleton: Skeleton
    people: int
    joints_DJ: Array
    is_motion_D: NDArray[np.bool_]
    flag_D: NDArray[np.intp]
    noun: str = "person"
    ways: Callable[[People, bool], tuple[NDArray[np.intp], Array]] | None = None

    @property
    def names(self) -> list[str]:
        """Of the P * L joints."""
        if self.people == 1:
            return list(self.skeleton.joints)
        return [
            f"{self.noun} {number}, {joint}" for number in range(1, self.people + 1) for joint in self.skeleton.joints
        ]

    def held_still(self, features_TD: Array) -> Array:
        """The features of the same postures without motion."""
        return np.where(self.is_motion_D, np.float32(0), features_TD)


class PoseFinder(Protocol):
    """Finds people in one frame after another. Use it in one thread."""

    def reset(self) -> None:
        """Forget them: at a cut, and before another video."""

    def find(self, frame_HWC: Frame, time_s: float | None) -> list[Pose]:
        """The people in the next frame, in pixels of it, in the order of the features; without a time, of it alone."""

    def features(self, frame_HWC: Frame, time_s: float) -> Array:
        """The features of the next frame, float32, (D,)."""


@dataclass(frozen=True, eq=False)
class PoseEncoder:
    """uint8 frames to features of the people who are followed through them.

    Args:
        key: as :class:`~kineme.models.encoder.TickEncoder`'s.
        views: of the same encoder.
        shape: of the same encoder.
        open_finder: makes what finds the people of one video, given what makes a tracker.
        tracks: whether it needs a tracker.
        make_tracker: makes the tracker; it is not part of the backbone.
    """

    key: str
    views: int
    shape: tuple[int, ...]
    open_finder: Callable[[Callable[[], Tracker] | None], PoseFinder]
    tracks: bool = False
    make_tracker: Callable[[], Tracker] | None = None
    is_temporal: ClassVar[bool] = True  # velocities
    per_window: ClassVar[bool] = False

    def __call__(self, ticks: Iterable[tuple[float, Frame]]) -> Iterator[tuple[float, Array]]:
        """Instant and features, float32, of each instant and frame, in order."""
        finder = self.finder()
        for instant_s, frame_HWC in ticks:
            yield instant_s, finder.features(frame_HWC, instant_s)

    def finder(self) -> PoseFinder:
        """What finds the people of one video."""
        return self.open_finder(self.make_tracker)


class Tracker(Protocol):
    """Follows people from frame to frame."""

    def update(self, found: Any, time_s: float) -> Iterable[Any]:
        """Everybody who is followed, with ``id``, ``joints_JC`` and ``score``, which is 0 where they are hidden."""

    def reset(self) -> None:
        """Forget everybody."""
