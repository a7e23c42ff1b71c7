"""Tracks: who is where in a video, and how each joint lies."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Track:
    """One person over time: a row for each look from the first to the last at which the person was seen.

    At a look in between at which the person was hidden, the row is where the tracker expected them, and all its
    scores are 0. A row depends only on the looks up to its own, so a live stream has the very rows of a file.

    Args:
        id: number of the person in the video, from 1 in the order of appearance.
        times_T: float64, (T,), seconds, rising.
        joints_TJC: float32, (T, 17, 3): x, y (pixels of the frame) and score of each joint, smoothed over time.
        boxes_T4: float32, (T, 4): x0, y0, x1, y1 in pixels of the frame; may lie partly outside it.
        scores_T: float32, (T,): how certain the person was found, 0 to 1; 0 where hidden.

    Example:
        >>> kineme.find_people("new.mp4").tracks
        ()
    """

    id: int
    times_T: NDArray[np.float64]
    joints_TJC: Floats
    boxes_T4: Floats
    scores_T: Floats

    def __repr__(self) -> str:
        return f"Track({self.id}, {self.start_s:.1f}-{self.end_s:.1f} s, {self.median_height:.0f} pixels high)"

    @property
    def start_s(self) -> float:
        """When the person is first seen."""
        return float(self.times_T[0])

    @property
    def end_s(self) -> float:
        """When the person is last seen."""
        return float(self.times_T[-1])

    @property
    def median_height(self) -> float:
        """Of the boxes, in pixels."""
        return float(np.median(self.boxes_T4[:, 3] - self.boxes_T4[:, 1]))

    def box_at(self, time_s: float) -> Floats:
        """Box_4 at an instant: between two looks a straight line, before the first and after the last as there."""
        return _at(self.times_T, self.boxes_T4, time_s)

    def joints_at(self, time_s: float) -> Floats:
        """Joints_JC at an instant, as :meth:`box_at`."""
        return _at(self.times_T, self.joints_TJC, time_s)


def _at(times_T: NDArray[np.float64], values_TX: Floats, time_s: float) -> Floats:
    """Linear interpolation of the first axis; constant outside."""
    after = int(np.searchsorted(times_T, time_s))
    last = values_TX[min(after, len(times_T) - 1)]
    if after in (0, len(times_T)):
        return np.asarray(last)
    before = after - 1
    share = np.float32((time_s - times_T[before]) / (times_T[after] - times_T[before]))
    return np.asarray(values_TX[before] + share * (last - values_TX[before]))


@dataclass(frozen=True, eq=False, repr=False)
class People:
    """Everybody in a video; made by :func:`kineme.find_people`.

    Args:
        times_T: float64, (T,), seconds: every look at the video, whether or not anybody was found.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        tracks: of the people, in the order of appearance; empty if no person was found.
        cuts: instants of the looks that begin a new shot, seconds, rising; no track crosses one.

    Example:
        >>> people = kineme.find_people("new.mp4")
        >>> len(people.tracks), people.counts.max()
        (0, np.int64(0))
    """

    times_T: NDArray[np.float64]
    width: int
    height: int
    tracks: tuple[Track, ...]
    cuts: tuple[float, ...] = ()

    def __repr__(self) -> str:
        return f"People({len(self.tracks)} tracks, {len(self.times_T)} looks at {self.width} x {self.height})"

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many people are seen at each look, (T,)."""
        counts_T = np.zeros(len(self.times_T), np.int64)
        for track in self.tracks:
            counts_T += np.isin(self.times_T, track.times_T[track.scores_T > 0])
        return counts_T


_ARRAYS = ("times_T", "joints_TJC", "boxes_T4", "scores_T")


def packed(people: People) -> bytes:
    """As the content of a safetensors file."""
    from safetensors.numpy import save

    tensors = {f"{track.id}.{name}": getattr(track, name) for track in people.tracks for name in _ARRAYS}
    ids = [track.id for track in people.tracks]
    facts = {"width": people.width, "height": people.height, "ids": ids, "cuts": people.cuts}
    return save({"times_T": people.times_T, **tensors}, {"people": json.dumps(facts)})


def unpacked(content: bytes) -> People:
    """What :func:`packed` made.

    Raises:
        ValueError: it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["people"])
        tracks = [Track(one, *(tensors[f"{one}.{name}"] for name in _ARRAYS)) for one in facts["ids"]]
        return People(tensors["times_T"], facts["width"], facts["height"], tuple(tracks), tuple(facts["cuts"]))
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error
