"""What a prediction is, and how it is written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.labels import BACKGROUND


@dataclass(frozen=True)
class Segment:
    """A part of a video with one label, or with ``"background"``.

    Args:
        start_s: seconds.
        end_s: seconds.
        label: what happens.
        confidence: the mean probability of the label there; of background, how far the open-set score lies below its
            threshold, on the same scale of 0 to 1, but 0.5 being at the threshold and not calibrated.
    """

    start_s: float
    end_s: float
    label: str
    confidence: float

    @property
    def is_background(self) -> bool:
        """Whether no known action happens."""
        return self.label == BACKGROUND


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
        window_probabilities_WK: calibrated, of each window, if it shows one of the labels.
        segments: when what happens; they follow each other without gaps.
        timing: seconds taken and windows scored.
        warnings: what the video's reader had to say, such as that the file is damaged.
        window_scores_W: open-set score of each window, from 0 on known, by
            :class:`~kineme.models.open_set.OpenSetDetector`;
            None where the model cannot tell, and nothing is background.
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
    window_scores_W: NDArray[np.float64] | None = None

    @property
    def top(self) -> list[tuple[str, float]]:
        """All labels with their probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities_K, kind="stable")
        return [(self.labels[k], float(self.probabilities_K[k])) for k in order]

    @property
    def label(self) -> str:
        """The likeliest label, whether or not a known action happens."""
        return self.top[0][0]

    @property
    def actions(self) -> tuple[Segment, ...]:
        """The segments without background; empty where no known action happens."""
        return tuple(one for one in self.segments if not one.is_background)

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
