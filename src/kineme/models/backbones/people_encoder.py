"""The backbone ``movenet``: from frames to features of everybody in them, who are followed from frame to frame.

MoveNet finds people in single frames, a tracker follows them, and :mod:`~kineme.models.backbones.people_features`
turns their joints into numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kineme.lru import LRUCache
from kineme.models.backbone import Backbone, features_as_they_are
from kineme.models.backbones.movenet import LONG_SIDE, SKELETON, WEIGHTS, Array, Detections, Frame, MoveNetDetector
from kineme.models.backbones.people_features import LAYOUT, PEOPLE_FEATURES, VERSION, PeopleFeatures
from kineme.models.backbones.people_symmetries import IN_MIRROR, ways_of_reading
from kineme.models.poses import Pose, PoseEncoder, Tracker
from kineme.video.spec import ClipSpec

_NEWEST = 512  # frames, of which detections are kept


class NewestDetections:
    """The people detected in the newest frames, for finders that see the same frames in another order.

    Several threads may use it.
    """

    def __init__(self) -> None:
        self._found = LRUCache[Detections](_NEWEST)

    def of(self, frame_HWC: Frame, detect: Callable[[Frame], Detections]) -> Detections:
        """The people in a frame; they are detected if the frame is new. The arrays are read-only."""
        key = hashlib.blake2b(repr(frame_HWC.shape).encode() + frame_HWC.tobytes(), digest_size=16).digest()

        def look() -> Detections:
            found = detect(frame_HWC)
            for array in (found.joints_PJC, found.boxes_P4, found.scores_P):
                array.setflags(write=False)
            return found

        return self._found.get(key, look)


class PeopleFinder:
    """Finds people in one frame after another; see :class:`~kineme.models.poses.PoseFinder`.

    Args:
        files: as for :class:`~kineme.models.backbones.movenet.MoveNetDetector`.
        tracker: follows each person over time.
        newest: shared by finders that may see the same frames.
    """

    def __init__(self, files: Mapping[str, Path], tracker: Tracker, newest: NewestDetections) -> None:
        self._detector, self._tracker, self._features = MoveNetDetector(files), tracker, PeopleFeatures()
        self._newest = newest

    def reset(self) -> None:
        """Forget everybody."""
        self._tracker.reset()
        self._features.reset()

    def find(self, frame_HWC: Frame, time_s: float | None) -> list[Pose]:
        """Everybody in their places in the features; those who are hidden now are nobody."""
        if time_s is None:
            self.reset()
        joints, _ = self._follow(frame_HWC, time_s or 0.0)
        return [_pose(joints[number]) if number in joints else SKELETON.nobody for number in self._features.places]

    def features(self, frame_HWC: Frame, time_s: float) -> Array:
        """The row of :func:`~kineme.models.backbones.people_features.people_features`."""
        return self._follow(frame_HWC, time_s)[1]

    def _follow(self, frame_HWC: Frame, time_s: float) -> tuple[dict[int, Array], Array]:
        people = self._tracker.update(self._newest.of(frame_HWC, self._detector), time_s)
        joints = {person.id: person.joints_JC for person in people if person.score}
        return joints, self._features(joints, time_s)


def _pose(joints_JC: Array) -> Pose:
    scores_J = np.clip(joints_JC[:, 2], 0, 1)
    return Pose(joints_JC[:, :2], scores_J, max(float(scores_J.mean()), 1e-6), SKELETON)


def make_encoder(key: str, network: Any, views: int) -> PoseEncoder:
    """Of the network in the user's cache folder; a model on landmarks does not hold it."""
    from kineme.models.weights import require

    files, newest = require(WEIGHTS.name), NewestDetections()

    def open_finder(make_tracker: Callable[[], Tracker] | None) -> PeopleFinder:
        assert make_tracker is not None
        return PeopleFinder(files, make_tracker(), newest)

    return PoseEncoder(f"{key}:{VERSION}", views, (PEOPLE_FEATURES,), open_finder, tracks=True)


def pair_statistics(**named: Any) -> Any:
    """See :class:`~kineme.models.backbones.pair_statistics.PairStatistics`."""
    from kineme.models.backbones.pair_statistics import PairStatistics

    return PairStatistics(**named)


def build(spec: ClipSpec) -> Any:
    """Features as they are, features_BTD: finding people is no part of the network."""
    return features_as_they_are((spec.frames, PEOPLE_FEATURES), "people")


MOVENET = Backbone(
    name="movenet",
    what="MoveNet: finds up to six people in each frame of a video and 17 joints of each, and follows them.",
    build=build,
    sees="landmarks",
    pose=replace(LAYOUT, ways=ways_of_reading),
    spec=ClipSpec(height=LONG_SIDE, width=LONG_SIDE, fit="letterbox"),
    weights=WEIGHTS,
    encoder=make_encoder,
    views=0,
    values=PEOPLE_FEATURES,
    rate=30.0,
    statistics=pair_statistics,
    mirror=lambda features_TD: IN_MIRROR(features_TD),
)
