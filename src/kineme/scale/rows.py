"""The result of each video: one row that also holds its segments, until the two tables are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from kineme.prediction.result import Prediction

Row = dict[str, Any]

_OF_JOB = ("key", "segments")


def schema(labels: tuple[str, ...]) -> dict[str, Any]:
    """Columns of a shard and their types.

    Args:
        labels: the classes; ``probabilities`` has a field for each.
    """
    probabilities = pl.Struct(dict.fromkeys(labels, pl.Float32))
    segment: dict[str, Any] = {
        "start_s": pl.Float64,
        "end_s": pl.Float64,
        "label": pl.String,
        "confidence": pl.Float32,
        "probabilities": probabilities,
    }
    return {
        "path": pl.String,
        "fingerprint": pl.String,
        "label": pl.String,
        "confidence": pl.Float32,
        "known": pl.Boolean,
        "probabilities": probabilities,
        "duration_s": pl.Float64,
        "fps": pl.Float64,
        "windows": pl.UInt32,
        "warnings": pl.List(pl.String),
        "model": pl.String,
        "error": pl.String,
        "key": pl.String,
        "segments": pl.List(pl.Struct(segment)),
    }


def row_of(result: Prediction) -> Row:
    """The results of a video, without the fields that the job fills in."""
    middles_W = result.window_times_W2.mean(axis=1)
    segments = []
    for number, one in enumerate(result.segments):
        is_last = number == len(result.segments) - 1
        within_W = (middles_W >= one.start_s) & ((middles_W < one.end_s) | is_last)
        mean_K = result.window_probabilities_WK[within_W].mean(axis=0) if within_W.any() else None
        segments.append(
            {
                "start_s": one.start_s,
                "end_s": one.end_s,
                "label": one.label,
                "confidence": one.confidence,
                "probabilities": None if mean_K is None else dict(zip(result.labels, mean_K.tolist(), strict=True)),
            }
        )
    return {
        "label": result.label,
        "confidence": float(np.max(result.probabilities_K)),
        "known": bool(result.actions),
        "probabilities": dict(zip(result.labels, result.probabilities_K.tolist(), strict=True)),
        "duration_s": result.duration_s,
        "fps": result.fps,
        "windows": len(middles_W),
        "warnings": list(result.warnings),
        "segments": segments,
    }


def tables(shards: list[pl.DataFrame], labels: tuple[str, ...]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The videos and the segments, in the order of their paths, whatever the order in which they were finished."""
    rows = pl.concat([pl.DataFrame(schema=schema(labels)), *shards]).unique("path", keep="any").sort("path")
    segments = (
        rows.select("path", "fingerprint", "segments", "model")
        .explode("segments")
        .drop_nulls("segments")
        .unnest("segments")
        .select("path", "fingerprint", "start_s", "end_s", "label", "confidence", "probabilities", "model")
    )
    return rows.drop(_OF_JOB), segments
