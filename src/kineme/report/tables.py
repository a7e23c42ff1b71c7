"""A prediction as text for other programs: JSON, CSV, and the subtitles SRT and WebVTT; and as Parquet."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.files import atomic_write
from kineme.prediction.result import Prediction, Segment
from kineme.text import json_text


def to_json(result: Prediction) -> str:
    """All labels and segments as an indented document."""
    return json_text(result.to_json(top=len(result.labels))) + "\n"


def to_csv(result: Prediction) -> str:
    """A row for each window: ``start_s``, ``end_s``, then the probability of each label."""
    windows = zip(result.window_times_W2.tolist(), result.window_probabilities_WK, strict=True)
    return csv_head(result.labels) + "".join(csv_row(times[0], times[1], shares_K) for times, shares_K in windows)


def to_srt(result: Prediction) -> str:
    """A subtitle for each segment but background: its label and confidence."""
    return "".join(srt_cue(number, one) for number, one in enumerate(result.actions, start=1))


def to_vtt(result: Prediction) -> str:
    """As :func:`to_srt`, as WebVTT for HTML video."""
    return VTT_HEAD + "".join(vtt_cue(number, one) for number, one in enumerate(result.actions, start=1))


def csv_head(labels: Sequence[str]) -> str:
    """The first line of :func:`to_csv`."""
    return _csv_line(["start_s", "end_s", *labels])


def csv_row(start_s: float, end_s: float, probabilities_K: NDArray[np.float64]) -> str:
    """The line of a window."""
    return _csv_line([f"{start_s:.3f}", f"{end_s:.3f}", *(f"{value:.4f}" for value in probabilities_K.tolist())])


def srt_cue(number: int, segment: Segment) -> str:
    """The subtitle of a segment, counted from 1.

    SRT has no way to escape: what players would take for a tag is written with similar letters.
    """
    line = _line(segment.label, segment.confidence).translate(str.maketrans("<>{}", "‹›()"))
    return f"{number}\n{_time(segment.start_s, ',')} --> {_time(segment.end_s, ',')}\n{line}\n\n"


VTT_HEAD = "WEBVTT\n\n"


def vtt_cue(number: int, segment: Segment) -> str:
    """As :func:`srt_cue`; WebVTT needs no number."""
    line = html.escape(_line(segment.label, segment.confidence), quote=False)
    return f"{_time(segment.start_s, '.')} --> {_time(segment.end_s, '.')}\n{line}\n\n"


TEXTS: dict[str, Callable[[Prediction], str]] = {"json": to_json, "csv": to_csv, "srt": to_srt, "vtt": to_vtt}


def write_parquet(path: Path, result: Prediction) -> None:
    """A row for each segment: ``source``, ``model``, ``start_s``, ``end_s``, ``label``, ``confidence``.

    Raises:
        KinemeError: it cannot be written.
    """
    import polars as pl

    rows = pl.DataFrame(
        [(one.start_s, one.end_s, one.label, one.confidence) for one in result.segments],
        schema={"start_s": pl.Float64, "end_s": pl.Float64, "label": pl.String, "confidence": pl.Float64},
        orient="row",
    )
    whole = [pl.lit(result.source).alias("source"), pl.lit(result.model).alias("model")]
    with atomic_write(path) as temporary:
        rows.select(*whole, pl.all()).write_parquet(temporary)


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _line(label: str, confidence: float) -> str:
    share = f"{confidence:.0%}".replace("%", " %")
    return f"{' '.join(label.split())} {share}"


def _time(seconds: float, mark: str) -> str:
    """``3725.5`` as ``01:02:05.500``, with ``mark`` before the milliseconds."""
    whole, milliseconds = divmod(round(max(seconds, 0.0) * 1000), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{mark}{milliseconds:03}"
