"""Draw people on a frame: a box around each, and a line with the person, the action and its probability.

Lines cover no face, no hand and no other line as long as there is another place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kineme.models.backbones.movenet import JOINTS
from kineme.prediction.people_stream import LivePerson
from kineme.prediction.result import PersonPrediction
from kineme.report.overlay import Colour, Frame, line_width, write_line
from kineme.report.person_colours import colour_of, text_on
from kineme.text import percent

_BLACK: Colour = (0, 0, 0)
_HEAD = [number for number, joint in enumerate(JOINTS) if joint.split()[-1] in ("nose", "eye", "ear")]
_ARMS = [(JOINTS.index(f"{side} elbow"), JOINTS.index(f"{side} wrist")) for side in ("left", "right")]
_SURE = 0.2  # score of a joint that counts
_LEAST_HEAD = 0.07  # of the body's height: half a head, where only one of its joints is seen
_HAND = 0.06  # of the body's height: half a hand
_BEYOND = 0.3  # of the forearm, from the wrist to the middle of the hand
_APART = 0.4  # of a line's height: between it and what it is not to touch
_COVERED = 20.0  # how much worse a covered pixel of a face or line is than one of a hand
_STAYS = 0.1  # of a line's pixels: a place that covers so much more of hands than another is kept, to be read

Rectangle = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True, eq=False)
class ShownPerson:
    """The drawing of a person.

    Args:
        id: number of the person.
        box_4: x0, y0, x1, y1 in pixels of the frame.
        joints_JC: (17, 3), x, y and score of each joint.
        is_hidden: whether the person cannot be seen now, and the box is where they are expected.
        label: their action; None without a known action.
        probability: of the label.
    """

    id: int
    box_4: NDArray[np.float32]
    joints_JC: NDArray[np.float32]
    is_hidden: bool = False
    label: str | None = None
    probability: float = 0.0

    @property
    def line(self) -> str:
        """The text of the label."""
        return f"{self.id}" if self.label is None else f"{self.id}  {self.label}  {percent(self.probability, 0)}"


class PeoplePainter:
    """Draws frame after frame; a line stays where it was as long as there is room, so that it can be read."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}  # of each person's line: number of the place

    def __call__(self, frame_HWC: Frame, people: Sequence[ShownPerson]) -> Frame:
        """A copy of the frame, RGB, with everybody drawn."""
        drawn: Frame = np.array(frame_HWC, dtype=np.uint8, order="C")
        height, width = drawn.shape[:2]
        size = max(10, round(5 + 0.022 * min(height, width)))  # of the letters, as of the labels of a whole video
        for person in people:
            _draw_box(drawn, person, max(1, size // (10 if person.is_hidden else 5)))
        apart = round(_APART * size) - 1
        faces = [_wider(face, apart) for person in people if (face := face_of(person))]
        hands = [hand for person in people for hand in hands_of(person)]
        taken: list[Rectangle] = []
        for person in sorted(people, key=lambda one: one.id):
            place = self._place(person, (height, width), size, [*faces, *taken], hands)
            taken.append(place)
            _write(drawn, place, person, size)
        self._places = {person.id: self._places[person.id] for person in people}
        return drawn

    def _place(
        self,
        person: ShownPerson,
        shape: tuple[int, int],
        size: int,
        never: Sequence[Rectangle],
        hands: Sequence[Rectangle],
    ) -> Rectangle:
        width, height = line_width(person.line, size, bold=True), round(1.5 * size)
        places = places_of(person.box_4, width, height, shape)
        costs = [
            _COVERED * sum(_shared(place, one) for one in never) + sum(_shared(place, one) for one in hands)
            for place in places
        ]
        best, before = costs.index(min(costs)), self._places.get(person.id)
        if before is not None and costs[before] <= costs[best] + _STAYS * width * height:
            best = before
        self._places[person.id] = best
        return places[best]


def shown_people(people: Sequence[PersonPrediction], time_s: float) -> list[ShownPerson]:
    """The people in the picture at an instant, with their actions."""
    shown = []
    for person in people:
        segment, track = person.segment_at(time_s), person.track
        if segment is None:
            continue
        is_known, look = not segment.is_background, int(np.searchsorted(track.times_T[1:], time_s))
        probability = float(person.probabilities_at(time_s)[person.labels.index(segment.label)]) if is_known else 0.0
        shown.append(
            ShownPerson(
                person.id,
                track.box_at(time_s),
                track.joints_at(time_s),
                is_hidden=not track.scores_T[look],
                label=segment.label if is_known else None,
                probability=probability,
            )
        )
    return shown


def shown_live(person: LivePerson) -> ShownPerson:
    """Somebody in a stream."""
    segment = person.current_segment
    is_known = segment is not None and not segment.is_background
    label = person.label if is_known else None
    return ShownPerson(person.id, person.box_4, person.joints_JC, person.is_hidden, label, person.probability)


def face_of(person: ShownPerson) -> Rectangle | None:
    """The rectangle around a person's head; None where it is not seen."""
    if person.is_hidden:
        return None
    head_XC = person.joints_JC[_HEAD]
    seen_XC = head_XC[head_XC[:, 2] >= _SURE]
    if not len(seen_XC):
        return None
    (left, top), (right, bottom) = seen_XC[:, :2].min(axis=0), seen_XC[:, :2].max(axis=0)
    reach = max((right - left) / 2, _LEAST_HEAD * float(person.box_4[3] - person.box_4[1]))
    x, y = (left + right) / 2, (top + bottom) / 2
    return round(x - reach), round(y - 1.3 * reach), round(x + reach), round(y + 1.3 * reach)


def hands_of(person: ShownPerson) -> list[Rectangle]:
    """The rectangles around a person's hands, those that are seen: beyond the wrist, along the forearm."""
    if person.is_hidden:
        return []
    reach, found = _HAND * float(person.box_4[3] - person.box_4[1]), []
    for elbow, wrist in _ARMS:
        if person.joints_JC[wrist, 2] >= _SURE:
            wrist_2, elbow_2 = person.joints_JC[wrist, :2], person.joints_JC[elbow, :2]
            is_seen = person.joints_JC[elbow, 2] >= _SURE
            x, y = (wrist_2 + _BEYOND * (wrist_2 - elbow_2) * is_seen).tolist()
            found.append((round(x - reach), round(y - reach), round(x + reach), round(y + reach)))
    return found


def places_of(box_4: NDArray[np.float32], width: int, height: int, shape: tuple[int, int]) -> list[Rectangle]:
    """Where the line of a box may be written, the best first: above, below, beside, and inside along its edges."""
    left, top, right, bottom = (round(float(side)) for side in box_4)
    xs = (left, right - width)
    spots = [(x, y) for y in (top - height, top - height - round(_APART * height), bottom) for x in xs]
    spots += [(x, y) for y in (top, bottom - height, (top + bottom) // 2) for x in (right, left - width)]
    spots += [(x, bottom - height) for x in xs] + [(x, y) for y in (top - 2 * height, bottom + height) for x in xs]
    spots += [(x, y) for y in ((top + bottom) // 2, top) for x in xs]
    rows, columns = shape
    inside = [(min(max(x, 0), max(columns - width, 0)), min(max(y, 0), max(rows - height, 0))) for x, y in spots]
    return [(x, y, min(x + width, columns), min(y + height, rows)) for x, y in inside]


def _draw_box(drawn: Frame, person: ShownPerson, thickness: int) -> None:
    import cv2

    (left, top, right, bottom) = (round(float(side)) for side in person.box_4)
    # A dark edge on both sides keeps every colour visible on every ground.
    cv2.rectangle(drawn, (left, top), (right, bottom), _BLACK, thickness + 2)
    cv2.rectangle(drawn, (left, top), (right, bottom), colour_of(person.id), thickness)


def _write(drawn: Frame, place: Rectangle, person: ShownPerson, size: int) -> None:
    left, top, right, bottom = place
    colour = colour_of(person.id)
    area = drawn[top:bottom, left:right]
    area[:] = colour
    write_line(area, person.line, size, text_on(colour), bold=True)


def _wider(one: Rectangle, by: int) -> Rectangle:
    """With so many pixels more on each side."""
    return one[0] - by, one[1] - by, one[2] + by, one[3] + by


def _shared(one: Rectangle, other: Rectangle) -> float:
    """Pixels that two rectangles share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return float(max(across, 0) * max(down, 0))
