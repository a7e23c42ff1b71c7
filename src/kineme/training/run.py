"""From a table of videos to a run folder: prepare, train, measure, write."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.groups import group_noun
from kineme.dataset.split_csv import write_split_csv
from kineme.dataset.table import ClipTable
from kineme.errors import KinemeError, UsageError
from kineme.files import file_lock, remove_abandoned, write_csv, write_json
from kineme.models.model_file import ModelCard, save_model
from kineme.text import accuracy_in_words
from kineme.training.cache import FrameCache
from kineme.training.items import Item
from kineme.training.options import TrainOptions
from kineme.training.parts import has_parts
from kineme.training.prepare import Prepared, prepare
from kineme.training.segment_metrics import SegmentMetrics
from kineme.training.selection import Selection
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.training.false_alarms import TriggerMetrics
    from kineme.training.fit import TrainingResult
    from kineme.training.measure import Measured, OpenSetMetrics

MODEL, CHECKPOINT, METRICS, HISTORY, PREDICTIONS, SPLIT = (
    "model.safetensors",
    "checkpoint.safetensors",
    "metrics.json",
    "history.csv",
    "predictions.csv",
    "split.csv",
)


class MetricsDocument(TypedDict):
    """``metrics.json``; ``docs/reference/run-folder.md`` describes each field.

    ``test`` and ``validation`` are :class:`kineme.training.metrics.ClassificationMetrics`; ``test`` has the baselines,
    the frame orders and, where there is one, the figure of a split by groups (``honest``) besides. ``segments`` is
    there where rows are parts of longer videos, and then it is the headline; ``triggers`` where such validation videos
    are labelled throughout.
    """

    test: dict[str, Any]
    validation: NotRequired[dict[str, Any]]
    unknown: NotRequired[OpenSetMetrics]
    segments: NotRequired[SegmentMetrics]
    triggers: NotRequired[TriggerMetrics]
    selection: NotRequired[Selection]
    train: dict[str, Any]
    model: dict[str, Any]
    data: dict[str, Any]
    versions: dict[str, str]


@dataclass(frozen=True, repr=False)
class Run:
    """What training leaves behind, for the report and for Python.

    Args:
        folder: the run folder.
        card: the model's card.
        table: the videos with their split; those that could not be read are in its ``skipped``.
        history: one dict an epoch.
        metrics: the document of ``metrics.json``.
        test: the test videos.
        test_probabilities_NK: calibrated probabilities of each test video, float64.
        test_open_set_scores_N: open-set score of each test video's best window: from 0 on it is one of the labels. None
            where there were no validation videos to tell by.
        background_open_set_scores_N: the same of background of test videos; None without background.
        frame_cache: gives the frames that the network saw.

    Example:
        >>> run = kineme.train(
        ...     "my-videos", "runs/third", approach="single-frame", options=kineme.TrainOptions(epochs=1, augment=False)
        ... )
        >>> run.folder.name, len(run.history)
        ('third', 1)
    """

    folder: Path
    card: ModelCard
    table: ClipTable
    history: list[dict[str, float]]
    metrics: MetricsDocument
    test: list[Item]
    test_probabilities_NK: NDArray[np.float64]
    test_open_set_scores_N: NDArray[np.float64] | None
    background_open_set_scores_N: NDArray[np.float64] | None
    frame_cache: FrameCache

    def __repr__(self) -> str:
        backbone = self.card.config.get("backbone")
        what = f"{self.card.approach} on {backbone}" if backbone else self.card.approach
        found = accuracy_in_words(self.metrics["test"], self.metrics["data"]["group_noun"])
        return f"Run({str(self.folder)!r}, {what}, top-1 {found})"

    @property
    def model_path(self) -> Path:
        """The model file."""
        return self.folder / MODEL


def train(
    table: ClipTable,
    out: str | Path,
    *,
    approach: str,
    config: dict[str, Any] | None = None,
    spec: ClipSpec | None = None,
    options: TrainOptions | None = None,
    test: float = 0.2,
    validation: float = 0.2,
    leaky: bool = False,
    reference: dict[str, Any] | None = None,
    selection: Selection | None = None,
    allow_leaks: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    log: Sequence[str] = (),
    report: Callable[[Run], object] | None = None,
) -> Run:
    """Train an approach and measure it on groups it never saw.

    Args:
        table: labelled videos, from :func:`kineme.dataset.scan.scan`.
        out: the run folder to make.
        approach: a name in the registry.
        config: the approach's options.
        spec: what a clip is; 20 frames of 64 x 64 at 8 a second by default.
        options: how to train.
        test: share of the videos to test on.
        validation: fraction of the videos for early stopping and calibration.
        leaky: split at random, ignoring groups; the metrics are then too high.
        reference: from :func:`kineme.training.leaky.group_split_reference`, for ``test.honest`` of a leaky split.
        selection: how the approach was chosen, where it was not named; see :mod:`kineme.training.auto`.
        allow_leaks: continue even if the same video is on two sides of the split or has two labels.
        resume: continue from the run folder's checkpoint, which exists until the report is written.
        overwrite: replace a finished run.
        log: names of :data:`kineme.training.loggers.LOGGERS`.
        report: writes the report of the run.

    Returns:
        The run; its folder holds the model, ``metrics.json``, ``history.csv``, ``predictions.csv`` (the prediction
        for each test video) and ``split.csv``.

    Raises:
        KinemeError: the data cannot be split or read, or leaks; or the folder holds a run already, or is in use.
        UsageError: an unknown approach or option.
    """
    started = time.perf_counter()
    out, spec, options = Path(out), spec or ClipSpec(), options or TrainOptions()
    with run_folder(out, resume=resume, overwrite=overwrite):
        prepared = prepare(
            table,
            approach=approach,
            config=config,
            spec=spec,
            options=options,
            test=test,
            validation=validation,
            leaky=leaky,
            allow_leaks=allow_leaks,
        )
        write_split_csv(prepared.table, out / SPLIT)

        from kineme.training.fit import train_once
        from kineme.training.loggers import training_log
        from kineme.training.measure import measure
        from kineme.training.stream_speed import looks_per_second

        network = prepared.learner.network
        with training_log(log, out, {**prepared.settings, "parameters": network.count_params()}) as logged:
            result = train_once(
                prepared.learner,
                prepared.parts,
                prepared.cache,
                options,
                checkpoint=out / CHECKPOINT,
                settings=prepared.settings,
                resume=resume,
                background=prepared.background,
                gaps=prepared.gaps,
                on_epoch=logged.epoch,
            )
            measured = measure(prepared, result, options.seed)
            if reference:
                measured.document["test"]["honest"] = reference
            if selection:
                card, video = prepared.card, prepared.parts["test"][0].path
                speed = looks_per_second(network, card, video)
                measured.document["selection"] = {**selection, "looks_per_second": speed}
            logged.result(measured.document, epoch=len(result.history))
        run = _write(out, prepared, result, measured, started, logged.notes)
        if report:
            report(run)
        (out / CHECKPOINT).unlink(missing_ok=True)
        return run


@contextmanager
def run_folder(out: Path, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold the run folder for one training, and never write over a run by accident.

    Raises:
        KinemeError: it holds a run, or another process trains into it.
        UsageError: it is a file.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; --out names the folder to make")
    lock, is_new = out / ".lock", not out.exists()
    with file_lock(lock, busy=f"{out}: another training is writing here; choose another --out, or wait for it"):
        try:
            _check_folder(out, resume, overwrite)
            yield
        finally:
            with suppress(OSError):  # Windows keeps it while it is held; and a folder that holds something stays
                lock.unlink()
                if is_new:
                    out.rmdir()


def _check_folder(out: Path, resume: bool, overwrite: bool) -> None:
    if (out / CHECKPOINT).exists() and not (resume or overwrite):
        raise KinemeError(f"{out}: holds an unfinished run; continue with --resume, or start again with --overwrite")
    if (out / MODEL).exists() and not (out / CHECKPOINT).exists() and not overwrite:
        raise KinemeError(f"{out}: already holds a finished run; choose another --out, or give --overwrite")
    if overwrite and not resume:
        for name in (MODEL, CHECKPOINT, METRICS, HISTORY):
            (out / name).unlink(missing_ok=True)
    for name in (MODEL, CHECKPOINT, METRICS, HISTORY, PREDICTIONS, SPLIT):
        remove_abandoned(out / name)


def _write(
    out: Path, prepared: Prepared, result: TrainingResult, measured: Measured, started: float, notes: Sequence[str]
) -> Run:
    """Write all of the run folder but its report; ``notes`` are warnings besides those of the data."""
    from kineme.models.backend import keras, versions
    from kineme.models.scoring import softmax

    learner, tested, settings = prepared.learner, prepared.parts["test"], prepared.settings
    devices = keras.distribution.distribution()  # kineme.training.devices.SharedOut; None is one device
    warnings = [*measured.warnings, *(f"{name}: left out, {reason}" for name, reason in prepared.cache.lost.items())]
    warnings += [*(result.solved.notes if result.solved else ()), *notes]
    if prepared.cache.full_note:
        warnings.append(prepared.cache.full_note)
    table = replace(prepared.table, warnings=tuple(dict.fromkeys([*prepared.table.warnings, *warnings])))
    seconds = time.perf_counter() - started
    document: MetricsDocument = {
        **measured.document,
        "train": {
            **_training_facts(result.history, len(prepared.parts["train"]), seconds),
            "devices": devices.count if devices else 1,
        },
        "model": {"parameters": learner.network.count_params(), **settings},
        "data": {
            **_data_facts(table, prepared.parts),
            "copies": [dataclasses.asdict(one) for one in prepared.copies],
        },
        "versions": versions(),
    }
    card = replace(
        prepared.card,
        open_set=measured.open_set,
        timeline=measured.timeline,
        temperature=result.temperature,
        provenance=_provenance(document) | _of_backbone(prepared),
    )
    probabilities_NK = softmax(measured.logits_NK, result.temperature)
    write_csv(out / HISTORY, list(result.history[0]), [list(row.values()) for row in result.history])
    _write_predictions(out / PREDICTIONS, tested, prepared.labels, probabilities_NK)
    write_json(out / METRICS, document)
    save_model(out / MODEL, measured.learner.network, card)
    # Few frames are shown: where the cache holds features, they are decoded and not kept.
    frames = FrameCache(card.spec, per_frame=1, limit_bytes=0) if learner.encoder else prepared.cache
    return Run(
        out,
        card,
        table,
        result.history,
        document,
        tested,
        probabilities_NK,
        measured.test_open_set_scores_N,
        measured.background_open_set_scores_N,
        frames,
    )


def _provenance(document: MetricsDocument) -> dict[str, Any]:
    """The record of the training in the model file."""
    test, settings = document["test"], document["model"]
    figures = {name: test[name] for name in ("n", "groups", "top1", "top1_interval", "macro_f1")}
    if "segments" in document:
        figures["segments"] = document["segments"]["overlaps"]
    return {
        "data": settings["data"],
        "split": settings["split"],
        "options": settings["options"],
        "versions": document["versions"],
        "test": figures,
    }


def _of_backbone(prepared: Prepared) -> dict[str, Any]:
    """Where the weights of its backbone come from, where their package does not say it."""
    provenance = prepared.card.backbone.provenance
    return {"backbone": dict(provenance)} if provenance else {}


def _training_facts(history: list[dict[str, float]], videos: int, total_s: float) -> dict[str, Any]:
    from kineme.training.feed import REPORT_WAIT_ABOVE

    trained_s = sum(row["seconds"] for row in history)
    waiting = sum(row.get("feed_share", 0) * row["seconds"] for row in history) / trained_s
    return {
        "videos": videos,
        "epochs": len(history),
        "best_epoch": min(history, key=lambda row: row.get("val_loss", -row["epoch"]))["epoch"],  # else the last
        "training_seconds": round(trained_s, 1),
        "clips_per_second": round(videos * len(history) / trained_s, 1),
        "feed_share": round(waiting, 3),  # of the time, spent waiting for clips
        "limit": "feed" if waiting > REPORT_WAIT_ABOVE else "step",
        "total_seconds": round(total_s, 1),
    }


def _data_facts(table: ClipTable, parts: dict[str, list[Item]]) -> dict[str, Any]:
    return {
        "videos": {name: len(part) for name, part in parts.items()},
        "files": {name: len({item.path for item in part}) for name, part in parts.items()},
        "groups": {name: len({item.group for item in part}) for name, part in parts.items()},
        "parts": has_parts(table),
        "group_source": table.group_source,
        "group_noun": group_noun(table.group_source, table.rows["group"]),
        "skipped": [dataclasses.asdict(one) for one in table.skipped],
        "warnings": list(table.warnings),
    }


def _write_predictions(
    path: Path, items: Sequence[Item], labels: tuple[str, ...], probabilities_NK: NDArray[np.float64]
) -> None:
    columns = ["name", "start_s", "end_s", "group", "label", "predicted", *(f"p({label})" for label in labels)]
    rows = [
        [
            *(item.name, item.start_s, item.end_s, item.group, labels[item.label], labels[int(row_K.argmax())]),
            *(round(float(value), 6) for value in row_K),
        ]
        for item, row_K in zip(items, probabilities_NK, strict=True)
    ]
    write_csv(path, columns, rows)
