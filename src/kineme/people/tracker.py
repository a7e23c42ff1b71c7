"""The tracker: which person of this frame is which of the frames before.

Each person carries on at the speed seen so far, and the detections of the next frame are assigned to the persons
expected there, so that the sum of similarities is largest. Sure detections choose first; unsure ones, as of people
half hidden, may only continue a track, as in ByteTrack. A person who is hidden is expected for two seconds more, and
for five behind somebody whom they may embrace.
Where several would do, the colours of the clothes decide too; and once people who were behind each other stand apart
again, those who wear each other's clothes are exchanged.

Source: Zhang et al., `ByteTrack: Multi-Object Tracking by Associating Every Detection Box
<https://arxiv.org/abs/2110.06864>`_, ECCV 2022.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kineme.models.backbones.movenet import JOINT_COUNT, Detections
from kineme.models.backbones.one_euro import OneEuro
from kineme.people.colours import COLOURS, likeness
from kineme.people.similarity import box_overlaps, points_of, similarity
from kineme.people.tracks import Track

Floats = NDArray[np.float32]

VERSION = 3  # whatever changes the tracks raises it: what was made of earlier ones is then made again

SURE, UNSURE = 0.3, 0.12  # scores of detections: those that may begin a track, and those that may continue one
LONGEST_GAP_S = 2.0  # a person who was last seen longer ago is a new one

_COLOURS_COUNT = 0.5  # how far the colours of clothes raise or lower a similarity
_COLOURS_MEMORY = 0.9  # share of the colours before in the new ones
_ALONE = 0.2  # overlap with others, up to which a person's colours are believed
_DOUBTED_LOOKS = 3  # apart from each other, in which clothes are compared after people were together
_EXCHANGED = 3.0  # times as well must the clothes fit for that
_EMBRACE_S = 5.0  # for which somebody is expected behind another one, where their clothes are known
_BEHIND = 0.2  # overlap with somebody who is seen, from which on they may be behind them
_SIMILAR = 0.1  # a detection is not assigned to a person it resembles less
_CONFIRMED_AFTER = 2  # detections: one alone may be a mistake
_SURE_AT_ONCE = 0.5  # score of a detection that needs no confirmation
_SPEED_MEMORY = 0.5  # share of the speed before in the new estimate
_COASTING_S = 0.2  # time in which the speed of a person who is hidden falls to a third


@dataclass(frozen=True, eq=False)
class TrackedPerson:
    """A person at one look.

    Args:
        id: the same at every look; from 1 in the order of appearance.
        joints_JC: float32, (17, 3): x, y (pixels of the frame) and score of each joint, smoothed over time.
        box_4: float32: x0, y0, x1, y1 in pixels of the frame.
        score: 0 to 1; 0 where the person is hidden: then the rest is where they are expected.
    """

    id: int
    joints_JC: Floats
    box_4: Floats
    score: float


@dataclass(eq=False)
class _Person:
    """Somebody who is followed.

    Points are those of the joints and the two corners of the box, (19, 2).

    Args:
        points_X2: as detected, or where the person is expected, in pixels.
        scores_J: of the joints when last seen.
        score: when last seen.
        seen_s: when the person was last seen.
        id: 0 until there is no doubt that it is somebody.
        detections: how often the person was seen.
        speed_2: pixels a second.
        colours_6: of the clothes, see :func:`kineme.people.colours.colours_of`.
        worn_6: the same in the newest detection.
        doubted: looks alone in which it is still to be seen whether this is the person who went into an embrace.
    """

    points_X2: Floats
    scores_J: Floats
    score: float
    seen_s: float
    id: int = 0
    detections: int = 1
    speed_2: Floats = field(default_factory=lambda: np.zeros(2, np.float32))
    colours_6: Floats = field(default_factory=lambda: np.full(COLOURS, np.nan, np.float32))
    worn_6: Floats = field(default_factory=lambda: np.full(COLOURS, np.nan, np.float32))
    doubted: int = 0
    _smooth: OneEuro = field(default_factory=lambda: OneEuro(min_cutoff_hz=1.0, beta=20.0))
    rows: list[TrackedPerson] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    rows_until_seen: int = 0  # how many of the rows, up to the last in which the person was seen

    def __post_init__(self) -> None:
        self.smooth_X2 = self._smooth(self.points_X2, self.seen_s, self.size)

    @property
    def box_4(self) -> Floats:
        """Of the points."""
        return self.points_X2[JOINT_COUNT:].reshape(4)

    @property
    def size(self) -> float:
        """Height of the box, pixels."""
        return max(float(self.points_X2[-1, 1] - self.points_X2[-2, 1]), 1.0)

    def move_on(self, step_s: float, time_s: float) -> None:
        """Expect the person where their speed takes them; one who is hidden comes to rest."""
        moved_2 = self.speed_2 * np.float32(step_s)
        self.points_X2 = self.points_X2 + moved_2
        self.smooth_X2 = self.smooth_X2 + moved_2
        if time_s - self.seen_s > 1.5 * step_s:
            self.speed_2 = self.speed_2 * np.float32(np.exp(-step_s / _COASTING_S))

    def see(self, points_X2: Floats, scores_J: Floats, score: float, time_s: float) -> None:
        """Continue with a detection."""
        # They have moved on at the speed so far; what is left says by how much that was wrong.
        error_2 = _middle(points_X2) - _middle(self.points_X2)
        self.speed_2 = self.speed_2 + np.float32((1 - _SPEED_MEMORY) / (time_s - self.seen_s)) * error_2
        self.points_X2, self.scores_J, self.score, self.seen_s = points_X2, scores_J, score, time_s
        self.smooth_X2 = self._smooth(points_X2, time_s, self.size)
        self.detections += 1

    def wear(self) -> None:
        """Take in the colours of the newest detection."""
        mixed_6 = _COLOURS_MEMORY * self.colours_6 + (1 - _COLOURS_MEMORY) * self.worn_6
        first_6 = np.where(np.isnan(self.worn_6), self.colours_6, self.worn_6)
        self.colours_6 = np.where(np.isnan(mixed_6), first_6, mixed_6)

    def exchange(self, other: _Person) -> None:
        """Be where the other person is, and they here; numbers, clothes and earlier results stay."""
        for name in ("points_X2", "smooth_X2", "_smooth", "scores_J", "score", "seen_s", "speed_2", "worn_6"):
            ours, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, theirs)
            setattr(other, name, ours)

    def row(self, time_s: float) -> TrackedPerson:
        """What there is to say at this look."""
        seen = np.float32(self.seen_s == time_s)
        joints_JC = np.concatenate([self.smooth_X2[:JOINT_COUNT], self.scores_J[:, None] * seen], axis=1)
        return TrackedPerson(self.id, joints_JC, self.smooth_X2[JOINT_COUNT:].reshape(4), self.score * float(seen))


class Tracker:
    """Follows everybody through a video, look by look. Use one tracker in one thread.

    Args:
        keeps: whether all rows are kept for :meth:`tracks`; a live stream goes without, so its memory is flat.
    """

    def __init__(self, *, keeps: bool = False) -> None:
        self._keeps = keeps
        self._people: list[_Person] = []
        self._over: list[_Person] = []
        self._time_s: float | None = None
        self._ids = 0

    def reset(self) -> None:
        """Forget everybody who is followed, as at a cut: whoever comes is new."""
        self._over += [one for one in self._people if one.id and self._keeps]
        self._people = []
        self._time_s = None

    @property
    def boxes(self) -> Floats:
        """Boxes_P4 of everybody who is followed at the last look, also of those who are not certain yet, in pixels."""
        return np.stack([one.box_4 for one in self._people]) if self._people else np.zeros((0, 4), np.float32)

    def update(self, found: Detections, time_s: float, colours_P6: Floats | None = None) -> tuple[TrackedPerson, ...]:
        """Assign the detections of the next look.

        Args:
            found: in this frame.
            colours_P6: of their clothes, see :func:`kineme.people.colours.colours_of`; None where nobody looked.
            time_s: when it was taken; later than that of the look before. A step back, or a gap of more than two
                seconds, counts as a cut.

        Returns:
            Everybody who is followed, by id; also those who are hidden now, for two seconds or, behind somebody, five.
        """
        if self._time_s is not None and not 0 < time_s - self._time_s <= LONGEST_GAP_S:
            self.reset()
        for person in self._people:
            person.move_on(time_s - (self._time_s or 0.0), time_s)
        self._time_s = time_s
        points_PX2 = points_of(found)
        self._colours_P6 = np.full((len(points_PX2), COLOURS), np.nan, np.float32) if colours_P6 is None else colours_P6
        known, new = [one for one in self._people if one.id], [one for one in self._people if not one.id]
        sure, unsure = found.scores_P >= SURE, (found.scores_P < SURE) & (found.scores_P >= UNSURE)
        left = self._assign(known, found, points_PX2, np.flatnonzero(sure))
        hidden = [one for one in known if one.seen_s < time_s]
        self._assign(hidden, found, points_PX2, np.flatnonzero(unsure))
        for number in self._assign(new, found, points_PX2, left):
            scores_J, score = found.joints_PJC[number, :, 2], float(found.scores_P[number])
            worn_6 = self._colours_P6[number]
            self._people.append(_Person(points_PX2[number], scores_J, score, time_s, worn_6=worn_6))
        self._compare_clothes(time_s)
        self._end(time_s)
        return self._rows(time_s)

    def tracks(self) -> tuple[Track, ...]:
        """Everybody so far, by id; for a tracker that keeps rows."""
        everybody = [one for one in (*self._over, *self._people) if one.id and one.rows]
        found = []
        for person in sorted(everybody, key=lambda one: one.id):
            rows, times = person.rows[: person.rows_until_seen], person.times[: person.rows_until_seen]
            joints_TJC, boxes_T4 = (np.stack([getattr(row, name) for row in rows]) for name in ("joints_JC", "box_4"))
            scores_T = np.array([row.score for row in rows], np.float32)
            found.append(Track(person.id, np.array(times), joints_TJC, boxes_T4, scores_T))
        return tuple(found)

    def _assign(
        self, people: list[_Person], found: Detections, points_PX2: Floats, which: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        """Give each of the people at most one of the detections; returns the detections that nobody takes."""
        if not people or not len(which):
            return which
        from scipy.optimize import linear_sum_assignment

        assert self._time_s is not None
        similarity_NP = np.stack([similarity(one.points_X2, points_PX2[which], one.scores_J) for one in people])
        colours_NP = np.stack([likeness(one.colours_6, self._colours_P6[which]) for one in people])
        wanted_NP = similarity_NP * (1 + _COLOURS_COUNT * (2 * colours_NP - 1))
        taken = []
        for row, column in zip(*linear_sum_assignment(wanted_NP, maximize=True), strict=True):
            if similarity_NP[row, column] >= _SIMILAR:
                number = which[column]
                people[row].see(
                    points_PX2[number], found.joints_PJC[number, :, 2], float(found.scores_P[number]), self._time_s
                )
                people[row].worn_6 = self._colours_P6[number]
                taken.append(column)
        return np.delete(which, taken)

    def _compare_clothes(self, time_s: float) -> None:
        """Exchange those who wear each other's clothes since they were together; take in the colours of all others."""
        boxes_N22 = np.array([one.points_X2[JOINT_COUNT:] for one in self._people]).reshape(-1, 2, 2)
        alone = []
        for number, person in enumerate(self._people):
            overlaps_N = np.delete(box_overlaps(boxes_N22[number], boxes_N22), number)
            if (overlaps_N > _ALONE).any():
                person.doubted = _DOUBTED_LOOKS
            elif person.seen_s == time_s:
                alone.append(person)
        for one, other in itertools.combinations(alone, 2):
            if (one.doubted or other.doubted) and _wear_each_others(one, other):
                one.exchange(other)
        for person in alone:
            if person.doubted:
                person.doubted -= 1
            else:
                person.wear()

    def _end(self, time_s: float) -> None:
        """Number those who are certain now; let go of those not seen for too long, and of doubtful ones at once."""
        stay = []
        seen_P22 = np.array([one.points_X2[JOINT_COUNT:] for one in self._people if one.seen_s == time_s])
        for person in self._people:
            if not person.id and _is_certain(person.detections, person.score):
                self._ids += 1
                person.id = self._ids
            gap_s = time_s - person.seen_s
            if not gap_s or (person.id and (gap_s < LONGEST_GAP_S or _is_behind(person, seen_P22, gap_s))):
                stay.append(person)
            elif person.id and self._keeps:
                self._over.append(person)
        self._people = stay

    def _rows(self, time_s: float) -> tuple[TrackedPerson, ...]:
        """What there is to say of everybody."""
        rows = []
        for person in sorted(self._people, key=lambda one: one.id):
            row = person.row(time_s)
            if self._keeps:
                person.rows.append(row)
                person.times.append(time_s)
                if row.score:
                    person.rows_until_seen = len(person.rows)
            if person.id:
                rows.append(row)
        return tuple(rows)


def certain_from(track: Track) -> int:
    """The first row of a track at which a stream knew of the person; those before were only a guess then."""
    seen_T = track.scores_T > 0
    certain_T = seen_T & ((np.cumsum(seen_T) >= _CONFIRMED_AFTER) | (track.scores_T >= _SURE_AT_ONCE))
    return int(np.argmax(certain_T))


def _is_certain(detections: int, score: float) -> bool:
    """Whether there is somebody, and not only a mistake of the detector."""
    return detections >= _CONFIRMED_AFTER or score >= _SURE_AT_ONCE


def _wear_each_others(one: _Person, other: _Person) -> bool:
    """Whether the clothes of two fit far better the other way round."""
    (own, crossed), (crossed_back, own_other) = (
        likeness(person.colours_6, np.stack([one.worn_6, other.worn_6])) for person in (one, other)
    )
    return bool(crossed * crossed_back > _EXCHANGED * own * own_other)


def _is_behind(person: _Person, seen_P22: Floats, gap_s: float) -> bool:
    """Whether somebody who has not been seen for so long may still be behind one of those who are."""
    if gap_s >= _EMBRACE_S or np.isnan(person.colours_6).all() or not len(seen_P22):
        return False
    return bool((box_overlaps(person.points_X2[JOINT_COUNT:], seen_P22) > _BEHIND).any())


def _middle(points_X2: Floats) -> Floats:
    """Of the box."""
    return np.asarray(points_X2[JOINT_COUNT:].mean(axis=0))
