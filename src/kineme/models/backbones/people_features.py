"""Features of the people in a video: posture and movement, and the relation between the two who matter most.

A row of features belongs to an instant and depends on the instants before it alone, so a stream has the rows of a
file. It says nothing of where in the picture people stand, how far away they are or how many frames a second were
taken: lengths are in body sizes, speeds in body sizes a second. A body size is 2.5 torsos, three quarters of the height
of somebody who stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kineme.models.backbones.movenet import JOINT_COUNT, JOINTS, MOST_PEOPLE, SKELETON
from kineme.models.poses import PoseLayout

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Joints = dict[int, Array]  # of everybody seen at an instant, by id: float32 (17, 3), x, y in pixels, and score

VERSION = 1  # whatever changes the rows raises it: what was kept of earlier ones is then made again

PERSON = 5 * JOINT_COUNT + 1
"""Numbers of one person in a row: posture, velocity, scores of the joints, and 1."""

PARTS: tuple[tuple[str, ...], ...] = (
    ("nose", "left eye", "right eye", "left ear", "right ear"),
    ("left shoulder", "right shoulder"),
    ("left hip", "right hip"),
    ("left wrist",),
    ("right wrist",),
    ("left ankle",),
    ("right ankle",),
)
"""Parts of a body between which distances are taken: each is the middle of some joints."""

BETWEEN = 6 + 2 * len(PARTS) ** 2 + 1
"""Features of the relation between the first two people."""

PEOPLE_FEATURES = MOST_PEOPLE * PERSON + BETWEEN
"""D, the length of a row."""

_FASTEST = 10.0  # body sizes a second; only a wrong joint is faster
_FARTHEST = 3.0  # body sizes; those who are farther apart have nothing to do with each other
_TALLER = 1.25  # a body's size by the distance of its farthest joint from the hips, or by 2.5 times its torso
_SIZE_MEMORY_S = 1.0
_MAIN_MEMORY_S = 2.0
_TAKES_OVER = 1.5  # times as much must somebody have been seen to take the place of another
_FORGOTTEN_AFTER_S = 1.0  # whoever was hidden for longer begins anew

_SHOULDERS = [JOINTS.index("left shoulder"), JOINTS.index("right shoulder")]
_HIPS = [JOINTS.index("left hip"), JOINTS.index("right hip")]
_PART_JOINTS = [[JOINTS.index(name) for name in part] for part in PARTS]


def people_features(people_T: Sequence[Joints], times_s: Sequence[float]) -> Array:
    """Features of everybody at some instants, one row for each.

    A row holds, in this order,

    - six people, the two who matter most first, each with 86 numbers: x and y of each joint from the middle of the
      hips, in body sizes (34); x and y velocity of each joint in the picture, in body sizes a second, within ±10
      (34); scores of the joints (17); and 1. **The numbers of a person who is not there are zeros**;
    - the relation between the first two, 105 numbers: the way from the hips of the first to those of the second, in the
      mean of their sizes (2), and its change in a second (2); how fast the first and the second walk towards the other
      (2); the distance from each part of the first to each of the second (49; see ``PARTS``), within 3; how it changes
      in a second (49); and 1. Zeros where one of the two is not seen.

    A row of an instant at which nobody is seen is all zeros. The two who matter most are those who were largest and
    surest in the last two seconds; they keep their places until somebody else has been so by half as much again.

    Args:
        people_T: the joints of everybody who is seen at each instant, by an id that stays the person's own.
        times_s: the instants, rising.

    Returns:
        features_TD, float32, (T, 621).
    """
    make = PeopleFeatures()
    rows = [make(people, time_s) for people, time_s in zip(people_T, times_s, strict=True)]
    return np.stack(rows) if rows else np.zeros((0, PEOPLE_FEATURES), np.float32)


@dataclass(eq=False)
class _Body:
    """The memory of a person: joints (17, 2) and size in pixels, when last seen, and importance."""

    points_J2: Floats
    scores_J: Floats
    size: float
    seen_s: float
    mattered: float
    velocity_J2: Floats  # pixels a second

    @property
    def hips_2(self) -> Floats:
        return np.asarray(self.points_J2[_HIPS].mean(axis=0))

    @property
    def hips_velocity_2(self) -> Floats:
        return np.asarray(self.velocity_J2[_HIPS].mean(axis=0))


class PeopleFeatures:
    """Makes the rows of :func:`people_features`, instant by instant.

    Attributes:
        places: ids of everybody who was seen in the last second, in the order of the newest row.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._bodies: dict[int, _Body] = {}
        self.places: list[int] = []
        self._main: list[int] = []
        self._parts: tuple[tuple[int, ...], float, Floats] | None = None  # ids, instant, distances
        self._time_s: float | None = None

    def __call__(self, people: Joints, time_s: float) -> Array:
        """The row of an instant, (D,)."""
        step_s = 0.0 if self._time_s is None else time_s - self._time_s
        self._time_s = time_s
        for body in self._bodies.values():
            body.mattered *= math.exp(-max(step_s, 0.0) / _MAIN_MEMORY_S)
        for number, joints_JC in people.items():
            self._bodies[number] = _seen(self._bodies.get(number), joints_JC.astype(np.float64), time_s, step_s)
        kept = {number: body for number, body in self._bodies.items() if time_s - body.seen_s <= _FORGOTTEN_AFTER_S}
        self._bodies = kept
        row_D = np.zeros(PEOPLE_FEATURES, np.float32)
        self.places = order = self._order()
        for place, number in enumerate(order[:MOST_PEOPLE]):
            if number in people:
                row_D[place * PERSON : (place + 1) * PERSON] = _person(self._bodies[number])
        if len(order) > 1 and order[0] in people and order[1] in people:
            row_D[MOST_PEOPLE * PERSON :] = self._between(order[0], order[1], time_s)
        return row_D

    def _order(self) -> list[int]:
        """Everybody's id, the two who matter most first, who keep their places as long as they may."""
        by_rank = sorted(self._bodies, key=lambda number: (-self._bodies[number].mattered, number))
        main: list[int] = []
        for place in range(min(2, len(by_rank))):
            best = next(number for number in by_rank if number not in main)
            holder = self._main[place] if place < len(self._main) else best
            holds = holder in self._bodies and holder not in main
            enough = holds and self._bodies[holder].mattered * _TAKES_OVER >= self._bodies[best].mattered
            main.append(holder if enough else best)
        self._main = main
        return [*main, *(number for number in by_rank if number not in main)]

    def _between(self, first: int, second: int, time_s: float) -> Floats:
        """The relation between two people, (105,)."""
        one, two = self._bodies[first], self._bodies[second]
        size = (one.size + two.size) / 2
        way_2 = (two.hips_2 - one.hips_2) / size
        change_2 = (two.hips_velocity_2 - one.hips_velocity_2) / size
        unit_2 = way_2 / max(float(np.linalg.norm(way_2)), 1e-6)
        towards = one.hips_velocity_2 @ unit_2 / size, -two.hips_velocity_2 @ unit_2 / size
        parts_22P2 = [np.stack([body.points_J2[joints].mean(axis=0) for joints in _PART_JOINTS]) for body in (one, two)]
        distance_PP = np.linalg.norm(parts_22P2[0][:, None] - parts_22P2[1][None], axis=-1) / size
        distance_PP = np.minimum(distance_PP, _FARTHEST)
        rate_PP = np.zeros_like(distance_PP)
        if self._parts is not None and self._parts[0] == (first, second) and time_s > self._parts[1]:
            rate_PP = (distance_PP - self._parts[2]) / (time_s - self._parts[1])
        self._parts = (first, second), time_s, distance_PP
        motion = np.clip((*change_2, *towards, *rate_PP.ravel()), -_FASTEST, _FASTEST)
        way_2 = np.clip(way_2, -_FARTHEST, _FARTHEST)
        return np.concatenate((way_2, motion[:4], distance_PP.ravel(), motion[4:], [1.0]))


def _seen(before: _Body | None, joints_JC: Floats, time_s: float, step_s: float) -> _Body:
    """Somebody who is seen again, or for the first time."""
    points_J2, scores_J = joints_JC[:, :2], joints_JC[:, 2]
    hips_2 = points_J2[_HIPS].mean(axis=0)
    torso = float(np.linalg.norm(points_J2[_SHOULDERS].mean(axis=0) - hips_2))
    reach = float(np.linalg.norm(points_J2 - hips_2, axis=-1).max())
    size = max(2.5 * torso, _TALLER * reach, 1e-3)
    velocity_J2 = np.zeros_like(points_J2)
    mattered = 0.0
    if before is not None:
        gap_s = time_s - before.seen_s
        if gap_s > 0:
            size = before.size + (1 - math.exp(-gap_s / _SIZE_MEMORY_S)) * (size - before.size)
            velocity_J2 = (points_J2 - before.points_J2) / gap_s
        mattered = before.mattered
    mattered += max(step_s, 1e-3) * size * float(scores_J.mean())
    return _Body(points_J2, scores_J, size, time_s, mattered, velocity_J2)


def _person(body: _Body) -> Floats:
    """The 86 numbers of somebody."""
    posture_J2 = np.clip((body.points_J2 - body.hips_2) / body.size, -_FARTHEST, _FARTHEST)
    velocity_J2 = np.clip(body.velocity_J2 / body.size, -_FASTEST, _FASTEST)
    return np.concatenate((posture_J2.ravel(), velocity_J2.ravel(), body.scores_J, [1.0]))


def _layout() -> PoseLayout:
    count = MOST_PEOPLE * JOINT_COUNT
    joints_DJ = np.zeros((PEOPLE_FEATURES, count), np.float32)
    is_motion_D = np.zeros(PEOPLE_FEATURES, bool)
    flag_D = np.full(PEOPLE_FEATURES, PEOPLE_FEATURES - 1)
    numbers = np.arange(4 * JOINT_COUNT)
    for place in range(MOST_PEOPLE):
        start = place * PERSON
        joints_DJ[start + numbers, place * JOINT_COUNT + numbers // 2 % JOINT_COUNT] = 1
        is_motion_D[start + 2 * JOINT_COUNT : start + 4 * JOINT_COUNT] = True
        flag_D[start : start + PERSON] = start + PERSON - 1
    # What lies between two is half the one's and half the other's.
    ends = [(_HIPS, _HIPS)] * 6 + [(one, two) for one in _PART_JOINTS for two in _PART_JOINTS] * 2
    for number, (one, two) in enumerate(ends, MOST_PEOPLE * PERSON):
        joints_DJ[number, one] += 0.5 / len(one)
        joints_DJ[number, [JOINT_COUNT + joint for joint in two]] += 0.5 / len(two)
    is_motion_D[MOST_PEOPLE * PERSON + 2 : MOST_PEOPLE * PERSON + 6] = True
    is_motion_D[PEOPLE_FEATURES - 1 - len(PARTS) ** 2 : PEOPLE_FEATURES - 1] = True
    return PoseLayout(SKELETON, MOST_PEOPLE, joints_DJ, is_motion_D, flag_D)


LAYOUT = _layout()
"""What the features say of which joint."""
