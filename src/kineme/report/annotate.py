"""A copy of a video with the prediction drawn on every frame: same size, same times, same sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.prediction.result import PersonPrediction, Segment
from kineme.progress import progress
from kineme.report.overlay import Timeline, draw_prediction
from kineme.report.people_overlay import PeoplePainter, shown_people
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.write import VideoWriter

_SHOWN = 3


def annotate_video(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    probabilities_at: Callable[[float], NDArray[np.float64]],
    labels: Sequence[str],
    segments: Sequence[Segment] = (),
    *,
    title: str | None = None,
    decorate: Callable[[NDArray[np.uint8], float], NDArray[np.uint8]] | None = None,
    people: Sequence[PersonPrediction] = (),
    on_frame: Callable[[], object] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> None:
    """Write ``source`` to ``out`` with the three likeliest labels on each frame, and nothing where it is background.

    Where there is more than one segment, a strip along the lower edge shows them; background stays empty in it.
    Where there are people, each has a box with a label instead, and the corner and the strip stay free.

    Args:
        source: a video file.
        out: where to; ``.mp4`` plays everywhere. It appears only when it is complete.
        probabilities_at: the probability of each label (K,) at a time in seconds; it is asked for every frame, so it
            should only look up.
        labels: the K names.
        segments: when what happens, in order.
        title: a small line above the labels.
        decorate: draws on a frame, given it and its time in seconds, before the label is written.
        people: what each person does.
        on_frame: called after each drawn frame.
        on_warning: called with one line about damage in ``source``, or of sound that cannot be kept.

    Raises:
        UsageError: ``out`` is ``source``, or its suffix names no video.
        VideoError: ``source`` cannot be used.
        KinemeError: ``out`` cannot be written.
    """
    if Path(out).resolve() == Path(source).resolve():
        raise UsageError(f"{out}: the annotated video would replace its source; choose another name")
    info = probe(source)
    spans = [(one.start_s, one.end_s, one.label) for one in segments if not one.is_background]
    pauses = [one for one in segments if one.is_background]
    paint = PeoplePainter()
    writer = VideoWriter(
        out, width=info.width, height=info.height, fps=info.fps, sound_from=source, on_warning=on_warning
    )
    with writer, progress(f"drawing {Path(out).name}", info.frame_count) as advance:
        for frame in read_frames(source, on_warning=on_warning):
            if people:
                drawn = paint(frame.pixels_HWC, shown_people(people, frame.pts_s))
            else:
                probabilities_K = probabilities_at(frame.pts_s)
                is_pause = any(one.start_s <= frame.pts_s < one.end_s for one in pauses)
                best = [] if is_pause else np.argsort(-probabilities_K, kind="stable")[:_SHOWN].tolist()
                drawn = draw_prediction(
                    decorate(frame.pixels_HWC, frame.pts_s) if decorate else frame.pixels_HWC,
                    [(labels[index], float(probabilities_K[index])) for index in best],
                    title=None if is_pause else title,
                    timeline=Timeline(spans, info.duration_s, frame.pts_s) if len(segments) > 1 else None,
                    labels=labels,
                )
            writer.write(drawn, pts_s=frame.pts_s, duration_s=frame.duration_s)
            advance()
            if on_frame:
                on_frame()
