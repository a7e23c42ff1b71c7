"""A model's windows, for an engine: each tick's frame becomes a record once, and T records become scores.

A record is what a window needs of a frame: its features where the backbone looks at frames one by one, landmarks
for a model on poses, else the frame itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kineme.models.encoder import PoseEncoder
from kineme.prediction.engine import Engine, Function
from kineme.video.clips import cut_clips
from kineme.video.container import PathLike

if TYPE_CHECKING:
    from kineme.prediction.model import Model

Array = NDArray[Any]


class Recorder(Protocol):
    """Makes a record of each tick's frame, in order.

    Attributes:
        first: the record that begins every window, whatever its frame, or None. A backbone that sees what changed
            since the frame before sees nothing in the first frame of a window.
    """

    first: Array | None

    def reset(self) -> None:
        """Forget the frames so far."""

    def __call__(self, instant_s: float, pixels_HWC: NDArray[np.uint8]) -> Array:
        """The record of the frame shown at a tick, that instant being in seconds from the first tick."""


class Windows:
    """Records and scores of one source. Use it in one thread.

    Networks trained from scratch get the logits of :meth:`Model.predict <kineme.prediction.model.Model.predict>` to
    the bit on the engine ``keras``; EfficientNet gets them within 1e-5, for it rounds a frame among 32 otherwise than
    one alone. For ``litert`` see there.

    Args:
        model: a loaded model.
        engine: from :func:`kineme.prediction.engine.open_engine`.

    Attributes:
        recorder: makes the records, in order.
        stride: ticks from one window to the next where nothing else is asked: 1 where a window costs no more than
            its newest frame, otherwise the model's own, or half a clip.

    Raises:
        KinemeError: the engine cannot run the model.
    """

    def __init__(self, model: Model, engine: Engine) -> None:
        from kineme.prediction import steps

        self._spec = model.card.spec
        self.recorder: Recorder
        backbone = backbone_of(model)
        if isinstance(model.encoder, PoseEncoder) or (backbone is not None and steps.sees_frames_alone(backbone)):
            self.recorder = recorder_of(model, engine)
            head = model.network.get_layer("head")
            self._function = engine.function("window", lambda: steps.window_part(head))
            self.stride = 1
        else:
            self.recorder = _Frames()
            self._function = engine.function("clip", lambda: steps.window_part(model.network))
            self.stride = model.stride or max(1, model.card.spec.frames // 2)

    def logits(self, records_T: Array) -> NDArray[np.float32]:
        """Logits_K of a window.

        Args:
            records_T: of T ticks in a row, as they came from ``recorder``.
        """
        if self.recorder.first is not None:
            records_T = np.concatenate([self.recorder.first[None], records_T[1:]])
        return np.asarray(self._function(records_T[None])[0][0], np.float32)

    def score(
        self, path: PathLike, of_ticks: Iterable[tuple[float, NDArray[np.uint8]]], stride: int | None = None
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Yield the instants of its ticks, (T,), and logits_K of each window that covers a video.

        Args:
            path: the video, for the error.
            of_ticks: instant and frame of every tick, in order, from :func:`kineme.video.clips.ticks`.
            stride: ticks from one window to the next; half a clip by default.

        Raises:
            VideoError: it is too short, and the policy is to refuse such videos.
        """
        self.recorder.reset()
        opening: list[NDArray[np.uint8]] = []
        spec = self._spec

        def records() -> Iterator[tuple[float, Array]]:
            for number, (instant_s, pixels_HWC) in enumerate(of_ticks):
                if number < spec.frames:
                    opening.append(pixels_HWC)
                yield instant_s, self.recorder(instant_s, pixels_HWC)

        for clip in cut_clips(path, records(), spec, stride):
            records_T = clip.frames_THWC
            is_short = len(np.unique(clip.times_s)) < spec.frames
            if is_short and self.recorder.first is not None:  # what changed where frames repeat is not in the records
                self.recorder.reset()
                shown = [opening[tick] for tick in spec.window(0, len(opening))]
                records_T = np.stack([self.recorder(0.0, pixels_HWC) for pixels_HWC in shown])
            yield clip.times_s, self.logits(records_T)


def recorder_of(model: Model, engine: Engine) -> Recorder:
    """What makes the features of single frames for a model whose backbone can.

    Raises:
        KinemeError: the engine cannot run the backbone.
    """
    from kineme.prediction import steps

    if isinstance(model.encoder, PoseEncoder):
        return _Poses(model.encoder)
    backbone = backbone_of(model)
    function = engine.function("frame", lambda: steps.frame_part(backbone))
    return _Features(function, looks_back=steps.looks_back(backbone))


def backbone_of(model: Model) -> Any:
    """The layer of that name; None where there is none, as in a model that starts from landmarks."""
    return next((layer for layer in model.network.layers if layer.name == "backbone"), None)


class _Frames:
    """The frames themselves."""

    first: Array | None = None

    def reset(self) -> None: ...

    def __call__(self, instant_s: float, pixels_HWC: NDArray[np.uint8]) -> Array:
        return pixels_HWC


class _Features:
    """Features, float32, of frames or of what changed from one to the next; a frame that repeats costs nothing."""

    def __init__(self, function: Function, *, looks_back: bool) -> None:
        self._function, self._looks_back = function, looks_back
        black = np.zeros(function.input_shapes[0][1:], np.uint8)
        self.first = self._features(black, black) if looks_back else None
        self.reset()

    def reset(self) -> None:
        self._before: NDArray[np.uint8] | None = None
        self._record: Array | None = None

    def __call__(self, instant_s: float, pixels_HWC: NDArray[np.uint8]) -> Array:
        before, self._before = self._before, pixels_HWC
        if self.first is not None and (before is None or before is pixels_HWC):
            return self.first
        if before is not pixels_HWC or self._record is None:
            self._record = self._features(pixels_HWC, pixels_HWC if before is None else before)
        return self._record

    def _features(self, frame_HWC: NDArray[np.uint8], before_HWC: NDArray[np.uint8]) -> Array:
        frames = (frame_HWC[None], before_HWC[None]) if self._looks_back else (frame_HWC[None],)
        features: Array = self._function(*frames)[0][0]
        return features


class _Poses:
    """Landmark features, float32: a row needs its own frame and the one before."""

    first: Array | None = None

    def __init__(self, encoder: PoseEncoder) -> None:
        from kineme.models.backbones.blazepose import PoseTracker

        self._tracker = PoseTracker(encoder.files)
        self.reset()

    def reset(self) -> None:
        self._tracker.reset()
        self._before: list[tuple[float, Any]] = []

    def __call__(self, instant_s: float, pixels_HWC: NDArray[np.uint8]) -> Array:
        from kineme.models.backbones.landmarks import landmark_features

        timed = [*self._before, (instant_s, self._tracker(pixels_HWC, instant_s))]
        self._before = timed[-1:]
        row_D: Array = landmark_features([pose for _, pose in timed], [time_s for time_s, _ in timed])[-1]
        return row_D
