"""The numbers of several people, seen in a mirror or with the first two in each other's places.

Who is called the first of two people says nothing, and most actions are the same in a mirror. Both changes only put
the numbers of :mod:`~kineme.models.backbones.people_features` into another order and turn signs round.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kineme.models.backbones.movenet import JOINT_COUNT, JOINTS, MOST_PEOPLE
from kineme.models.backbones.people_features import BETWEEN, PARTS, PEOPLE_FEATURES, PERSON, Array
from kineme.models.poses import People

PAIR = np.r_[: 2 * PERSON, MOST_PEOPLE * PERSON : PEOPLE_FEATURES]
"""The columns of the first two people, and of their relation."""


class Change(NamedTuple):
    """A new row is ``row[order] * sign``."""

    order_D: NDArray[np.intp]
    sign_D: Array

    def __call__(self, features_XD: Array) -> Array:
        """The changed features, of any number of axes before the last."""
        return np.asarray(features_XD[..., self.order_D] * self.sign_D)

    def then(self, other: Change) -> Change:
        """This change, and another after it."""
        return Change(self.order_D[other.order_D], self.sign_D[other.order_D] * other.sign_D)


def _in_mirror(names: tuple[str, ...]) -> list[int]:
    swap = {"left": "right", "right": "left"}
    return [names.index(" ".join(swap.get(word, word) for word in name.split())) for name in names]


def _mirrored() -> Change:
    joints_J = np.array(_in_mirror(JOINTS))
    # Parts in the middle of the body stay where they are.
    parts_P = np.array(
        _in_mirror(tuple(part[0] if len(part) == 1 else str(number) for number, part in enumerate(PARTS)))
    )
    vectors_VJ2 = np.arange(4 * JOINT_COUNT).reshape(2, JOINT_COUNT, 2)[:, joints_J]
    person_order = np.concatenate((vectors_VJ2.ravel(), 4 * JOINT_COUNT + joints_J, [PERSON - 1]))
    person_sign = np.concatenate((np.tile((-1, 1), 2 * JOINT_COUNT), np.ones(JOINT_COUNT + 1)))
    squares_2PP = np.arange(2 * len(PARTS) ** 2).reshape(2, len(PARTS), len(PARTS))[:, parts_P][:, :, parts_P]
    between_order = np.concatenate((np.arange(6), 6 + squares_2PP.ravel(), [BETWEEN - 1]))
    between_sign = np.concatenate(((-1, 1, -1, 1), np.ones(BETWEEN - 4)))
    people = [place * PERSON + person_order for place in range(MOST_PEOPLE)]
    order_D = np.concatenate((*people, MOST_PEOPLE * PERSON + between_order))
    return Change(order_D, np.concatenate((*[person_sign] * MOST_PEOPLE, between_sign)).astype(np.float32))


def _swapped() -> Change:
    squares_2PP = np.arange(2 * len(PARTS) ** 2).reshape(2, len(PARTS), len(PARTS)).transpose(0, 2, 1)
    between_order = np.concatenate(([0, 1, 2, 3, 5, 4], 6 + squares_2PP.ravel(), [BETWEEN - 1]))
    between_sign = np.concatenate(((-1, -1, -1, -1), np.ones(BETWEEN - 4)))
    order_D = np.concatenate(
        (
            np.arange(PERSON, 2 * PERSON),
            np.arange(PERSON),
            np.arange(2 * PERSON, MOST_PEOPLE * PERSON),
            MOST_PEOPLE * PERSON + between_order,
        )
    )
    return Change(order_D, np.concatenate((np.ones(MOST_PEOPLE * PERSON), between_sign)).astype(np.float32))


IN_MIRROR = _mirrored()
"""The features of the mirrored video: x turns round, left and right change places."""

SWAPPED = _swapped()
"""The features with the first two people in each other's places."""


def ways_of_reading(people: People, mirror: bool) -> tuple[NDArray[np.intp], Array]:
    """The orders and signs in which the numbers of some of the people may be read, as they mean the same.

    Args:
        people: whose numbers: the first one's, those of the first two and of their relation, or of all six.
        mirror: whether the mirror image means the same.

    Returns:
        order_VC and sign_VC: numbers of a row are ``row[order_VC] * sign_VC``. V is 1, doubled by each symmetry.
    """
    columns_C = {"one": np.arange(PERSON), "pair": PAIR, "all": np.arange(MOST_PEOPLE * PERSON)}[people]
    ways = [Change(np.arange(PEOPLE_FEATURES), np.ones(PEOPLE_FEATURES, np.float32))]
    for change in [*([SWAPPED] if people == "pair" else []), *([IN_MIRROR] if mirror else [])]:
        ways += [way.then(change) for way in ways]
    return np.stack([way.order_D[columns_C] for way in ways]), np.stack([way.sign_D[columns_C] for way in ways])
