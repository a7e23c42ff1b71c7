"""From a table of videos to what training takes: split, checked for leaks, decoded, with a network to train."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kineme.dataset.audit.finding import Finding
from kineme.dataset.split import split
from kineme.dataset.table import ClipTable, Skipped
from kineme.errors import KinemeError
from kineme.models.model_file import ModelCard, config_of
from kineme.models.registry import find_backbone, make_approach
from kineme.training.augment import Augmentation
from kineme.training.cache import FrameCache
from kineme.training.items import Item, gaps_of, parts_of
from kineme.training.one_pass import Wanted, decode_and_check, for_baselines, for_solved_head, members_of
from kineme.training.options import TrainOptions
from kineme.training.parts import has_parts, learns_timeline, rule_of_parts
from kineme.training.resources import refuse_too_much_memory
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.training.learner import Learner

_COPIES_NAMED = 3  # duplicates that are named one by one


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that one training takes.

    Args:
        table: the videos that can be read, with their split; the others are in its ``skipped``.
        labels: the K classes.
        learner: the network, and what of it is trained.
        cache: holds the frames or features of all items.
        parts: the items of each split.
        gaps: background between labelled parts, of each split, labelled K.
        background: whether background is learned, from gaps or made of the clips.
        copies: the duplicates that were found.
        settings: values that must be equal to resume a training.
        card: of the model to be, without what training and measuring give.
    """

    table: ClipTable
    labels: tuple[str, ...]
    learner: Learner
    cache: FrameCache
    parts: dict[str, list[Item]]
    gaps: dict[str, list[Item]]
    background: bool
    copies: list[Finding]
    settings: dict[str, Any]
    card: ModelCard


def prepare(
    table: ClipTable,
    *,
    approach: str,
    config: dict[str, Any] | None,
    spec: ClipSpec,
    options: TrainOptions,
    test: float,
    validation: float,
    leaky: bool,
    allow_leaks: bool,
) -> Prepared:
    """Split the videos, build the network and decode; arguments as for :func:`kineme.training.run.train`.

    Raises:
        KinemeError: the data cannot be split or read, or leaks.
        UsageError: an unknown approach or option.
    """
    from kineme.models.backend import keras, seed_everything
    from kineme.training.background import learns_background
    from kineme.training.learner import make_learner

    approach_object = make_approach(approach, config).for_labels(mirrored=options.flips(table.labels))
    # The record's own name says which files exactly, where the given one does not.
    approach_object = replace(approach_object, backbone=find_backbone(approach_object.backbone).name)
    refuse_too_much_memory(approach_object, spec, options)
    needs_none = not options.finetune and approach_object.has_linear_head
    needs_none = needs_none and find_backbone(approach_object.backbone).is_pretrained
    table = split(table, seed=options.seed, test=test, validation=0 if needs_none else validation, leaky=leaky)
    table = replace(table, warnings=(*table.warnings, *_notes(table, options)))
    labels = table.labels
    seed_everything(options.seed)
    learner = make_learner(  # before the videos: a bad option fails at once
        approach_object, spec, len(labels), seed=options.seed, finetune=options.finetune
    )
    makes_background = learns_background(learner)
    devices = keras.distribution.distribution()  # kineme.training.devices.SharedOut; None is one device
    if devices:
        devices.check_step(options.effective_batch_size, makes_background)
    cache = learner.cache()
    wanted = [*for_baselines(), *wanted_for_training(learner, cache, options, labels)]
    copies = decode_and_check(table, wanted, allow_leaks=allow_leaks or leaky)
    settings: dict[str, Any] = {
        "approach": approach,
        "config": config_of(approach_object),
        "spec": spec.to_json(),
        "data": table.fingerprint(),
        "labels": list(labels),
        "split": {"test": test, "validation": validation, "leaky": leaky},
        "options": dataclasses.asdict(options),
        **rule_of_parts(table),
    }
    table, items = cache.prepare(replace(table, warnings=(*table.warnings, *_of_copies(copies))), labels)
    parts = parts_of(table, items)
    check_parts(parts, labels, table.skipped)
    gaps = gaps_of(table, cache.background(table, len(labels)))
    settings["background"] = background = makes_background or bool(gaps["train"])
    card = ModelCard(
        approach=approach,
        config=settings["config"],
        spec=spec,
        labels=labels,
        finetuned=bool(learner.backbone_weights),
        arithmetic=learner.arithmetic,
    )
    return Prepared(table, labels, learner, cache, parts, gaps, background, copies, settings, card)


def wanted_for_training(
    learner: Learner, cache: FrameCache, options: TrainOptions, labels: tuple[str, ...]
) -> list[Wanted]:
    """What :func:`kineme.training.fit.train_once` and what follows it ask of the caches of a learner."""
    flip, found = options.flips(labels), []
    learners = learner.members or (learner,)
    for one, its in zip(learners, members_of(cache), strict=True):
        if one.is_solved:
            found.append(for_solved_head(its, one.approach.backbone, mirrored=options.augment and flip))
        else:
            found.append(Wanted(its, Augmentation(flip=flip), options.num_views(one.encoder)))
    return found


def check_parts(parts: dict[str, list[Item]], labels: tuple[str, ...], skipped: Sequence[Skipped]) -> None:
    """After unreadable videos are gone, each class must still be there to learn and to test.

    Raises:
        KinemeError: one is not.
    """
    for name in ("train", "test"):
        present = {item.label for item in parts[name]}
        for number, label in enumerate(labels):
            if number not in present:
                first = f"; the first unreadable one: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
                raise KinemeError(f"class {label!r} has no readable video in the {name} split{first}")


def ask_for_throughout(table: ClipTable) -> str | None:
    """A note where rows are parts of longer videos, and nothing says whether the time between them is background."""
    if not has_parts(table) or learns_timeline(table):
        return None
    if table.rows["labelled_throughout"].null_count() < len(table):
        return None
    return (
        "rows are parts of longer videos: if all that happens in these is labelled, say so with "
        "--labelled-throughout or a column 'labelled_throughout', and the time between them is learned as background"
    )


def _of_copies(copies: Sequence[Finding]) -> list[str]:
    """A line for each of the worst duplicates, and how many there are besides."""
    said = [f"{one.message} {one.advice}" for one in copies if one.severity != "note"]
    rest = len(said) - _COPIES_NAMED
    more = [f"{rest} more duplicates like this; 'kineme check' shows all of them"] if rest > 0 else []
    return [*said[:_COPIES_NAMED], *more]


def _notes(table: ClipTable, options: TrainOptions) -> list[str]:
    notes = []
    if options.augment and not options.flips(table.labels) and options.flip is None:
        notes.append("a label says left or right, so clips are not mirrored")
    asked = ask_for_throughout(table)
    return [*notes, asked] if asked else notes
