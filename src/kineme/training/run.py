"""From a table of videos to a run folder: split, decode, train, calibrate, evaluate, save."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.groups import group_noun
from kineme.dataset.split import split
from kineme.dataset.table import SPLITS, ClipTable, Skipped, write_split_csv
from kineme.errors import KinemeError, UsageError
from kineme.files import remove_abandoned, replacing, write_json
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.registry import make_approach
from kineme.training.cache import Item, StripCache
from kineme.training.options import TrainOptions
from kineme.video.spec import ClipSpec

MODEL, CHECKPOINT, METRICS, HISTORY, SPLIT = (
    "model.safetensors",
    "checkpoint.safetensors",
    "metrics.json",
    "history.csv",
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
        pixels: gives the frames that the network saw.
    """

    folder: Path
    card: ModelCard
    table: ClipTable
    history: list[dict[str, float]]
    metrics: dict[str, Any]
    test: list[Item]
    test_probabilities_NK: NDArray[np.float64]
    pixels: StripCache

    @property
    def model_path(self) -> Path:
        """The model file."""
        return self.folder / MODEL


def train(
    table: ClipTable,
    out: str | Path,
    *,
    approach: str = "lrcn",
    config: dict[str, Any] | None = None,
    spec: ClipSpec | None = None,
    options: TrainOptions | None = None,
    test: float = 0.2,
    validation: float = 0.2,
    leaky: bool = False,
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
        leaky: split at random, ignoring groups; the figures then flatter.
        resume: go on from the run folder's checkpoint.
        overwrite: replace a finished run.

    Returns:
        The run; its folder holds the model, ``metrics.json``, ``history.csv`` and ``split.csv``.

    Raises:
        KinemeError: the data cannot be split or read, or the folder holds a run already.
        UsageError: an unknown approach or option.
    """
    started = time.perf_counter()
    out, spec, options = Path(out), spec or ClipSpec(), options or TrainOptions()
    approach_object = make_approach(approach, config)
    _check_folder(out, resume, overwrite)
    table = split(table, seed=options.seed, test=test, validation=validation, leaky=leaky)
    labels = table.labels
    flip = options.flips(labels)
    if options.augment and not flip and options.flip is None:
        table = replace(table, warnings=(*table.warnings, "a label says left or right, so clips are not mirrored"))
    settings: dict[str, Any] = {
        "approach": approach,
        "config": config_of(approach_object),
        "spec": spec.to_json(),
        "data": table.fingerprint(),
        "split": {"test": test, "validation": validation, "leaky": leaky},
        "options": dataclasses.asdict(options),
    }

    from kineme.models.backend import seed_everything, versions
    from kineme.models.encoder import encoder_of
    from kineme.models.network import build_network
    from kineme.training.augment import Augmentation
    from kineme.training.evaluate import baseline_figures, figures, score_items
    from kineme.training.fit import fit
    from kineme.training.metrics import fit_temperature, softmax

    seed_everything(options.seed)
    network = build_network(approach_object, spec, len(labels), pretrained=True)  # first: a bad option fails at once
    encoder = encoder_of(network, approach_object.backbone)
    trained = network.get_layer("head") if encoder else network
    cache = StripCache(spec, encoder, per_frame=1 if encoder else 2)
    table, items = cache.prepare(table, labels)
    parts = {name: _items_in(table, items, name) for name in SPLITS}
    _check_parts(parts, labels, table.skipped)
    write_split_csv(table, out / SPLIT)
    if encoder and options.augment and options.views:
        cache.add_views(parts["train"], Augmentation(flip=flip), options.views)

    history = fit(
        trained,
        parts["train"],
        parts["validation"],
        cache,
        options,
        checkpoint=out / CHECKPOINT,
        settings=settings,
        flip=flip,
        resume=resume,
    )
    temperature = 1.0
    document: dict[str, Any] = {}
    if parts["validation"]:
        logits_NK = score_items(trained, parts["validation"], cache)
        temperature = fit_temperature(logits_NK, np.array([item.label for item in parts["validation"]]))
        document["validation"] = figures(logits_NK, parts["validation"], labels, temperature, options.seed)
    logits_NK = score_items(trained, parts["test"], cache, label="testing")
    test_figures = figures(logits_NK, parts["test"], labels, temperature, options.seed)
    seen, pixels, pixels_shown = parts, cache, cache
    if encoder:  # features show no background: look at the videos once more, small
        pixels, pixels_shown = StripCache(replace(spec, height=64, width=64), per_frame=1), _uncached(spec)
        _, small_items = pixels.prepare(table, labels)
        seen = {name: _items_in(table, small_items, name) for name in SPLITS}
    test_figures["baselines"] = baseline_figures(seen["train"], seen["test"], pixels, options.seed)
    document = {
        "test": test_figures,
        **document,
        "train": _training_facts(history, len(parts["train"]), time.perf_counter() - started),
        "model": {"parameters": network.count_params(), **settings},
        "data": _data_facts(table, parts),
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
            "test": {name: test_figures[name] for name in ("n", "groups", "top1", "top1_interval", "macro_f1")},
        },
    )
    _write_history(out / HISTORY, history)
    write_json(out / METRICS, document)
    save_model(out / MODEL, network, card)
    (out / CHECKPOINT).unlink(missing_ok=True)
    return Run(out, card, table, history, document, parts["test"], softmax(logits_NK, temperature), pixels_shown)


def _uncached(spec: ClipSpec) -> StripCache:
    """Frames decoded when asked for, since too many of this size would have to be kept for the few that are shown."""
    return StripCache(spec, per_frame=1, limit_bytes=0)


def _training_facts(history: list[dict[str, float]], videos: int, total_s: float) -> dict[str, float]:
    trained_s = sum(row["seconds"] for row in history)
    return {
        "videos": videos,
        "epochs": len(history),
        "best_epoch": min(history, key=lambda row: row.get("val_loss", row["loss"]))["epoch"],
        "training_seconds": round(trained_s, 1),
        "clips_per_second": round(videos * len(history) / trained_s, 1),
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
    for name in (MODEL, CHECKPOINT, METRICS, HISTORY, SPLIT):
        remove_abandoned(out / name)


def _items_in(table: ClipTable, items: Sequence[Item], name: str) -> list[Item]:
    return [item for item, part in zip(items, table.rows["split"], strict=True) if part == name]


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

    with replacing(path) as temporary:
        pl.DataFrame(history).write_csv(temporary)
