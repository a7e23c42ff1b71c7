"""Frames to a video file that plays everywhere, with the sound of another file if wanted.

The container follows the suffix: ``.mp4``, ``.m4v``, ``.mov`` and ``.mkv`` hold H.264, ``.webm`` VP9, ``.avi``
MPEG-4 part 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import av
import av.codec
import av.error
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError, VideoWarning
from kineme.files import atomic_write, cannot_write
from kineme.video.container import PathLike
from kineme.video.sound import SoundTrack

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_H264 = ("libx264", "libopenh264", "mpeg4")
_CODECS: dict[str, tuple[str, ...]] = {
    ".mp4": _H264,
    ".m4v": _H264,
    ".mov": _H264,
    ".mkv": _H264,
    ".webm": ("libvpx-vp9", "libvpx"),
    ".avi": ("mpeg4",),
}
_OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "libvpx-vp9": {"crf": "31", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    "mpeg4": {"flags": "+qscale", "global_quality": "354"},  # a quantiser of 3, in FFmpeg's unit of 1/118
    "mjpeg": {"flags": "+qscale", "global_quality": "354"},
}
# These codecs say in the stream that their colours are BT.709; of the others players assume BT.601.
_SAY_THEIR_COLOURS = ("libx264", "libopenh264", "libx265", "libvpx-vp9")
_VARIABLE_TIME_BASE = Fraction(1, 90_000)
_NTSC = [Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120)]


class VideoWriter:
    """Writes RGB frames to a video file; use it in a ``with`` statement.

    The file appears under its name only when the ``with`` block ends without an error.

    Args:
        path: where to; the suffix chooses the container.
        width: pixels of the frames to come. An odd size is padded by one pixel, since players want even ones.
        height: pixels.
        fps: frames per second, exact: 30000/1001 stays 30000/1001 (and 29.97 is taken to mean it).
        sound_from: a video whose sound is kept, in step with its first frame: copied where the container can hold
            it, else encoded anew. A file without sound adds none.
        codec: name of an FFmpeg encoder instead of the usual one.
        options: options of the encoder (``{"g": "250", "bf": "2"}``), over the usual ones.
        pixel_format: FFmpeg's name; ``yuv420p`` is the one that plays everywhere.
        in_fragments: for videos without a known end: an MP4 is written in pieces that need no index, so that it can be
            as long as you like, and the written part can be played even if the process is killed.
        on_warning: called with one line when the sound cannot be kept.

    Raises:
        UsageError: the suffix or the codec is not known.
        KinemeError: the file cannot be written, such as on a full disk.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        width: int,
        height: int,
        fps: Fraction | float,
        sound_from: PathLike | None = None,
        codec: str | None = None,
        options: Mapping[str, str] | None = None,
        pixel_format: str = "yuv420p",
        in_fragments: bool = False,
        on_warning: Callable[[VideoWarning], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.width, self.height = width, height
        self.fps = exact_rate(fps)
        self.codec = _usable_codec(self.path, codec)
        self._options = {**_OPTIONS.get(self.codec, {}), **(options or {})}
        self._pixel_format = pixel_format
        self._container_options = {"movflags": "+faststart"}
        if in_fragments:
            self._container_options = {"movflags": "+frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
        self._sound_from = sound_from
        self._on_warning = on_warning
        self._reformatter = VideoReformatter()
        self._time_base: Fraction | None = None  # known with the first frame: constant or variable rate
        self._last_pts = -1
        self._durations: dict[int, int] = {}  # of frames that the encoder has
        self._frames = 0

    def __enter__(self) -> Self:
        self._writing = atomic_write(self.path)
        temporary = self._writing.__enter__()
        self._resources = ExitStack()
        try:
            with _disk_errors(self.path):
                options = self._container_options if self.path.suffix.lower() in (".mp4", ".m4v", ".mov") else {}
                self._container: OutputContainer = av.open(
                    str(temporary.absolute()), "w", format=_format(self.path), options=options
                )
            self._stream: VideoStream = self._add_stream()
            self._sound: SoundTrack | None = None
            if self._sound_from is not None:
                track = SoundTrack(self._sound_from, self._container, on_warning=self._on_warning)
                self._sound = self._resources.enter_context(track)
        except BaseException as error:
            self._abandon()
            raise error
        return self

    def write(
        self, frame_HWC: NDArray[np.uint8], pts_s: float | None = None, *, duration_s: float | None = None
    ) -> None:
        """Add a frame.

        Args:
            frame_HWC: uint8, RGB, of the writer's height and width.
            pts_s: when it is shown, in seconds; None for the next one at the constant rate. The first call decides
                for all: a video has a constant or a variable rate. Without sound the first frame is shown from the
                beginning on, where a player's clock begins.
            duration_s: how long it is shown, which of the last frame nothing else tells; None for one at the rate.

        Raises:
            ValueError: the frame has another shape or type, or the rate changes its kind.
            KinemeError: the disk is full, or an AVI is given time stamps, which it cannot hold.
        """
        if frame_HWC.shape != (self.height, self.width, 3) or frame_HWC.dtype != np.uint8:
            wanted = (self.height, self.width, 3)
            raise ValueError(f"a frame must be uint8 of shape {wanted}, not {frame_HWC.dtype} {frame_HWC.shape}")
        time_base = 1 / self.fps if pts_s is None else _VARIABLE_TIME_BASE
        if self._time_base is None:
            self._begin(time_base)
        elif self._time_base != time_base:
            raise ValueError("give time stamps for all frames or for none")
        pts = self._frames if pts_s is None else max(round(pts_s / time_base), self._last_pts + 1)
        if not self._frames and self._sound is None:
            pts = 0
        if duration_s is not None:
            self._durations[pts] = max(1, round(duration_s / time_base))
        frame = self._to_encoder(frame_HWC)
        frame.pts, frame.time_base = pts, time_base
        with _disk_errors(self.path):
            self._mux(self._stream.encode(frame))
            if self._sound is not None:
                self._sound.write_until(float(pts * time_base))
        self._last_pts = pts
        self._end_s = float(pts * time_base) + (duration_s or float(1 / self.fps))
        self._frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            if self._time_base is None:
                raise KinemeError(f"{self.path}: no frame was written, so there is no video")
            with _disk_errors(self.path):
                self._mux(self._stream.encode(None))
                if self._sound is not None:
                    self._sound.write_until(self._end_s)
                    self._sound.finish()
                self._container.close()
        except BaseException as failure:
            self._abandon()
            raise failure
        self._resources.close()
        self._writing.__exit__(None, None, None)

    def _add_stream(self) -> VideoStream:
        stream = cast("VideoStream", self._container.add_stream(self.codec, rate=self.fps, options=self._options))
        stream.width, stream.height = self.width + self.width % 2, self.height + self.height % 2
        stream.pix_fmt = self._pixel_format
        context = stream.codec_context
        context.color_range = ColorRange.JPEG if self._pixel_format.startswith("yuvj") else ColorRange.MPEG
        self._matrix = Colorspace.ITU709 if self.codec in _SAY_THEIR_COLOURS else Colorspace.ITU601
        if self._matrix == Colorspace.ITU709:
            context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        return stream

    def _begin(self, time_base: Fraction) -> None:
        if time_base == _VARIABLE_TIME_BASE and self.path.suffix.lower() == ".avi":
            raise KinemeError(f"{self.path}: AVI cannot hold a variable rate; write .mp4 or .mkv")
        if time_base == _VARIABLE_TIME_BASE and self.codec == "libx264":
            # MP4 stores the time from one frame decoded to the next: how long it is shown only without B-frames.
            self._stream.codec_context.options = {"bf": "0", **self._options}
        self._time_base = time_base
        self._stream.codec_context.time_base = time_base
        self._stream.time_base = time_base

    def _to_encoder(self, frame_HWC: NDArray[np.uint8]) -> av.VideoFrame:
        if self.height % 2 or self.width % 2:
            frame_HWC = np.pad(frame_HWC, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), format="rgb24"),
            format=self._pixel_format,
            dst_colorspace=self._matrix,
            dst_color_range=self._stream.codec_context.color_range,
            interpolation=Interpolation.AREA,
            threads=1,
        )

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            duration = None if packet.pts is None else self._durations.pop(packet.pts, None)
            if duration or not packet.duration:  # of the last frame nothing else tells how long it is shown
                packet.duration = duration or max(1, round(1 / self.fps / packet.time_base))
            self._container.mux(packet)

    def _abandon(self) -> None:
        """Close all streams and remove the temporary file, even after an error."""
        container = getattr(self, "_container", None)
        if container is not None:
            with suppress(Exception):
                container.close()
        self._resources.close()
        abandoned = KinemeError("abandoned")
        self._writing.__exit__(KinemeError, abandoned, None)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn FFmpeg's error while writing into the one line that names the file."""
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        raise cannot_write(path, OSError(error.errno, error.strerror or str(error))) from error


def exact_rate(fps: Fraction | float) -> Fraction:
    """``fps`` as a fraction; 29.97 and its kin become 30000/1001.

    Raises:
        UsageError: not between 0.01 and 1000.
    """
    if not 0.01 <= fps <= 1000:
        raise UsageError(f"fps must be between 0.01 and 1000, not {fps}")
    if isinstance(fps, Fraction):
        return fps
    for rate in _NTSC:
        if abs(float(rate) - fps) < 0.005:
            return rate
    return Fraction(fps).limit_denominator(1001)


def _usable_codec(path: Path, codec: str | None) -> str:
    suffix = path.suffix.lower()
    if suffix not in _CODECS:
        raise UsageError(f"{path}: the name of a video to write must end in {', '.join(_CODECS)}")
    for name in (codec,) if codec else _CODECS[suffix]:
        with suppress(av.codec.codec.UnknownCodecError):
            return av.codec.Codec(name, "w").name
    raise UsageError(f"{path}: this build of FFmpeg has no encoder {codec or ' or '.join(_CODECS[suffix])}")


def _format(path: Path) -> str:
    """FFmpeg's name of the container; ".m4v" alone would give a raw stream."""
    names = {".mkv": "matroska", ".m4v": "mp4"}
    suffix = path.suffix.lower()
    return names.get(suffix, suffix[1:])
