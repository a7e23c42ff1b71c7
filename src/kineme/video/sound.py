"""The sound of one video put into another, in step with its first frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import av
import av.codec
import av.error
import numpy as np

from kineme.errors import VideoWarning
from kineme.video.container import PathLike, open_container
from kineme.video.decode import first_time

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet

# What each container holds and players play (None: anything), and the encoder for all else.
_HOLDS: dict[str, tuple[frozenset[str] | None, str]] = {
    "mp4": (frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"}), "aac"),
    "mov": (frozenset({"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le"}), "aac"),
    "matroska": (None, "aac"),
    "webm": (frozenset({"opus", "vorbis"}), "libopus"),
    "avi": (frozenset({"mp3", "ac3", "pcm_s16le", "pcm_u8"}), "libmp3lame"),
}


class SoundTrack:
    """The first sound stream of a file, copied or encoded into ``output`` a little at a time.

    Times are counted from the first displayed video frame of the source. Sound before it is left out, as is sound
    past the end of what is written. A source without sound adds none.

    Args:
        source: the file whose sound is wanted.
        output: container that has not been written to yet.
        on_warning: told in one line when the sound, or its rest, cannot be kept.
    """

    def __init__(
        self, source: PathLike, output: OutputContainer, *, on_warning: Callable[[VideoWarning], None] | None = None
    ) -> None:
        self._source = source
        self._output = output
        self._on_warning = on_warning
        self._resources = ExitStack()
        self._out: AudioStream | None = None
        self._encodes = False
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._pending: Packet[AudioStream] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            container = stack.enter_context(open_container(self._source))
            if container.streams.audio:
                source = container.streams.audio[0]
                self._out = self._add_stream(source)
                self._zero_s = first_time(self._source)
                self._packets = container.demux(source)
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def write_until(self, end_s: float) -> None:
        """Write the sound that begins before ``end_s``."""
        if self._out is None:
            return
        for packet in self._next_packets():
            if packet.pts is None:
                continue  # the empty packet at the end, or sound nobody can place
            if packet.pts * packet.time_base - self._zero_s >= end_s:
                self._pending = packet
                return
            if self._encodes:
                self._encode(packet, self._out)
            else:
                self._copy(packet, self._out)

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._encodes and self._out is not None:
            self._output.mux(self._out.encode(None))

    def _warn(self, line: str) -> None:
        if self._on_warning is not None:
            self._on_warning(VideoWarning(line, "sound"))

    def _add_stream(self, source: AudioStream) -> AudioStream | None:
        held, encoder = _HOLDS[self._output.format.name]
        if source.codec_context is None:
            self._warn("its sound is in a codec this FFmpeg does not know; written without sound")
            return None
        if held is None or source.codec_context.codec.canonical_name in held:
            return self._output.add_stream_from_template(source)
        with suppress(av.codec.codec.UnknownCodecError):
            rate = 48_000 if encoder == "libopus" else source.rate
            out = cast("AudioStream", self._output.add_stream(encoder, rate=rate))
            out.codec_context.layout = "mono" if source.channels == 1 else "stereo"
            self._encodes = True
            return out
        self._warn(f"this FFmpeg has no encoder {encoder} for its sound; written without sound")
        return None

    def _next_packets(self) -> Iterator[Packet[AudioStream]]:
        if self._pending is not None:
            packet, self._pending = self._pending, None
            yield packet
        while True:
            try:
                packet = next(self._packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                self._packets = iter(())
                self._warn(f"the sound is damaged ({error.strerror}); what comes before is kept")
                return
            yield packet

    def _copy(self, packet: Packet[AudioStream], out: AudioStream) -> None:
        shift = round(self._zero_s / packet.time_base)
        if packet.pts is None or packet.pts < shift:
            return
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        packet.stream = out
        self._output.mux(packet)

    def _encode(self, packet: Packet[AudioStream], out: AudioStream) -> None:
        frames: list[AudioFrame] = []
        with suppress(av.error.InvalidDataError):  # a damaged packet is a moment of silence
            frames = packet.decode()
        for frame in frames:
            kept = self._after_zero(frame)
            if kept is not None:
                self._output.mux(out.encode(kept))

    def _after_zero(self, frame: AudioFrame) -> AudioFrame | None:
        """The part of ``frame`` that is not before the first video frame, with its time counted from there."""
        if frame.pts is None or frame.time_base is None:
            return None
        begins_s = frame.pts * frame.time_base - self._zero_s
        early = max(0, round(-begins_s * frame.sample_rate))
        if early >= frame.samples:
            return None
        time_base, pts = frame.time_base, round(begins_s / frame.time_base)
        if early:
            samples = frame.to_ndarray()
            channels = 1 if frame.format.is_planar else frame.layout.nb_channels
            rest: Any = np.ascontiguousarray(samples[:, early * channels :])
            rate = frame.sample_rate
            frame = av.AudioFrame.from_ndarray(rest, format=frame.format.name, layout=frame.layout.name)
            frame.sample_rate, frame.time_base, pts = rate, time_base, 0
        frame.pts = pts
        return frame
