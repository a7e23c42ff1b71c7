"""The region of a clip: one window that follows all the people of a video, or one of them.

Training, evaluation, prediction, batch and explanation read clips through the functions of this file, and streams
through its :class:`LiveRegion`, so all of them cut the same pixels.

The window at an instant depends only on the looks at people up to then, for a stream cannot look ahead, and for the
features of a frame are shared by overlapping clips; in a file a cut ends it, which a stream, as of a camera, is not
looked through for. It holds everybody seen in the last second, with a margin, in the
aspect of the clip. It widens quickly and narrows slowly, so that it hardly moves while people move in it.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import VideoWarning
from kineme.people.find import FORMAT, RATE, find_people
from kineme.people.follower import PeopleFollower
from kineme.people.tracker import certain_from
from kineme.people.tracks import People, Track
from kineme.video.clips import Clip, Warn, Windows, cut_clips, ticks
from kineme.video.container import PathLike
from kineme.video.geometry import Window
from kineme.video.spec import ClipSpec

Floats = NDArray[Any]

_MARGIN = 0.15  # of the people's height or width, whichever is larger, on each side
_MEMORY_S = 1.0  # for which a place where somebody was seen stays within the window
_WIDENS_S, _NARROWS_S = 0.15, 1.0  # in which an edge goes 63 % of the way outwards, and inwards
_FORGETS_S = 3.0  # without anybody, after which the whole frame is shown
_SMALLEST = 16.0  # pixels of the frame
_EPSILON_S = 1e-6
_FORMAT = 2  # of the windows; a change of what they show raises it


class RegionFollower:
    """The window of a region, from look to look.

    Args:
        aspect: width of the clip over its height.
    """

    def __init__(self, aspect: float) -> None:
        self._aspect = aspect
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._recent: deque[tuple[float, Floats]] = deque()  # instant, and the box_4 around everybody then
        self._edges_4: Floats | None = None  # at the last look, in pixels
        self._time_s = self._seen_s = -math.inf
        self._size = 1, 1

    def see(self, boxes_P4: Floats, size: tuple[int, int], time_s: float) -> None:
        """A look.

        Args:
            boxes_P4: of those who are seen, in pixels.
            size: height and width of the frame, in pixels.
            time_s: when; later than the look before.
        """
        self._edges_4 = self._edges_at(time_s)
        self._time_s, self._size = time_s, size
        if len(boxes_P4):
            self._recent.append((time_s, _around(boxes_P4)))
            self._seen_s = time_s
        while self._recent and time_s - self._recent[0][0] > _MEMORY_S + _EPSILON_S and len(self._recent) > 1:
            self._recent.popleft()
        if time_s - self._seen_s > _FORGETS_S:
            self._recent.clear()
            self._edges_4 = None

    def window(self, time_s: float) -> Window | None:
        """The window at an instant from the last look on; None, the whole frame, where nobody is there."""
        edges_4 = self._edges_at(time_s)
        return None if edges_4 is None else _window(edges_4, self._aspect, self._size)

    def _edges_at(self, time_s: float) -> Floats | None:
        """Around everybody, in pixels: on the way to where the last look wants it."""
        if not self._recent:
            return self._edges_4
        wanted_4 = _around(np.stack([box_4 for _, box_4 in self._recent]))
        if self._edges_4 is None:
            return wanted_4
        outwards_4 = (wanted_4 - self._edges_4) * np.array([-1, -1, 1, 1]) > 0
        way_4 = 1 - np.exp(-(time_s - self._time_s) / np.where(outwards_4, _WIDENS_S, _NARROWS_S))
        return np.asarray(self._edges_4 + way_4 * (wanted_4 - self._edges_4))


def _around(boxes_P4: Floats) -> Floats:
    """The box_4 around boxes."""
    return np.concatenate([boxes_P4[:, :2].min(axis=0), boxes_P4[:, 2:].max(axis=0)])


def _window(edges_4: Floats, aspect: float, size: tuple[int, int]) -> Window:
    """The smallest window of an aspect around a box and its margin, as far as possible within the frame."""
    left, top, right, bottom = edges_4.tolist()
    margin = 2 * _MARGIN * max(right - left, bottom - top)
    height = max(bottom - top + margin, (right - left + margin) / aspect, _SMALLEST)
    width = height * aspect
    x, y = (
        length / 2 - side / 2 if side > length else min(max(middle - side / 2, 0.0), length - side)
        for middle, side, length in (((left + right) / 2, width, size[1]), ((top + bottom) / 2, height, size[0]))
    )
    return Window(x / size[1], y / size[0], (x + width) / size[1], (y + height) / size[0])


def region_windows(people: People, spec: ClipSpec, chosen: Collection[int] = ()) -> Windows:
    """The windows of a file's region, to be asked for once, in order of time. A cut ends them too.

    Args:
        people: everybody in the file.
        spec: of the clips.
        chosen: ids of the persons whose clips they are, one in each shot, for the region ``"person"``.
    """
    is_of_one = spec.region == "person"
    rows = [_sure_rows(one) for one in people.tracks if not is_of_one or one.id in chosen]
    times_N = np.concatenate([times_T for times_T, _ in rows] or [np.zeros(0)])
    boxes_N4 = np.concatenate([boxes_T4 for _, boxes_T4 in rows] or [np.zeros((0, 4), np.float32)])
    order_N = np.argsort(times_N, kind="stable")
    times_N, boxes_N4 = times_N[order_N], boxes_N4[order_N]
    follower = RegionFollower(spec.width / spec.height)
    looks = iter(people.times_T.tolist())
    coming = next(looks, math.inf)

    def window(time_s: float) -> Window | None:
        nonlocal coming
        while coming <= time_s + _EPSILON_S:
            first, last = np.searchsorted(times_N, (coming - _EPSILON_S, coming + _EPSILON_S))
            if coming in people.cuts:
                follower.reset()
            follower.see(boxes_N4[first:last], (people.height, people.width), coming)
            coming = next(looks, math.inf)
        return follower.window(time_s)

    return window


def _sure_rows(track: Track) -> tuple[Floats, Floats]:
    """Instants and boxes_T4 of the looks at which a stream too would have seen the person."""
    seen_T = track.scores_T > 0
    seen_T[: certain_from(track)] = False
    return track.times_T[seen_T], track.boxes_T4[seen_T]


def choose_track(people: People, start_s: float = 0.0, end_s: float | None = None) -> int | None:
    """The person who moves most between two instants: whose joints go the longest way, in heights of the body.

    Returns:
        The id of the track; None where nobody is seen then.
    """
    ways = {}
    for track in people.tracks:
        within_T = (track.times_T >= start_s) & (track.times_T <= (math.inf if end_s is None else end_s))
        joints_TJC = track.joints_TJC[within_T & (track.scores_T > 0)]
        if len(joints_TJC):
            steps_TJ = np.linalg.norm(np.diff(joints_TJC[..., :2], axis=0), axis=2)
            ways[track.id] = float(steps_TJ.mean(axis=1).sum()) / max(track.median_height, 1.0)
    return max(ways, key=lambda one: ways[one]) if ways else None


def choose_tracks(people: People, start_s: float = 0.0, end_s: float | None = None) -> tuple[int, ...]:
    """The person who moves most in each shot between two instants: see :func:`choose_track`."""
    last_s = math.inf if end_s is None else end_s
    borders = [start_s, *(one for one in people.cuts if start_s < one < last_s), last_s]
    found = [
        choose_track(people, begin_s, end_s if end_s == last_s else end_s - _EPSILON_S)
        for begin_s, end_s in itertools.pairwise(borders)
    ]
    return tuple(one for one in found if one is not None)


def known_cuts(path: PathLike, spec: ClipSpec) -> tuple[float, ...] | None:
    """Where a video goes from one shot to the next, in seconds, for clips of a region; None for the whole frame."""
    return None if spec.region == "frame" else find_people(path).cuts


def region_key(spec: ClipSpec) -> list[object]:
    """Key of a region's pixels in a cache, in addition to the file; empty for the whole frame."""
    from kineme.models.backbones.movenet import WEIGHTS

    return [] if spec.region == "frame" else [RATE, *WEIGHTS.members.values(), FORMAT, _FORMAT]


def region_ticks(
    path: PathLike,
    spec: ClipSpec,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    per_frame: int = 1,
    track: int | None = None,
    two_lights: bool = False,
    on_look: Callable[[float], None] | None = None,
    on_warning: Warn | None = None,
) -> Iterator[tuple[float, Any]]:
    """Yield the instant and the frame of every tick, cut to its region, as :func:`kineme.video.clips.ticks` does.

    Args:
        path: a video file.
        spec: rate, size, fit, region and brightness.
        start_s: where the part begins, in seconds.
        end_s: where it ends; None is the end of the video.
        per_frame: ticks for each clip frame.
        track: the person, for the region ``"person"``; None is the one who moves most in each shot of the part.
        two_lights: each frame comes as :class:`kineme.video.clips.TwoLights`.
        on_look: called with the second of the video that the search for people has reached.
        on_warning: called with one line where the video is damaged, nobody is found, or somebody was chosen.

    Raises:
        KinemeError: the weights that find people are not on this machine; the line says how to get them.
        VideoError: as :func:`kineme.video.clips.ticks`.
    """
    windows = find_region(path, spec, start_s=start_s, end_s=end_s, track=track, on_look=on_look, on_warning=on_warning)
    return ticks(
        path,
        spec,
        start_s=start_s,
        end_s=end_s,
        per_frame=per_frame,
        windows=windows,
        two_lights=two_lights,
        on_warning=on_warning,
    )


def find_region(
    path: PathLike,
    spec: ClipSpec,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    track: int | None = None,
    on_look: Callable[[float], None] | None = None,
    on_warning: Warn | None = None,
) -> Windows | None:
    """The windows that :func:`region_ticks` cuts, to be asked for once, in order of time; None is the whole frame."""
    if spec.region == "frame":
        return None
    people = find_people(path, on_progress=on_look)
    is_chosen = spec.region == "person" and track is None
    tracks = choose_tracks(people, start_s, end_s) if is_chosen else [] if track is None else [track]
    if on_warning and (note := _note(people, tracks, is_chosen=is_chosen)):
        on_warning(note)
    return region_windows(people, spec, tracks)


def windows_at(path: PathLike, spec: ClipSpec, times_s: list[float]) -> list[Window | None]:
    """The windows of a file's region at some instants, in order; None is the whole frame."""
    if spec.region == "frame":
        return [None] * len(times_s)
    people = find_people(path)
    return list(map(region_windows(people, spec, choose_tracks(people)), times_s))


def region_clips(path: PathLike, spec: ClipSpec, *, stride: int | None = None) -> Iterator[Clip]:
    """Yield the clips that cover a video, cut to the region of the spec: see :func:`kineme.video.clips.read_clips`."""
    return cut_clips(path, region_ticks(path, spec), spec, stride)


def _note(people: People, tracks: Collection[int], *, is_chosen: bool) -> VideoWarning | None:
    """What to say of the region of a video, if anything."""
    if not people.tracks or (is_chosen and not tracks):
        return VideoWarning("nobody was found in it, so the whole frame counts", "nobody")
    if is_chosen and len(people.tracks) > len(tracks):
        of_shots = f" in each of its {len(people.cuts) + 1} shots" if people.cuts else ""
        which = f"track{'s' if len(tracks) > 1 else ''} {', '.join(map(str, tracks))}"
        return VideoWarning(
            f"shows {len(people.tracks)} people; the one who moves most{of_shots} counts ({which})", "several-people"
        )
    return None


class LiveRegion:
    """The windows of a stream's region: the very ones of a file with the same frames.

    Args:
        specs: of the clips; of the same region, and each with a window of its own aspect.

    Raises:
        KinemeError: the weights that find people are not on this machine.
    """

    def __init__(self, specs: Sequence[ClipSpec]) -> None:
        self._only_one = specs[0].region == "person"
        self._everybody = PeopleFollower()
        self._followers = [RegionFollower(spec.width / spec.height) for spec in specs]
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._everybody.reset()
        for follower in self._followers:
            follower.reset()
        self._person: int | None = None

    def see(self, frame_HWC: NDArray[np.uint8], time_s: float) -> None:
        """A look at a frame of the size at which it is displayed; later than the look before."""
        people = [one for one in self._everybody.look(frame_HWC, time_s) if one.score > 0]
        if self._only_one and people:  # the one so far, else whoever has been there longest
            if self._person not in (ids := [one.id for one in people]):
                self._person = min(ids)
            people = [one for one in people if one.id == self._person]
        boxes_P4 = np.stack([one.box_4 for one in people]) if people else np.zeros((0, 4), np.float32)
        for follower in self._followers:
            follower.see(boxes_P4, (frame_HWC.shape[0], frame_HWC.shape[1]), time_s)

    def windows(self, time_s: float) -> list[Window | None]:
        """The window of each spec at an instant from the last look on; None is the whole frame."""
        return [follower.window(time_s) for follower in self._followers]
