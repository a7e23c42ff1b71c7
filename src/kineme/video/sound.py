"""The sound of one video put into another, in step with its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import av
import av.codec
import av.error
import numpy as np

from kineme.errors import VideoWarning
from kineme.video.container import PathLike, open_container, time_base, video_stream
from kineme.video.decode import time_zero
from kineme.video.timestamps import TimestampRepair

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

# What each container holds and players play (None: anything), and the encoder for all else.
_HOLDS: dict[str, tuple[frozenset[str] | None, str]] = {
    "mp4": (frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"}), "aac"),
    "mov": (frozenset({"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le"}), "aac"),
    "matroska": (None, "aac"),
    "webm": (frozenset({"opus", "vorbis"}), "libopus"),
    "avi": (frozenset({"mp3", "ac3", "pcm_s16le", "pcm_u8"}), "libmp3lame"),
}
_MOST_WAITING = 500  # packets


class SoundTrack:
    """The sound of a file, copied or encoded into ``output`` a little at a time.

    Times are counted from time zero of the source. Sound before it is left out, as is sound past the end of the
    written video. A source without sound adds none.

    Args:
        source: the file whose sound is wanted.
        output: container that has not been written to yet.
        on_warning: called with one line when the sound, or its rest, cannot be kept.
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
        self._last_dts: int | None = None
        self._heard_s = Fraction(-1)  # until when there is sound, where it is encoded

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            container = stack.enter_context(open_container(self._source))
            pictures = video_stream(container, self._source)
            if container.streams.audio:
                best = container.streams.best("audio", pictures)
                sound = cast("AudioStream", best or container.streams.audio[0])
                self._out = self._add_stream(sound)
                self._zero_s = time_zero(self._source)
                self._packets = _InStep(container, pictures, sound).packets()
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
                self._warn(f"the sound is damaged ({error.strerror}); the sound before it is kept")
                return
            yield packet

    def _copy(self, packet: Packet[AudioStream], out: AudioStream) -> None:
        shift = round(self._zero_s / packet.time_base)
        if packet.pts is None or packet.pts < shift:
            return
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        if self._last_dts is not None and packet.dts <= self._last_dts:
            return  # of two recordings that overlap where they are joined, the first is heard
        self._last_dts = packet.dts
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
        """The part of ``frame`` that is not before time zero, with its time counted from there."""
        if frame.pts is None or frame.time_base is None:
            return None
        begins_s = frame.pts * frame.time_base - self._zero_s
        early = max(0, round(-begins_s * frame.sample_rate))
        length_s = Fraction(frame.samples, frame.sample_rate)
        if early >= frame.samples or begins_s < self._heard_s - length_s / 2:
            return None  # of two recordings that overlap where they are joined, the first is heard
        begins_s = max(begins_s, self._heard_s)
        self._heard_s = begins_s + length_s
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


class _InStep:
    """The sound of a file on the clock of its pictures: where that was set right, so is that of the sound.

    Both step where recordings are joined, but seldom in the same packet: sound that has stepped waits for the pictures.
    """

    def __init__(self, container: InputContainer, pictures: VideoStream, sound: AudioStream) -> None:
        self._demuxer = container.demux(pictures, sound)
        self._pictures = pictures
        self._repair = TimestampRepair(container, pictures)
        self._longest_s = self._repair.longest * time_base(pictures)
        self._offset_s = Fraction(0)
        self._read_s: Fraction | None = None  # when the last packet is heard, by its own stamp
        self._end_s = Fraction(0)  # where what has come ends, set right

    def packets(self) -> Iterator[Packet[AudioStream]]:
        """Those of the sound that have time stamps, in order."""
        waiting: list[Packet[AudioStream]] = []
        for packet in self._demuxer:
            if packet.stream.index == self._pictures.index:
                if packet.size:
                    self._repair.mend(cast("Packet[VideoStream]", packet))
            elif packet.pts is not None:
                waiting.append(cast("Packet[AudioStream]", packet))
            if waiting and (self._is_placed(waiting[0]) or len(waiting) > _MOST_WAITING):
                yield from map(self._shifted, waiting)
                waiting = []
        yield from map(self._shifted, waiting)

    def _is_placed(self, packet: Packet[AudioStream]) -> bool:
        """Whether it is known where the next packet is heard; else it is assumed to start where the last one ends."""
        stamp_s = _stamp_s(packet)
        if self._read_s is None:  # sound may begin only after a joint
            self._offset_s = self._repair.offsets[-1]
            return True
        if -1 < stamp_s - self._read_s <= self._longest_s:
            return True
        gaps_s = {offset_s: stamp_s + offset_s - self._end_s for offset_s in self._repair.offsets}
        fitting = {offset_s: gap_s for offset_s, gap_s in gaps_s.items() if -1 <= gap_s <= self._longest_s}
        self._offset_s = min(fitting, key=fitting.__getitem__, default=self._end_s - stamp_s)
        return bool(fitting)

    def _shifted(self, packet: Packet[AudioStream]) -> Packet[AudioStream]:
        self._read_s = _stamp_s(packet)
        self._end_s = self._read_s + self._offset_s + (packet.duration or 0) * packet.time_base
        ticks = round(self._offset_s / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
        return packet


def _stamp_s(packet: Packet[AudioStream]) -> Fraction:
    return (packet.pts or 0) * packet.time_base
