"""Numbers, times and names as text for people."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any

_LONGEST_STEM = 200  # bytes, of the 255 that systems take

# Names that Windows gives to devices, in any folder and with any suffix.
_DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3]", re.IGNORECASE)

# Control characters of both blocks, separators of lines, marks that turn the direction of writing, and the bytes of
# names that are not UTF-8 (as surrogates): raw on a terminal they set its title, clear it, or forge lines.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    r"""``text`` on one line, with ``\n``, ``\x1b`` and the like in place of what a terminal would act on."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def one_line(text: str, most: int | None = None) -> str:
    """``text`` as it may stand in a picture: on one line, without control characters, of at most ``most`` letters."""
    clean = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return clean if most is None or len(clean) <= most else clean[: most - 1].rstrip() + "…"


def file_stem(name: str, *, windows: bool = os.name == "nt") -> str:
    """``name`` as the beginning of a file's name: no control characters, and short enough for a suffix.

    Args:
        name: any text.
        windows: leave out what Windows refuses, such as ``:``, ``?``, a dot at the end, the device ``NUL``.
    """
    clean = re.sub(r'[/\\:*?"<>|]' if windows else r"[/\\]", " ", one_line(name))
    clean = clean.encode()[:_LONGEST_STEM].decode(errors="ignore").strip(" ." if windows else None)
    if windows and _DEVICES.fullmatch(clean.partition(".")[0].rstrip()):
        clean = f"_{clean}"
    return clean or "video"


def json_text(document: Any, *, indent: int | None = 2, ascii_only: bool = False) -> str:
    """A JSON document: no NaN or infinity, which JSON has no words for (null), and no raw control characters."""
    try:
        text = json.dumps(document, indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document), indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    return re.sub("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def percent(share: float | None, digits: int = 1) -> str:
    """0.853 as "85.3 %"; a dash where there is no figure."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def accuracy_in_words(metrics: Mapping[str, Any], noun: str = "groups") -> str:
    """Top-1 with its interval and counts: 85.3 % (95 % interval 78.1 to 91.0 %; 60 videos, 6 groups)."""
    low, high = metrics["top1_interval"]
    return (
        f"{percent(metrics['top1'])} (95 % interval {100 * low:.1f} to {percent(high)}; "
        f"{metrics['n']} videos, {metrics['groups']} {noun})"
    )


def clock(seconds: float, digits: int = 0) -> str:
    """A time in a video: 3723.4 as "1:02:03", or "1:02:03.4" with one digit."""
    units = math.floor(seconds * 10**digits + 1e-6)
    whole, rest = divmod(units, 10**digits)
    hours, minutes = divmod(whole // 60, 60)
    text = f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
    return f"{text}.{rest:0{digits}}" if digits else text


def duration(seconds: float) -> str:
    """How long something takes: "45 s", "12 min" or "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def file_size(count: float) -> str:
    """Bytes as "1.2 GB", "35 MB" or "3 kB", in powers of 1024."""
    for power, unit in ((3, "GB"), (2, "MB")):
        if count >= 1024**power:
            return f"{count / 1024**power:.3g} {unit}"
    return f"{count / 1024:.3g} kB"


def _finite(value: Any) -> Any:
    """The same with null in place of numbers that JSON cannot say."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
