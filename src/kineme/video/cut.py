"""A part of a video as a file of its own, without sound: a copy where a key frame allows it, else encoded anew."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error

from kineme.errors import VideoError
from kineme.files import atomic_write
from kineme.video.container import PathLike, open_container, video_stream
from kineme.video.decode import EPSILON_S, Decoder, read_frames
from kineme.video.probe import VideoInfo, probe
from kineme.video.timestamps import TimestampRepair, has_display_times
from kineme.video.write import VideoWriter

# FFmpeg's name of the container, to the suffix a copy gets and the name to write it with.
_COPIED_AS = {
    "mov,mp4,m4a,3gp,3g2,mj2": (".mp4", "mp4"),
    "matroska,webm": (".mkv", "matroska"),
    "avi": (".avi", "avi"),
}
_QUALITY = {"crf": "18"}
_DEEPEST = 64  # frames between where one is stored and where it is shown; H.264 and its kin allow 16


@dataclass(frozen=True)
class CutClip:
    """A part that was cut.

    Args:
        path: the file.
        start_s: when its first frame is shown in the source, seconds.
        end_s: when its last frame ends there.
        frames: how many it has.
        copied: whether it is a copy without any loss; else it was encoded anew as H.264.
    """

    path: Path
    start_s: float
    end_s: float
    frames: int
    copied: bool


@dataclass(frozen=True)
class _Stored:
    """A packet of the source, in the order of decoding: when it is shown, in ticks, and whether decoding can begin."""

    shown: int
    is_key: bool


class Cutter:
    """Cuts parts out of one video.

    A part holds the frames from the one shown at its start to the last one that begins before its end. It is copied
    where its first frame is a key frame (or the next one is) and its last frame refers to at most one of the frames
    after it: it then begins and ends within a frame of the requested times. Otherwise it is encoded anew, exact to the
    frame. The times of frames are those of the source either way.

    Args:
        video: the source.

    Raises:
        VideoError: it cannot be read.
    """

    def __init__(self, video: PathLike) -> None:
        self.video = video
        self.info: VideoInfo = probe(video)
        self._packets: list[_Stored] = []
        with Decoder(video) as decoder:
            self._zero, self._time_base = decoder.zero, decoder.time_base
            name = decoder.container.format.name
            # An AVI does not tell when frames are shown that are stored in another order.
            ordered = has_display_times(decoder.container) or not decoder.stream.codec_context.has_b_frames
            upright = not self.info.rotation and not self.info.is_mirrored
            self._copied_as = _COPIED_AS.get(name) if ordered and upright else None
        if self._copied_as is not None:
            self._packets = _index(video)
        self._shown = sorted(packet.shown for packet in self._packets)
        self._place = {packet.shown: index for index, packet in enumerate(self._packets)}
        self._keys = {packet.shown: self._place[packet.shown] for packet in self._packets if packet.is_key}

    def cut(self, start_s: float, end_s: float, stem: Path) -> CutClip:
        """Cut from ``start_s`` to ``end_s`` (seconds) into ``stem`` plus a suffix.

        Raises:
            VideoError: nothing lies there.
            KinemeError: the file cannot be written.
        """
        span = self._copyable(start_s, end_s)
        if span is not None:
            with suppress(av.error.FFmpegError):  # of a damaged source some packets cannot be copied
                return self._copy(*span, stem)
        return self._encode(start_s, end_s, stem)

    def _copyable(self, start_s: float, end_s: float) -> tuple[int, int] | None:
        """First and last packet of a copy, or None where there cannot be one."""
        start = self._zero + math.floor(Fraction(start_s + EPSILON_S) / self._time_base)
        end = self._zero + math.ceil(Fraction(end_s - EPSILON_S) / self._time_base)
        at_start = max(0, bisect_right(self._shown, start) - 1)
        at_end = bisect_left(self._shown, end)  # the first frame that is left out
        candidates = self._shown[at_start : min(at_start + 2, at_end)]
        first = next((self._keys[one] for one in candidates if one in self._keys), None)
        if first is None or at_end <= at_start:
            return None
        last = max(self._place[one] for one in self._shown[max(at_start, at_end - _DEEPEST) : at_end])
        too_late = [one.shown for one in self._packets[first : last + 1] if one.shown >= end]
        return (first, last) if too_late in ([], self._shown[at_end : at_end + 1]) else None

    def _copy(self, first: int, last: int, stem: Path) -> CutClip:
        assert self._copied_as is not None
        suffix, name = self._copied_as
        own = Path(self.video).suffix.lower()
        path = Path(f"{stem}{own if own in ('.webm', '.mov', '.m4v') else suffix}")
        begin = self._packets[first].shown
        frames = [one.shown for one in self._packets[first : last + 1] if one.shown >= begin]
        with (
            atomic_write(path) as temporary,
            open_container(self.video) as source,
            av.open(str(temporary.absolute()), "w", format="webm" if path.suffix == ".webm" else name) as output,
        ):
            stream = video_stream(source, self.video)
            out = output.add_stream_from_template(stream)
            number = -1
            for packet in TimestampRepair(source, stream).packets(source.demux(stream)):
                if not packet.size or packet.is_discard:
                    continue
                number += 1
                if number > last:
                    break
                shown = packet.dts if packet.pts is None else packet.pts
                # What is shown before the key frame but stored after it refers to frames that are not copied.
                if number < first or shown is None or shown < begin:
                    continue
                packet.pts = shown - begin
                packet.dts = None if packet.dts is None else packet.dts - begin
                packet.stream = out
                output.mux(packet)
        after = bisect_right(self._shown, max(frames))
        ends_s = self._seconds(self._shown[after]) if after < len(self._shown) else self.info.duration_s
        return CutClip(path, self._seconds(begin), ends_s, len(frames), True)

    def _seconds(self, ticks: int) -> float:
        return float((ticks - self._zero) * self._time_base)

    def _encode(self, start_s: float, end_s: float, stem: Path) -> CutClip:
        path = Path(f"{stem}.mp4")
        frames = read_frames(self.video, start_s=start_s, end_s=end_s)
        first = next(frames, None)
        if first is None:
            raise VideoError(self.video, f"has no frame between {start_s:.2f} s and {end_s:.2f} s", "no-such-part")
        height, width = first.pixels_HWC.shape[:2]
        count, last = 1, first
        with VideoWriter(path, width=width, height=height, fps=self.info.fps, options=_QUALITY) as writer:
            writer.write(first.pixels_HWC, 0.0, duration_s=first.duration_s)
            for last in frames:
                writer.write(last.pixels_HWC, last.pts_s - first.pts_s, duration_s=last.duration_s)
                count += 1
        return CutClip(path, first.pts_s, last.pts_s + last.duration_s, count, False)


def _index(video: PathLike) -> list[_Stored]:
    """The packets that hold frames to be shown, in the order of decoding; none where one has no time."""
    packets = []
    with open_container(video) as container:
        try:
            stream = video_stream(container, video)
            for packet in TimestampRepair(container, stream).packets(container.demux(stream)):
                if not packet.size or packet.is_discard:
                    continue
                shown = packet.dts if packet.pts is None else packet.pts
                if shown is None:
                    return []
                packets.append(_Stored(shown, packet.is_keyframe))
        except av.error.FFmpegError:
            return []  # damaged: what can be decoded is encoded anew
    return packets
