"""A copy of a video with the prediction drawn on every frame: same size, same times, same sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.progress import progress
from kineme.report.overlay import Timeline, draw_prediction
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.write import VideoWriter

_SHOWN = 3
_TIMELINE_PARTS = 200


def annotate_video(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    probabilities_at: Callable[[float], NDArray[np.float64]],
    labels: Sequence[str],
    *,
    title: str | None = None,
    decorate: Callable[[NDArray[np.uint8], float], NDArray[np.uint8]] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> None:
    """Write ``source`` to ``out`` with the three likeliest labels on each frame.

    Where the likeliest label changes in the course of the video, a strip along the lower edge shows when.

    Args:
        source: a video file.
        out: where to; ``.mp4`` plays everywhere. It appears only when it is complete.
        probabilities_at: the probability of each label (K,) at a time in seconds; it is asked for every frame and
            for the strip, in any order, so it should only look up.
        labels: the K names.
        title: a small line above the labels.
        decorate: draws on a frame, given it and its time in seconds, before the label is written.
        on_warning: told in one line of damage in ``source``, or of sound that cannot be kept.

    Raises:
        UsageError: ``out`` is ``source``, or its suffix names no video.
        VideoError: ``source`` cannot be used.
        KinemeError: ``out`` cannot be written.
    """
    if Path(out).resolve() == Path(source).resolve():
        raise UsageError(f"{out}: the annotated video would replace its source; choose another name")
    info = probe(source)
    spans = _spans(probabilities_at, labels, info.duration_s)
    writer = VideoWriter(
        out, width=info.width, height=info.height, fps=info.fps, sound_from=source, on_warning=on_warning
    )
    with writer, progress(f"drawing {Path(out).name}", info.frame_count) as advance:
        for frame in read_frames(source, on_warning=on_warning):
            probabilities_K = probabilities_at(frame.pts_s)
            best = np.argsort(-probabilities_K, kind="stable")[:_SHOWN]
            drawn = draw_prediction(
                decorate(frame.pixels_HWC, frame.pts_s) if decorate else frame.pixels_HWC,
                [(labels[index], float(probabilities_K[index])) for index in best],
                title=title,
                timeline=Timeline(spans, info.duration_s, frame.pts_s) if len(spans) > 1 else None,
            )
            writer.write(drawn, pts_s=frame.pts_s)
            advance()


def _spans(
    probabilities_at: Callable[[float], NDArray[np.float64]], labels: Sequence[str], duration_s: float
) -> list[tuple[float, float, str]]:
    """Start, end and likeliest label of each stretch of the video."""
    edges = np.linspace(0.0, duration_s, _TIMELINE_PARTS + 1)
    spans: list[tuple[float, float, str]] = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        label = labels[int(np.argmax(probabilities_at((start + end) / 2)))]
        if spans and spans[-1][2] == label:
            spans[-1] = (spans[-1][0], end, label)
        else:
            spans.append((start, end, label))
    return spans
