"""A prediction as text for other programs: JSON, CSV, and the subtitles SRT and WebVTT; and as Parquet."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable
from pathlib import Path

from kineme.files import replacing
from kineme.prediction.result import Prediction


def to_json(result: Prediction) -> str:
    """All labels and segments as an indented document."""
    return json.dumps(result.to_json(top=len(result.labels)), indent=2, ensure_ascii=False) + "\n"


def to_csv(result: Prediction) -> str:
    """A row for each window: ``start_s``, ``end_s``, then the probability of each label."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["start_s", "end_s", *result.labels])
    for (start, end), probabilities_K in zip(
        result.window_times_W2.tolist(), result.window_probabilities_WK.tolist(), strict=True
    ):
        rows.writerow([f"{start:.3f}", f"{end:.3f}", *(f"{value:.4f}" for value in probabilities_K)])
    return text.getvalue()


def to_srt(result: Prediction) -> str:
    """A subtitle for each segment: its label and confidence.

    SRT has no way to escape: what players would take for a tag is written with similar letters.
    """
    alike = str.maketrans("<>{}", "‹›()")
    return "".join(
        f"{number}\n{_time(one.start_s, ',')} --> {_time(one.end_s, ',')}\n"
        f"{_line(one.label, one.confidence).translate(alike)}\n\n"
        for number, one in enumerate(result.segments, start=1)
    )


def to_vtt(result: Prediction) -> str:
    """As :func:`to_srt`, as WebVTT for HTML video."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(one.start_s, '.')} --> {_time(one.end_s, '.')}\n"
        f"{html.escape(_line(one.label, one.confidence), quote=False)}\n\n"
        for one in result.segments
    )


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
    with replacing(path) as temporary:
        rows.select(*whole, pl.all()).write_parquet(temporary)


def _line(label: str, confidence: float) -> str:
    share = f"{confidence:.0%}".replace("%", " %")
    return f"{' '.join(label.split())} {share}"


def _time(seconds: float, mark: str) -> str:
    """``3725.5`` as ``01:02:05.500``, with ``mark`` before the milliseconds."""
    whole, milliseconds = divmod(round(max(seconds, 0.0) * 1000), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{mark}{milliseconds:03}"
