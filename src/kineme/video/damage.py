"""What of a video is lost, or does not look as it was meant to, and the lines that tell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av.error
from av.video.reformatter import ColorTrc

from kineme.errors import VideoWarning
from kineme.video.container import PathLike, frame_rate, open_container, time_base
from kineme.video.timestamps import has_display_times

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_HDR: dict[int, str] = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
_MICROSECONDS = 1_000_000
_TELL_THE_END = ("matroska,webm", "asf", "nut")  # in place of the length, where their clock begins late


@dataclass
class Losses:
    """The loss of frames found while a video is read.

    Attributes:
        frames: that have come.
        is_counted: whether that is from the start on.
        lost: frames that could not be decoded, or only with blemishes.
        lost_at_s: the last time before the first of them; None where nothing had come.
        is_cut: whether reading ended in an error.
    """

    frames: int = 0
    is_counted: bool = True
    lost: int = 0
    lost_at_s: float | None = None
    is_cut: bool = False

    def told(self, end_s: float, missing_s: float) -> Iterator[VideoWarning]:
        """The line that tells it, if there is anything to tell, once the last frame is known to end at ``end_s``."""
        if missing_s or self.is_cut:
            used = f"the first {self.frames} frames are used" if self.is_counted else "the part before it is used"
            says = f" (its header says {end_s + missing_s:.1f} s)" if missing_s else ""
            yield VideoWarning(f"damaged after {end_s:.1f} s{says}; {used}", "truncated")
        elif self.lost:
            at_s = 0.0 if self.lost_at_s is None else self.lost_at_s
            which = "a frame is" if self.lost == 1 else f"{self.lost} frames are"
            yield VideoWarning(f"damaged at {at_s:.1f} s; {which} lost or blemished, the others are used", "damaged")


def looks_told(first: VideoFrame) -> Iterator[VideoWarning]:
    """Lines on frames that do not look as on the screen they were made for, by the first of them."""
    if first.color_trc in _HDR:
        hdr = f"its colours are HDR ({_HDR[first.color_trc]}) and are not tone-mapped"
        yield VideoWarning(f"{hdr}: frames look paler than on an HDR screen", "colour")
    if first.interlaced_frame:
        line = "its frames are interlaced: both fields are shown at once, with combs where things move"
        yield VideoWarning(line, "interlaced")


def missing_s(container: InputContainer, stream: VideoStream, path: PathLike, zero_s: float, end_s: float) -> float:
    """How many seconds the frames, from ``zero_s`` to ``end_s`` on the container's clock, fall short of its duration.

    0 where it says nothing, or where they differ by no more than rounding and headers usually do.
    """
    period_s = float(1 / frame_rate(stream))
    if stream.duration is not None:
        length_s = float(stream.duration * time_base(stream))
        if not has_display_times(container):  # FFmpeg shortens the length of a cut AVI; the count stays as it was
            length_s = max(length_s, stream.frames * period_s)
            end_s -= zero_s  # what the decoder's delay has added
        # XviD's packed B-frames leave an empty packet or two at the end.
        usual_s = (3.5 if stream.codec_context.name == "mpeg4" else 1.5) * period_s + 0.005 * length_s
        begins_s = float((stream.start_time or 0) * time_base(stream))
    elif container.duration is not None:
        length_s = container.duration / _MICROSECONDS
        begins_s, usual_s = (container.start_time or 0) / _MICROSECONDS, 0.5
    else:
        return 0.0
    says_s = length_s if container.format.name in _TELL_THE_END else begins_s + length_s
    may_be_sounds = stream.duration is None and container.streams.audio
    if says_s - end_s > usual_s and may_be_sounds and _furthest_s(path) > says_s - usual_s:
        return 0.0  # the length is that of the sound, which goes on after the pictures
    return says_s - end_s if says_s - end_s > usual_s else 0.0


def _furthest_s(path: PathLike) -> float:
    """Where the last packet of any stream ends."""
    furthest = 0.0
    with open_container(path) as container:
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    furthest = max(furthest, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        except av.error.FFmpegError:
            pass  # the end of what can be read
    return furthest
