"""A model's windows: each tick's frame becomes features once, and the features of T ticks become scores.

Files and streams are both scored here.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from kineme.prediction.engine import Array, Engine
from kineme.prediction.engines.select import open_engine
from kineme.prediction.featurizers import FrameFeaturizer, RawFrames, Tick, open_featurizer
from kineme.prediction.joined import JoinedScorer
from kineme.prediction.trained import TrainedModel
from kineme.video.clips import Clip, cut_clips
from kineme.video.container import PathLike

_TICKS = 32  # at a time: more makes EfficientNet slower on a CPU
_WINDOWS = 16  # at a time


class WindowScorer:
    """Features and scores of one source after another. Use it in one thread.

    On the engine ``keras`` the logits are those of the whole network within 1e-5: the order in which a sum is made may
    depend on the number of frames. For ``litert`` see
    :class:`kineme.models.litert.LiteRTFunction`.

    Args:
        model: a loaded model.
        engine: from :func:`kineme.prediction.engines.select.open_engine`.
        has_features: the ticks will come with their features in place of frames.

    Attributes:
        featurizer: makes the features, in order.
        batch_size: how many windows are scored together: one where each takes gigabytes.

    Raises:
        KinemeError: the engine cannot run the model.
    """

    def __init__(self, model: TrainedModel, engine: Engine, *, has_features: bool = False) -> None:
        self._spec = model.card.spec
        self.batch_size = 1 if model.card.is_heavy else _WINDOWS
        per_frame = model.card.is_per_frame
        makes_features = per_frame and not has_features
        self.featurizer: FrameFeaturizer = open_featurizer(model, engine) if makes_features else RawFrames()
        self._encoder = model.external
        self._function = engine.function("window" if per_frame else "clip")

    def score(
        self, path: PathLike, of_ticks: Iterable[Tick], stride: int | None = None, lead: Sequence[Tick] = ()
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Yield the instants of its ticks, (T,), and logits_K of each window that covers a video.

        Args:
            path: the video, for the error.
            of_ticks: instant and frame of every tick, in order, from :func:`kineme.video.clips.ticks`.
            stride: ticks from one window to the next; by default as the model's clips overlap.
            lead: ticks that come right before, where these are a part of a video.

        Raises:
            VideoError: it is too short, and the policy is to refuse such videos.
        """
        windows = self.iter_windows(path, of_ticks, stride, lead)
        while batch := list(itertools.islice(windows, self.batch_size)):
            logits_NK = self.score_batch(np.stack([features_T for _, features_T in batch]))
            yield from zip((times_T for times_T, _ in batch), logits_NK, strict=True)

    def iter_windows(
        self, path: PathLike, of_ticks: Iterable[Tick], stride: int | None = None, lead: Sequence[Tick] = ()
    ) -> Iterator[tuple[NDArray[np.float64], Array]]:
        """Yield the instants of its ticks, (T,), and the features of each window that :meth:`score` scores.

        Raises:
            VideoError: as :meth:`score`.
        """
        featurizer, spec = self.featurizer, self._spec
        featurizer.reset()
        if lead:
            featurizer(lead)
        opening: list[Tick] = []

        def features() -> Iterator[tuple[float, Array]]:
            remaining = iter(of_ticks)
            while batch := list(itertools.islice(remaining, _TICKS)):
                if featurizer.initial_feature is not None:
                    opening.extend(batch[: spec.frames - len(opening)])
                yield from zip((instant_s for instant_s, _ in batch), featurizer(batch), strict=True)

        for clip in cut_clips(path, features(), spec, stride):
            features_T: Array = clip.frames_THWC
            is_short = len(set(clip.times_s.tolist())) < spec.frames
            if is_short and featurizer.initial_feature is not None:  # features lack what changed where frames repeat
                featurizer.reset()
                features_T = np.stack(featurizer([opening[tick] for tick in spec.window(0, len(opening))]))
            yield clip.times_s, features_T

    def score_batch(self, features_NT: Array) -> NDArray[np.float32]:
        """Logits_NK of N windows, all at once; each is the features of T ticks, as they came from ``featurizer``."""
        if self._encoder is not None:
            features_NT = np.stack([self._encoder.window(frames_THWC) for frames_THWC in features_NT])
        initial = self.featurizer.initial_feature
        if initial is not None:
            initial_N1 = np.broadcast_to(initial, (len(features_NT), 1, *initial.shape))
            features_NT = np.concatenate([initial_N1, features_NT[:, 1:]], axis=1)
        return np.asarray(self._function(features_NT)[0], np.float32)


def collect_windows(
    scored: Iterable[tuple[NDArray[np.float64], NDArray[np.float32]]], labels: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """First and last instant, times_W2, and scores_WS of windows; nothing else is kept: six hours are 170,000."""
    times, scores, size = array("d"), array("f"), labels
    for times_T, scores_S in scored:
        times.extend((times_T[0], times_T[-1]))
        scores.frombytes(scores_S.tobytes())
        size = len(scores_S)  # with distances beside the logits, twice as many
    return np.array(times).reshape(-1, 2), np.array(scores).reshape(-1, size)


def open_scorer(model: TrainedModel, engine: str) -> WindowScorer:
    """What scores the windows of a model on an engine; made once in each thread, and anew when the weights changed.

    Raises:
        UsageError: there is no such engine.
        KinemeError: the engine cannot run the model.
    """

    def make() -> WindowScorer:
        if model.members:
            scorers = [WindowScorer(one, open_engine(engine, one)) for one in model.members]
            return cast("WindowScorer", JoinedScorer(model, scorers))
        return WindowScorer(model, open_engine(engine, model))

    return model.once(("scorer", engine), make, holds_weights=engine != "keras" and not model.exported)


def score_clip(model: TrainedModel, clip: Clip, engine: str = "auto") -> NDArray[np.float32]:
    """Logits_K of one clip."""
    of_ticks = zip(clip.times_s.tolist(), clip.frames_THWC, strict=True)
    ((_, logits_K),) = open_scorer(model, engine).score(model.name, of_ticks)
    return logits_K


def stream_stride(model: TrainedModel) -> int:
    """Ticks from one window of a stream to the next: 1 where a window costs no more than its newest frame."""
    return 1 if model.card.is_per_frame else model.stride or model.card.spec.stream_stride


def is_dense(model: TrainedModel) -> bool:
    """Whether a window of a file begins at every tick: that makes a timeline with background sharper for nothing."""
    return model.card.open_set is not None and stream_stride(model) == 1


def file_stride(model: TrainedModel) -> int | None:
    """Ticks from one window of a file to the next; None: as the model's clips overlap."""
    return 1 if is_dense(model) else model.stride


def judged_windows(model: TrainedModel, count: int) -> Sequence[int]:
    """Which of so many windows of a file decide its label: those that evaluation has, however dense they are."""
    spec = model.card.spec
    return spec.window_starts(count - 1 + spec.frames, model.stride) if is_dense(model) else range(count)
