"""How many people videos show, and how large: a few frames of a sample of the videos are looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, VideoError
from kineme.people.detector import PeopleDetector
from kineme.people.tracker import SURE
from kineme.progress import track
from kineme.video.clips import ticks
from kineme.video.spec import ClipSpec

_VIDEOS = 60  # most that are looked at
_FRAMES = 3  # of each, evenly spread
SMALL = 0.25  # of the frame's height: people who are smaller are a few pixels high in a clip


@dataclass(frozen=True)
class PeopleSurvey:
    """The result of looking for people in a few frames of some videos.

    Args:
        videos: how many were looked at.
        by_count: number of people to number of videos that show so many; the most in any of the frames of each.
        median_height: of the people, as a share of the frame's height; None where there is nobody.
        nobody: names of the videos in whose frames nobody is found.
    """

    videos: int
    by_count: dict[int, int]
    median_height: float | None
    nobody: tuple[str, ...]


def survey_people(rows: Sequence[dict[str, Any]]) -> PeopleSurvey:
    """Look at three frames of each of up to 60 videos, evenly spread over the table.

    Args:
        rows: ``name``, ``path``, ``start_s`` and ``end_s`` of each video or part. Those that cannot be read are
            left out: whoever reads all of them says so.

    Raises:
        KinemeError: the weights of the detector are not on this machine.
    """
    detect = PeopleDetector(second_look=False)
    chosen = [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, _VIDEOS).astype(int))] if rows else []
    by_count: Counter[int] = Counter()
    heights: list[float] = []
    nobody: list[str] = []
    for row in track(chosen, "looking for people", len(chosen)):
        most = 0
        with suppress(VideoError):
            for frame_HWC in _frames(row):
                found = detect(frame_HWC)
                boxes_P4 = found.boxes_P4[found.scores_P >= SURE]
                most = max(most, len(boxes_P4))
                heights += ((boxes_P4[:, 3] - boxes_P4[:, 1]) / frame_HWC.shape[0]).tolist()
            by_count[most] += 1
            if not most:
                nobody.append(row["name"])
    median = round(float(np.median(heights)), 3) if heights else None
    return PeopleSurvey(by_count.total(), dict(sorted(by_count.items())), median, tuple(nobody))


def people_document(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What :func:`survey_people` finds as JSON; ``none`` says why nobody was looked for."""
    try:
        return asdict(survey_people(rows))
    except KinemeError as error:
        return {"none": str(error)}


def _frames(row: dict[str, Any]) -> Iterator[NDArray[np.uint8]]:
    shown = ticks(
        row["path"], ClipSpec(frames=_FRAMES, fps=None), start_s=row["start_s"], end_s=row["end_s"], full_size=True
    )
    return (frame_HWC for _, frame_HWC in shown)
