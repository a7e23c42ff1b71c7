"""Videos to clips: the frames shown at the ticks of a ``ClipSpec``, in one pass and in order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError, VideoError, VideoWarning
from kineme.memory import total_bytes
from kineme.video.brightness import Brightener
from kineme.video.container import PathLike
from kineme.video.convert import Converter
from kineme.video.decode import EPSILON_S, Decoder
from kineme.video.geometry import Window
from kineme.video.probe import VideoInfo, describe
from kineme.video.spec import ClipSpec

Warn = Callable[[VideoWarning], None]
Tick = tuple[float, NDArray[np.uint8]]  # instant in seconds, and the frame shown then
Windows = Callable[[float], Window | None]  # of each instant, asked for in order of time; None is the whole frame

_MUCH = 500_000_000  # bytes of ticks that show a few frames again and again: a clock that is broken, and a full disk
_REPEATS = 10


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
    on_warning: Warn | None = None,
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
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
        on_warning: told in one line when the video is damaged.

    Raises:
        UsageError: windows are missing.
        VideoError: the file cannot be used, or the part begins after its end.
    """
    if end_s is not None and end_s <= start_s:
        raise _nothing_between(path, start_s, end_s)
    with Decoder(path, on_warning=on_warning) as decoder:
        if spec.fps is None:  # spread over the whole: its length is needed first
            length_s = describe(decoder, decode=True).duration_s
            end_s = length_s if end_s is None else min(end_s, length_s)
        convert = decoder.converter(size=None if full_size else (spec.height, spec.width), fit=spec.fit)
        yield from _ticks(decoder, spec, convert, start_s, end_s, per_frame, windows)


def _ticks(
    decoder: Decoder,
    spec: ClipSpec,
    convert: Converter,
    start_s: float,
    end_s: float | None,
    per_frame: int,
    windows: Windows | None = None,
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """See :func:`ticks`; where the frames are spread, the end is given."""
    if spec.region != "frame" and windows is None:
        raise UsageError(f"clips of the region {spec.region!r} are read by the functions of kineme.people.region")
    if end_s is not None and end_s <= start_s:
        raise _nothing_between(decoder.path, start_s, end_s)
    step_s = spec.step_s((end_s or 0.0) - start_s, per_frame)
    limit = float("inf") if end_s is None else spec.tick_count(end_s - start_s, per_frame)
    brighten = Brightener(spec)
    tick = 0
    for number, (pts_s, duration_s, frame, is_last) in enumerate(decoder.iter_frames(start_s, step_s), 1):
        until_s = pts_s + duration_s
        if is_last:
            limit = min(limit, spec.tick_count(until_s - start_s, per_frame))
            until_s = float("inf")
        pixels: NDArray[np.uint8] | None = None
        shown: Window | None = None
        while tick < limit and start_s + tick * step_s + EPSILON_S < until_s:
            window = windows(start_s + tick * step_s) if windows else None
            if pixels is None or window != shown:
                pixels, shown = convert(frame, window), window
            if tick > _REPEATS * per_frame * number and tick * pixels.nbytes > _MUCH:
                raise VideoError(decoder.path, f"shows {number} frames for {tick * step_s:,.0f} s: its clock is broken")
            yield start_s + tick * step_s, brighten(pixels, counts=tick % per_frame == 0)
            tick += 1
        if tick >= limit:
            return
    if not tick:
        raise VideoError(decoder.path, f"ends before {start_s:.2f} s, where the part to be read begins", "no-such-part")


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
        if spec.fps is None:
            end_s = info.duration_s if end_s is None else min(end_s, info.duration_s)
        expected_s = (info.duration_s if end_s is None else min(end_s, info.duration_s)) - start_s
        shape = spec.tick_count(expected_s, per_frame), spec.height, spec.width, 3
        if math.prod(shape) > (total_bytes() or math.inf) / 2:
            takes = f"{math.prod(shape) / 1e9:,.0f} GB as frames of {spec.width} x {spec.height}"
            raise VideoError(path, f"lasts {expected_s:,.0f} s, which takes {takes}; give a part of it", "too-large")
        frames_NHWC = np.empty(shape, np.uint8)
        convert = decoder.converter(size=(spec.height, spec.width), fit=spec.fit)
        for instant, frame in _ticks(decoder, spec, convert, start_s, end_s, per_frame):
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
        stride: ticks from one clip to the next; half a clip by default.
        windows: as for :func:`ticks`.
        on_warning: told in one line when the video is damaged.

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
        stride: ticks from one clip to the next; half a clip by default.

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
