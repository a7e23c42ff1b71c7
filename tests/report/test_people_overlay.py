"""People on a frame: whose line is written where."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kineme.models.backbones.movenet import JOINTS
from kineme.report.people_overlay import PeoplePainter, ShownPerson, face_of, hands_of
from kineme.report.person_colours import colour_of

SIZE = (240, 320)


def person(number: int, left: float, *, top: float = 60, hand: tuple[float, float] | None = None) -> ShownPerson:
    """Somebody 150 pixels high; ``hand`` is where the right wrist is."""
    joints_JC = np.zeros((17, 3), np.float32)
    joints_JC[:] = (left + 30, top + 80, 0.0)
    for name, (x, y) in {"nose": (30, 18), "left eye": (34, 14), "right eye": (26, 14)}.items():
        joints_JC[JOINTS.index(name)] = (left + x, top + y, 0.9)
    if hand:
        joints_JC[JOINTS.index("right wrist")] = (*hand, 0.9)
    return ShownPerson(number, np.array([left, top, left + 60, top + 150], np.float32), joints_JC, label="handshake")


def line_of(drawn: np.ndarray, number: int) -> tuple[int, int, int, int]:
    """The rectangle of a person's line: what is left of their colour without letters and thin edges."""
    is_colour = (drawn == colour_of(number)).all(axis=2).astype(np.uint8)
    filled = cv2.morphologyEx(is_colour, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8), borderValue=0)
    rows, columns = np.nonzero(cv2.morphologyEx(filled, cv2.MORPH_OPEN, np.ones((10, 20), np.uint8)))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def shares(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_a_line_covers_no_face_and_no_other_line():
    people = [person(1, 60), person(2, 110, top=100), person(3, 150)]
    drawn = PeoplePainter()(np.zeros((*SIZE, 3), np.uint8), people)
    lines = [line_of(drawn, one.id) for one in people]
    for number, line in enumerate(lines):
        assert not any(shares(line, face_of(one)) for one in people)
        assert not any(shares(line, other) for other in lines[:number])


@pytest.mark.parametrize("hand", [(90.0, 50.0), (70.0, 45.0)])
def test_a_line_covers_no_hand_that_is_raised_to_its_place(hand):
    usual = line_of(PeoplePainter()(np.zeros((*SIZE, 3), np.uint8), [person(1, 60)]), 1)
    raised = person(1, 60, hand=hand)
    (rectangle,) = hands_of(raised)
    assert shares(usual, rectangle)
    assert not shares(line_of(PeoplePainter()(np.zeros((*SIZE, 3), np.uint8), [raised]), 1), rectangle)


def test_a_line_stays_where_it_is_while_there_is_room():
    paint = PeoplePainter()
    paint(np.zeros((*SIZE, 3), np.uint8), [person(1, 60, hand=(90, 50))])
    first = line_of(paint(np.zeros((*SIZE, 3), np.uint8), [person(1, 60, hand=(90, 50))]), 1)
    assert line_of(paint(np.zeros((*SIZE, 3), np.uint8), [person(1, 60)]), 1) == first
