"""A copy of a video with what an explanation says drawn in: heat maps or joints on the frames, the strip below them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kineme.errors import UsageError
from kineme.prediction.explain.explain import Explanation
from kineme.progress import progress
from kineme.report.explain_drawing import Drawer
from kineme.report.explain_strip import StripBand
from kineme.report.overlay import draw_prediction
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.write import VideoWriter

_BAND = 0.22  # of the frame's height
_LOWEST_BAND = 48  # pixels


def explain_video(
    found: Explanation,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    drawer: Drawer,
    *,
    on_frame: Callable[[], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> None:
    """Write ``source`` to ``out`` with the explanation drawn in, and a band below with the strips and a playhead.

    The bar above shows the label's probability at the moment, as the prediction has it. Times and sound are kept.

    Args:
        found: the explanation.
        source: the video that is explained, as a file.
        out: where to; it appears only when it is complete.
        drawer: draws on the frames.
        on_frame: called after each drawn frame.
        on_warning: called with one line about damage in ``source``, or of sound that cannot be kept.

    Raises:
        UsageError: ``out`` is ``source``.
        VideoError: ``source`` cannot be used.
        KinemeError: ``out`` cannot be written.
    """
    if Path(out).resolve() == Path(source).resolve():
        raise UsageError(f"{out}: the explained video would replace its source; choose another name")
    info = probe(source)
    band = StripBand(found, info.width, max(_LOWEST_BAND, round(_BAND * info.height)))
    column = found.prediction.labels.index(found.label)
    writer = VideoWriter(
        out, width=info.width, height=info.height + band.height, fps=info.fps, sound_from=source, on_warning=on_warning
    )
    with writer, progress(f"drawing {Path(out).name}", info.frame_count) as advance:
        for frame in read_frames(source, on_warning=on_warning):
            share = float(found.prediction.probabilities_at(frame.pts_s)[column])
            drawn = draw_prediction(drawer(frame.pixels_HWC, frame.pts_s), [(found.label, share)])
            writer.write(np.concatenate([drawn, band(frame.pts_s)]), pts_s=frame.pts_s, duration_s=frame.duration_s)
            advance()
            if on_frame:
                on_frame()
