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
from kineme.prediction.result import PersonPrediction, Prediction, Segment
from kineme.text import json_text


def to_json(result: Prediction) -> str:
    """All labels and segments as an indented document."""
    return json_text(result.to_json(top=len(result.labels))) + "\n"


def to_csv(result: Prediction) -> str:
    """A row for each window: ``start_s``, ``end_s``, then the probability of each label.

    A column ``note`` follows where the prediction has one.

    Where people were asked for, their windows follow, and the second column, ``person``, says whose each is; it is
    empty for those of the video as a whole.
    """
    has_people = result.people is not None
    noted = (result.note,) if result.note else ()
    lines = [csv_head((*result.labels, *(["note"] if noted else [])), has_people)]
    for one in (result, *(result.people or ())):
        person = (one.id if isinstance(one, PersonPrediction) else "",) if has_people else ()
        for times, shares_K in zip(one.window_times_W2.tolist(), one.window_probabilities_WK, strict=True):
            lines.append(csv_row(times[0], times[1], shares_K, *person, note=noted))
    return "".join(lines)


def to_srt(result: Prediction) -> str:
    """A subtitle for each segment but background: its label and confidence, and whose it is where people are found."""
    shown = enumerate(shown_segments(result), start=1)
    return "".join(srt_cue(number, *one, note=result.note) for number, one in shown)


def to_vtt(result: Prediction) -> str:
    """As :func:`to_srt`, as WebVTT for HTML video."""
    shown = enumerate(shown_segments(result), start=1)
    return VTT_HEAD + "".join(vtt_cue(number, *one, note=result.note) for number, one in shown)


def shown_segments(result: Prediction) -> list[tuple[Segment, int | None]]:
    """The segments to be read as subtitles, each with the number of its person: those of the people, if there are any.

    They are in the order of time.
    """
    if not result.people:
        return [(one, None) for one in result.actions]
    found = [(one, person.id) for person in result.people for one in person.actions]
    return sorted(found, key=lambda one: one[0].start_s)


def csv_head(labels: Sequence[str], has_people: bool = False) -> str:
    """The first line of :func:`to_csv`."""
    return _csv_line(["start_s", "end_s", *(["person"] if has_people else []), *labels])


def csv_row(
    start_s: float,
    end_s: float,
    probabilities_K: NDArray[np.float64],
    *person: int | str,
    note: tuple[str, ...] = (),
) -> str:
    """The line of a window."""
    shares = (f"{value:.4f}" for value in probabilities_K.tolist())
    return _csv_line([f"{start_s:.3f}", f"{end_s:.3f}", *map(str, person), *shares, *note])


def srt_cue(number: int, segment: Segment, person: int | None = None, note: str = "") -> str:
    """The subtitle of a segment, counted from 1.

    SRT has no way to escape: what players would take for a tag is written with similar letters.
    """
    line = _line(segment, person, note).translate(str.maketrans("<>{}", "‹›()"))
    return f"{number}\n{_time(segment.start_s, ',')} --> {_time(segment.end_s, ',')}\n{line}\n\n"


VTT_HEAD = "WEBVTT\n\n"


def vtt_cue(number: int, segment: Segment, person: int | None = None, note: str = "") -> str:
    """As :func:`srt_cue`; WebVTT needs no number."""
    line = html.escape(_line(segment, person, note), quote=False)
    return f"{_time(segment.start_s, '.')} --> {_time(segment.end_s, '.')}\n{line}\n\n"


TEXTS: dict[str, Callable[[Prediction], str]] = {"json": to_json, "csv": to_csv, "srt": to_srt, "vtt": to_vtt}


def write_parquet(path: Path, result: Prediction) -> None:
    """A row for each segment: ``source``, ``model``, ``start_s``, ``end_s``, ``label``, ``confidence``.

    Where people were asked for, a column ``person`` says whose each is; it is null for those of the video as a whole.

    Raises:
        KinemeError: it cannot be written.
    """
    import polars as pl

    schema = {"start_s": pl.Float64, "end_s": pl.Float64, "label": pl.String, "confidence": pl.Float64}
    whose = [(None, result), *((person.id, person) for person in result.people or ())]
    rows = pl.DataFrame(
        [(one.start_s, one.end_s, one.label, one.confidence, id_) for id_, whole in whose for one in whole.segments],
        schema={**schema, "person": pl.Int64},
        orient="row",
    )
    if result.people is None:
        rows = rows.drop("person")
    whole = [pl.lit(result.source).alias("source"), pl.lit(result.model).alias("model")]
    with atomic_write(path) as temporary:
        rows.select(*whole, pl.all()).write_parquet(temporary)


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _line(segment: Segment, person: int | None, note: str) -> str:
    share = f"{segment.confidence:.0%}".replace("%", " %")
    whose = "" if person is None else f"person {person}: "
    return f"{whose}{' '.join(segment.label.split())} {share}" + (note and f"\n{note}")


def _time(seconds: float, mark: str) -> str:
    """``3725.5`` as ``01:02:05.500``, with ``mark`` before the milliseconds."""
    whole, milliseconds = divmod(round(max(seconds, 0.0) * 1000), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{mark}{milliseconds:03}"
