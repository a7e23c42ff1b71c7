"""The prediction for a video, its JSON form, and its display in a terminal and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.labels import BACKGROUND
from kineme.people.tracks import Track
from kineme.text import printable

_SHOWN, _MOST_SEGMENTS = 3, 6
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")  # Paul Tol's "bright", safe for all eyes


class SegmentDocument(TypedDict):
    """A segment as JSON."""

    start_s: float
    end_s: float
    label: str
    confidence: float


class LabelDocument(TypedDict):
    """A label with its probability as JSON."""

    label: str
    probability: float


class PersonDocument(TypedDict):
    """The prediction for one person as JSON; a row of ``box_at`` is a time in seconds and x0, y0, x1, y1 in pixels."""

    id: int
    start_s: float
    end_s: float
    box_at: list[list[float]]
    segments: list[SegmentDocument]


class PredictionDocument(TypedDict):
    """A prediction as JSON: of ``--json`` and ``--save json``; ``people`` only where they were asked for."""

    source: str
    model: str
    duration_s: float
    fps: float
    top: list[LabelDocument]
    segments: list[SegmentDocument]
    cuts: list[float]
    timing: dict[str, float]
    warnings: list[str]
    note: NotRequired[str]
    people: NotRequired[list[PersonDocument]]


@dataclass(frozen=True, repr=False)
class Segment:
    """A part of a video with one label, or with :data:`BACKGROUND`.

    Args:
        start_s: seconds.
        end_s: seconds.
        label: what happens.
        confidence: the mean probability of the label there; of background, how far the open-set score lies below its
            threshold, on the same scale of 0 to 1, but 0.5 being at the threshold and not calibrated.

    Example:
        >>> Segment(1.5, 4.0, "wave", 0.9314)
        Segment(1.5-4 s, 'wave', 0.93)
    """

    start_s: float
    end_s: float
    label: str
    confidence: float

    def __repr__(self) -> str:
        return f"Segment({self.start_s:.4g}-{self.end_s:.4g} s, {self.label!r}, {self.confidence:.2f})"

    @property
    def is_background(self) -> bool:
        """Whether no known action happens."""
        return self.label == BACKGROUND

    def to_json(self) -> SegmentDocument:
        """Its document."""
        return {
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "label": self.label,
            "confidence": round(self.confidence, 4),
        }


class Scored:
    """What whoever has windows with probabilities can tell: a whole video, or one person in it."""

    labels: tuple[str, ...]
    probabilities_K: NDArray[np.float64]
    window_times_W2: NDArray[np.float64]
    window_probabilities_WK: NDArray[np.float64]
    segments: tuple[Segment, ...]

    @property
    def top(self) -> list[tuple[str, float]]:
        """All labels with their probabilities, the likeliest first."""
        return ranked(self.labels, self.probabilities_K)

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

    def segment_at(self, time_s: float) -> Segment | None:
        """The segment at an instant; None outside all of them."""
        return next((one for one in self.segments if one.start_s <= time_s < one.end_s), None)


@dataclass(frozen=True, eq=False, repr=False)
class PersonPrediction(Scored):
    """The prediction for one person in a video.

    Args:
        track: where the person is at each look.
        labels: the classes, in the order of the probabilities.
        probabilities_K: calibrated, of all that the person does.
        window_times_W2: first and last instant of each window, seconds.
        window_probabilities_WK: calibrated, of each window.
        segments: when the person does what; they follow each other without gaps as long as the person is seen.
        window_scores_W: open-set score of each window, as a :class:`Prediction`'s.
    """

    track: Track
    labels: tuple[str, ...]
    probabilities_K: NDArray[np.float64]
    window_times_W2: NDArray[np.float64]
    window_probabilities_WK: NDArray[np.float64]
    segments: tuple[Segment, ...]
    window_scores_W: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        seen = f"{self.start_s:.1f}-{self.end_s:.1f} s"
        return f"PersonPrediction({self.id}, {seen}: {_segments_in_words(self.segments)})"

    @property
    def id(self) -> int:
        """Number of the person, from 1 in the order of appearance."""
        return self.track.id

    @property
    def start_s(self) -> float:
        """Where the first segment begins."""
        return self.segments[0].start_s

    @property
    def end_s(self) -> float:
        """Where the last segment ends."""
        return self.segments[-1].end_s

    def to_json(self) -> PersonDocument:
        """Its document."""
        rows = zip(self.track.times_T.tolist(), self.track.boxes_T4.tolist(), strict=True)
        return {
            "id": self.id,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "box_at": [[round(time_s, 3), *(round(side, 1) for side in box_4)] for time_s, box_4 in rows],
            "segments": [one.to_json() for one in self.segments],
        }


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Scored):
    """The prediction for a video.

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
            :class:`~kineme.models.open_set.OpenSetDetector`; None where the model cannot tell, and nothing is
            background.
        people: the prediction for each person, if requested; empty if no person was found.
        cuts: where an edited video goes from one shot to the next, seconds; no window and no segment crosses one.
        note: a caveat to show with the prediction, such as that its accuracy is not known.

    Example:
        >>> result = model.predict("new.mp4")
        >>> result.label in model.labels
        True
        >>> result.window_probabilities_WK.shape[1] == len(model.labels)
        True
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
    people: tuple[PersonPrediction, ...] | None = None
    cuts: tuple[float, ...] = ()
    note: str = ""

    def __repr__(self) -> str:
        shape = self.window_probabilities_WK.shape
        return (
            f"Prediction({self.source!r}, {self.duration_s:.1f} s: {top_in_words(self.top)}; "
            f"{_segments_in_words(self.segments)}; windows {shape[0]} x {shape[1]}{self.note and f'; {self.note}'})"
        )

    def _repr_html_(self) -> str:
        """For a notebook: the likeliest labels as bars, and the timeline."""
        note = f"<div><i>{html.escape(self.note)}</i></div>" if self.note else ""
        return f"<div>{html.escape(self.source)}{note}{_bars_html(self.top)}{_timeline_html(self)}</div>"

    def to_json(self, top: int = 5) -> PredictionDocument:
        """The document of ``--json`` and ``--save json``, with the ``top`` likeliest labels."""
        document: PredictionDocument = {
            "source": self.source,
            "model": self.model,
            "duration_s": round(self.duration_s, 3),
            "fps": round(self.fps, 3),
            "top": [{"label": label, "probability": round(value, 4)} for label, value in self.top[:top]],
            "segments": [one.to_json() for one in self.segments],
            "cuts": [round(one, 3) for one in self.cuts],
            "timing": self.timing,
            "warnings": list(self.warnings),
        }
        if self.note:
            document["note"] = self.note
        if self.people is not None:
            document["people"] = [one.to_json() for one in self.people]
        return document


def ranked(labels: Sequence[str], probabilities_K: NDArray[np.float64]) -> list[tuple[str, float]]:
    """Labels with their probabilities, the likeliest first."""
    order = np.argsort(-probabilities_K, kind="stable")
    return [(labels[k], float(probabilities_K[k])) for k in order]


def top_in_words(top: Sequence[tuple[str, float]]) -> str:
    """The likeliest labels, for a ``repr``."""
    return ", ".join(f"{printable(label)} {value:.2f}" for label, value in top[:_SHOWN])


def _segments_in_words(segments: Sequence[Segment]) -> str:
    told = ", ".join(map(_in_words, segments[:_MOST_SEGMENTS]))
    more = len(segments) - _MOST_SEGMENTS
    return (told or "no segments") + (f" and {more} more" if more > 0 else "")


def _in_words(segment: Segment) -> str:
    return f"{printable(segment.label)} {segment.start_s:.1f}-{segment.end_s:.1f} s"


def _bars_html(top: Sequence[tuple[str, float]]) -> str:
    """The likeliest labels with bars."""
    return "".join(
        f"<div><progress value='{value:.4f}'></progress> {100 * value:.0f} % {html.escape(label)}</div>"
        for label, value in top[:_SHOWN]
    )


def _timeline_html(result: Prediction) -> str:
    """The segments as bars on a line of time, with their labels on hovering; background is empty, cuts are dashed."""
    scale = 100 / max(result.duration_s, 1e-9)
    names = list(dict.fromkeys(one.label for one in result.actions))
    bars = "".join(
        f"<rect x='{one.start_s * scale:.2f}%' width='{(one.end_s - one.start_s) * scale:.2f}%' height='16' "
        f"fill='{_COLOURS[names.index(one.label) % len(_COLOURS)]}'><title>{html.escape(_in_words(one))}</title></rect>"
        for one in result.actions
    )
    cuts = "".join(
        f"<line x1='{one * scale:.2f}%' x2='{one * scale:.2f}%' y2='16' stroke='currentColor' stroke-dasharray='3 2'>"
        f"<title>cut at {one:.1f} s</title></line>"
        for one in result.cuts
    )
    return f"<svg width='100%' height='16' style='background:#8882'>{bars}{cuts}</svg>"
