"""A stream: frames in, probabilities out, at the cost of one frame per frame."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, Protocol, Self, cast, get_args

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.people.find import RATE
from kineme.people.region import LiveRegion
from kineme.prediction.engine import Engine
from kineme.prediction.engines.select import open_engine
from kineme.prediction.featurizers import open_featurizer
from kineme.prediction.joined import JoinedPixels, JoinedReader
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import WindowScorer, stream_stride
from kineme.video.brightness import Brightener
from kineme.video.convert import Converter
from kineme.video.decode import EPSILON_S
from kineme.video.geometry import Window
from kineme.video.spec import ClipSpec

Array = NDArray[Any]
Pixels = NDArray[np.uint8]
Mode = Literal["exact", "carried"]
Due = list[tuple[float, "_Shown"]]
Seen = list[tuple[float, Pixels]]


class Stream:
    """Recognises as the frames come; made by :meth:`kineme.model.Model.stream`, used in one thread.

    The frames the model sees are those shown at its ticks: tick ``k`` is ``k / fps`` after the first frame, and its
    frame is the last one whose time is not after it, just as in a file. So a camera of any rate shows the model the
    clip it was trained for, and most frames of a fast one cost nothing.

    - A frame that comes late leaves the one before it on the screen: the ticks in between see that one. Of a gap
      longer than a clip only the last T ticks are run through, which ``exact`` does not notice (but for a model on
      poses, whose tracker also sees only these, and for where the light changes in the gap, whose brightness follows
      a little otherwise).
    - Time that goes back by a tick or more is a seek: everything is forgotten, as by :meth:`reset`, and the frame
      is a new first one. By less, it is taken for jitter, and the frame for one that came just after the last.

    Args:
        model: a loaded model.
        mode: ``"exact"``: the answer is that of the window of the last T ticks. ``"carried"``: that of a state which
            has read every tick since the start.
        engine: ``"auto"``, ``"keras"``, ``"litert"`` or ``"openvino"``.
        stride: ticks from one answer to the next in mode ``"exact"``.

    Attributes:
        mode: as asked for.
        stride: ticks from one answer to the next.
        prediction_time_s: the tick that the newest answer is about, on the clock of the frames; None before there is
            an answer.
        logits_K: those of the newest answer, for :meth:`kineme.model.Model.open_set_score`; None before there is one.

    Raises:
        UsageError: see :meth:`~kineme.model.Model.stream`.
        KinemeError: the engine cannot run the model.

    Example:
        >>> from kineme.video.decode import read_frames
        >>> with model.stream() as stream:
        ...     for frame in read_frames("new.mp4"):
        ...         probabilities_K = stream.push(frame.pixels_HWC, frame.pts_s)
        >>> probabilities_K.shape
        (2,)
    """

    def __init__(
        self, model: TrainedModel, *, mode: str = "exact", engine: str = "auto", stride: int | None = None
    ) -> None:
        spec = model.card.spec
        if mode not in get_args(Mode):
            raise UsageError(f"there is no mode {mode!r} of a stream; choose one of {', '.join(get_args(Mode))}")
        if spec.fps is None:
            raise UsageError(
                f"{model.name} spreads its frames over a whole video, and a stream has no end: train with --fps"
            )
        if stride is not None and (stride < 1 or mode != "exact"):
            raise UsageError(f"stream: stride is for mode 'exact' and must be 1 or more, not {stride} for {mode!r}")
        self._model = model
        self._ticks = _Ticks(spec)
        self._sizer: Callable[..., Any]
        self._brighten: Any
        if model.members:
            if mode != "exact" or spec.region != "frame":
                raise UsageError(
                    f"{model.name} is on joined backbones, which follow a stream in mode 'exact' and on the whole frame"
                )
            specs = [one.card.spec for one in model.members]
            self._sizer, self._brighten = JoinedPixels(_Sizer, specs), JoinedPixels(Brightener, specs)
            self._reader: _Reader = JoinedReader(model, functools.partial(open_engine, engine), _Exact, stride)
        else:
            runs = open_engine(engine, model)
            self._sizer, self._brighten = _Sizer(spec), Brightener(spec)
            self._reader = _Exact(model, runs, stride) if mode == "exact" else _Carried(model, runs)
        self._region = None if spec.region == "frame" else LiveRegion(spec)
        self._looks = _Ticks(ClipSpec(fps=RATE))
        self.mode, self.stride = mode, self._reader.stride
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all frames; the next one is a first one."""
        self._ticks.reset()
        self._looks.reset()
        if self._region:
            self._region.reset()
        self._brighten.reset()
        self._reader.reset()
        self._newest: NDArray[np.float64] | None = None
        self.prediction_time_s: float | None = None
        self.logits_K: NDArray[np.float32] | None = None

    @property
    def to_pixels(self) -> Callable[[Any], Any]:
        """Brings a frame that is an array to what the model sees of it."""
        return self._sizer

    def push(
        self, frame: Any, time_s: float, *, convert: Callable[[Any], Pixels] | None = None
    ) -> NDArray[np.float64] | None:
        """Show the model the next frame.

        A frame that is on time for a tick is looked at once; a frame between two ticks is when the next one comes.

        Args:
            frame: uint8, RGB, (H, W, 3), of any size; it is brought to the model's as a file's frames are, which
                differ by 1 to 2.5 levels on average: they become RGB and small in one pass. It may be overwritten
                after the call.
            time_s: when it was taken, in seconds on any clock that runs on.
            convert: turns ``frame`` into pixels of the model's size, and is called only if it is seen at a tick.
                ``frame`` may then be anything that keeps its content, such as a decoded frame with a
                :class:`~kineme.video.convert.Converter`, which gives the very pixels of reading the file. A model that
                sees the region of people takes no other.

        Returns:
            The newest calibrated probabilities_K, not to be written to; the same as before where no tick came, and
            None until there are any: in mode ``"exact"`` until T ticks have been seen.

        Raises:
            UsageError: the frame is not such an array, the time is not a number, or ``convert`` cannot cut a region.

        Example:
            >>> frame_HWC = np.zeros((240, 320, 3), np.uint8)
            >>> model.stream(mode="carried").push(frame_HWC, time_s=0.0).shape
            (2,)
        """
        if not math.isfinite(time_s):
            raise UsageError(f"stream: the time of a frame must be a number of seconds, not {time_s}")
        if self._ticks.is_seek(time_s):
            self.reset()
        if self._region and convert and not isinstance(convert, Converter):
            raise UsageError("stream: for a model of a region of the frame, 'convert' must be a Converter")
        shown = _Shown(frame, convert) if convert else _Shown(_checked(frame), self._sizer)
        self._see(self._ticks.push(time_s, shown), self._looks.push(time_s, shown) if self._region else [])
        if convert is None:
            shown.keep(always=self._region is not None)
        return self._newest

    def advance_to(self, time_s: float) -> NDArray[np.float64] | None:
        """Say that no other frame was shown before ``time_s``: ticks until then see the last one.

        At the end of a file, ``time_s`` is where its last frame ends.

        Returns:
            As :meth:`push`.
        """
        self._see(self._ticks.until(time_s), self._looks.until(time_s) if self._region else [])
        return self._newest

    def _see(self, due: Due, looks: Due) -> None:
        """Run through the ticks that have come, and the looks at people between them."""
        seen: Seen = []
        for instant_s, shown in due:
            while looks and looks[0][0] <= instant_s + EPSILON_S:
                self._look(*looks.pop(0))
            window = self._region.window(instant_s) if self._region else None
            seen.append((instant_s, self._brighten(shown.pixels(window))))
        for look in looks:
            self._look(*look)
        if not seen:
            return
        answer = self._reader.read(seen, skipped=self._ticks.skipped)
        if answer is not None:
            instant_s, self.logits_K = answer
            self._newest = self._model.probabilities(self.logits_K[None])[0]
            self._newest.flags.writeable = False
            self.prediction_time_s = self._ticks.origin_s + instant_s

    def _look(self, instant_s: float, shown: _Shown) -> None:
        assert self._region
        self._region.see(shown.displayed_pixels(), instant_s)


class _Shown:
    """A frame on the screen, whose pixels are made when first wanted, and once for each window."""

    def __init__(self, frame: Any, convert: Callable[..., Pixels]) -> None:
        self._frame, self._convert = frame, convert
        self._pixels: Pixels | None = None
        self._window: Window | None = None

    def pixels(self, window: Window | None) -> Pixels:
        if self._pixels is None or window != self._window:
            self._pixels = self._convert(self._frame, window) if window else self._convert(self._frame)
            self._window = window
        return self._pixels

    def displayed_pixels(self) -> Pixels:
        """The whole frame at the size at which it is displayed."""
        convert = self._convert
        assert isinstance(convert, Converter | _Sizer)
        return convert.displayed_pixels(self._frame)

    def keep(self, *, always: bool) -> None:
        """Copy what its owner may write to, unless all that is wanted of it has been made."""
        if always or self._pixels is None:
            self._frame = self._frame.copy()


class _Ticks:
    """Which frame is on the screen at each tick; the arithmetic of :func:`kineme.video.clips.ticks`."""

    def __init__(self, spec: ClipSpec) -> None:
        self._step_s = spec.step_s(0.0)
        self._most = spec.frames
        self.reset()

    def reset(self) -> None:
        self.origin_s = self._last_s = 0.0
        self._tick = 0  # the next one
        self.skipped = 0  # by the last push
        self._shown: _Shown | None = None

    def is_seek(self, time_s: float) -> bool:
        return self._shown is not None and time_s - self.origin_s <= self._last_s - self._step_s + EPSILON_S

    def push(self, time_s: float, shown: _Shown) -> Due:
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


class _Reader(Protocol):
    """Scores ticks."""

    stride: int

    def reset(self) -> None: ...

    def read(self, seen: Seen, *, skipped: int) -> tuple[float, NDArray[np.float32]] | None:
        """Instant and logits_K of the last of the ticks that has an answer; ``skipped`` ticks came before them."""


class _Exact:
    """The features of the last T ticks in a ring, scored together."""

    def __init__(self, model: TrainedModel, engine: Engine, stride: int | None) -> None:
        self._scorer = WindowScorer(model, engine)
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

    def __init__(self, model: TrainedModel, engine: Engine) -> None:
        self._step = engine.function("step")
        self._needs = model.card.ticks_before_answer
        self._featurizer = open_featurizer(model, engine)
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


class _Sizer:
    """Brings frames that are arrays to the model's size, by the code that does it for files."""

    def __init__(self, spec: ClipSpec) -> None:
        self._size, self._fit = (spec.height, spec.width), spec.fit
        self._convert: Converter | None = None

    def __call__(self, frame_HWC: Pixels, window: Window | None = None) -> Pixels:
        if frame_HWC.shape[:2] == self._size and not window:
            return frame_HWC.copy()
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), format="rgb24")
        if self._convert is None:
            self._convert = Converter(frame, size=self._size, fit=self._fit)
        return self._convert(frame, window)

    def displayed_pixels(self, frame_HWC: Pixels) -> Pixels:
        return frame_HWC


def _checked(frame: Any) -> Pixels:
    shape, dtype = getattr(frame, "shape", None), getattr(frame, "dtype", None)
    if shape is None or len(shape) != 3 or shape[2] != 3 or dtype != np.uint8 or 0 in shape:
        raise UsageError(f"stream: a frame must be a uint8 array of shape (H, W, 3), not {dtype} {shape}")
    return cast("Pixels", frame)
