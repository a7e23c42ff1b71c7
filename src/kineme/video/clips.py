"""Videos to clips: the frames shown at the ticks of a ``ClipSpec``, in one pass and in order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError, VideoError, VideoWarning
from kineme.memory import total_bytes
from kineme.video.brightness import Brightener
from kineme.video.container import PathLike
from kineme.video.decode import EPSILON_S, Decoder, TimedFrame
from kineme.video.geometry import Window
from kineme.video.probe import VideoInfo, describe
from kineme.video.spec import ClipSpec

Warn = Callable[[VideoWarning], None]
Tick = tuple[float, NDArray[np.uint8]]  # instant in seconds, and the frame shown then
Windows = Callable[[float], Window | None]  # of each instant, asked for in order of time; None is the whole frame

_MUCH = 500_000_000  # bytes of ticks that show a few frames again and again: a clock that is broken, and a full disk
_REPEATS = 10


class TwoLights(NamedTuple):
    """A frame as it was filmed, and as the model is to see it; uint8, RGB, and the same array where nothing differs."""

    filmed_HWC: NDArray[np.uint8]
    seen_HWC: NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """The T frames a model sees.

    Args:
        frames_THWC: uint8, RGB.
        times_s: float64, (T,): the instant of each tick, in seconds from the start of the video.
    """

    frames_THWC: NDArray[np.uint8]
    times_s: NDArray[np.float64]


@dataclass(frozen=True)
class SampledVideo:
    """The frames of all ticks of a video, or of a part of it; clips are cut from it by ``ClipSpec.window``.

    Args:
        frames_NHWC: uint8, RGB.
        times_s: float64, (N,): the instant of each tick, in seconds from the start of the video.
        info: the facts of the video.
        warnings: problems of the file, a line each.
    """

    frames_NHWC: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    info: VideoInfo
    warnings: tuple[VideoWarning, ...]


def ticks(
    path: PathLike,
    spec: ClipSpec,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    per_frame: int = 1,
    full_size: bool = False,
    windows: Windows | None = None,
    two_lights: bool = False,
    on_warning: Warn | None = None,
) -> Iterator[tuple[float, Any]]:
    """Yield the instant and the frame of every tick, in order: its region, brightened where the spec says so.

    Tick ``k`` is the instant ``start_s + k * step``; its frame is the last one whose time stamp is not after it. The
    ticks end where the frames end, whatever the container says of its length. Each frame is converted at most once,
    so the same array may come several times: do not write to it.

    Args:
        path: a video file.
        spec: rate, size, fit, region and brightness.
        start_s: where the part begins, in seconds.
        end_s: where it ends; None is the end of the video.
        per_frame: ticks for each clip frame, for windows that start between frames.
        full_size: whole frames come, at the size they are displayed at, not at that of ``spec``.
        windows: the part of the frame at each instant, for a spec with another region than the whole frame;
            :func:`kineme.people.region.region_ticks` brings them.
        two_lights: each frame comes as :class:`TwoLights`.
        on_warning: called with one line when the video is damaged.

    Raises:
        UsageError: windows are missing.
        VideoError: the file cannot be used, or the part begins after its end.
    """
    if end_s is not None and end_s <= start_s:
        raise _nothing_between(path, start_s, end_s)
    with Decoder(path, on_warning=on_warning) as decoder:
        # Frames that are spread over the whole need its length first.
        length_s = describe(decoder, decode=True).duration_s if spec.fps is None else None
        sampler = TickSampler(
            decoder,
            spec,
            start_s=start_s,
            end_s=end_s,
            per_frame=per_frame,
            full_size=full_size,
            windows=windows,
            two_lights=two_lights,
            length_s=length_s,
        )
        yield from sampler.ticks_of(decoder.iter_frames(start_s, sampler.step_s))


class TickSampler:
    """Makes ticks of the frames of one video as they come; see :func:`ticks`.

    Args:
        decoder: of the video, open.
        spec: as for :func:`ticks`, like the arguments that are not described here.
        start_s: where the part begins, in seconds.
        end_s: where it ends.
        per_frame: ticks for each clip frame.
        full_size: whole frames come, at the size they are displayed at.
        windows: the part of the frame at each instant.
        two_lights: each frame comes as :class:`TwoLights`.
        length_s: seconds that the video lasts; needed where the frames of ``spec`` are spread over it.

    Attributes:
        step_s: seconds between two ticks.

    Raises:
        UsageError: windows are missing.
        VideoError: the part begins after its end.
    """

    def __init__(
        self,
        decoder: Decoder,
        spec: ClipSpec,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        per_frame: int = 1,
        full_size: bool = False,
        windows: Windows | None = None,
        two_lights: bool = False,
        length_s: float | None = None,
    ) -> None:
        if spec.region != "frame" and windows is None:
            raise UsageError(f"clips of the region {spec.region!r} are read by the functions of kineme.people.region")
        if spec.fps is None and length_s is not None:
            end_s = length_s if end_s is None else min(end_s, length_s)
        if end_s is not None and end_s <= start_s:
            raise _nothing_between(decoder.path, start_s, end_s)
        self._path, self._spec, self._start_s = decoder.path, spec, start_s
        self._per_frame, self._windows, self._two_lights = per_frame, windows, two_lights
        self._convert = decoder.converter(size=None if full_size else (spec.height, spec.width), fit=spec.fit)
        self._brighten = Brightener(spec)
        self.step_s = spec.step_s((end_s or 0.0) - start_s, per_frame)
        self._limit = float("inf") if end_s is None else spec.tick_count(end_s - start_s, per_frame)
        self._tick = self._frames = 0

    @property
    def is_done(self) -> bool:
        """Whether all ticks have been given."""
        return self._tick >= self._limit

    def ticks_of(self, frames: Iterable[TimedFrame]) -> Iterator[tuple[float, Any]]:
        """The ticks of all frames from the start on.

        Raises:
            VideoError: the video has no frame.
        """
        for shown in frames:
            yield from self.push(shown)
            if self.is_done:
                return
        self.finish()

    def push(self, shown: TimedFrame) -> Iterator[tuple[float, Any]]:
        """The ticks at which a frame is shown, perhaps none; take all of them before the next frame."""
        self._frames += 1
        until_s = shown.pts_s + shown.duration_s
        if shown.is_last:
            self._limit = min(self._limit, self._spec.tick_count(until_s - self._start_s, self._per_frame))
            until_s = float("inf")
        pixels: NDArray[np.uint8] | None = None
        cut_to: Window | None = None
        while not self.is_done and (instant_s := self._start_s + self._tick * self.step_s) + EPSILON_S < until_s:
            window = self._windows(instant_s) if self._windows else None
            if pixels is None or window != cut_to:
                pixels, cut_to = self._convert(shown.frame, window), window
            if self._tick > _REPEATS * self._per_frame * self._frames and self._tick * pixels.nbytes > _MUCH:
                told = f"shows {self._frames} frames for {self._tick * self.step_s:,.0f} s: its time stamps are wrong"
                raise VideoError(self._path, told)
            deep = partial(self._convert.deep, shown.frame, window)
            seen = self._brighten(pixels, deep, counts=self._tick % self._per_frame == 0)
            yield instant_s, TwoLights(pixels, seen) if self._two_lights else seen
            self._tick += 1

    def finish(self) -> None:
        """Say that no frame follows.

        Raises:
            VideoError: there was no tick.
        """
        if not self._tick:
            told = f"ends before {self._start_s:.2f} s, where the part to be read begins"
            raise VideoError(self._path, told, "no-such-part")


def _nothing_between(path: PathLike, start_s: float, end_s: float) -> VideoError:
    return VideoError(path, f"nothing lies between {start_s:.2f} s and {end_s:.2f} s", "no-such-part")


def read_sampled_video(
    path: PathLike, spec: ClipSpec, *, start_s: float = 0.0, end_s: float | None = None, per_frame: int = 1
) -> SampledVideo:
    """Read the frames of all ticks of a video, or of a part of it; see :func:`ticks`.

    Raises:
        VideoError: as :func:`ticks`, and where the policy is to refuse a video shorter than a clip.
    """
    warnings: list[VideoWarning] = []
    times: list[float] = []
    with Decoder(path, on_warning=warnings.append) as decoder:
        info = describe(decoder, decode=True)
        expected_s = (info.duration_s if end_s is None else min(end_s, info.duration_s)) - start_s
        shape = spec.tick_count(expected_s, per_frame), spec.height, spec.width, 3
        if math.prod(shape) > (total_bytes() or math.inf) / 2:
            takes = f"{math.prod(shape) / 1e9:,.0f} GB as frames of {spec.width} x {spec.height}"
            raise VideoError(path, f"lasts {expected_s:,.0f} s, which takes {takes}; give a part of it", "too-large")
        frames_NHWC = np.empty(shape, np.uint8)
        sampler = TickSampler(
            decoder, spec, start_s=start_s, end_s=end_s, per_frame=per_frame, length_s=info.duration_s
        )
        for instant, frame in sampler.ticks_of(decoder.iter_frames(start_s, sampler.step_s)):
            if len(times) == len(frames_NHWC):  # longer than its packets told
                frames_NHWC = np.concatenate([frames_NHWC, np.empty_like(frames_NHWC)])
            frames_NHWC[len(times)] = frame
            times.append(instant)
    refuse_short(path, spec, -(-len(times) // per_frame))
    return SampledVideo(frames_NHWC[: len(times)], np.array(times), info, tuple(warnings))


def read_clips(
    path: PathLike,
    spec: ClipSpec,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    stride: int | None = None,
    windows: Windows | None = None,
    on_warning: Warn | None = None,
) -> Iterator[Clip]:
    """Yield the clips that cover a video: those of ``ClipSpec.window_starts``, keeping T frames at a time.

    Args:
        path: a video file.
        spec: the temporal contract.
        start_s: where the part to be covered begins, in seconds.
        end_s: where it ends; None is the end of the video.
        stride: ticks from one clip to the next; by default as the spec says.
        windows: as for :func:`ticks`.
        on_warning: called with one line when the video is damaged.

    Raises:
        UsageError: as :func:`ticks`.
        VideoError: as :func:`read_sampled_video`.
    """
    shown = ticks(path, spec, start_s=start_s, end_s=end_s, windows=windows, on_warning=on_warning)
    yield from cut_clips(path, shown, spec, stride)


def cut_clips(
    path: PathLike, records: Iterable[tuple[float, NDArray[Any]]], spec: ClipSpec, stride: int | None = None
) -> Iterator[Clip]:
    """Yield the clips that cover a video from what stands for each tick: its frame, or features made of it.

    Args:
        path: the video, for the error.
        records: instant and record of every tick, in order.
        spec: the temporal contract.
        stride: ticks from one clip to the next; by default as the spec says.

    Raises:
        VideoError: it is too short, and the policy is to refuse such videos.
    """
    stride = stride or spec.default_stride
    ring: deque[tuple[float, NDArray[Any]]] = deque(maxlen=spec.frames)
    count = 0
    for count, record in enumerate(records, start=1):
        ring.append(record)
        start = count - spec.frames
        if start >= 0 and start % stride == 0:
            yield _clip(ring, range(spec.frames))
    refuse_short(path, spec, count)
    if count < spec.frames:
        yield _clip(ring, spec.window(0, count))
    elif (count - spec.frames) % stride:
        yield _clip(ring, range(spec.frames))


def _clip(ring: Sequence[tuple[float, NDArray[Any]]], which: Sequence[int]) -> Clip:
    chosen = [ring[index] for index in which]
    return Clip(np.stack([frame for _, frame in chosen]), np.array([instant for instant, _ in chosen]))


def refuse_short(path: PathLike, spec: ClipSpec, clip_ticks: int) -> None:
    """Raise VideoError where ``clip_ticks`` ticks are fewer than a clip and the policy is to refuse that."""
    if spec.short == "refuse" and clip_ticks < spec.frames and spec.fps is not None:
        has_s, needs_s = clip_ticks / spec.fps, spec.frames / spec.fps
        raise VideoError(path, f"is too short: about {has_s:.2g} s, and a clip is {needs_s:.2g} s", "too-short")
