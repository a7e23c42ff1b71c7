"""The page of a training run: one HTML file that needs no network and no other file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.table import SPLITS, ClipTable
from kineme.files import write_text
from kineme.models.registry import find_approach, summary
from kineme.report import plots, selection_verdict, verdict
from kineme.report.filmstrip import filmstrip, jpeg_data_uri
from kineme.report.segment_verdict import segment_caveats, segment_headline
from kineme.report.template import percent, render
from kineme.report.timeline_plot import MOST_VIDEOS, timelines
from kineme.text import duration
from kineme.training.metrics import reliability_bins
from kineme.training.run import MetricsDocument, Run

_MISTAKES = 12
_FEWEST_FOR_TOP5 = 10  # classes; of fewer, five guesses are right too easily
_EXPLAINED = 4  # of them


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """The data on which the model was trained and tested.

    Args:
        counts: videos for each label and split: ``{"wave": {"train": 12, "validation": 3, "test": 3}}``.
        groups: number of groups in each split.
        group_source: where the groups come from, such as ``"the column group of clips.csv"``.
        group_noun: what a group is, in the plural: ``"people"``, ``"scenes"``.
        leaky: whether groups may straddle the splits.
        fingerprint: of the data.
        skipped: path and reason of each video left out.
        warnings: oddities of the data, one sentence each.
    """

    counts: Mapping[str, Mapping[str, int]]
    groups: Mapping[str, int]
    group_source: str
    group_noun: str = "groups"
    leaky: bool = False
    fingerprint: str = ""
    skipped: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A test video named wrongly.

    Args:
        name: of the video, as the user knows it.
        truth: its label.
        predicted: the label it was given.
        probability: of the label it was given, 0 to 1.
        frames_THWC: RGB uint8 (T, H, W, 3), what the model saw.
        looked_THWC: the same with heat maps of where it looked, if there are any.
    """

    name: str
    truth: str
    predicted: str
    probability: float
    frames_THWC: NDArray[np.uint8]
    looked_THWC: NDArray[np.uint8] | None = None


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """Everything the page shows. Parts left empty are left out.

    Args:
        title: of the page.
        approach: one sentence on what the model is.
        test: the ``test`` object of ``metrics.json``; its ``per_class`` gives the labels in order.
        data: the training and test data.
        config: settings of the approach and of training, shown as they are.
        spec: the clip spec, shown as it is.
        history: rows of ``history.csv``, one for each epoch.
        best_epoch: the epoch whose weights were kept.
        reliability: bins of the reliability diagram: ``n``, ``confidence``, ``accuracy`` each.
        segments: the ``segments`` object of ``metrics.json``, where rows are parts of longer videos.
        triggers: the ``triggers`` object of ``metrics.json``, where there is one.
        selection: the ``selection`` object of ``metrics.json``, where the approach was chosen.
        opening: what must be read before the figures.
        unknown: the ``unknown`` object of ``metrics.json``, where there is one.
        open_set_scores: of the test videos, and of background made of them.
        mistakes: the worst first.
        how_to_use: commands to type next; a line that starts with ``#`` is shown as a remark.
    """

    title: str
    approach: str
    test: Mapping[str, Any]
    data: DataSummary
    config: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    best_epoch: int | None = None
    reliability: Sequence[Mapping[str, Any]] = ()
    segments: Mapping[str, Any] | None = None
    triggers: Mapping[str, Any] | None = None
    selection: Mapping[str, Any] | None = None
    opening: Sequence[str] = ()
    unknown: Mapping[str, Any] | None = None
    open_set_scores: tuple[Sequence[float], Sequence[float]] = ((), ())
    mistakes: Sequence[Mistake] = ()
    how_to_use: Sequence[str] = ()


def write_run_report(run: Run) -> Path:
    """Write ``report.html`` into the run folder.

    Returns:
        Where it is.

    Raises:
        KinemeError: it cannot be written.
    """
    metrics, card = run.metrics, run.card
    truth_N = np.array([item.label for item in run.test])
    page = RunReport(
        title=f"{card.approach} on {len(card.labels)} actions",
        approach=summary(find_approach(card.approach)),
        test=metrics["test"],
        data=_data_summary(run.table, metrics),
        config={"approach": card.approach, **card.config, **metrics["model"]["options"]},
        spec=card.spec.to_json(),
        history=run.history,
        best_epoch=int(metrics["train"]["best_epoch"]),
        reliability=reliability_bins(run.test_probabilities_NK, truth_N),
        segments=metrics.get("segments"),
        triggers=metrics.get("triggers"),
        selection=metrics.get("selection"),
        opening=selection_verdict.opening(metrics),
        unknown=metrics.get("unknown"),
        open_set_scores=(
            run.test_open_set_scores_N.tolist() if run.test_open_set_scores_N is not None else (),
            run.background_open_set_scores_N.tolist() if run.background_open_set_scores_N is not None else (),
        ),
        mistakes=_worst_mistakes(run),
        how_to_use=[
            "# recognise the action in a video of your own, and write it into the picture",
            f"kineme predict VIDEO --model {run.folder} --save video,json",
            "# measure it on other labelled videos",
            f"kineme evaluate {run.folder} OTHER_DATA --split all",
        ],
    )
    out = run.folder / "report.html"
    write_report(out, page)
    return out


def write_report(path: str | os.PathLike[str], run: RunReport) -> None:
    """Write ``run`` as one self-contained page.

    Raises:
        KinemeError: the file cannot be written.
    """
    data, test, segments = run.data, run.test, run.segments
    of_clips = verdict.headline(test, group_noun=data.group_noun, leaky=data.leaky)
    labels = list(test["per_class"])
    splits = [split for split in SPLITS if any(split in row for row in data.counts.values())]
    page = render(
        "report.html.j2",
        title=run.title,
        subtitle=run.approach,
        headline=segment_headline(segments, group_noun=data.group_noun) if segments else of_clips,
        of_clips=of_clips,
        alarms_of=_alarms_of(run),
        opening=run.opening,
        choice=_choice(run.selection),
        caveats=[
            *(segment_caveats(segments, group_noun=data.group_noun) if segments else []),
            *verdict.caveats(test, group_noun=data.group_noun, leaky=data.leaky),
            *data.warnings,
        ],
        timelines=timelines(segments["timelines"], labels) if segments else None,
        most_timelines=MOST_VIDEOS,
        interval_method=test.get("interval_method"),
        run=run,
        tiles=_tiles(run),
        labels=labels,
        pairs=verdict.confused_pairs(test["confusion"], labels),
        strips=[_strip(mistake) for mistake in run.mistakes],
        curves=plots.learning_curves(run.history, best_epoch=run.best_epoch) if run.history else (),
        comparison=plots.comparison(test),
        per_class=plots.per_class(test["per_class"]),
        per_class_most=plots.MOST_BARS,
        confusion=plots.confusion_matrix(test["confusion"], labels),
        orders=plots.orders(test) if verdict.time_use(test) else None,
        time_use=verdict.time_use(test),
        shuffle_recall_drop=_shuffle_recall_drop(test),
        all_lost=verdict.lost_when_shuffled(test),
        single_frame=verdict.baseline_top1(test, "single_frame"),
        reliability=plots.reliability(run.reliability) if run.reliability else None,
        refusal=verdict.refusal(run.unknown) if run.unknown else None,
        open_set_scores=plots.open_set_scores(*run.open_set_scores) if run.unknown else None,
        numbered=len(labels) > plots.MOST_NAMES,
        splits=splits,
        totals={split: sum(row.get(split, 0) for row in data.counts.values()) for split in splits},
        skipped_words=verdict.pluralize(len(data.skipped), "videos"),
    )
    write_text(path, page)


def _choice(selection: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How the approach was chosen, for the page."""
    if not selection:
        return None
    return {
        "why": selection_verdict.why(selection),
        "live": selection_verdict.live(selection),
        "columns": selection_verdict.COLUMNS,
        "rows": selection_verdict.rows(selection),
    }


def _alarms_of(run: RunReport) -> str:
    """The videos that false alarms were counted in."""
    if run.triggers is None:
        return ""
    videos = verdict.pluralize(run.triggers["videos"], "whole validation videos")
    groups = verdict.pluralize(run.triggers["groups"], run.data.group_noun)
    return f"{videos} of {groups}, with {duration(3600 * run.triggers['background_hours'])} of background"


def _shuffle_recall_drop(test: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Label, recall, and recall lost by shuffling, of each class that was tested, those that live on motion first."""
    shuffle_recall_drop = test.get("motion_reliance") or {}
    rows = [(label, row["recall"], shuffle_recall_drop.get(label)) for label, row in test["per_class"].items()]
    known = [row for row in rows if verdict.is_number(row[2])]
    return sorted(known, key=lambda row: -row[2])


def _tiles(run: RunReport) -> list[tuple[str, str, str]]:
    """Name, figure and meaning, for the row of figures under the headline."""
    test = run.test
    within = "95 % interval {}"
    tiles = []
    if run.segments:
        half = run.segments["overlaps"]["0.5"]
        tiles.append(
            ("Segment F1", percent(half["f1"]), _interval(half["f1_interval"], within) or "at an overlap of 0.5")
        )
    tiles += [
        (
            "Top-1",
            percent(test["top1"]),
            _interval(test.get("top1_interval"), within) or "of videos classified correctly",
        )
    ]
    if verdict.is_number(test.get("top5")) and len(test["per_class"]) >= _FEWEST_FOR_TOP5:
        tiles.append(("Top-5", percent(test["top5"]), "the correct label is among the five most probable ones"))
    tiles.append(
        (
            "Macro-F1",
            percent(test["macro_f1"]),
            _interval(test.get("macro_f1_interval"), within) or "every class counts the same",
        )
    )
    if "as_used" in test:
        used = test["as_used"]
        refused = _interval(used["top1_interval"], within) or "of videos"
        tiles.append(("As used", percent(used["top1"]), f"refused videos count as wrong; {refused}"))
    if verdict.is_number(test.get("calibration_error")):
        tiles.append(("Calibration error", percent(test["calibration_error"]), "how far its probabilities are off"))
    groups = verdict.pluralize(test["groups"], run.data.group_noun)
    tiles.append(("Test videos", f"{test['n']:,}", f"of {groups}"))
    return [(name, figure, meaning.replace(" %", "\u00a0%")) for name, figure, meaning in tiles]


def _strip(mistake: Mistake) -> tuple[Mistake, str, str | None]:
    looked = None if mistake.looked_THWC is None else jpeg_data_uri(filmstrip(mistake.looked_THWC))
    return mistake, jpeg_data_uri(filmstrip(mistake.frames_THWC)), looked


def _interval(interval: object, sentence: str) -> str:
    return sentence.format(verdict.between(interval)) if verdict.is_interval(interval) else ""


def _data_summary(table: ClipTable, metrics: MetricsDocument) -> DataSummary:
    counts: dict[str, dict[str, int]] = {label: dict.fromkeys(SPLITS, 0) for label in table.labels}
    for label, split in table.rows.select("label", "split").iter_rows():
        counts[label][split] += 1
    data = metrics["data"]
    return DataSummary(
        counts=counts,
        groups=data["groups"],
        group_source=table.group_source,
        group_noun=data["group_noun"],
        leaky=metrics["model"]["split"]["leaky"],
        fingerprint=metrics["model"]["data"],
        skipped=[(one.path, one.reason) for one in table.skipped],
        warnings=table.warnings,
    )


def _worst_mistakes(run: Run) -> list[Mistake]:
    """The wrong answers given with most confidence, with what the network saw."""
    answers_N = run.test_probabilities_NK.argmax(axis=1)
    wrong = [number for number, item in enumerate(run.test) if answers_N[number] != item.label]
    wrong.sort(key=lambda number: -run.test_probabilities_NK[number].max())
    labels = run.card.labels
    look = _looker(run) if wrong else None
    mistakes = []
    for place, number in enumerate(wrong[:_MISTAKES]):
        item, answer = run.test[number], int(answers_N[number])
        starts = run.frame_cache.evaluation_starts(item)
        frames_THWC = run.frame_cache.window(item, starts[len(starts) // 2])
        mistakes.append(
            Mistake(
                name=item.name,
                truth=labels[item.label],
                predicted=labels[answer],
                probability=float(run.test_probabilities_NK[number].max()),
                frames_THWC=frames_THWC,
                looked_THWC=look(frames_THWC, answer) if look and place < _EXPLAINED else None,
            )
        )
    return mistakes


def _looker(run: Run) -> Callable[[NDArray[np.uint8], int], NDArray[np.uint8]] | None:
    """Lays heat maps for a label over the frames of a clip; None behind large backbones, where that takes long."""
    if run.card.backbone.is_pretrained:
        return None
    from kineme.models.model_file import load_model
    from kineme.prediction.explain.gradients import HeatMaps
    from kineme.prediction.loading import find_model_file
    from kineme.report.explain_drawing import as_shares, lay_heat

    heat_maps = HeatMaps(*load_model(find_model_file(run.folder)))

    def look(frames_THWC: NDArray[np.uint8], column: int) -> NDArray[np.uint8]:
        shares_THW = as_shares(heat_maps(frames_THWC[None], column)[0].astype(np.float32))
        pairs = zip(frames_THWC, shares_THW, strict=True)
        return np.stack([lay_heat(frame_HWC, shares_HW, run.card.spec) for frame_HWC, shares_HW in pairs])

    return look
