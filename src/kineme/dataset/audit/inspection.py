"""One pass over a video: the facts that training stumbles on, and thumbnails that tell copies of it.

The thumbnails are 48 grey pictures of 32 x 32, spread evenly in time over the video or its labelled part, whatever its
length, rate and shape: a copy that was encoded again, scaled or sped up gives the same thumbnails. The background is
the median over time of a few larger pictures.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.errors import VideoError, VideoWarning
from kineme.video.container import frame_rate
from kineme.video.cuts import CutFinder
from kineme.video.decode import EPSILON_S, Decoder, TimedFrame

T = TypeVar("T")

SIDE, FRAMES = 32, 48
_COMPARED_FPS = 8.0  # frames a second that are compared with one another
_BACKGROUND_HEIGHT, _BACKGROUND_FRAMES = 160, 9
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_KINDS = {"empty": "zero-length", "sound-only": "audio-only", "truncated": "truncated"}  # ours of VideoError's
_DAMAGE = ("truncated", "damaged", "timestamps")  # kinds of VideoWarning
_USEFUL_SHARE, _USEFUL_S = 0.25, 0.3  # of a cut file: less is beyond use


@dataclass(frozen=True)
class Facts:
    """The properties of a video.

    Args:
        container: FFmpeg's names of the format it has inside, with commas between.
        codec: FFmpeg's name of the codec.
        width: pixels as displayed.
        height: pixels as displayed.
        fps: frames a second on average.
        duration_s: from the start to the end of the last frame, of the whole video or of the labelled part.
        missing_s: by how much its header says that it is longer.
        rotation: degrees clockwise that its frames are turned for display.
        uneven: share of the frames that are shown a quarter longer or shorter than most.
        cuts: how often it goes from one shot to another.
        damage: what the decoder said, a line each.
        cut: whether the file ends before its video does.
        took_s: seconds that decoding took, on one thread among others.
    """

    container: str
    codec: str
    width: int
    height: int
    fps: float
    duration_s: float
    missing_s: float
    rotation: int
    uneven: float
    cuts: int
    damage: tuple[str, ...]
    cut: bool
    took_s: float

    @property
    def beyond_use(self) -> bool:
        """Whether so much of a cut file is gone that the rest is not worth keeping."""
        whole_s = self.duration_s + self.missing_s
        return self.cut and (self.duration_s < _USEFUL_S or self.duration_s < _USEFUL_SHARE * whole_s)


@dataclass(frozen=True, eq=False)
class Inspection:
    """What one pass saw of a video, or of a labelled part of it.

    Args:
        facts: what the video is.
        thumbnails_THW: uint8 grey (48, 32, 32), spread evenly in time.
        background_jpeg: the median over time, in colour, 160 rows; as JPEG, since all videos are kept in memory.
    """

    facts: Facts
    thumbnails_THW: NDArray[np.uint8]
    background_jpeg: bytes

    @property
    def background(self) -> NDArray[np.uint8]:
        """The median over time: (160, W, 3), uint8 RGB."""
        return np.ascontiguousarray(decoded(self.background_jpeg, cv2.IMREAD_COLOR)[..., ::-1])


def decoded(picture: bytes, how: int) -> NDArray[np.uint8]:
    """A picture as OpenCV reads it; raises ValueError where it is damaged."""
    found = cv2.imdecode(np.frombuffer(picture, np.uint8), how)
    if found is None:
        raise ValueError("a picture is damaged")
    return np.asarray(found, np.uint8)


@dataclass(frozen=True)
class Broken:
    """A file that cannot be used.

    Args:
        kind: ``"missing"``, ``"zero-length"``, ``"audio-only"``, ``"truncated"`` or ``"unreadable"``.
        reason: in words, without the name of the file.
    """

    kind: str
    reason: str


def inspect_video(
    path: str | os.PathLike[str], start_s: float = 0.0, end_s: float | None = None
) -> Inspection | Broken:
    """Decode a video once, or a part of it in seconds, and return its inspection."""
    warnings: list[VideoWarning] = []
    started = time.perf_counter()
    try:
        with Decoder(path, on_warning=warnings.append) as decoder:
            inspector = Inspector(decoder, start_s, end_s)
            for shown in decoder.iter_frames(start_s):
                inspector.push(shown)
                if inspector.is_done:
                    break
            return inspector.inspection(warnings, time.perf_counter() - started)
    except VideoError as error:
        return Broken(_kind(Path(path), error), error.reason)


class Inspector:
    """Looks at the frames of a video as they are decoded.

    Args:
        decoder: of the video, open.
        start_s: where the part to be looked at begins, in seconds.
        end_s: where it ends; None is the end of the video.

    Attributes:
        is_done: whether all of the part has been seen.
    """

    def __init__(self, decoder: Decoder, start_s: float = 0.0, end_s: float | None = None) -> None:
        self.is_done = False
        self._decoder, self._start_s, self._end_s = decoder, start_s, end_s
        self._small = decoder.converter(size=(SIDE, SIDE))
        self._height, self._width = self._small.displayed
        width = max(8, round(_BACKGROUND_HEIGHT * self._width / self._height))
        self._larger = decoder.converter(size=(_BACKGROUND_HEIGHT, width))
        self._thumbnails: _Spread[NDArray[np.uint8]] = _Spread(4 * FRAMES)
        self._backgrounds: _Spread[NDArray[np.uint8]] = _Spread(2 * _BACKGROUND_FRAMES)
        self._lengths: list[float] = []
        self._missing, self._until_s = 0.0, start_s
        self._finder, self._cuts, self._compared_s = CutFinder(_COMPARED_FPS), 0, -math.inf

    def push(self, shown: TimedFrame) -> Iterator[Any]:
        """Look at the next frame; gives nothing."""
        until_s = shown.pts_s + shown.duration_s
        if self._end_s is not None and shown.pts_s >= self._end_s:
            self.is_done = True
        elif until_s > self._start_s + EPSILON_S:
            self._until_s = until_s
            self._look_at(shown)
            self.is_done = shown.is_last
        return iter(())

    def _look_at(self, shown: TimedFrame) -> None:
        self._lengths.append(shown.duration_s)
        pixels_HWC = None
        if shown.pts_s >= self._compared_s + 0.999 / _COMPARED_FPS:
            self._compared_s, pixels_HWC = shown.pts_s, self._small(shown.frame)
            self._cuts += len(self._finder.push(pixels_HWC))
        if self._thumbnails.wants_next():
            pixels_HWC = self._small(shown.frame) if pixels_HWC is None else pixels_HWC
            self._thumbnails.add(shown.pts_s, (pixels_HWC @ _GREY).round().astype(np.uint8))
        if self._backgrounds.wants_next():
            self._backgrounds.add(shown.pts_s, self._larger(shown.frame))
        if shown.is_last:
            self._missing = self._decoder.missing_s(self._until_s)

    def finish(self) -> None:
        """No frame follows."""
        self.is_done = True

    def inspection(self, warnings: Sequence[VideoWarning], took_s: float) -> Inspection:
        """The inspection, after the last frame.

        Args:
            warnings: that the decoder gave.
            took_s: seconds that decoding took.

        Raises:
            VideoError: nothing was seen.
        """
        lengths, start_s, until_s = self._lengths, self._start_s, self._until_s
        if not lengths:
            told = f"ends before {start_s:.2f} s, where the part to be read begins"
            raise VideoError(self._decoder.path, told, "no-such-part")
        stream = self._decoder.stream
        facts = Facts(
            container=self._decoder.container.format.name,
            codec=stream.codec_context.name,
            width=self._width,
            height=self._height,
            fps=len(lengths) / max(sum(lengths), 1e-6) if sum(lengths) else float(frame_rate(stream)),
            duration_s=until_s - start_s,
            missing_s=self._missing,
            rotation=self._small.orientation.rotation,
            uneven=_uneven(lengths[:-1]),
            cuts=self._cuts + len(self._finder.finish()),
            damage=tuple(str(one) for one in warnings if one.kind in _DAMAGE),
            cut=any(one.kind == "truncated" for one in warnings),
            took_s=took_s,
        )
        spread = np.stack(self._backgrounds.evenly(_BACKGROUND_FRAMES, start_s, until_s))
        middle = np.partition(spread, len(spread) // 2, axis=0)[len(spread) // 2]
        jpeg = cv2.imencode(".jpg", middle[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        return Inspection(facts, np.stack(self._thumbnails.evenly(FRAMES, start_s, until_s)), jpeg)


def read_details(path: str | os.PathLike[str], start_s: float = 0.0, end_s: float | None = None) -> NDArray[np.uint8]:
    """Grey pictures (48, 160, W) of a video or a part of it, at the instants of its thumbnails.

    Raises:
        VideoError: it cannot be read.
    """
    pictures: _Spread[NDArray[np.uint8]] = _Spread(4 * FRAMES)
    until_s = start_s
    with Decoder(path) as decoder:
        height, width = decoder.converter(size=(SIDE, SIDE)).displayed
        convert = decoder.converter(size=(_BACKGROUND_HEIGHT, max(8, round(_BACKGROUND_HEIGHT * width / height))))
        for frame in _until(decoder.iter_frames(start_s), end_s):
            until_s = frame.pts_s + frame.duration_s
            if pictures.wants_next():
                pictures.add(frame.pts_s, (convert(frame.frame) @ _GREY).round().astype(np.uint8))
    return np.stack(pictures.evenly(FRAMES, start_s, until_s))


def _until(frames: Iterator[TimedFrame], end_s: float | None) -> Iterator[TimedFrame]:
    for shown in frames:
        if end_s is not None and shown.pts_s >= end_s:
            return
        yield shown


class _Spread(Generic[T]):
    """An even sample of items that come one by one, nobody knows how many: every k-th, where k doubles as it fills."""

    def __init__(self, most: int) -> None:
        self._most, self._step, self._seen = most, 1, 0
        self._items: list[tuple[float, T]] = []

    def wants_next(self) -> bool:
        """Whether the next item is to be added; call it once for each."""
        self._seen += 1
        return (self._seen - 1) % self._step == 0

    def add(self, time_s: float, item: T) -> None:
        self._items.append((time_s, item))
        if len(self._items) > self._most:
            self._items = self._items[::2]
            self._step *= 2

    def evenly(self, count: int, start_s: float, end_s: float) -> list[T]:
        """The items shown at ``count`` instants spread over the time from start to end."""
        times = np.array([time for time, _ in self._items])
        instants = start_s + (np.arange(count) + 0.5) / count * (end_s - start_s)
        places = np.searchsorted(times, instants + 1e-6, side="right") - 1
        return [self._items[place][1] for place in places.clip(0)]


def _uneven(lengths: list[float]) -> float:
    """Share of the frames shown a quarter longer or shorter than most (and by more than rounding to milliseconds)."""
    if len(lengths) < 4:
        return 0.0
    usual = float(np.median(lengths))
    return float(np.mean(np.abs(np.array(lengths) - usual) > max(usual / 4, 0.0021)))


def _kind(path: Path, error: VideoError) -> str:
    """Why a file cannot be used, in one word."""
    if not path.is_file() or not os.access(path, os.R_OK):
        return "missing"
    return _KINDS.get(error.kind, "unreadable")
