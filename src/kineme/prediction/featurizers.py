"""Converts the frame of each tick to the input of a window: features, landmarks, or the frame itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kineme.models.poses import PoseEncoder
from kineme.prediction.engine import Array, Engine, Function
from kineme.prediction.trained import TrainedModel

Tick = tuple[float, NDArray[np.uint8]]  # instant in seconds from the first tick, and the frame shown then


class FrameFeaturizer(Protocol):
    """Makes features of each tick's frame, in order.

    Attributes:
        initial_feature: that of the first frame of every window, whatever it shows, or None. A backbone that sees what
            changed since the frame before sees nothing in the first frame of a window.
    """

    initial_feature: Array | None

    def reset(self) -> None:
        """Forget the frames so far."""

    def __call__(self, of_ticks: Sequence[Tick]) -> list[Array]:
        """The features of the frames shown at the next ticks."""


def open_featurizer(model: TrainedModel, engine: Engine) -> FrameFeaturizer:
    """The featurizer of a model whose backbone looks at frames one by one.

    Raises:
        KinemeError: the engine cannot run the backbone.
    """
    return PoseFeaturizer(model.poses) if model.poses else BackboneFeaturizer(engine.function("frame"))


class RawFrames:
    """The frames themselves, for a network that sees whole clips."""

    initial_feature: Array | None = None

    def reset(self) -> None:
        """See :class:`FrameFeaturizer`."""

    def __call__(self, of_ticks: Sequence[Tick]) -> list[Array]:
        """See :class:`FrameFeaturizer`."""
        return [pixels_HWC for _, pixels_HWC in of_ticks]


class BackboneFeaturizer:
    """Features, float32, of frames or of what changed from one to the next; a frame that repeats costs nothing."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._looks_back = len(function.input_shapes) == 2
        black = np.zeros(function.input_shapes[0][1:], np.uint8)
        self.initial_feature = self._features([(black, black)])[0] if self._looks_back else None
        self.reset()

    def reset(self) -> None:
        """See :class:`FrameFeaturizer`."""
        self._before: NDArray[np.uint8] | None = None
        self._newest: Array | None = None

    def __call__(self, of_ticks: Sequence[Tick]) -> list[Array]:
        """See :class:`FrameFeaturizer`."""
        new: dict[int, tuple[Array, Array]] = {}  # place of the tick: its frame and the one before
        for place, (_, pixels_HWC) in enumerate(of_ticks):
            before, self._before = self._before, pixels_HWC
            if before is not pixels_HWC and not (self._looks_back and before is None):
                new[place] = pixels_HWC, pixels_HWC if before is None else before
        computed = iter(self._features(list(new.values())) if new else ())
        features = []
        for place in range(len(of_ticks)):
            if place in new:
                self._newest = next(computed)
            elif self.initial_feature is not None:
                self._newest = self.initial_feature
            assert self._newest is not None
            features.append(self._newest)
        return features

    def _features(self, frames_and_before: list[tuple[Array, Array]]) -> Array:
        inputs = zip(*frames_and_before, strict=True) if self._looks_back else [[one for one, _ in frames_and_before]]
        features_ND: Array = self._function(*(np.stack(list(one)) for one in inputs))[0]
        return features_ND


class PoseFeaturizer:
    """Features, float32, of the people who are followed."""

    initial_feature: Array | None = None

    def __init__(self, encoder: PoseEncoder) -> None:
        self._finder = encoder.finder()

    def reset(self) -> None:
        """See :class:`FrameFeaturizer`."""
        self._finder.reset()

    def __call__(self, of_ticks: Sequence[Tick]) -> list[Array]:
        """See :class:`FrameFeaturizer`."""
        return [self._finder.features(pixels_HWC, instant_s) for instant_s, pixels_HWC in of_ticks]
