"""A finished model on labelled videos, and on whole videos where rows are parts of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from kineme.dataset.split_csv import read_split_csv
from kineme.dataset.table import SPLITS, ClipTable
from kineme.errors import KinemeError, UsageError
from kineme.prediction.joined import leader_number
from kineme.prediction.predict import predict_file
from kineme.prediction.trained import TrainedModel
from kineme.progress import track
from kineme.training.cache import FrameCache
from kineme.training.evaluate import classification_metrics, order_metrics, score_items
from kineme.training.frame_order import FrameOrder, check_order
from kineme.training.joined_cache import JoinedCache
from kineme.training.parts import has_parts, mark_labelled_throughout
from kineme.training.run import METRICS, SPLIT
from kineme.training.segment_metrics import SegmentMetrics, segment_metrics
from kineme.training.timelines import labelled_videos, timeline_of


def evaluate_model(
    model: TrainedModel,
    table: ClipTable,
    data: Path | None,
    *,
    split: str | None,
    frame_order: FrameOrder,
    seed: int,
) -> dict[str, Any]:
    """Measure a model; arguments, result and errors as of :func:`kineme.evaluate`.

    Args:
        model: to measure.
        table: the labelled videos.
        data: where the table was read from, if anywhere.
        split: of the videos to measure on.
        frame_order: of the frames of clips.
        seed: of the shuffling and of the intervals.
    """
    check_order(frame_order)
    if split not in (None, "all", *SPLITS):
        raise UsageError(f"split must be train, validation, test or all, not {split!r}")
    run = model.path.parent if model.path else None
    said = [table, *([mark_labelled_throughout(table)] if has_parts(table) else [])]  # as training may have been told
    own_data = model.card.provenance.get("data") in [one.fingerprint() for one in said]
    if own_data and run and data and (run / SPLIT).exists():
        table = read_split_csv(run / SPLIT, data)
    split = split or ("test" if _has_split(table) else "all")
    table = _rows_of(table, split, own_data)
    unknown = sorted(set(table.labels) - set(model.labels))
    if unknown:
        raise KinemeError(f"the model does not know the label {unknown[0]!r}; it knows {', '.join(model.labels)}")
    found: dict[str, Any] = {}
    if not (model.exported and has_parts(table)):  # an exported model predicts whole videos, and no more
        found, table = _clips(model, table, split, frame_order, seed)
    if frame_order == "ordered":
        segments, warnings = _timelines(model, table, seed)
        found |= {"segments": segments} if segments else {}
        table = replace(table, warnings=(*table.warnings, *warnings))
    if own_data and split == "test" and run and (run / METRICS).exists():
        found["baselines"] = json.loads((run / METRICS).read_text(encoding="utf-8"))["test"]["baselines"]
    return {
        **found,
        "split": split,
        "frame_order": frame_order,
        "skipped": [asdict(one) for one in table.skipped],
        "warnings": list(table.warnings),
    }


def _has_split(table: ClipTable) -> bool:
    return table.rows["split"].null_count() == 0


def _rows_of(table: ClipTable, split: str, own_data: bool) -> ClipTable:
    """The rows to measure on."""
    if split == "all":
        flatters = "the model was trained on some of these videos; the metrics are too high"
        return replace(table, warnings=(*([flatters] if own_data else []), *table.warnings))
    if not _has_split(table):
        raise KinemeError(f"--split {split}: the data has no split column, and the model was trained on other data")
    return table.in_split(split)


def _clips(
    model: TrainedModel, table: ClipTable, split: str, frame_order: FrameOrder, seed: int
) -> tuple[dict[str, Any], ClipTable]:
    """What the model makes of each row by itself, and the table of the rows that could be read."""
    cache = _cache(model)
    table, items = cache.prepare(table, model.labels)
    if not items:
        raise KinemeError(f"no readable video to evaluate in the {split} split")
    logits_NK = score_items(
        model.classifier, items, cache, frame_order=frame_order, seed=seed, label=f"testing ({frame_order})"
    )
    found = classification_metrics(logits_NK, items, model.labels, model.card.temperature, seed)
    if frame_order == "ordered":
        found |= order_metrics(model.classifier, items, cache, logits_NK, model.labels, seed, label="testing")
    return found, table


def _cache(model: TrainedModel) -> FrameCache:
    if model.members:
        caches = [_cache(one) for one in model.members]
        return cast("FrameCache", JoinedCache(model.card.spec, caches, leader_number(model)))
    return FrameCache(model.card.spec, model.encoder, per_frame=1 if model.encoder else 2)


def _timelines(model: TrainedModel, table: ClipTable, seed: int) -> tuple[SegmentMetrics | None, list[str]]:
    """The whole videos of which rows are parts, as prediction sees them, and a line for each that cannot be read."""
    videos = labelled_videos(table)
    if videos and model.card.spec.fps is None:
        return None, ["clips are spread over whole videos, so there are no timelines of the parts of long videos"]
    timelines, warnings = [], []
    for video in track(videos, "predicting whole videos"):
        try:
            prediction = predict_file(model, video.path, person=video.track)
        except KinemeError as error:
            warnings.append(f"{video.name}: has no timeline ({error})")
            continue
        timelines.append(timeline_of(video, prediction.segments, prediction.duration_s))
    if not timelines:
        return None, warnings
    throughout = all(video.throughout for video in videos)
    return segment_metrics(timelines, model.labels, labelled_throughout=throughout, seed=seed), warnings
