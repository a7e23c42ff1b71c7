"""What a prediction is, and how it is written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Segment:
    """A part of a video with one label; ``confidence`` is its mean probability there."""

    start_s: float
    end_s: float
    label: str
    confidence: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of a video.

    Args:
        source: as it was asked for.
        model: the model's name.
        duration_s: length of the video.
        fps: its average frame rate.
        labels: the classes, in the order of the probabilities.
        probabilities_K: calibrated, of the video as a whole.
        window_times_W2: first and last instant of each window, seconds.
        window_probabilities_WK: calibrated, of each window.
        segments: when what happens.
        timing: seconds taken and windows scored.
        warnings: what the video's reader had to say, such as that the file is damaged.
    """

    source: str
    model: str
    duration_s: float
    fps: float
    labels: tuple[str, ...]
    probabilities_K: NDArray[np.float64]
    window_times_W2: NDArray[np.float64]
    window_probabilities_WK: NDArray[np.float64]
    segments: tuple[Segment, ...]
    timing: dict[str, float]
    warnings: tuple[str, ...] = ()

    @property
    def top(self) -> list[tuple[str, float]]:
        """All labels with their probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities_K, kind="stable")
        return [(self.labels[k], float(self.probabilities_K[k])) for k in order]

    @property
    def label(self) -> str:
        """The likeliest label."""
        return self.top[0][0]

    def probabilities_at(self, time_s: float) -> NDArray[np.float64]:
        """Probabilities_K at an instant: between the middles of windows, a straight line."""
        middles_W = self.window_times_W2.mean(axis=1)
        return np.array([np.interp(time_s, middles_W, column) for column in self.window_probabilities_WK.T])

    def to_json(self, top: int = 5) -> dict[str, Any]:
        """The document of ``--json`` and ``--save json``."""
        return {
            "source": self.source,
            "model": self.model,
            "duration_s": round(self.duration_s, 3),
            "fps": round(self.fps, 3),
            "top": [{"label": label, "probability": round(value, 4)} for label, value in self.top[:top]],
            "segments": [
                {
                    "start_s": round(one.start_s, 3),
                    "end_s": round(one.end_s, 3),
                    "label": one.label,
                    "confidence": round(one.confidence, 4),
                }
                for one in self.segments
            ],
            "timing": self.timing,
            "warnings": list(self.warnings),
        }


def segments(
    window_times_W2: NDArray[np.float64],
    probabilities_WK: NDArray[np.float64],
    labels: tuple[str, ...],
    duration_s: float,
) -> tuple[Segment, ...]:
    """Join neighbouring windows of one label; the border between two lies halfway between their middles."""
    best_W = probabilities_WK.argmax(axis=1)
    middles_W = window_times_W2.mean(axis=1)
    changes = np.flatnonzero(best_W[1:] != best_W[:-1]) + 1
    firsts = [0, *changes.tolist()]
    lasts = [*changes.tolist(), len(best_W)]
    borders = [0.0, *((middles_W[changes - 1] + middles_W[changes]) / 2).tolist(), duration_s]
    return tuple(
        Segment(
            start_s=borders[number],
            end_s=borders[number + 1],
            label=labels[int(best_W[first])],
            confidence=float(probabilities_WK[first:last, best_W[first]].mean()),
        )
        for number, (first, last) in enumerate(zip(firsts, lasts, strict=True))
    )
