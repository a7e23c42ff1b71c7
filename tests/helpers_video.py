"""Makes small real video files of every awkward kind. Each frame shows its own number, so that it can be read back."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 12
RED, GREEN, BLUE = (220, 30, 30), (30, 220, 30), (30, 30, 220)


def numbered_frame(number: int, height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    """A frame of 4 x 4 cells: red, green, blue corners (top left, top right, bottom left), else the bits of ``number``.

    The bottom right corner is black.
    """
    rows = np.linspace(0, height, 5).round().astype(int)
    columns = np.linspace(0, width, 5).round().astype(int)
    frame = np.zeros((height, width, 3), np.uint8)
    bit = 0
    for row in range(4):
        for column in range(4):
            corner = {(0, 0): RED, (0, 3): GREEN, (3, 0): BLUE, (3, 3): (0, 0, 0)}.get((row, column))
            if corner is None:
                corner = (235,) * 3 if number >> bit & 1 else (20,) * 3
                bit += 1
            frame[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = corner
    return frame


def read_number(frame_HWC: NDArray[np.uint8]) -> int:
    """The number a frame of :func:`numbered_frame` shows, at any size."""
    height, width = frame_HWC.shape[:2]
    number = bit = 0
    for row in range(4):
        for column in range(4):
            if (row, column) in ((0, 0), (0, 3), (3, 0), (3, 3)):
                continue
            value = frame_HWC[int((row + 0.5) * height / 4), int((column + 0.5) * width / 4)].mean()
            number |= int(value > 127) << bit
            bit += 1
    return number


def corners(frame_HWC: NDArray[np.uint8]) -> str:
    """Colours of the top left, top right, bottom left and bottom right corner cells, such as ``"rgb-"``."""
    height, width = frame_HWC.shape[:2]
    letters = ""
    for row, column in ((1 / 8, 1 / 8), (1 / 8, 7 / 8), (7 / 8, 1 / 8), (7 / 8, 7 / 8)):
        pixel = frame_HWC[int(row * height), int(column * width)].astype(int)
        letters += "rgb"[int(pixel.argmax())] if pixel.max() > 120 else "-"
    return letters


@contextmanager
def _usual_priority() -> Iterator[None]:
    """SVT-AV1 gives the thread that opens it real-time priority where it may, as root, and never takes it back.

    From then on all that this process starts would go before everything else on the machine.
    """
    if not hasattr(os, "sched_getscheduler"):  # not Linux
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def encode(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    fps: Fraction | int = 25,
    times_s: Sequence[float] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
    movflags: str = "",
    tags: dict[str, str] | None = None,
    sound: str | None = None,
    sound_rate: int = 44_100,
    tone: float | None = None,
) -> Path:
    """Encode RGB ``frames`` with PyAV alone, at ``fps`` or at ``times_s``; ``sound`` names an audio encoder.

    The sound is a click of 50 ms at each whole second of its own clock, or a ``tone`` of so many hertz, and lasts as
    long as the pictures.
    """
    pictures = list(frames)
    height, width = pictures[0].shape[:2]
    time_base = Fraction(1, 90_000) if times_s is not None else 1 / Fraction(fps)
    options_of_file = {"movflags": movflags} if movflags else {}
    with _usual_priority(), av.open(str(path), "w", options=options_of_file) as container:
        stream = container.add_stream(codec, rate=Fraction(fps), options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = time_base
        stream.metadata.update(tags or {})
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        audio = container.add_stream(sound, rate=sound_rate) if sound else None
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
            frame.pts = index if times_s is None else round(times_s[index] / time_base)
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            seconds = float(len(pictures) / Fraction(fps)) if times_s is None else times_s[-1]
            container.mux(_clicks(audio, seconds, sound_rate, tone))
            container.mux(audio.encode(None))
    return path


def numbered_video(path: Path, count: int = 50, *, height: int = 96, width: int = 128, **how: object) -> Path:
    """A video whose frame ``i`` shows the number ``i``; ``how`` goes to :func:`encode`."""
    return encode(path, (numbered_frame(number, height, width) for number in range(count)), **how)  # type: ignore[arg-type]


def sound_only(path: Path, *, codec: str = "aac", seconds: float = 1.0) -> Path:
    """A file with a sound stream and nothing else."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream(codec, rate=44_100)
        container.mux(_clicks(audio, seconds, 44_100))
        container.mux(audio.encode(None))
    return path


def click_times(path: Path) -> list[float]:
    """When the clicks of :func:`encode`'s sound begin, in seconds on the file's clock."""
    starts: list[float] = []
    with av.open(str(path)) as container:
        quiet_since = -1.0
        for frame in container.decode(container.streams.audio[0]):
            samples = frame.to_ndarray()
            if not frame.format.is_planar:
                samples = samples.reshape(-1, frame.layout.nb_channels).T
            loud = np.abs(samples[0].astype(np.float64))
            loud = loud / 32768 if samples.dtype == np.int16 else loud
            for index in np.flatnonzero(loud > 0.2):
                time_s = float(frame.pts * frame.time_base) + index / frame.sample_rate
                if time_s - quiet_since > 0.2:
                    starts.append(time_s)
                quiet_since = time_s
    return starts


def _clicks(audio: object, seconds: float, rate: int, tone: float | None = None) -> list[object]:
    times = np.arange(int(seconds * rate)) / rate
    wave = np.where((times % 1.0 < 0.05) | (tone is not None), 0.8 * np.sin(2 * np.pi * (tone or 880) * times), 0.0)
    pcm = (wave * 32767).astype(np.int16)
    packets: list[object] = []
    for begin in range(0, len(pcm), 1024):
        part = np.repeat(pcm[begin : begin + 1024], 2)[None]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = begin
        packets += audio.encode(frame)  # type: ignore[attr-defined]
    return packets


def turn_mp4(path: Path, clockwise: int) -> Path:
    """Write into an MP4, in place, that it is to be turned by 0, 90, 180 or 270 degrees for display."""
    turns = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
    return lay_mp4(path, *turns[clockwise])


def lay_mp4(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write a display matrix into an MP4, in place: a stored point (x, y) is shown at (a x + c y, b x + d y)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # of version 0, which FFmpeg writes for short files
    one = 1 << 16
    data[at : at + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def stretch_header(path: Path, times: int) -> Path:
    """Make the header of an MP4, AVI or MKV say, in place, that the video is ``times`` as long as it is."""
    data = bytearray(path.read_bytes())

    def multiply(at: int, order: str) -> None:
        data[at : at + 4] = struct.pack(order + "I", struct.unpack(order + "I", data[at : at + 4])[0] * times)

    if path.suffix == ".mkv":
        at = data.index(b"\x44\x89\x88") + 3  # Duration, a double
        data[at : at + 8] = struct.pack(">d", struct.unpack(">d", data[at : at + 8])[0] * times)
    elif path.suffix == ".avi":
        multiply(data.index(b"avih") + 8 + 16, "<")
        multiply(data.index(b"strh") + 8 + 32, "<")
    else:
        multiply(data.index(b"mvhd") + 4 + 16, ">")
        multiply(data.index(b"tkhd") + 4 + 20, ">")
        multiply(data.index(b"mdhd") + 4 + 16, ">")
        if b"elst" in data:
            multiply(data.index(b"elst") + 4 + 8, ">")
    path.write_bytes(data)
    return path


def cut_file(path: Path, share: float, to: Path) -> Path:
    """The first ``share`` of the bytes of a file."""
    data = path.read_bytes()
    to.write_bytes(data[: int(len(data) * share)])
    return to


def scramble(path: Path, begin: float, end: float) -> Path:
    """Overwrite a stretch of a file, in place, with noise; ``begin`` and ``end`` are shares of its length."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * begin), int(len(data) * end)
    data[first:last] = np.random.default_rng(0).integers(0, 256, last - first, np.uint8).tobytes()
    path.write_bytes(data)
    return path
