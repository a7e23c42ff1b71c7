"""Combines the scores of a video's windows into the prediction for the whole video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.people.tracks import Track
from kineme.prediction.result import PersonPrediction, Prediction, Segment
from kineme.prediction.timeline import segments
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import judged_windows


def summarize_windows(
    model: TrainedModel,
    source: str,
    times_W2: NDArray[np.float64],
    logits_WK: NDArray[np.float32],
    *,
    duration_s: float,
    fps: float,
    cuts: Sequence[float] = (),
    warnings: Sequence[str] = (),
    timing: dict[str, float] | None = None,
) -> Prediction:
    """Combine window scores into the prediction for a video.

    Args:
        model: its card is used, and not its network.
        source: as the result calls the video.
        times_W2: first and last instant of each window, seconds, in order.
        logits_WK: of the windows at :func:`kineme.prediction.windows.file_stride`.
        duration_s: of the video.
        fps: of the video, frames a second.
        cuts: where it goes from one shot to the next, seconds; no window crosses one.
        warnings: of its reader.
        timing: for the result.
    """
    return Prediction(
        source=source,
        model=model.name,
        duration_s=duration_s,
        fps=fps,
        timing=timing or {},
        warnings=tuple(dict.fromkeys(warnings)),
        cuts=tuple(cuts),
        note=model.note,
        **_scored(model, times_W2, logits_WK, [0.0, *cuts, duration_s]),
    )


def summarize_person(
    model: TrainedModel,
    track: Track,
    times_W2: NDArray[np.float64],
    logits_WK: NDArray[np.float32],
    *,
    start_s: float,
    end_s: float,
) -> PersonPrediction:
    """The prediction for one person, who is visible from ``start_s`` to ``end_s``; for the rest see above."""
    return PersonPrediction(track=track, **_scored(model, times_W2, logits_WK, [start_s, end_s]))


def _scored(
    model: TrainedModel, times_W2: NDArray[np.float64], logits_WK: NDArray[np.float32], borders_s: Sequence[float]
) -> dict[str, Any]:
    """The fields that :class:`~kineme.prediction.result.Scored` speaks of; no segment crosses a border."""
    judged = judged_windows(model, len(logits_WK))
    windows_WK, scores_W = model.probabilities(logits_WK), model.open_set_score(logits_WK)
    middles_W, settings = times_W2.mean(axis=1), model.card.timeline_settings
    found: list[Segment] = []
    firsts = np.searchsorted(times_W2[:, 0], borders_s[:-1])
    for start_s, end_s, first, end in zip(borders_s, borders_s[1:], firsts, [*firsts[1:], None], strict=False):
        shot = slice(first, end)
        scores = None if scores_W is None else scores_W[shot]
        found += segments(middles_W[shot], windows_WK[shot], scores, model.labels, end_s, settings, start_s)
    return {
        "labels": model.labels,
        "probabilities_K": model.probabilities(logits_WK[judged].mean(axis=0, keepdims=True))[0],
        "window_times_W2": times_W2,
        "window_probabilities_WK": windows_WK,
        "window_scores_W": scores_W,
        "segments": tuple(found),
    }
