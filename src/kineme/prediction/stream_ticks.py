"""What streams are made of: which frame is on the screen at each tick, and what scores one tick after another."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.prediction.engine import Engine
from kineme.prediction.featurizers import FrameFeaturizer, RawFrames, open_featurizer
from kineme.prediction.joined import JoinedReader, member_steps
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import WindowScorer, stream_stride
from kineme.video.brightness import Brightener
from kineme.video.convert import Converter, DeepPixels
from kineme.video.decode import EPSILON_S
from kineme.video.geometry import Window
from kineme.video.spec import ClipSpec

Array = NDArray[Any]
Pixels = NDArray[np.uint8]
Mode = Literal["exact", "carried"]
Due = list[tuple[float, "Shown"]]
Seen = list[tuple[float, Array]]


class Shown:
    """A frame on the screen, whose pixels are made when first wanted, and once for each window.

    Args:
        frame: it may be an array, or what ``converts`` take.
        converts: bring it to the size of the model, or of each member of joined backbones.
    """

    def __init__(self, frame: Any, converts: Sequence[Callable[..., Pixels]]) -> None:
        self._frame, self._converts = frame, converts
        self._made: dict[int, tuple[Window | None, Pixels]] = {}

    def pixels(self, window: Window | None, member: int = 0) -> Pixels:
        """What the model, or a member, sees of it: a window, or all."""
        if member not in self._made or window != self._made[member][0]:
            convert = self._converts[member]
            self._made[member] = window, convert(self._frame, window) if window else convert(self._frame)
        return self._made[member][1]

    def deep_pixels(self, window: Window | None, member: int = 0) -> DeepPixels | None:
        """The same in 16 bits; None where only a function of the caller's knows the frame."""
        convert = self._converts[member]
        return convert.deep(self._frame, window) if isinstance(convert, Converter | Sizer) else None

    def displayed_pixels(self) -> Pixels:
        """The whole frame at the size at which it is displayed."""
        convert = self._converts[0]
        assert isinstance(convert, Converter | Sizer)
        return convert.displayed_pixels(self._frame)

    def keep(self, *, always: bool) -> None:
        """Copy what its owner may write to, unless all that is wanted of it has been made."""
        if always or len(self._made) < len(self._converts):
            self._frame = self._frame.copy()


class Ticks:
    """Which frame is on the screen at each tick; the arithmetic of :func:`kineme.video.clips.ticks`."""

    def __init__(self, spec: ClipSpec) -> None:
        self._step_s = spec.step_s(0.0)
        self._most = spec.frames
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self.origin_s = self._last_s = 0.0
        self._tick = 0  # the next one
        self.skipped = 0  # by the last push
        self._shown: Shown | None = None

    def is_seek(self, time_s: float) -> bool:
        """Whether a frame of that time goes back by a tick or more."""
        return self._shown is not None and time_s - self.origin_s <= self._last_s - self._step_s + EPSILON_S

    def push(self, time_s: float, shown: Shown) -> Due:
        """The ticks before this frame, which see the last one, and its own if it is on time for one."""
        if self._shown is None:
            self.origin_s = time_s
        due = self.until(time_s)
        self._shown = shown
        if self._instant() <= self._last_s + EPSILON_S:
            due.append((self._instant(), shown))
            self._tick += 1
        return due

    def until(self, time_s: float) -> Due:
        """The last T of the ticks up to a time at which the last frame is still on the screen."""
        self._last_s = max(self._last_s, time_s - self.origin_s)
        self.skipped = 0
        if self._shown is None:
            return []
        end = max(self._tick, math.ceil((self._last_s - EPSILON_S) / self._step_s))
        self.skipped = max(0, end - self._tick - self._most)
        ticks = range(self._tick + self.skipped, end)
        self._tick = end
        return [(tick * self._step_s, self._shown) for tick in ticks]

    def _instant(self) -> float:
        return self._tick * self._step_s


class Eyes:
    """Makes the input of a model at each tick: a frame as an array; for joined backbones, a view for each member.

    Such a view is None if it is not a tick of that member.
    """

    def __init__(self, model: TrainedModel) -> None:
        self._is_joined = bool(model.members)
        self._steps = member_steps(model) if model.members else [1]
        self.specs = [one.card.spec for one in model.members or (model,)]
        self._brighteners = [Brightener(spec) for spec in self.specs]
        self._sizers = [Sizer(spec) for spec in self.specs]
        self._resized: tuple[Converter, list[Converter]] | None = None  # the newest, and what is made of it
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far."""
        self._count = 0
        for one in self._brighteners:
            one.reset()

    def shown(self, frame: Any, convert: Callable[[Any], Pixels] | None) -> Shown:
        """A frame as it is pushed.

        Raises:
            UsageError: it is no array, or ``convert`` makes one size and the members of the model see several.
        """
        if convert is None:
            return Shown(checked_frame(frame), self._sizers)
        if not self._is_joined:
            return Shown(frame, [convert])
        if not isinstance(convert, Converter):
            raise UsageError("stream: for a model on joined backbones, 'convert' must be a Converter")
        if self._resized is None or self._resized[0] is not convert:
            sizes = [convert.resized((spec.height, spec.width), spec.fit) for spec in self.specs]
            self._resized = convert, sizes
        return Shown(frame, self._resized[1])

    def see(self, shown: Shown, windows: Sequence[Window | None], skipped: int = 0) -> Any:
        """The next tick; ``windows`` are of each spec, and ``skipped`` ticks came before it."""
        tick = self._count + skipped
        self._count = tick + 1
        views = tuple(
            None if tick % step else brighten(shown.pixels(window, number), partial(shown.deep_pixels, window, number))
            for number, (step, brighten, window) in enumerate(zip(self._steps, self._brighteners, windows, strict=True))
        )
        return views if self._is_joined else views[0]


class Reader(Protocol):
    """Scores ticks."""

    stride: int

    def reset(self) -> None:
        """Forget all ticks."""

    def read(self, seen: Seen, *, skipped: int) -> tuple[float, NDArray[np.float32]] | None:
        """Instant and logits_K of the last of the ticks that has an answer; ``skipped`` ticks came before them."""


class _Exact:
    """The features of the last T ticks in a ring, scored together."""

    def __init__(self, model: TrainedModel, engine: Engine, stride: int | None, *, has_features: bool) -> None:
        self._scorer = WindowScorer(model, engine, has_features=has_features)
        self.stride = stride or stream_stride(model)
        self._ring: deque[Array] = deque(maxlen=model.card.spec.frames)
        self._count = 0

    def reset(self) -> None:
        self._scorer.featurizer.reset()
        self._ring.clear()
        self._count = 0

    def read(self, seen: Seen, *, skipped: int) -> tuple[float, NDArray[np.float32]] | None:
        answer = None
        self._count += skipped
        for left, tick in zip(range(len(seen), 0, -1), seen, strict=True):
            self._ring += self._scorer.featurizer([tick])
            self._count += 1
            start = self._count - (self._ring.maxlen or 0)
            is_answer = len(self._ring) == self._ring.maxlen and start % self.stride == 0
            if is_answer and left <= self.stride:  # a later one would take its place
                answer = tick[0], self._scorer.score_batch(np.stack(self._ring)[None])[0]
        return answer


class _Carried:
    """What the network remembers, taken from tick to tick."""

    stride = 1

    def __init__(self, model: TrainedModel, engine: Engine, *, has_features: bool) -> None:
        self._step = engine.function("step")
        self._needs = model.card.ticks_before_answer
        self._featurizer: FrameFeaturizer = RawFrames() if has_features else open_featurizer(model, engine)
        self.reset()

    def reset(self) -> None:
        self._featurizer.reset()
        self._states = [np.zeros(shape, np.float32) for shape in self._step.input_shapes[1:]]
        self._count = 0

    def read(self, seen: Seen, *, skipped: int) -> tuple[float, NDArray[np.float32]] | None:
        logits_BK = None
        for tick in seen:
            (feature,) = self._featurizer([tick])
            logits_BK, *self._states = self._step(feature[None], *self._states)
            self._count += 1
        return None if logits_BK is None or self._count < self._needs else (seen[-1][0], logits_BK[0])


def check_stream(model: TrainedModel, mode: str, stride: int | None) -> None:
    """Whether a model can be asked for such a stream.

    Raises:
        UsageError: there is no such mode, its clips are spread over whole videos, or the stride is out of place.
    """
    if mode not in get_args(Mode):
        raise UsageError(f"there is no mode {mode!r} of a stream; choose one of {', '.join(get_args(Mode))}")
    if model.card.spec.fps is None:
        raise UsageError(
            f"{model.name} spreads its frames over a whole video, and a stream has no end: train with --fps"
        )
    if stride is not None and (stride < 1 or mode != "exact"):
        raise UsageError(f"stream: stride is for mode 'exact' and must be 1 or more, not {stride} for {mode!r}")


def open_reader(
    model: TrainedModel,
    open_engine: Callable[[TrainedModel], Engine],
    mode: str,
    stride: int | None,
    *,
    has_features: bool = False,
) -> Reader:
    """What scores the ticks of one source; with ``has_features`` they come with these in place of frames.

    Raises:
        UsageError: in mode ``"carried"``, the model keeps no state.
        KinemeError: the engine cannot run it.
    """
    if model.members:
        stride = 1 if mode == "carried" else stride or stream_stride(model)
        return JoinedReader(model, lambda one, its_stride: open_reader(one, open_engine, mode, its_stride), stride)
    engine = open_engine(model)
    if mode == "exact":
        return _Exact(model, engine, stride, has_features=has_features)
    return _Carried(model, engine, has_features=has_features)


class Sizer:
    """Brings frames that are arrays to the model's size, by the code that does it for files."""

    def __init__(self, spec: ClipSpec) -> None:
        self._size, self._fit = (spec.height, spec.width), spec.fit
        self._convert: Converter | None = None

    def __call__(self, frame_HWC: Pixels, window: Window | None = None) -> Pixels:
        """A window of the frame, or all, at the model's size."""
        if frame_HWC.shape[:2] == self._size and not window:
            return frame_HWC.copy()
        frame = self._video_frame(frame_HWC)
        return self._converter(frame)(frame, window)

    def deep(self, frame_HWC: Pixels, window: Window | None = None) -> DeepPixels | None:
        """The same in 16 bits; None where the frame has the size already, so that they would say no more."""
        if frame_HWC.shape[:2] == self._size and not window:
            return None
        frame = self._video_frame(frame_HWC)
        return self._converter(frame).deep(frame, window)

    def _video_frame(self, frame_HWC: Pixels) -> VideoFrame:
        return VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), format="rgb24")

    def _converter(self, frame: VideoFrame) -> Converter:
        if self._convert is None:
            self._convert = Converter(frame, size=self._size, fit=self._fit)
        return self._convert

    def displayed_pixels(self, frame_HWC: Pixels) -> Pixels:
        """The whole frame as it is."""
        return frame_HWC


def checked_frame(frame: Any) -> Pixels:
    """The frame, if it is one.

    Raises:
        UsageError: it is not uint8 of (H, W, 3).
    """
    shape, dtype = getattr(frame, "shape", None), getattr(frame, "dtype", None)
    if shape is None or len(shape) != 3 or shape[2] != 3 or dtype != np.uint8 or 0 in shape:
        raise UsageError(f"stream: a frame must be a uint8 array of shape (H, W, 3), not {dtype} {shape}")
    return cast("Pixels", frame)
