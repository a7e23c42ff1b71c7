"""When each frame of a video is shown, without decoding it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from kineme.video.container import PathLike, frame_rate, open_container, time_base, video_stream
from kineme.video.decode import Decoder
from kineme.video.timestamps import TimestampRepair, has_display_times


def frame_times(path: PathLike) -> NDArray[np.float64]:
    """The times of all N frames of a video in order of display, and when the last one ends: N + 1 seconds.

    Raises:
        VideoError: the file cannot be used.
    """
    with Decoder(path) as decoder:
        zero, late = decoder.zero * decoder.time_base, decoder.late
    with open_container(path) as container:
        stream = video_stream(container, path)
        tick, rate = time_base(stream), frame_rate(stream)
        by_pts = has_display_times(container)
        repair = TimestampRepair(container, stream)
        stamps = [
            packet.pts if by_pts else packet.dts
            for packet in repair.packets(container.demux(stream))
            if packet.size and not packet.is_discard
        ]
        end = repair.times().end
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if len(known) < len(stamps) or not known or end is None:  # nothing is stamped: a fixed rate is all there is
        times_F = [Fraction(number) / rate for number in range(len(stamps) + 1)]
    else:
        begins = zero if by_pts else known[0] * tick - late
        times_F = [*(stamp * tick - begins for stamp in known), end - begins]
    return np.array([max(0.0, float(time)) for time in times_F])
