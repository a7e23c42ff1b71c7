"""A clip of two people, seen in a mirror or with the two in each other's places; and as one vector.

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

_QUARTERS = 4

PAIR = np.r_[: 2 * PERSON, MOST_PEOPLE * PERSON : PEOPLE_FEATURES]
"""Where in a row the numbers of the first two people are, and of what lies between them."""

PAIR_VECTOR = (2 + _QUARTERS) * len(PAIR)
"""V, the length of :func:`pair_vector`."""


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
        people: whose numbers: the first one's, those of the first two and of what lies between, or of all six.
        mirror: whether the mirror image means the same.

    Returns:
        order_VC and sign_VC: numbers of a row are ``row[order_VC] * sign_VC``. V is 1, doubled by each symmetry.
    """
    columns_C = {"one": np.arange(PERSON), "pair": PAIR, "all": np.arange(MOST_PEOPLE * PERSON)}[people]
    ways = [Change(np.arange(PEOPLE_FEATURES), np.ones(PEOPLE_FEATURES, np.float32))]
    for change in [*([SWAPPED] if people == "pair" else []), *([IN_MIRROR] if mirror else [])]:
        ways += [way.then(change) for way in ways]
    return np.stack([way.order_D[columns_C] for way in ways]), np.stack([way.sign_D[columns_C] for way in ways])


def pair_vector(features_TD: Array) -> Array:
    """A clip as one vector, for a linear classifier.

    It holds, for each of the 277 numbers of the first two people and of what lies between them: mean and standard
    deviation over the clip, and the mean of each of its quarters in order. Instants at which somebody is not seen do
    not count for the numbers of that person, nor for what lies between. A quarter without any has the mean of the clip;
    a person who is never seen has zeros. The person on the left comes first, so it makes no difference which of the two
    was called the first.

    A classifier that is to treat a mirrored video alike learns from ``pair_vector(IN_MIRROR(features_TD))`` too, and
    predicts the mean of both.

    Args:
        features_TD: from :func:`~kineme.models.backbones.people_features.people_features`, T at least 1.

    Returns:
        float32, (V,): 1662 numbers.
    """
    way_x = features_TD[:, MOST_PEOPLE * PERSON].astype(np.float64).sum()
    if way_x < 0:
        features_TD = SWAPPED(features_TD)
    pair_TD = features_TD[:, PAIR].astype(np.float64)
    sizes = (PERSON, PERSON, BETWEEN)
    seen_TD = np.concatenate([np.repeat(pair_TD[:, [end - 1]] > 0, size, axis=1) for end, size in _ends(sizes)], axis=1)
    mean_D, count_D = _mean(pair_TD, seen_TD)
    deviation_D = np.sqrt(_mean((pair_TD - mean_D) ** 2, seen_TD)[0])
    quarters = []
    for part in np.array_split(np.arange(len(pair_TD)), _QUARTERS):
        quarter_D, quarter_count_D = _mean(pair_TD[part], seen_TD[part])
        quarters.append(np.where(quarter_count_D > 0, quarter_D, mean_D))
    share_D = count_D / len(pair_TD)
    for end, _ in _ends(sizes):
        mean_D[end - 1] = share_D[end - 1]  # how much of the clip they are seen
    return np.concatenate((mean_D, deviation_D, *quarters)).astype(np.float32)


def _ends(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip(np.cumsum(sizes).tolist(), sizes, strict=True))


def _mean(values_TD: NDArray[np.float64], seen_TD: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The mean of what is seen, zeros where nothing is; and of how many it is."""
    count_D = seen_TD.sum(axis=0)
    return (values_TD * seen_TD).sum(axis=0) / np.maximum(count_D, 1), count_D
