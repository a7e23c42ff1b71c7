"""Where and when a model looked, to say a label of a video: heat maps of its frames, and attributions over time.

The log-odds of the label are explained, in the same windows that :meth:`kineme.model.Model.predict`
scores. A window counts as much as it names the label. The attribution of a frame is the mean over the windows that
hold it, so no frame is praised for its place in a window.

- *When*, by occlusion (after Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, who
  cover parts of a picture): a span of frames is held still, and the log-odds fall.
- *When* and *where*, by gradient: see :mod:`kineme.prediction.explain.gradients`.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.models.model_file import ModelCard
from kineme.people.region import windows_at
from kineme.prediction.joined import leader_number, model_shots
from kineme.prediction.predict import OnProgress, predict_file
from kineme.prediction.result import Prediction
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import WindowScorer, file_stride, open_scorer
from kineme.video.clips import cut_clips
from kineme.video.container import PathLike
from kineme.video.cuts import Tick, by_shot
from kineme.video.geometry import Window

Array = NDArray[Any]
Floats = NDArray[np.float64]

SALIENT_SHARE = 0.3  # of the largest attribution: frames with more are salient
_SPANS = 5  # that make up a window: what is held still is a fifth of it
_HEAVY_SPANS = 8  # of a window that takes seconds; they do not overlap
_MAPS_AT_ONCE = 8  # windows
_BEGINS = {"predict": 0.0, "occlusion": 0.25, "gradient": 0.65}  # of the progress


class SalientSpan(NamedTuple):
    """A span whose frames decided: seconds, and its share of all positive attribution, 0 to 1."""

    start_s: float
    end_s: float
    share: float


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Where and when a model looked, to say a label of a video. N instants, T frames of a window.

    Args:
        prediction: of the video, as :meth:`kineme.model.Model.predict` gives it.
        label: the explained label.
        probability: of the label, in the video as a whole.
        card: the model's.
        times_N: the instants at which the model sees the video, in seconds; each frame is seen until the next.
        attributions: how much each instant spoke for the label, (N,) each, in log-odds; below zero against it.
            ``"occlusion"``: by how much the log-odds fall where a span around it, a fifth of a window, is held still.
            ``"gradient"``: the sum of its heat map, or of its joints; missing where there is no gradient.
        heat_NHW: heat maps, float32, from 0 on, in log-odds; H x W places that cover what the model sees of a frame.
            None for a model on landmarks, or without gradients.
        joints_NL: how much each joint (``joint_names``) spoke for the label, float32, from 0 on, in
            log-odds; None for a model that is not on landmarks.
        windows_N: the part of the frame that the model sees at each instant; None is the whole frame.
        warnings: what could not be had.

    Example:
        >>> found = model.explain("new.mp4")
        >>> len(found.times_N) == len(found.attributions["occlusion"])
        True
    """

    prediction: Prediction
    label: str
    probability: float
    card: ModelCard
    times_N: Floats
    attributions: dict[str, Floats]
    heat_NHW: NDArray[np.float32] | None = None
    joints_NL: NDArray[np.float32] | None = None
    windows_N: tuple[Window | None, ...] = ()
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        spans = ", ".join(f"{one.start_s:.1f}-{one.end_s:.1f} s" for one in self.salient_spans)
        heat = f", heat maps {' x '.join(map(str, self.heat_NHW.shape))}" if self.heat_NHW is not None else ""
        return f"Explanation({self.source!r}: {self.label!r} {self.probability:.2f}; by {spans or 'no frames'}{heat})"

    def _repr_html_(self) -> str:
        """For a notebook: the prediction, and the spans that decided."""
        rows = [f"<li>{one.start_s:.1f}-{one.end_s:.1f} s: {100 * one.share:.0f} %</li>" for one in self.salient_spans]
        label = html.escape(self.label)
        return f"<div>{self.prediction._repr_html_()}{label} is decided by<ul>{''.join(rows)}</ul></div>"

    @property
    def source(self) -> str:
        """The video, as it was asked for."""
        return self.prediction.source

    @property
    def method(self) -> str:
        """The attribution that says which frames decided: occlusion, unless it says nothing."""
        return next((name for name, values_N in self.attributions.items() if values_N.max() > 0), "occlusion")

    @property
    def joint_names(self) -> list[str]:
        """Of the columns of ``joints_NL``; none for a model that is not on landmarks."""
        layout = self.card.backbone.pose
        return [] if layout is None else layout.names

    @property
    def ends(self) -> Floats:
        """Until when the frame of each instant is seen, in seconds, (N,)."""
        last_s = max(self.prediction.duration_s, float(self.times_N[-1]))
        return np.append(self.times_N[1:], last_s)

    @property
    def is_salient(self) -> NDArray[np.bool_]:
        """Which instants decided, (N,): those with at least 30 % of the largest attribution."""
        values_N = self.attributions[self.method]
        return np.asarray((values_N > 0) & (values_N >= SALIENT_SHARE * values_N.max()))

    @property
    def salient_spans(self) -> list[SalientSpan]:
        """The spans that decided, in order."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.is_salient, [False]])))
        ends_N, positive_N = self.ends, np.maximum(self.attributions[self.method], 0)
        return [
            SalientSpan(float(self.times_N[a]), float(ends_N[b - 1]), float(positive_N[a:b].sum() / positive_N.sum()))
            for a, b in edges.reshape(-1, 2).tolist()
        ]

    def at(self, time_s: float) -> int:
        """The number of the instant whose frame the model sees at a time."""
        return int(np.clip(np.searchsorted(self.times_N, time_s + 1e-6, side="right") - 1, 0, len(self.times_N) - 1))

    def share(self, method: str) -> Floats:
        """An attribution as a share of its largest value, (N,), -1 to 1; zeros where nothing speaks for the label."""
        values_N = self.attributions[method]
        return np.clip(values_N / values_N.max(), -1, 1) if values_N.max() > 0 else np.zeros_like(values_N)


def explain_file(
    model: TrainedModel,
    path: PathLike,
    *,
    label: str | None = None,
    engine: str = "auto",
    on_progress: OnProgress | None = None,
) -> Explanation:
    """Explain a label of a file; arguments and errors as of :meth:`kineme.model.Model.explain`."""
    if label is not None:
        check_label(label, model.labels)
    if model.members:
        return _explain_joined(model, path, label, engine, on_progress)

    def tell(phase: str) -> OnProgress:
        begin = _BEGINS[phase]
        end = min((one for one in _BEGINS.values() if one > begin), default=1.0)
        return lambda share: on_progress(begin + share * (end - begin)) if on_progress else None

    prediction = predict_file(model, path, engine, tell("predict"))
    label = prediction.label if label is None else label
    column = model.labels.index(label)
    scorer = open_scorer(model, engine)
    counts_W = prediction.window_probabilities_WK[:, column]
    if prediction.window_scores_W is not None:
        counts_W = counts_W / (1 + np.exp(-np.clip(prediction.window_scores_W, -50, 50)))
    seen = _Seen(model, scorer, path, column, counts_W)
    times_N, attributions = seen.by_occlusion(tell("occlusion"))
    warnings: list[str] = []
    heat_NHW = joints_NL = None
    if model.exported:
        warnings.append("an exported model has no gradients: where it looked, the model that was exported can say")
    elif model.external:
        warnings.append(
            f"{model.card.backbone.name} runs outside the network that is trained here, and no gradient reaches its "
            "frames: the explanation covers time, not image regions"
        )
    elif model.poses:
        joints_NL = seen.joints(times_N, tell("gradient"))
        attributions["gradient"] = joints_NL.sum(axis=1, dtype=np.float64)
    else:
        heat_NHW = seen.heat(times_N, tell("gradient"))
        attributions["gradient"] = heat_NHW.sum(axis=(1, 2), dtype=np.float64)
    if on_progress:
        on_progress(1.0)
    return Explanation(
        prediction=prediction,
        label=label,
        probability=float(prediction.probabilities_K[column]),
        card=model.card,
        times_N=times_N,
        attributions=attributions,
        heat_NHW=heat_NHW,
        joints_NL=joints_NL,
        windows_N=tuple(windows_at(path, model.card.spec, times_N.tolist())),
        warnings=tuple(warnings),
    )


def _explain_joined(
    model: TrainedModel, path: PathLike, label: str | None, engine: str, on_progress: OnProgress | None
) -> Explanation:
    """The prediction of all members, and where and when the leading one looked."""
    prediction = predict_file(model, path, engine)
    label = prediction.label if label is None else label
    leader = model.members[leader_number(model)]
    found = explain_file(leader, path, label=label, engine=engine, on_progress=on_progress)
    name = leader.card.backbone.name
    return replace(
        found,
        prediction=prediction,
        probability=float(prediction.probabilities_K[model.labels.index(label)]),
        warnings=(*found.warnings, f"the explanation covers {name} only, one of {len(model.members)} members"),
    )


def check_label(label: str, labels: tuple[str, ...]) -> None:
    """Raise UsageError where a model does not know a label."""
    if label not in labels:
        known = ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
        raise UsageError(f"label {label!r}: the model does not know it; it knows {known}")


def log_odds(logits_NK: Array, column: int) -> Floats:
    """Logits to the log-odds of one of the labels, (N,)."""
    logits_NK = np.asarray(logits_NK, np.float64)
    others_NK = np.delete(logits_NK, column, axis=1)
    largest_N = others_NK.max(axis=1)
    others_N = largest_N + np.log(np.exp(others_NK - largest_N[:, None]).sum(axis=1))
    return np.asarray(logits_NK[:, column] - others_N)


class _Seen:
    """The windows of one video, and what each frame in them did for a label.

    Args:
        model: that looks.
        scorer: of its windows, on the engine that predicts.
        path: of the video.
        column: of the label.
        counts_W: how much each window counts.
    """

    def __init__(
        self, model: TrainedModel, scorer: WindowScorer, path: PathLike, column: int, counts_W: Floats
    ) -> None:
        self._model, self._scorer, self._path, self._column = model, scorer, path, column
        self._stride, self._counts_W = file_stride(model), counts_W  # the windows of the prediction

    def by_occlusion(self, on_progress: OnProgress) -> tuple[Floats, dict[str, Floats]]:
        """The instants of the video, and their attribution."""
        spans = spans_of(self._model.card.spec.frames, heavy=self._model.card.is_heavy)
        rows: list[Floats] = []
        times: list[Floats] = []
        for times_T, features_T in self._cut(on_progress):
            features_ST = np.stack([features_T, *(self._occlude(features_T, *span) for span in spans)])
            step = self._scorer.batch_size
            parts = [self._scorer.score_batch(features_ST[at : at + step]) for at in range(0, len(features_ST), step)]
            logits_SK = np.concatenate(parts)[:, : len(self._model.labels)]
            odds_S = log_odds(logits_SK, self._column) / self._model.card.temperature
            rows.append(spread(odds_S[0] - odds_S[1:], spans, len(times_T)))
            times.append(times_T)
        times_N = np.unique(np.concatenate(times))
        return times_N, {"occlusion": self._mean(times_N, times, rows)}

    def heat(self, times_N: Floats, on_progress: OnProgress) -> NDArray[np.float32]:
        """Heat maps of the frames, (N, H, W)."""
        from kineme.prediction.explain.gradients import attribution_of

        maps = attribution_of(self._model)
        at_once = 1 if self._model.card.is_heavy else _MAPS_AT_ONCE
        spec = self._model.card.spec
        of_shots = (cut_clips(self._path, shot, spec, self._stride) for shot in self._shots())
        clips = itertools.chain.from_iterable(of_shots)
        times: list[Floats] = []
        rows: list[Floats] = []
        while batch := list(itertools.islice(clips, at_once)):
            times += [clip.times_s for clip in batch]
            rows.extend(maps(np.stack([clip.frames_THWC for clip in batch]), self._column))
            on_progress(len(rows) / len(self._counts_W))
        return self._mean(times_N, times, rows).astype(np.float32)

    def joints(self, times_N: Floats, on_progress: OnProgress) -> NDArray[np.float32]:
        """What each joint did in each frame, (N, L)."""
        from kineme.prediction.explain.gradients import attribution_of

        times, rows = [], []
        for times_T, features_TD in self._cut(on_progress):
            times.append(times_T)
            rows.append(attribution_of(self._model)(features_TD, self._column))
        return self._mean(times_N, times, rows).astype(np.float32)

    def _cut(self, on_progress: OnProgress) -> Iterator[tuple[Floats, Array]]:
        windows = (self._scorer.iter_windows(self._path, shot, self._stride) for shot in self._shots())
        for number, window in enumerate(itertools.chain.from_iterable(windows), 1):
            yield window
            on_progress(number / len(self._counts_W))

    def _shots(self) -> Iterator[Iterator[Tick]]:
        """The ticks of each shot, as prediction tells them apart."""
        return by_shot(model_shots(self._model, self._path, lambda cut_s: None))

    def _occlude(self, features_T: Array, begin: int, end: int) -> Array:
        """The window with a span of it as if the film had stood still there."""
        held_T = features_T.copy()
        still = self._scorer.featurizer.initial_feature  # that of nothing changed
        if still is not None:
            held_T[begin:end] = still
            return held_T
        held_T[begin:end] = features_T[begin - 1] if begin else features_T[min(end, len(features_T) - 1)]
        layout = self._model.card.backbone.pose
        if layout is not None:
            held_T[begin:end] = layout.held_still(held_T[begin:end])
        return held_T

    def _mean(self, times_N: Floats, times: list[Floats], rows: list[Any]) -> Floats:
        """What windows say of their frames, to what the video says of its own: the mean, each as much as it counts."""
        if len(times) != len(self._counts_W):
            raise KinemeError(f"{self._path}: gave {len(times)} windows after {len(self._counts_W)}; has it changed?")
        total_N = np.zeros((len(times_N), *np.shape(rows[0])[1:]))
        count_N = np.zeros(len(times_N))
        for counts, times_T, row_T in zip(self._counts_W, times, rows, strict=True):
            places_T = np.searchsorted(times_N, times_T)
            np.add.at(total_N, places_T, counts * np.asarray(row_T))
            np.add.at(count_N, places_T, 1.0)
        return total_N / np.maximum(count_N, 1).reshape(-1, *(1,) * (total_N.ndim - 1))


def spans_of(frames: int, *, heavy: bool = False) -> list[tuple[int, int]]:
    """First and last-but-one tick of the spans of a window that are held still: each is half over the next."""
    width = max(1, round(frames / (_HEAVY_SPANS if heavy else _SPANS)))
    starts = list(range(0, frames - width + 1, width if heavy else max(1, width // 2)))
    if starts[-1] + width < frames:
        starts.append(frames - width)
    return [(start, start + width) for start in starts]


def spread(values_S: Floats, spans: list[tuple[int, int]], frames: int) -> Floats:
    """What spans say, to what their frames say: the mean of the spans around each, (T,)."""
    total_T, count_T = np.zeros(frames), np.zeros(frames)
    for value, (begin, end) in zip(values_S, spans, strict=True):
        total_T[begin:end] += value
        count_T[begin:end] += 1
    return np.asarray(total_T / count_T)
