"""Keeps the newest packets of a live source as they came, and cuts an MP4 of the seconds around an event from them."""

from __future__ import annotations

import io
import threading
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.packet import Packet
from av.video.reformatter import VideoReformatter

from kineme.files import atomic_write
from kineme.video.write import VideoWriter

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_MOST_BYTES = 128 << 20
_COPIED = ("h264", "hevc", "av1", "vp9")  # what players take within an MP4; the rest is encoded anew


@dataclass(frozen=True, eq=False)
class _Kept:
    """A packet, with its times in the units of ``_Source.time_base``, and when it came (``time.monotonic()``)."""

    content: bytes
    pts: int | None
    dts: int | None
    is_key: bool
    received_s: float


@dataclass(frozen=True, eq=False)
class _Source:
    """What must be known of a connection's stream to write or decode its packets when it has gone.

    Args:
        number: of the connection.
        header: the beginning of a NUT file, with one packet.
        codec: FFmpeg's name.
        time_base: of its packets.
    """

    number: int
    header: bytes
    codec: str
    time_base: Fraction


class PacketBuffer:
    """The newest packets of a source, from a key frame on: so many seconds, and 128 MB at most.

    Args:
        keep_s: how many seconds.
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._packets: deque[_Kept] = deque()
        self._bytes = 0
        self._source: _Source | None = None

    def add(self, packet: Packet[VideoStream], stream: VideoStream, connection: int, received_s: float) -> None:
        """Keep a packet; called by the thread that reads the source."""
        if not packet.size:
            return
        kept = _Kept(bytes(packet), packet.pts, packet.dts, packet.is_keyframe, received_s)
        with self._lock:
            if self._source is None or self._source.number != connection:
                self._packets.clear()
                self._bytes = 0
                if not kept.is_key:
                    return
                self._source = _source_of(kept, stream, connection)
            self._packets.append(kept)
            self._bytes += len(kept.content)
            self._drop_old(received_s)

    @property
    def bytes_kept(self) -> int:
        """How much of the source is kept now."""
        return self._bytes

    def _drop_old(self, now_s: float) -> None:
        """Drop packets before the newest key frame that is old enough, and those over the limit."""
        keys = [number for number, one in enumerate(self._packets) if one.is_key]
        first = max((number for number in keys if self._packets[number].received_s <= now_s - self._keep_s), default=0)
        if self._bytes > _MOST_BYTES:
            first = max(first, next((number for number in keys if number), len(self._packets)))
        for _ in range(first):
            self._bytes -= len(self._packets.popleft().content)

    def save(self, path: Path, start_s: float, end_s: float) -> bool:
        """Write the packets between two instants (``time.monotonic()``), from the key frame before on.

        Returns:
            Whether there was anything.

        Raises:
            KinemeError: the file cannot be written.
        """
        with self._lock:
            source, packets = self._source, [one for one in self._packets if one.received_s <= end_s]
        begin = max((k for k, one in enumerate(packets) if one.is_key and one.received_s <= start_s), default=0)
        packets = packets[begin:]
        if source is None or not packets:
            return False
        if source.codec in _COPIED:
            _copy(source, packets, path)
        else:
            _encode(source, packets, path)
        return True


def _source_of(first: _Kept, stream: VideoStream, number: int) -> _Source:
    time_base = stream.time_base or Fraction(1, 90_000)
    header = io.BytesIO()
    with av.open(header, "w", format="nut") as container:
        container.mux(_packet(first, container.add_stream_from_template(stream), time_base, 0, 0))
    return _Source(number, header.getvalue(), stream.codec_context.name, time_base)


def _packet(kept: _Kept, stream: VideoStream | None, time_base: Fraction, pts: int, dts: int) -> Packet[VideoStream]:
    packet = cast("Packet[VideoStream]", Packet(kept.content))
    packet.pts, packet.dts, packet.time_base = pts, dts, time_base
    packet.is_keyframe = kept.is_key
    if stream is not None:
        packet.stream = stream
    return packet


def _timed(source: _Source, packets: list[_Kept]) -> list[tuple[_Kept, int, int]]:
    """Each packet with its pts and dts from zero; by when they came, where the source gives no such times."""
    own = [(one, one.pts, one.dts) for one in packets if one.pts is not None and one.dts is not None]
    if len(own) == len(packets) and all(later[2] > earlier[2] for earlier, later in pairwise(own)):
        zero = own[0][2]
        return [(one, pts - zero, dts - zero) for one, pts, dts in own]
    timed, last = [], -1
    for one in packets:
        last = max(last + 1, round((one.received_s - packets[0].received_s) / source.time_base))
        timed.append((one, last, last))
    return timed


def _copy(source: _Source, packets: list[_Kept], path: Path) -> None:
    timed = _timed(source, packets)
    with (
        atomic_write(path) as temporary,
        av.open(io.BytesIO(source.header), format="nut") as template,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        stream = container.add_stream_from_template(template.streams.video[0])
        for number, (one, pts, dts) in enumerate(timed):
            packet = _packet(one, stream, source.time_base, pts, dts)
            if number + 1 < len(timed):
                packet.duration = max(1, timed[number + 1][2] - dts)
            container.mux(packet)


def _encode(source: _Source, packets: list[_Kept], path: Path) -> None:
    seconds = max(packets[-1].received_s - packets[0].received_s, 0.04)
    fps = min(max(len(packets) / seconds, 1.0), 240.0)
    with ExitStack() as stack:
        template = stack.enter_context(av.open(io.BytesIO(source.header), format="nut"))
        context = template.streams.video[0].codec_context
        reformatter, writer = VideoReformatter(), None
        for one in packets:
            for frame in context.decode(_packet(one, None, source.time_base, 0, 0)):
                if writer is None:
                    writer = stack.enter_context(VideoWriter(path, width=frame.width, height=frame.height, fps=fps))
                same = reformatter.reformat(frame, writer.width, writer.height, format="rgb24")
                writer.write(np.asarray(same.to_ndarray(), np.uint8), pts_s=one.received_s - packets[0].received_s)
