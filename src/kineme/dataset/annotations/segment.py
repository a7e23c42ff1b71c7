"""The result of every annotation reader: labelled segments as in the file, and the entries that were skipped."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from kineme.dataset.labels import clean
from kineme.dataset.sheet import seconds
from kineme.errors import KinemeError


@dataclass(frozen=True)
class Segment:
    """A part of a video with its label.

    Args:
        start_s: seconds from the start of the video, as a player counts.
        end_s: seconds from the first frame, or None for the end of the video.
        label: the action.
        where: the place it was read from, for messages.
        group: what must not be split between training and test, where the file says so.
    """

    start_s: float
    end_s: float | None
    label: str
    where: str = ""
    group: str | None = None


@dataclass(frozen=True)
class FrameNumber:
    """An instant told as the number of a frame, counted from 0 in the order of display."""

    number: int


Instant = float | FrameNumber


@dataclass(frozen=True)
class Mark:
    """A segment as a file has it.

    Args:
        where: the place, for messages.
        video: the video as the file names it; "" where it names none.
        tier: the tier, track or attribute it is on; "" where the form has none.
        start: seconds, or the first frame.
        end: seconds, or the frame after the last; None for the end of the video.
        label: the action.
        group: what must not be split between training and test, or None.
    """

    where: str
    video: str
    tier: str
    start: Instant
    end: Instant | None
    label: str
    group: str | None = None


@dataclass(frozen=True)
class Found:
    """What a reader found.

    Args:
        marks: of all videos.
        left_out: one line for each thing that is no segment.
        origins: by names of files, seconds that their marks are to be shifted by.
    """

    marks: list[Mark] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    origins: dict[str, float] = field(default_factory=dict)

    def add(
        self,
        where: str,
        start: Instant | None,
        end: Instant | None,
        label: object,
        *,
        tier: object = "",
        video: object = "",
        group: str | None = None,
    ) -> None:
        """Keep a segment, or report why it is not one."""
        text = clean(str(label))
        if not text or start is None:
            self.left_out.append(f"{where}: has no {'time' if text else 'label'}, left out")
        else:
            self.marks.append(Mark(where, str(video), clean(str(tier)), start, end, text, group or None))


def number(where: str, value: object) -> float:
    """A finite number of seconds, written or as JSON has it.

    Raises:
        KinemeError: it is not a segment.
    """
    try:
        found = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise KinemeError(f"{where}: a time must be a number, not {str(value)[:40]!r}")
    return found


def instant(where: str, value: object) -> float:
    """Seconds of a number, or of a clock time such as ``"00:01:02.5"``.

    Raises:
        KinemeError: it is neither.
    """
    if isinstance(value, str):
        try:
            return seconds(value)
        except ValueError:
            raise KinemeError(f"{where}: a time must be seconds, or 1:02:15.5, not {value[:40]!r}") from None
    return number(where, value)


def frame(where: str, value: object, first: int = 0) -> FrameNumber:
    """The frame of a number that counts from ``first``.

    Raises:
        KinemeError: it is no whole number, or comes before the first.
    """
    found = number(where, value)
    if found != int(found) or found < first:
        raise KinemeError(f"{where}: a frame must be a whole number from {first} on, not {str(value)[:40]!r}")
    return FrameNumber(int(found) - first)


def file_name(url: object) -> str:
    """The last part of a path of any system, or of a URL."""
    return PurePosixPath(str(url or "").replace("\\", "/")).name
