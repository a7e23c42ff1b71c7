"""A stream: frames in, probabilities out, at the cost of one frame per frame."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.people.find import RATE
from kineme.people.region import LiveRegion
from kineme.prediction.engines.select import open_engine
from kineme.prediction.stream_ticks import (
    Due,
    Eyes,
    Pixels,
    Seen,
    Shown,
    Ticks,
    check_stream,
    open_reader,
)
from kineme.prediction.trained import TrainedModel
from kineme.video.convert import Converter
from kineme.video.decode import EPSILON_S
from kineme.video.spec import ClipSpec


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
        check_stream(model, mode, stride)
        spec = model.card.spec
        self._model = model
        self._ticks, self._looks = Ticks(spec), Ticks(ClipSpec(fps=RATE))
        self._eyes = Eyes(model)
        self._reader = open_reader(model, functools.partial(open_engine, engine), mode, stride)
        self._region = None if spec.region == "frame" else LiveRegion(self._eyes.specs)
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
        self._eyes.reset()
        self._reader.reset()
        self._newest: NDArray[np.float64] | None = None
        self.prediction_time_s: float | None = None
        self.logits_K: NDArray[np.float32] | None = None

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
                sees the region of people, or is on joined backbones, takes no other.

        Returns:
            The newest calibrated probabilities_K, not to be written to; the same as before where no tick came, and
            None until there are any: in mode ``"exact"`` until T ticks have been seen.

        Raises:
            UsageError: the frame is not such an array, the time is not a number, or ``convert`` cannot do it.

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
        shown = self._eyes.shown(frame, convert)
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
            windows = self._region.windows(instant_s) if self._region else [None] * len(self._eyes.specs)
            skipped = 0 if seen else self._ticks.skipped
            seen.append((instant_s, self._eyes.see(shown, windows, skipped)))
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

    def _look(self, instant_s: float, shown: Shown) -> None:
        assert self._region
        self._region.see(shown.displayed_pixels(), instant_s)
