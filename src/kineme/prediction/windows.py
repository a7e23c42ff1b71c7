"""A model's windows, for an engine: each tick's frame becomes a record once, and T records become scores.

A record is what a window needs of a frame: its features where the backbone looks at frames one by one, landmarks
for a model on poses, else the frame itself. Files and streams are both scored here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from kineme.models.encoder import PoseEncoder
from kineme.prediction.engine import Engine, Function
from kineme.prediction.engines.select import open_engine
from kineme.prediction.trained import TrainedModel
from kineme.video.clips import Clip, cut_clips
from kineme.video.container import PathLike

Array = NDArray[Any]
Tick = tuple[float, NDArray[np.uint8]]

_TICKS = 32  # at a time: more makes EfficientNet slower on a CPU
_WINDOWS = 16  # at a time


class Recorder(Protocol):
    """Makes a record of each tick's frame, in order.

    Attributes:
        first: the record that begins every window, whatever its frame, or None. A backbone that sees what changed
            since the frame before sees nothing in the first frame of a window.
    """

    first: Array | None

    def reset(self) -> None:
        """Forget the frames so far."""

    def __call__(self, of_ticks: Sequence[Tick]) -> list[Array]:
        """The records of the frames shown at the next ticks, whose instants are in seconds from the first tick."""


class Windows:
    """Records and scores of one source after another. Use it in one thread.

    On the engine ``keras``, networks trained from scratch get the logits of the whole network to the bit; behind
    EfficientNet within 1e-5, for it rounds a frame among 32 otherwise than one alone. For ``litert`` see
    :class:`kineme.models.litert.LiteRTFunction`.

    Args:
        model: a loaded model.
        engine: from :func:`kineme.prediction.engines.select.open_engine`.
        recorded: the ticks will come with their records in place of frames.

    Attributes:
        recorder: makes the records, in order.
        at_once: how many windows are scored together: one where each takes gigabytes.
        stride: ticks from one window of a stream to the next where nothing else is asked: 1 where a window costs no
            more than its newest frame, otherwise the model's own, or half a clip.

    Raises:
        KinemeError: the engine cannot run the model.
    """

    def __init__(self, model: TrainedModel, engine: Engine, *, recorded: bool = False) -> None:
        self._spec = model.card.spec
        self.at_once = 1 if model.card.is_heavy else _WINDOWS
        per_frame = model.card.is_per_frame
        self.recorder: Recorder = recorder_of(model, engine) if per_frame and not recorded else _Frames()
        self._function = engine.function("window" if per_frame else "clip")
        self.stride = stream_stride(model)

    def logits(self, records_T: Array) -> NDArray[np.float32]:
        """Logits_K of a window.

        Args:
            records_T: of T ticks in a row, as they came from ``recorder``.
        """
        (logits_K,) = self.logits_of_several(records_T[None])
        return cast("NDArray[np.float32]", logits_K)

    def score(
        self, path: PathLike, of_ticks: Iterable[Tick], stride: int | None = None, lead: Sequence[Tick] = ()
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Yield the instants of its ticks, (T,), and logits_K of each window that covers a video.

        Args:
            path: the video, for the error.
            of_ticks: instant and frame of every tick, in order, from :func:`kineme.video.clips.ticks`.
            stride: ticks from one window to the next; half a clip by default.
            lead: ticks that come right before, where these are a part of a video.

        Raises:
            VideoError: it is too short, and the policy is to refuse such videos.
        """
        windows = self.cut(path, of_ticks, stride, lead)
        while batch := list(itertools.islice(windows, self.at_once)):
            logits_NK = self.logits_of_several(np.stack([records_T for _, records_T in batch]))
            yield from zip((times_T for times_T, _ in batch), logits_NK, strict=True)

    def cut(
        self, path: PathLike, of_ticks: Iterable[Tick], stride: int | None = None, lead: Sequence[Tick] = ()
    ) -> Iterator[tuple[NDArray[np.float64], Array]]:
        """Yield the instants of its ticks, (T,), and the records of each window that :meth:`score` scores.

        Raises:
            VideoError: as :meth:`score`.
        """
        self.recorder.reset()
        if lead:
            self.recorder(lead)
        opening: list[Tick] = []
        spec = self._spec

        def records() -> Iterator[tuple[float, Array]]:
            remaining = iter(of_ticks)
            while batch := list(itertools.islice(remaining, _TICKS)):
                if self.recorder.first is not None:
                    opening.extend(batch[: spec.frames - len(opening)])
                yield from zip((instant_s for instant_s, _ in batch), self.recorder(batch), strict=True)

        for clip in cut_clips(path, records(), spec, stride):
            records_T: Array = clip.frames_THWC
            is_short = len(set(clip.times_s.tolist())) < spec.frames
            if is_short and self.recorder.first is not None:  # what changed where frames repeat is not in the records
                self.recorder.reset()
                records_T = np.stack(self.recorder([opening[tick] for tick in spec.window(0, len(opening))]))
            yield clip.times_s, records_T

    def logits_of_several(self, records_NT: Array) -> NDArray[np.float32]:
        """Logits_NK of N windows, all at once."""
        if self.recorder.first is not None:
            first_N1 = np.broadcast_to(self.recorder.first, (len(records_NT), 1, *self.recorder.first.shape))
            records_NT = np.concatenate([first_N1, records_NT[:, 1:]], axis=1)
        return np.asarray(self._function(records_NT)[0], np.float32)


def open_windows(model: TrainedModel, engine: str) -> Windows:
    """The windows of a model on an engine, made once in each thread, and anew when the network has other weights.

    Raises:
        UsageError: there is no such engine.
        KinemeError: the engine cannot run the model.
    """

    def make() -> Windows:
        return Windows(model, open_engine(engine, model))

    return model.once(("windows", engine), make, holds_weights=engine != "keras" and not model.exported)


def score_clip(model: TrainedModel, clip: Clip, engine: str = "auto") -> NDArray[np.float32]:
    """Logits_K of one clip."""
    of_ticks = zip(clip.times_s.tolist(), clip.frames_THWC, strict=True)
    ((_, logits_K),) = open_windows(model, engine).score(model.name, of_ticks)
    return logits_K


def stream_stride(model: TrainedModel) -> int:
    """Ticks from one window of a stream to the next: 1 where a window costs no more than its newest frame."""
    return 1 if model.card.is_per_frame else model.stride or max(1, model.card.spec.frames // 2)


def file_stride(model: TrainedModel) -> int | None:
    """Ticks from one window of a file to the next: each begins one where that makes a timeline sharper for nothing."""
    return 1 if model.card.open_set is not None and stream_stride(model) == 1 else model.stride


def recorder_of(model: TrainedModel, engine: Engine) -> Recorder:
    """What makes the features of single frames for a model whose backbone can.

    Raises:
        KinemeError: the engine cannot run the backbone.
    """
    return _Poses(model.poses) if model.poses else _Features(engine.function("frame"))


class _Frames:
    """The frames themselves."""

    first: Array | None = None

    def reset(self) -> None: ...

    def __call__(self, of_ticks: Sequence[Tick]) -> list[Array]:
        return [pixels_HWC for _, pixels_HWC in of_ticks]


class _Features:
    """Features, float32, of frames or of what changed from one to the next; a frame that repeats costs nothing."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._looks_back = len(function.input_shapes) == 2
        black = np.zeros(function.input_shapes[0][1:], np.uint8)
        self.first = self._features([(black, black)])[0] if self._looks_back else None
        self.reset()

    def reset(self) -> None:
        self._before: NDArray[np.uint8] | None = None
        self._record: Array | None = None

    def __call__(self, of_ticks: Sequence[Tick]) -> list[Array]:
        new: dict[int, tuple[Array, Array]] = {}  # place of the tick: its frame and the one before
        for place, (_, pixels_HWC) in enumerate(of_ticks):
            before, self._before = self._before, pixels_HWC
            if before is not pixels_HWC and not (self._looks_back and before is None):
                new[place] = pixels_HWC, pixels_HWC if before is None else before
        features = iter(self._features(list(new.values())) if new else ())
        records = []
        for place in range(len(of_ticks)):
            if place in new:
                self._record = next(features)
            elif self.first is not None:
                self._record = self.first
            assert self._record is not None
            records.append(self._record)
        return records

    def _features(self, frames_and_before: list[tuple[Array, Array]]) -> Array:
        inputs = zip(*frames_and_before, strict=True) if self._looks_back else [[one for one, _ in frames_and_before]]
        features_ND: Array = self._function(*(np.stack(list(one)) for one in inputs))[0]
        return features_ND


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

    def __call__(self, of_ticks: Sequence[Tick]) -> list[Array]:
        return [self._record(*tick) for tick in of_ticks]

    def _record(self, instant_s: float, pixels_HWC: NDArray[np.uint8]) -> Array:
        from kineme.models.backbones.landmarks import landmark_features

        timed = [*self._before, (instant_s, self._tracker(pixels_HWC, instant_s))]
        self._before = timed[-1:]
        row_D: Array = landmark_features([pose for _, pose in timed], [time_s for time_s, _ in timed])[-1]
        return row_D
