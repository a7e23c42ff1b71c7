"""From a table of videos to a run folder: split, decode, train, calibrate, evaluate, save."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.audit.audit import check_splits
from kineme.dataset.groups import group_noun
from kineme.dataset.split import split
from kineme.dataset.split_csv import write_split_csv
from kineme.dataset.table import ClipTable, Skipped
from kineme.errors import KinemeError, UsageError
from kineme.files import atomic_write, remove_abandoned, write_json
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.registry import DEFAULT_APPROACH, make_approach
from kineme.training.cache import FrameCache, Item, parts_of
from kineme.training.leaky import FOLDER, group_split_reference
from kineme.training.options import TrainOptions
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.training.learner import Learner

MODEL, CHECKPOINT, METRICS, HISTORY, PREDICTIONS, SPLIT = (
    "model.safetensors",
    "checkpoint.safetensors",
    "metrics.json",
    "history.csv",
    "predictions.csv",
    "split.csv",
)


@dataclass(frozen=True)
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
        background_open_set_scores_N: the same of background made of test videos; None where none can be made.
        frame_cache: gives the frames that the network saw.
    """

    folder: Path
    card: ModelCard
    table: ClipTable
    history: list[dict[str, float]]
    metrics: dict[str, Any]
    test: list[Item]
    test_probabilities_NK: NDArray[np.float64]
    test_open_set_scores_N: NDArray[np.float64] | None
    background_open_set_scores_N: NDArray[np.float64] | None
    frame_cache: FrameCache

    @property
    def model_path(self) -> Path:
        """The model file."""
        return self.folder / MODEL


def train(
    table: ClipTable,
    out: str | Path,
    *,
    approach: str = DEFAULT_APPROACH,
    config: dict[str, Any] | None = None,
    spec: ClipSpec | None = None,
    options: TrainOptions | None = None,
    test: float = 0.2,
    validation: float = 0.2,
    leaky: bool = False,
    allow_leaks: bool = False,
    resume: bool = False,
    overwrite: bool = False,
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
        validation: share of the videos to stop by and to calibrate with.
        leaky: split at random, ignoring groups; the figures then flatter, so it is trained once more on an honest
            split (in the folder ``honest`` of the run), and ``test.honest`` holds the figure to believe.
        allow_leaks: go on where the same video is on two sides of the split or under two labels.
        resume: go on from the run folder's checkpoint.
        overwrite: replace a finished run.

    Returns:
        The run; its folder holds the model, ``metrics.json``, ``history.csv``, ``predictions.csv`` (what was answered
        for each test video) and ``split.csv``.

    Raises:
        KinemeError: the data cannot be split or read, or leaks; or the folder holds a run already.
        UsageError: an unknown approach or option.
    """
    started = time.perf_counter()
    out, spec, options = Path(out), spec or ClipSpec(), options or TrainOptions()
    approach_object = make_approach(approach, config)
    _check_folder(out, resume, overwrite)
    honest = None
    if leaky:
        same = {"approach": approach, "config": config, "spec": spec, "options": options}
        honest = group_split_reference(table, out / FOLDER, resume=resume, test=test, validation=validation, **same)
    table = split(table, seed=options.seed, test=test, validation=validation, leaky=leaky)
    labels = table.labels
    if options.augment and not options.flips(labels) and options.flip is None:
        table = replace(table, warnings=(*table.warnings, "a label says left or right, so clips are not mirrored"))
    settings: dict[str, Any] = {
        "approach": approach,
        "config": config_of(approach_object),
        "spec": spec.to_json(),
        "data": table.fingerprint(),
        "labels": list(labels),
        "split": {"test": test, "validation": validation, "leaky": leaky},
        "options": dataclasses.asdict(options),
    }

    from kineme.models.backend import keras, seed_everything, versions
    from kineme.training.background import learns_background, score_background
    from kineme.training.baselines import baseline_predictions
    from kineme.training.evaluate import classification_metrics, order_metrics, score_items, score_windows
    from kineme.training.fit_open_set import FEW, best_of_videos, fit_open_set, open_set_metrics
    from kineme.training.learner import make_learner
    from kineme.training.metrics import baselines, softmax

    seed_everything(options.seed)
    learner = make_learner(  # before the videos: a bad option fails at once
        approach_object, spec, len(labels), seed=options.seed, finetune=options.finetune
    )
    background = learns_background(learner)
    devices = keras.distribution.distribution()  # kineme.training.devices.SharedOut; None is one device
    if devices:
        devices.check_step(options.effective_batch_size, background)
    copies = check_splits([table], allow=allow_leaks or leaky)
    said = [f"{one.message} {one.advice}" for one in copies if one.severity != "note"]
    table = replace(table, warnings=(*table.warnings, *said))
    cache = learner.cache()
    table, items = cache.prepare(table, labels)
    parts = parts_of(table, items)
    _check_parts(parts, labels, table.skipped)
    write_split_csv(table, out / SPLIT)
    settings["background"] = background
    result = train_once(
        learner,
        parts,
        cache,
        options,
        checkpoint=out / CHECKPOINT,
        settings=settings,
        resume=resume,
        background=background,
    )
    temperature, history = result.temperature, result.history
    document: dict[str, Any] = {}
    if result.validation_logits_NK is not None:
        document["validation"] = classification_metrics(
            result.validation_logits_NK, parts["validation"], labels, temperature, options.seed
        )
    tested = parts["test"]
    logits_NK = score_items(learner.trained, tested, cache, label="testing")
    test_metrics = classification_metrics(logits_NK, tested, labels, temperature, options.seed)
    test_metrics |= order_metrics(learner.trained, tested, cache, logits_NK, labels, options.seed, label="testing")
    test_metrics["baselines"] = baselines(
        baseline_predictions(table, frame_cache=None if learner.encoder else cache, seed=options.seed),
        [item.label for item in tested],
        [item.group for item in tested],
        len(labels),
        seed=options.seed,
    )
    if honest:
        test_metrics["honest"] = honest
    open_set = test_open_set_scores_N = background_open_set_scores_N = None
    if len(parts["validation"]) > 1:
        trained_VK = None
        if len(parts["validation"]) < FEW:
            trained_VK, _ = score_windows(learner.trained, parts["train"], cache)
        validation_windows = score_windows(learner.trained, parts["validation"], cache)
        open_set, refused = fit_open_set(*validation_windows, trained_VK, background=bool(background))
        test_open_set_scores_N = best_of_videos(open_set, *score_windows(learner.trained, tested, cache))
        if background:
            background_open_set_scores_N = open_set.score(
                score_background(learner.trained, tested, cache, options.seed)
            )
        document["unknown"] = {
            "threshold": open_set.threshold,
            "refused_at_most": refused,
            "learned_from_background": background,
            **open_set_metrics(
                test_open_set_scores_N, background_open_set_scores_N, [item.group for item in tested], seed=options.seed
            ),
        }
    document = {
        "test": test_metrics,
        **document,
        "train": {
            **_training_facts(history, len(parts["train"]), time.perf_counter() - started),
            "devices": devices.count if devices else 1,
        },
        "model": {"parameters": learner.network.count_params(), **settings},
        "data": {**_data_facts(table, parts), "copies": [dataclasses.asdict(one) for one in copies]},
        "versions": versions(),
    }

    card = ModelCard(
        approach=approach,
        config=settings["config"],
        spec=spec,
        labels=labels,
        temperature=temperature,
        provenance={
            "data": settings["data"],
            "split": settings["split"],
            "options": settings["options"],
            "versions": document["versions"],
            "test": {name: test_metrics[name] for name in ("n", "groups", "top1", "top1_interval", "macro_f1")},
        },
        finetuned=bool(learner.backbone_weights),
        open_set=open_set,
    )
    probabilities_NK = softmax(logits_NK, temperature)
    _write_history(out / HISTORY, history)
    _write_predictions(out / PREDICTIONS, tested, labels, probabilities_NK)
    write_json(out / METRICS, document)
    save_model(out / MODEL, learner.network, card)
    (out / CHECKPOINT).unlink(missing_ok=True)
    frame_cache = (
        cache if not learner.encoder else FrameCache(spec, per_frame=1, limit_bytes=0)
    )  # few are shown: not kept
    return Run(
        out,
        card,
        table,
        history,
        document,
        tested,
        probabilities_NK,
        test_open_set_scores_N,
        background_open_set_scores_N,
        frame_cache,
    )


@dataclass(frozen=True)
class TrainingResult:
    """What one training gives beside the weights.

    Args:
        history: one dict an epoch.
        temperature: that makes the probabilities of the validation videos likeliest; 1 without them.
        validation_logits_NK: of the validation videos, or None where there are none.
    """

    history: list[dict[str, float]]
    temperature: float
    validation_logits_NK: NDArray[np.float32] | None


def train_once(
    learner: Learner,
    parts: dict[str, list[Item]],
    cache: FrameCache,
    options: TrainOptions,
    *,
    checkpoint: Path | None,
    settings: dict[str, Any],
    resume: bool = False,
    background: bool = False,
    label: str | None = "training",
) -> TrainingResult:
    """Train what the learner has to train, and calibrate it.

    Args:
        learner: as :meth:`kineme.training.learner.Learner.reset_weights` leaves it.
        parts: the videos of each split.
        cache: from :meth:`kineme.training.learner.Learner.cache`, with all of them prepared.
        options: how to train.
        checkpoint: see :func:`kineme.training.fit.fit`.
        settings: what must be equal for ``resume`` to make sense.
        resume: go on from ``checkpoint``.
        background: learn what is none of the actions, see :mod:`kineme.training.background`.
        label: what the progress bar says; None shows none.

    Raises:
        KinemeError: training diverged, or cannot be resumed.
    """
    from kineme.training.augment import Augmentation
    from kineme.training.evaluate import score_items
    from kineme.training.fit import fit
    from kineme.training.metrics import fit_temperature

    flip = options.flips(tuple(settings["labels"]))
    views = options.num_views(learner.encoder)
    if views:
        cache.add_views(parts["train"], Augmentation(flip=flip), views)
    history = fit(
        learner.trained,
        parts["train"],
        parts["validation"],
        cache,
        options,
        checkpoint=checkpoint,
        settings=settings,
        flip=flip,
        resume=resume,
        backbone_weights=learner.backbone_weights,
        background=background,
        label=label,
    )
    if not parts["validation"]:
        return TrainingResult(history, 1.0, None)
    logits_NK = score_items(learner.trained, parts["validation"], cache)
    temperature = fit_temperature(logits_NK, np.array([item.label for item in parts["validation"]]))
    return TrainingResult(history, temperature, logits_NK)


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
        "groups": {name: len({item.group for item in part}) for name, part in parts.items()},
        "group_source": table.group_source,
        "group_noun": group_noun(table.group_source, table.rows["group"]),
        "skipped": [dataclasses.asdict(one) for one in table.skipped],
        "warnings": list(table.warnings),
    }


def _check_folder(out: Path, resume: bool, overwrite: bool) -> None:
    """Never write over a run by accident."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; --out names the folder to make")
    if (out / MODEL).exists() and not overwrite:
        raise KinemeError(f"{out}: already holds a finished run; choose another --out, or give --overwrite")
    if (out / CHECKPOINT).exists() and not (resume or overwrite):
        raise KinemeError(f"{out}: holds an unfinished run; go on with --resume, or start again with --overwrite")
    if overwrite and not resume:
        for name in (MODEL, CHECKPOINT, METRICS, HISTORY):
            (out / name).unlink(missing_ok=True)
    for name in (MODEL, CHECKPOINT, METRICS, HISTORY, PREDICTIONS, SPLIT):
        remove_abandoned(out / name)


def _check_parts(parts: dict[str, list[Item]], labels: tuple[str, ...], skipped: Sequence[Skipped]) -> None:
    """After unreadable videos are gone, each class must still be there to learn and to test."""
    for name in ("train", "test"):
        present = {item.label for item in parts[name]}
        for number, label in enumerate(labels):
            if number not in present:
                first = f"; the first unreadable one: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
                raise KinemeError(f"class {label!r} has no readable video in the {name} split{first}")


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    import polars as pl

    with atomic_write(path) as temporary:
        pl.DataFrame(history).write_csv(temporary)


def _write_predictions(
    path: Path, items: Sequence[Item], labels: tuple[str, ...], probabilities_NK: NDArray[np.float64]
) -> None:
    import polars as pl

    rows = [
        {
            "name": item.name,
            "start_s": item.start_s,
            "end_s": item.end_s,
            "group": item.group,
            "label": labels[item.label],
            "predicted": labels[int(row_K.argmax())],
            **{f"p({label})": round(float(value), 6) for label, value in zip(labels, row_K, strict=True)},
        }
        for item, row_K in zip(items, probabilities_NK, strict=True)
    ]
    with atomic_write(path) as temporary:
        pl.DataFrame(rows, infer_schema_length=None).write_csv(temporary)
