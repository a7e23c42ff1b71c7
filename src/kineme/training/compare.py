"""Trains several approaches and compares them on the same test, without leaks between training and test."""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from kineme.dataset.audit.audit import check_splits
from kineme.dataset.audit.finding import Finding
from kineme.dataset.folds import Protocol, make_folds
from kineme.dataset.groups import ONE_PER_VIDEO, group_noun
from kineme.dataset.split import split
from kineme.dataset.table import ClipTable
from kineme.errors import KinemeError, UsageError
from kineme.files import file_lock, write_json
from kineme.models.approaches.single_frame import SingleFrame
from kineme.models.registry import APPROACHES, FAST_BACKBONE, FROM_SCRATCH, default_candidate, find_backbone
from kineme.text import percent
from kineme.training.baselines import small_frames
from kineme.training.one_pass import Wanted, decode_once, for_baselines
from kineme.training.options import TrainOptions
from kineme.training.parts import by_video, labelled_throughout
from kineme.training.prepare import ask_for_throughout, wanted_for_training
from kineme.training.run import Run, train
from kineme.training.segment_metrics import SegmentMetrics, segment_metrics
from kineme.training.trials import Candidate, Result, TrialRunner

COMPARISON, TRIALS, WINNER = "comparison.json", "cells", "winner"
# Each approach with its own network, the two ends of what pretrained features of frames can do, and the default.
CANDIDATES = (
    *APPROACHES,
    *(f"{name}:{FAST_BACKBONE}" for name in (SingleFrame.name, FROM_SCRATCH)),
    default_candidate(),
)

_SIGNIFICANT = 0.05


class CandidateDocument(TypedDict):
    """One of the ``candidates`` of ``comparison.json``; where ``error`` says why it failed, the rest is missing.

    ``test`` is as in ``metrics.json``, over all folds and seeds; ``segments`` is there where rows are parts of longer
    videos, and candidates are then ranked by its F1 at an overlap of 0.5.
    """

    name: str
    approach: str
    backbone: str
    config: dict[str, Any]
    spec: dict[str, Any]
    pretrained: bool
    error: str | None
    test: NotRequired[dict[str, Any]]
    segments: NotRequired[SegmentMetrics]
    seed_top1: NotRequired[list[float]]
    orders: NotRequired[dict[str, Any]]
    motion_reliance: NotRequired[dict[str, float | None]]
    cost: NotRequired[dict[str, Any]]
    against_best: NotRequired[dict[str, Any]]


class ComparisonDocument(TypedDict):
    """``comparison.json``; ``docs/reference/comparison.md`` describes each field."""

    kineme: str
    data: dict[str, Any]
    protocol: dict[str, Any]
    candidates: list[CandidateDocument]
    baselines: dict[str, Any]
    best: str
    leaky: dict[str, Any]
    winner: str
    options: dict[str, Any]
    versions: dict[str, str]
    machine: str
    seconds: NotRequired[float]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What :func:`compare` found.

    Args:
        folder: where everything lies.
        document: the document of ``comparison.json``.
        winner: the run that trained the best candidate once more, ready to use: from scratch it learns background
            too (:mod:`kineme.training.background`), which the compared ones did not, to save time.

    Example:
        >>> found = kineme.compare(  # finished trainings are not run again
        ...     "my-videos", "compared", approaches=["single-frame", "late-fusion"],
        ...     options=kineme.TrainOptions(epochs=1, augment=False),
        ... )
        >>> found.winner.folder.name
        'winner'
    """

    folder: Path
    document: ComparisonDocument
    winner: Run

    def __repr__(self) -> str:
        done = [one for one in self.document["candidates"] if not one["error"]]
        figures = ", ".join(f"{one['name']} {percent(one['test']['top1'])}" for one in done)
        return f"Comparison({str(self.folder)!r}, best: {self.document['best']}; top-1: {figures})"


def compare(
    table: ClipTable,
    out: str | os.PathLike[str],
    candidates: Sequence[Candidate],
    *,
    protocol: Protocol | None = None,
    seeds: int = 1,
    options: TrainOptions | None = None,
    name: str = "",
    allow_leaks: bool = False,
) -> Comparison:
    """Train and test every candidate on the same folds, and say which is best and whether that is more than luck.

    Args:
        table: labelled videos.
        out: the folder to create or to continue in.
        candidates: from :func:`kineme.training.trials.parse_candidate`.
        protocol: how the data is divided.
        seeds: trainings of each candidate and fold, with seeds that follow that of the options.
        options: how to train.
        name: of the data, for people.
        allow_leaks: continue even if the same video is on two sides of a split or has two labels.

    Returns:
        The comparison; its folder holds ``comparison.json`` and ``winner``, a run folder.

    Raises:
        KinemeError: the data cannot be divided, or leaks; or every candidate failed (the line gives the first reason).
        UsageError: nothing to compare, or a candidate twice.
    """
    started = time.perf_counter()
    out, protocol, options = Path(out), protocol or Protocol(), options or TrainOptions()
    _check_arguments(out, candidates, seeds)
    out.mkdir(parents=True, exist_ok=True)
    with file_lock(out / ".lock", busy=f"{out}: another comparison is writing here; choose another --out, or wait"):
        runner = TrialRunner(out / TRIALS, [], options, seeds, table.labels, "")
        planned = make_folds(table, protocol)
        everywhere = len(planned) > 1  # each video is learned from in one fold, and tested in another
        wanted = [*for_baselines(), *_wanted(runner, candidates, everywhere=everywhere)]
        decode_once(table if everywhere else planned[0], wanted)
        readable, _ = small_frames().prepare(table, table.labels)
        named = ["name", "start_s", "end_s"]  # of the table itself, whose rows may name persons
        rows = table.rows.join(readable.rows, on=named, how="semi", nulls_equal=True, maintain_order="left")
        readable = replace(readable, rows=rows)
        folds = make_folds(readable, protocol)
        copies = check_splits(folds, allow=allow_leaks)
        runner = replace(runner, folds=folds, fingerprint=readable.fingerprint())
        results = {one.name: _attempt(runner, one) for one in candidates}
        done = {name: result for name, result in results.items() if isinstance(result, Result)}
        if not done:
            raise KinemeError(f"every candidate failed; the first: {next(iter(results.values()))}")
        best = max(
            (one for one in candidates if one.name in done),
            key=lambda one: (done[one.name].headline, -done[one.name].cost["ms_per_frame"]),
        )
        document = _document(runner, readable, protocol, candidates, results, best)
        document["data"] |= _data_facts(name, readable, folds[0], copies)
        winner = _train_winner(out / WINNER, best, runner)
        document["seconds"] = round(time.perf_counter() - started, 1)
        write_json(out / COMPARISON, document)
        return Comparison(out, document, winner)


def _wanted(runner: TrialRunner, candidates: Sequence[Candidate], *, everywhere: bool) -> list[Wanted]:
    """What the trials ask of each video: that of candidates whose features are the same is made once."""
    found: dict[tuple[object, ...], Wanted] = {}
    for candidate in candidates:
        if runner.is_begun(candidate):
            continue
        with suppress(KinemeError):  # it will fail for itself, and say why
            learner = runner.make_learner(candidate)
            for one in wanted_for_training(learner, learner.cache(), runner.options, runner.labels):
                cache = one.cache
                key = cache.spec, cache.per_frame, cache.encoder and cache.encoder.key, one.augmentation, one.views
                found[key] = replace(one, everywhere=everywhere)
    return list(found.values())


def _check_arguments(out: Path, candidates: Sequence[Candidate], seeds: int) -> None:
    names = [one.name for one in candidates]
    if not names:
        raise UsageError("there is no candidate to compare")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the candidate {twice!r} is given twice")
    if seeds < 1:
        raise UsageError(f"seeds must be at least 1, not {seeds}")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; --out names the folder to make")


def _document(
    runner: TrialRunner,
    table: ClipTable,
    protocol: Protocol,
    candidates: Sequence[Candidate],
    results: Mapping[str, Result | str],
    best: Candidate,
) -> ComparisonDocument:
    """``comparison.json``, but for facts of the data and the time it took."""
    from kineme.models.backend import versions
    from kineme.training import metrics

    options, labels = runner.options, runner.labels
    done = {name: result for name, result in results.items() if isinstance(result, Result)}
    winner, against = done[best.name], _against_best(done, best.name, options.seed)
    return {
        "kineme": versions()["kineme"],
        "data": {"fingerprint": runner.fingerprint},
        "protocol": {
            "kind": protocol.kind,
            "folds": len(runner.folds),
            "seeds": [options.seed + number for number in range(runner.seeds)],
            "validation": protocol.validation,
            "column": protocol.column,
        },
        "candidates": [_candidate_facts(one, results[one.name], runner, against) for one in candidates],
        "baselines": metrics.baselines(
            runner.baselines(), winner.truth_N, winner.groups_N, len(labels), seed=options.seed
        ),
        "best": best.name,
        "leaky": _leaky(runner, best, table, protocol),
        "winner": f"{WINNER}/model.safetensors",
        "options": dataclasses.asdict(options),
        "versions": versions(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
    }


def _data_facts(name: str, table: ClipTable, fold: ClipTable, copies: Sequence[Finding]) -> dict[str, Any]:
    return {
        "name": name,
        "videos": len(table),
        "groups": table.rows["group"].n_unique(),
        "group_source": table.group_source,
        "group_noun": group_noun(table.group_source, table.rows["group"]),
        "labels": list(table.labels),
        "skipped": [dataclasses.asdict(one) for one in table.skipped],
        "warnings": [
            *fold.warnings,
            *filter(None, [ask_for_throughout(table)]),
            *(f"{one.message} {one.advice}" for one in copies if one.severity != "note"),
        ],
        "copies": [dataclasses.asdict(one) for one in copies],
    }


def _attempt(runner: TrialRunner, candidate: Candidate) -> Result | str:
    """The candidate's result, or in one line the reason for its failure: the others continue."""
    try:
        return runner.run(candidate)
    except KinemeError as error:
        return str(error)


def _candidate_facts(
    candidate: Candidate, result: Result | str, runner: TrialRunner, against: dict[str, dict[str, Any]]
) -> CandidateDocument:
    """One of the ``candidates`` of ``comparison.json``."""
    from kineme.training import metrics

    labels, seed = runner.labels, runner.options.seed
    facts: CandidateDocument = {
        "name": candidate.name,
        "approach": candidate.approach_name,
        "backbone": candidate.approach.backbone,
        "config": candidate.config,
        "spec": candidate.spec.to_json(),
        "pretrained": find_backbone(candidate.approach.backbone).is_pretrained,
        "error": result if isinstance(result, str) else None,
    }
    if isinstance(result, str):
        return facts
    seeds, count = result.probabilities_SNK.shape[:2]
    truth_SN, groups_SN = np.tile(result.truth_N, seeds), np.tile(result.groups_N, seeds)
    test = metrics.evaluate_scores(
        result.probabilities_SNK.reshape(seeds * count, -1), truth_SN, groups_SN, labels, seed=seed
    )
    test["n"] = count
    for row in test["per_class"].values():
        row["n"] //= seeds
    ordered_SN = result.probabilities_SNK.argmax(axis=2).ravel()
    orders = {
        order: metrics.reordered_accuracy(
            predictions_SN.ravel() == truth_SN, ordered_SN == truth_SN, groups_SN, seed=seed
        )
        for order, predictions_SN in result.predictions.items()
    }
    shuffled_SN = result.predictions["shuffled"].ravel()
    facts |= {
        "test": test,
        "seed_top1": [float((row == result.truth_N).mean()) for row in result.probabilities_SNK.argmax(axis=2)],
        "orders": orders,
        "motion_reliance": metrics.shuffle_recall_drop(
            {"ordered": ordered_SN, "shuffled": shuffled_SN}, truth_SN, labels
        ),
        "cost": {"training_seconds": round(result.training_seconds, 1), **result.cost},
    }
    if result.timelines:
        facts["segments"] = _segments(result, runner)
    if candidate.name in against:
        facts["against_best"] = against[candidate.name]
    return facts


def _segments(result: Result, runner: TrialRunner) -> SegmentMetrics:
    """Of all seeds together; counts are those of one, and the timelines those of the first."""
    rows = [row for fold in runner.folds for row in fold.in_split("test").rows.to_dicts()]
    throughout = all(map(labelled_throughout, by_video(rows).values()))
    found = segment_metrics(result.timelines, runner.labels, labelled_throughout=throughout, seed=runner.options.seed)
    for key in ("videos", "actions", "predicted"):
        found[key] //= runner.seeds
    found["timelines"] = found["timelines"][: found["videos"]]
    return found


def _against_best(done: Mapping[str, Result], best: str, seed: int) -> dict[str, dict[str, Any]]:
    """Whether the best is better than each other by more than luck."""
    from kineme.training import metrics

    others = [name for name in done if name != best]
    better_N, groups = done[best].units
    raw = [metrics.paired_test(better_N, done[one].units[0], groups, seed=seed) for one in others]
    return {
        one: {"difference": done[best].headline - done[one].headline, "p": p, "distinguishable": p < _SIGNIFICANT}
        for one, p in zip(others, metrics.holm(raw), strict=True)
    }


def _leaky(runner: TrialRunner, candidate: Candidate, table: ClipTable, protocol: Protocol) -> dict[str, Any]:
    """What a random split that ignores groups would have claimed for the best candidate."""
    from kineme.training import metrics

    if table.group_source == ONE_PER_VIDEO:
        return {"reason": "each video is its own group, so a random split equals a split by groups"}
    try:
        unsplit = replace(table, rows=table.rows.with_columns(split=None).cast({"split": table.rows.schema["split"]}))
        random = split(unsplit, seed=protocol.seed, test=protocol.test, validation=protocol.validation, leaky=True)
        result = replace(runner, folder=runner.folder / "leaky", folds=[random], seeds=1, times=False).run(candidate)
    except KinemeError as error:
        return {"reason": str(error)}
    # Its videos are not independent of the training set, so that groups are no help: each counts for itself.
    figures = metrics.accuracy_with_interval(result.right > 0, np.arange(len(result.truth_N)), seed=protocol.seed)
    return {"candidate": candidate.name, **figures, "n": len(result.truth_N), "reason": None}


def _train_winner(folder: Path, candidate: Candidate, runner: TrialRunner) -> Run:
    """The best candidate once more, on the first fold with the first seed, as a run folder that knows background."""
    if folder.exists():
        shutil.rmtree(folder)
    options = replace(runner.options, finetune=runner.options.finetune and candidate.finetunes)
    config = candidate.config
    return train(
        runner.folds[0],
        folder,
        approach=candidate.approach_name,
        config=config,
        spec=candidate.spec,
        options=options,
        allow_leaks=True,  # they were allowed, or there are none
    )
