"""The colour of each person: the same in the annotated video and on pages.

Colours are those of Okabe and Ito, "Color Universal Design", which colour-blind readers tell apart; the number of a
person is always written too.
"""

from __future__ import annotations

Colour = tuple[int, int, int]

PERSON_COLOURS: tuple[Colour, ...] = (
    (86, 180, 233),  # sky blue
    (230, 159, 0),  # orange
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # reddish purple
    (0, 114, 178),  # blue
)


def colour_of(person: int) -> Colour:
    """The colour of a person, RGB, by number from 1; the eighth has that of the first."""
    return PERSON_COLOURS[(person - 1) % len(PERSON_COLOURS)]


def text_on(colour: Colour) -> Colour:
    """Black or white, whichever is read better on a colour."""
    is_light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 110
    return (0, 0, 0) if is_light else (255, 255, 255)


def in_hex(colour: Colour) -> str:
    """As CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
