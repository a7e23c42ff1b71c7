"""The trials of a comparison: one training each, of a candidate on a fold with a seed.

Each leaves a file, so an interrupted comparison continues where it stopped, and one with more candidates or seeds runs
only the new trials.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.table import SPLITS, ClipTable
from kineme.errors import KinemeError, UsageError
from kineme.files import write_json
from kineme.models.approach import Approach
from kineme.models.model_file import ModelCard, save_model
from kineme.models.registry import find_backbone, make_approach, recommended
from kineme.progress import progress
from kineme.training.baselines import baseline_predictions
from kineme.training.cache import FrameCache
from kineme.training.items import Item, gaps_of, parts_of
from kineme.training.options import TrainOptions
from kineme.training.parts import rule_of_parts
from kineme.training.places import Backgrounds, person_mask
from kineme.training.resources import refuse_too_much_memory
from kineme.training.segment_metrics import VideoTimeline, pooled_f1
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.training.fit import TrainingResult
    from kineme.training.learner import Learner

_FORMAT = 1  # of a trial's file; a change of what the same settings would give raises it
_MANY_TRIALS = 6  # of one candidate: from here on one progress bar stands for all of them


@dataclass(frozen=True)
class Candidate:
    """One of the things compared.

    Args:
        name: as it was asked for.
        approach_name: its name in the registry.
        approach: the approach with its options.
        spec: what a clip is.
    """

    name: str
    approach_name: str
    approach: Approach
    spec: ClipSpec

    @property
    def config(self) -> dict[str, Any]:
        """The approach's options."""
        return dataclasses.asdict(self.approach)

    @property
    def finetunes(self) -> bool:
        """Whether its backbone is pretrained and can be trained further."""
        return find_backbone(self.approach.backbone).can_finetune


def parse_candidate(text: str, spec_changes: Mapping[str, Any] | None = None) -> Candidate:
    """Read ``APPROACH[:BACKBONE][,OPTION=VALUE...]``, such as ``late-fusion:efficientnet-lite0,merge=mean``.

    Args:
        text: the candidate.
        spec_changes: fields of the clip spec that are not to be the backbone's own.

    Raises:
        UsageError: there is no such approach, backbone or option.
    """
    head, *settings = text.split(",")
    approach_name, _, backbone = head.strip().partition(":")
    options: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"candidate {text!r}: write options as NAME=VALUE, not {setting!r}")
        options[name.strip()] = value.strip()
    if backbone:
        options = recommended(approach_name, backbone, options)
    approach = make_approach(approach_name, options)
    spec = replace(find_backbone(approach.backbone).spec, **(spec_changes or {}))
    return Candidate(text.strip(), approach_name, approach, spec)


@dataclass(frozen=True, eq=False)
class Result:
    """What the trials of one candidate gave, pooled over the folds; V videos, S seeds, K classes."""

    truth_N: NDArray[np.int64]
    groups_N: NDArray[np.str_]
    probabilities_SNK: NDArray[np.float64]
    predictions: dict[str, NDArray[np.int64]]  # frame order to predictions_SN
    timelines: list[VideoTimeline]  # of the whole test videos, of all seeds, where rows are parts of them
    training_seconds: float
    cost: dict[str, Any]

    @property
    def headline(self) -> float:
        """What candidates are ranked by: accuracy, or the F1 of segments where rows are parts of whole videos."""
        return pooled_f1(self.timelines) if self.timelines else float(self.right.mean())

    @property
    def units(self) -> tuple[NDArray[np.float64], list[str]]:
        """What a paired test compares, and the group of each: videos that were right, or the F1 of whole videos."""
        if self.timelines:
            return np.array([pooled_f1([one]) for one in self.timelines]), [one.group for one in self.timelines]
        return self.right, self.groups_N.tolist()

    @property
    def right(self) -> NDArray[np.float64]:
        """Share of the seeds that were right, for each video."""
        return np.asarray((self.probabilities_SNK.argmax(axis=2) == self.truth_N).mean(axis=0))


@dataclass(frozen=True, eq=False)
class TrialRunner:
    """What all candidates have in common."""

    folder: Path
    folds: list[ClipTable]
    options: TrainOptions
    seeds: int
    labels: tuple[str, ...]
    fingerprint: str
    times: bool = True  # measure what a candidate costs, too
    changed_orders: bool = True  # answer the test videos with their frames in other orders, too

    def run(self, candidate: Candidate) -> Result:
        """All trials of a candidate that are not there yet, then its result."""
        from kineme.training.profiling import profile_in_subprocess

        folder = self.folder / _slug(candidate)
        places = [(fold, seed) for fold in range(len(self.folds)) for seed in range(self.seeds)]
        files = {place: folder / f"fold{place[0] + 1}-seed{self.options.seed + place[1]}.json" for place in places}
        settings = {place: self._settings(candidate, *place) for place in places}
        trials = {place: _read_trial(files[place], settings[place]) for place in places}
        model = folder / "model.safetensors"
        cost = _read_trial(folder / "cost.json", settings[places[0]]) if self.times else {"settings": None}
        missing = [place for place in places if trials[place] is None]
        if missing or not cost:
            learner = self.make_learner(candidate)
            cache = learner.cache()
            table, items = cache.prepare(replace(self.folds[0], warnings=()), self.labels)
            if len(table) < len(self.folds[0]):
                raise KinemeError(f"cannot read {table.skipped[-1].path}, which others can: {table.skipped[-1].reason}")
            gaps = cache.background(self.folds[0], len(self.labels))
            first = places[0]
            if not cost and first not in missing:
                missing.insert(0, first)  # its weights are needed to measure the cost
            many = len(missing) >= _MANY_TRIALS
            with progress(candidate.name if many else None, len(missing)) as advance:
                for place in missing:
                    number = f"fold {place[0] + 1}, seed {self.options.seed + place[1]}"
                    label = None if many else f"{candidate.name}, {number}"
                    checkpoint = None if learner.encoder else files[place].with_suffix(".safetensors")
                    trial = self._train(
                        candidate, learner, cache, items, gaps, place, checkpoint, settings[place], label
                    )
                    if place == first and self.times:
                        save_model(model, learner.network, _card(candidate, learner, 1.0, self.labels))
                        video = self.folds[0].in_split("test").rows["path"][0]
                        cost = profile_in_subprocess(model, video)
                        write_json(folder / "cost.json", {"settings": settings[place], **cost})
                    write_json(files[place], {"settings": settings[place], **trial})
                    trials[place] = trial
                    advance(1, f"top-1 {_top1(trials.values()):.2f}")
        return self._pool({place: trial for place, trial in trials.items() if trial}, cost or {})

    def is_begun(self, candidate: Candidate) -> bool:
        """Whether a candidate has been tried before, so that its data of the videos has been made."""
        return (self.folder / _slug(candidate)).exists()

    def make_learner(self, candidate: Candidate) -> Learner:
        """A candidate's network, ready for its first trial.

        Raises:
            KinemeError: it cannot be made, or takes more memory than there is.
        """
        from kineme.models.backend import keras, seed_everything
        from kineme.training.learner import make_learner

        keras.backend.clear_session()
        seed_everything(self.options.seed)
        refuse_too_much_memory(candidate.approach, candidate.spec, self.options)
        return make_learner(
            candidate.approach,
            candidate.spec,
            len(self.labels),
            seed=self.options.seed,
            finetune=self.options.finetune and candidate.finetunes,
        )

    def baselines(self) -> dict[str, NDArray[np.int64]]:
        """Predictions of the simple rules, pooled over the folds in the order of the results."""
        found: dict[str, list[int]] = {}
        backgrounds = Backgrounds(person_mask())
        for number, fold in enumerate(self.folds):
            file = self.folder / "baselines" / f"fold{number + 1}.json"
            settings = {"format": _FORMAT, "data": self.fingerprint, "fold": _fold_key(fold)}
            settings["background_without"] = backgrounds.without
            kept = _read_trial(file, settings)
            if kept is None:
                kept = {
                    "answers": {
                        rule: predictions.tolist()
                        for rule, predictions in baseline_predictions(fold, backgrounds=backgrounds).items()
                    }
                }
                write_json(file, {"settings": settings, **kept})
            for rule, predictions in kept["answers"].items():
                found.setdefault(rule, []).extend(predictions)
        return {rule: np.array(predictions) for rule, predictions in found.items()}

    def _settings(self, candidate: Candidate, fold: int, seed: int) -> dict[str, Any]:
        options = dataclasses.asdict(replace(self.options, seed=self.options.seed + seed))
        return {
            "format": _FORMAT,
            "approach": candidate.approach_name,
            "config": candidate.config,
            "spec": candidate.spec.to_json(),
            "options": options,
            "data": self.fingerprint,
            "labels": list(self.labels),
            "fold": _fold_key(self.folds[fold]),
            **rule_of_parts(self.folds[fold]),
        }

    def _train(
        self,
        candidate: Candidate,
        learner: Learner,
        cache: FrameCache,
        items: Sequence[Item],
        gap_items: Sequence[Item],
        place: tuple[int, int],
        checkpoint: Path | None,
        settings: dict[str, Any],
        label: str | None,
    ) -> dict[str, Any]:
        """One trial: train from this seed, answer the test videos, as filmed and with their frames in other orders."""
        from kineme.training.evaluate import score_items
        from kineme.training.fit import train_once
        from kineme.training.frame_order import CHANGED_ORDERS
        from kineme.training.metrics import softmax

        fold, options = self.folds[place[0]], replace(self.options, seed=self.options.seed + place[1])
        parts, gaps = parts_of(fold, items), gaps_of(fold, gap_items)
        learner.reset_weights(options.seed)
        started = time.perf_counter()
        result = train_once(
            learner,
            parts,
            cache,
            options,
            checkpoint=checkpoint,
            settings=settings,
            resume=checkpoint is not None and checkpoint.exists(),
            background=bool(gaps["train"]),
            gaps=gaps,
            label=label,
        )
        seconds = time.perf_counter() - started
        logits_NK = score_items(learner.trained, parts["test"], cache)
        predictions = {
            order: score_items(learner.trained, parts["test"], cache, frame_order=order).argmax(axis=1).tolist()
            for order in (CHANGED_ORDERS if self.changed_orders else ())
        }
        if checkpoint:
            checkpoint.unlink(missing_ok=True)
        return {
            "names": [item.name for item in parts["test"]],
            "truth": [item.label for item in parts["test"]],
            "groups": [item.group for item in parts["test"]],
            "probabilities": softmax(logits_NK, result.temperature).tolist(),
            "answers": predictions,
            "epochs": len(result.history),
            "temperature": result.temperature,
            "training_seconds": round(seconds, 2),
            "timelines": [
                one.to_json() for one in self._timelines(candidate, learner, cache, fold, parts, gaps, result)
            ],
        }

    def _timelines(
        self,
        candidate: Candidate,
        learner: Learner,
        cache: FrameCache,
        fold: ClipTable,
        parts: dict[str, list[Item]],
        gaps: dict[str, list[Item]],
        result: TrainingResult,
    ) -> list[VideoTimeline]:
        """The whole test videos of which rows are parts."""
        from kineme.training.measure import fit_detector, learner_of_scores
        from kineme.training.timelines import labelled_videos, predict_timelines

        videos = {name: labelled_videos(fold.in_split(name)) for name in SPLITS}
        if not videos["test"] or learner.spec.fps is None:
            return []
        card = _card(candidate, learner, result.temperature, self.labels)
        if len(result.held_out.items) > 1:
            detector, _ = fit_detector(learner.trained, cache, parts["train"], result, background=bool(gaps["train"]))
            card = replace(card, open_set=detector)
        return predict_timelines(card, learner_of_scores(learner, result), videos, cache, result.solved).test

    def _pool(self, trials: dict[tuple[int, int], dict[str, Any]], cost: dict[str, Any]) -> Result:
        def joined(field: Any, seed: int = 0) -> list[Any]:
            return [value for fold in range(len(self.folds)) for value in field(trials[fold, seed])]

        orders = next(iter(trials.values()))["answers"]
        return Result(
            truth_N=np.array(joined(lambda trial: trial["truth"])),
            groups_N=np.array(joined(lambda trial: trial["groups"]), np.str_),
            probabilities_SNK=np.array(
                [joined(lambda trial: trial["probabilities"], seed) for seed in range(self.seeds)], np.float64
            ),
            predictions={
                order: np.array(
                    [joined(lambda trial, o=order: trial["answers"][o], seed) for seed in range(self.seeds)]
                )
                for order in orders
            },
            timelines=[
                VideoTimeline.from_json(one)
                for seed in range(self.seeds)
                for one in joined(lambda trial: trial.get("timelines", []), seed)
            ],
            training_seconds=float(np.mean([trial["training_seconds"] for trial in trials.values()])),
            cost={name: value for name, value in cost.items() if name != "settings"},
        )


def _card(candidate: Candidate, learner: Learner, temperature: float, labels: tuple[str, ...]) -> ModelCard:
    return ModelCard(
        approach=candidate.approach_name,
        config=candidate.config,
        spec=candidate.spec,
        labels=labels,
        temperature=temperature,
        finetuned=bool(learner.backbone_weights),
        arithmetic=learner.arithmetic,
    )


def _read_trial(file: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """A finished trial of the same settings, or None."""
    try:
        trial: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return trial if trial.get("settings") == json.loads(json.dumps(settings)) else None


def _top1(trials: Iterable[Any]) -> float:
    right = [
        int(np.argmax(row) == truth)
        for trial in trials
        if trial
        for row, truth in zip(trial["probabilities"], trial["truth"], strict=True)
    ]
    return float(np.mean(right))


def _fold_key(fold: ClipTable) -> str:
    """Which video is in which split, as a hash."""
    rows = fold.rows.select("name", "start_s", "split").sort("name", "start_s").rows()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _slug(candidate: Candidate) -> str:
    """A folder name for a candidate."""
    return re.sub(r"[^a-z0-9=.-]+", "_", candidate.name.lower())
