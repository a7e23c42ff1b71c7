"""Everybody in a video: found once, and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.disk_cache import DiskCache
from kineme.errors import VideoError
from kineme.files import user_cache_folder
from kineme.models.backbones.movenet import WEIGHTS, Detections
from kineme.people.colours import colours_of
from kineme.people.detector import PeopleDetector
from kineme.people.tracker import VERSION, Tracker
from kineme.people.tracks import People, packed, unpacked
from kineme.video.clips import Tick, ticks
from kineme.video.container import PathLike
from kineme.video.cuts import CutFinder
from kineme.video.prefetch import prefetch
from kineme.video.shared import Reader, SharedVideo
from kineme.video.spec import ClipSpec

Frame = NDArray[np.uint8]

RATE = 8.0  # looks a second

FORMAT = 6  # of what is kept, and of how people are looked for
_SUFFIX = ".people"
_LIMIT_BYTES = 10**9  # an hour of three people takes 20 MB
_AHEAD = 2  # frames of full size that are decoded before they are looked at

_folder: Path | None = None  # where tracks are kept; None is in the user's cache folder


def keep_tracks_in(folder: Path) -> None:
    """From now on, keep the tracks that this process finds in another folder, such as one that goes with a job."""
    global _folder
    _folder = folder


def find_people(
    source: PathLike,
    rate: float = RATE,
    second_look: bool = True,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> People:
    """Find and follow everybody in a video.

    A cut ends all tracks: who comes after it is somebody new. The tracks are kept in the user's cache folder: the
    second call for the same file costs nothing. Memory does not grow with the video but by the tracks, 20 MB for an
    hour of three people.

    Args:
        source: a video file.
        rate: looks a second, above zero.
        second_look: whether small people are looked for in parts of the frame; it costs nothing as long as somebody
            large is there.
        on_progress: called at each look with the second of the video.

    Raises:
        KinemeError: the weights are not on this machine; the line says how to get them.
        UsageError: the rate is out of range.
        VideoError: the file cannot be used.

    Example:
        >>> people = kineme.find_people("new.mp4")
        >>> [track.id for track in people.tracks]
        []
    """
    looks = ClipSpec(fps=rate)
    name, cache = _name(source, rate, second_look), people_cache()
    if (content := cache.read(name)) is not None:
        with suppress(ValueError):  # damaged: it is made anew
            return unpacked(content)
    with closing(prefetch(ticks(source, looks, full_size=True), _AHEAD)) as shown:
        looking = _follow(PeopleDetector(second_look=second_look), shown, looks)
        while True:
            try:
                time_s = next(looking)
            except StopIteration as end:
                people: People = end.value
                break
            if on_progress:
                on_progress(time_s)
    cache.write(name, packed(people))
    return people


def people_reader(source: PathLike) -> Reader | None:
    """Finds everybody in a video while others read it too; None where they are kept already.

    Raises:
        KinemeError: the weights are not on this machine; the line says how to get them.
        VideoError: there is no such file.
    """
    name, cache, detect, looks = _name(source, RATE, True), people_cache(), PeopleDetector(), ClipSpec(fps=RATE)
    if cache.find(name):
        return None

    def begin(video: SharedVideo) -> Iterator[object]:
        return work(video.ticks(looks, full_size=True))

    def work(shown: Iterator[Tick]) -> Iterator[object]:
        people = yield from _follow(detect, shown, looks)
        cache.write(name, packed(people))

    return Reader(begin)


def people_cache() -> DiskCache:
    """The tracks of all videos, in the user's cache folder or where :func:`keep_tracks_in` moved them."""
    return DiskCache(_folder or user_cache_folder() / "people", (_SUFFIX,), _LIMIT_BYTES)


def _follow(detect: PeopleDetector, shown: Iterable[Tick], looks: ClipSpec) -> Generator[float, None, People]:
    """The instant of each look, and at the end everybody.

    A cut is certain some looks later: the detections wait for that, and a second tracker follows them till then.
    """
    tracker, ahead, finder = Tracker(keeps=True), Tracker(), CutFinder(looks.fps or RATE)
    held: deque[tuple[float, Detections, NDArray[np.float32]]] = deque()
    times: list[float] = []
    cuts: list[float] = []
    begins: set[int] = set()  # looks that begin a shot
    height, width = 0, 0

    def release() -> None:
        time_s, found, colours_P6 = held.popleft()
        if len(times) in begins:
            tracker.reset()
            cuts.append(time_s)
        tracker.update(found, time_s, colours_P6)
        times.append(time_s)

    for time_s, frame_HWC in shown:
        height, width = frame_HWC.shape[:2]
        found = detect(frame_HWC, ahead.boxes)
        held.append((time_s, found, colours_of(frame_HWC, found)))
        ahead.update(found, time_s, held[-1][2])
        if begun := finder.push(frame_HWC):
            begins.update(begun)
            detect.reset()
            ahead.reset()
        if len(held) > finder.delay:
            release()
        yield time_s
    begins.update(finder.finish())
    while held:
        release()
    return People(np.array(times), width, height, tracker.tracks(), tuple(cuts))


def _name(source: PathLike, rate: float, second_look: bool) -> str:
    """The name of a file in the cache, made of all that its content depends on."""
    try:
        path = Path(source).resolve()
        stat = path.stat()
    except OSError as error:
        raise VideoError(source, f"cannot be opened ({error.strerror})") from error
    key = [str(path), stat.st_size, stat.st_mtime_ns, rate, second_look, *WEIGHTS.members.values(), VERSION, FORMAT]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:40] + _SUFFIX
