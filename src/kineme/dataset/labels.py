"""Labels as people type them: cleaned, and compared as they look."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

BACKGROUND = "background"  # the label of time in which no known action happens

# Characters that show nothing and are no formatting characters by their category: fillers, selectors, a blank.
_BLANK = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
_BLANK |= {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
# Cyrillic and Greek letters that look like Latin ones, which NFKC keeps apart.
_LOOK_LIKE = str.maketrans("аеорсухіјѕһАВЕКМНОРСТХІЈЅαοΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeopcyxijshABEKMHOPCTXIJSaoABEZHIKMNOPTYX")


def clean(text: str) -> str:
    """A label or another name as it is kept: letters composed (NFC), no control characters, single spaces."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(one for one in composed if one.isspace() or unicodedata.category(one) != "Cc").split())


def visible(text: str) -> str:
    """A clean label without the characters that nobody sees; labels equal in this are one class."""
    shown = (one for one in text if unicodedata.category(one) != "Cf" and ord(one) not in _BLANK)
    return clean("".join(shown))


def look_alikes(labels: Iterable[str]) -> list[list[str]]:
    """Labels that a reader takes for one another: they differ by case, spaces, dashes or the script of a letter."""
    alike: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        plain = unicodedata.normalize("NFKC", visible(label)).translate(_LOOK_LIKE).casefold()
        alike[
            "".join(one for one in plain if not one.isspace() and unicodedata.category(one) not in ("Pd", "Pc"))
        ].append(label)
    return [those for those in alike.values() if len(those) > 1]
