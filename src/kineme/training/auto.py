"""What ``train`` does where no approach is named: the joined model, unless folds speak clearly against it.

Its candidates meet on folds of the training groups alone; the test groups are looked at once, by the model that is
shipped. :mod:`kineme.training.selection` has the rule, :mod:`kineme.training.feature_plan` the choice of features.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kineme.dataset.audit.audit import check_splits
from kineme.dataset.folds import Protocol, make_folds
from kineme.dataset.groups import ONE_PER_VIDEO
from kineme.dataset.split import split, without_validation
from kineme.dataset.table import ClipTable
from kineme.errors import KinemeError
from kineme.models.registry import DEFAULT_BACKBONE, FROM_SCRATCH, JOINTS_BACKBONE, default_candidate, find_backbone
from kineme.training.baselines import moving_share, small_frames
from kineme.training.cache import FrameCache
from kineme.training.feature_plan import JOIN, FeaturePlan, plan_features
from kineme.training.folds import grouped_folds
from kineme.training.one_pass import Wanted, decode_and_check, for_baselines
from kineme.training.options import AutoOptions, TrainOptions
from kineme.training.parts import has_parts, learns_timeline
from kineme.training.run import run_folder
from kineme.training.segment_metrics import pooled_f1
from kineme.training.selection import Role, Selection, Tried, candidate_figures, choose
from kineme.training.trials import Candidate, TrialRunner, parse_candidate
from kineme.video.spec import ClipSpec

TRIALS = "selection"  # within the run folder, while a model is being chosen
_MOST_EPOCHS, _MOST_PATIENCE = 60, 15  # of a candidate that learns by epochs
_FEWEST_GROUPS = 6  # in which the default errs: in fewer, no paired test can call another candidate better
_FEWEST_CLIPS = 100  # for a network from scratch: of fewer it learns little, and takes long
_BACKGROUND, _MAJORITY = "background_only", "majority"  # of the baselines


@dataclass(frozen=True, eq=False)
class Choice:
    """What to train, and on what.

    Args:
        table: the videos with their split.
        candidate: the approach with its options and spec.
        selection: for ``metrics.json``.
    """

    table: ClipTable
    candidate: Candidate
    selection: Selection


@dataclass(frozen=True, eq=False)
class _Entry:
    """A candidate, and what part it has in the choice."""

    candidate: Candidate
    what: str
    role: Role


def choose_for_run(
    table: ClipTable,
    folder: Path,
    *,
    spec: ClipSpec | None,
    options: TrainOptions | None,
    wish: AutoOptions | None,
    resume: bool,
    overwrite: bool,
    **how: Any,
) -> Choice:
    """:func:`choose_model`, with the run folder held; arguments as for :func:`kineme.training.run.train`.

    Args:
        table: labelled videos.
        folder: the run folder.
        spec: what a clip is. Where it differs from what suits the default features, all candidates take it.
        options: how to train.
        wish: what to look for.
        resume: the run may be unfinished.
        overwrite: the run may be finished.
        how: further arguments of :func:`choose_model`.
    """
    usual = asdict(find_backbone(DEFAULT_BACKBONE).spec)
    changes: dict[str, Any] = {"brightness": "auto"}
    if spec:
        changes = {name: value for name, value in asdict(spec).items() if value != usual[name]}
    with run_folder(folder, resume=resume, overwrite=overwrite):
        return choose_model(
            table, folder, spec_changes=changes, options=options or TrainOptions(), wish=wish or AutoOptions(), **how
        )


def choose_model(
    table: ClipTable,
    folder: Path,
    *,
    spec_changes: Mapping[str, Any],
    options: TrainOptions,
    wish: AutoOptions,
    test: float,
    validation: float,
    allow_leaks: bool,
    say: Callable[[str], None],
) -> Choice:
    """Choose on folds of the training groups what to train.

    Args:
        table: labelled videos.
        folder: the run folder, where finished trials are kept until the choice is made.
        spec_changes: fields of the clip spec that are not to be each backbone's own.
        options: how to train candidates that learn by epochs.
        wish: what to look for.
        test: share of the videos to test on.
        validation: share that candidates who learn by epochs hold out.
        allow_leaks: as for :func:`kineme.training.run.train`.
        say: called with the expected time.

    Raises:
        KinemeError: the data cannot be split or read, or leaks.
    """
    divided = split(table, seed=options.seed, test=test, validation=validation)
    if learns_timeline(table):
        spec_changes = {"overlap": ClipSpec.overlap, **spec_changes}
    plan = _make_all(divided, spec_changes, options, wish, allow_leaks=allow_leaks, say=say)
    entries = _entries(plan, wish, spec_changes, groups_known=divided.group_source != ONE_PER_VIDEO)
    training = replace(divided, rows=divided.rows.filter(pl.col("split") != "test"), warnings=())
    selection = _selection(entries[0], plan, training)
    reason = _no_folds(training, plan)
    if not reason:
        training, _ = small_frames().prepare(training, training.labels)
        try:
            folds = make_folds(*_folds(training, options, validation))
        except KinemeError as error:
            reason = str(error)
    if reason:
        return _choice(divided, entries[0].candidate, {**selection, "not_tried": reason, "reason": reason})
    few = replace(
        options,
        epochs=min(options.epochs, _MOST_EPOCHS),
        patience=min(options.patience, _MOST_PATIENCE),
        # Augmented views take most of the time of a trial. Only a clear winner is kept, and it is trained with them.
        views=options.views if wish.goal == "live" else options.views or 0,
    )
    runner = TrialRunner(
        folder / TRIALS, folds, few, 1, training.labels, training.fingerprint(), times=False, changed_orders=False
    )
    tried, groups_N = _try_all(runner, training, entries)
    verdict = choose(tried, groups_N.tolist(), len(training.labels), live=wish.goal == "live", seed=options.seed)
    shutil.rmtree(runner.folder, ignore_errors=True)
    chosen = next((one for one in entries if one.candidate.name == verdict.chosen.name), entries[0])
    selection = {
        **_selection(chosen, plan, training),
        "reason": verdict.reason,
        "learned": verdict.learned,
        "guessing": verdict.guessing,
        "folds": len(folds),
        "candidates": candidate_figures(tried, groups_N.tolist(), seed=options.seed),
    }
    if not verdict.learned:
        selection["moving_share"] = _moving_share(training)
    return _choice(divided, chosen.candidate, selection)


def _make_all(
    divided: ClipTable,
    spec_changes: Mapping[str, Any],
    options: TrainOptions,
    wish: AutoOptions,
    *,
    allow_leaks: bool,
    say: Callable[[str], None],
) -> FeaturePlan:
    """Plan the features and make all that the candidates take of each video, in one pass over it.

    With a budget the audit comes first, since the lengths of all videos are needed to keep it.

    Raises:
        KinemeError: the data leaks.
    """
    others, plan = for_baselines(), FeaturePlan(None, None, (), {})
    scratch = parse_candidate(FROM_SCRATCH, spec_changes)
    if len(divided) >= _FEWEST_CLIPS or wish.from_scratch:
        others.append(Wanted(FrameCache(scratch.spec)))
    if wish.budget_s is not None:
        check_splits([divided], allow=allow_leaks)
    if not wish.from_scratch:
        mirrored = options.augment and options.flips(divided.labels)
        plan = plan_features(divided, spec_changes, wish, others=others, mirrored=mirrored, say=say)
    decode_and_check(divided, plan.wanted or others, allow_leaks=allow_leaks, expected_s=plan.seconds)
    return replace(plan, wanted=())


def _choice(divided: ClipTable, candidate: Candidate, selection: Selection) -> Choice:
    """Where the head is solved, what would have been held out for validation is learned from, too."""
    if candidate.approach.has_linear_head:
        divided = without_validation(divided)
    return Choice(divided, candidate, selection)


def _entries(
    plan: FeaturePlan, wish: AutoOptions, spec_changes: Mapping[str, Any], *, groups_known: bool
) -> list[_Entry]:
    """The candidates; the default first, which is shipped where nothing can be tried.

    Where groups are unknown, folds by video let places reveal the classes, so single frames are only reported.
    """

    def entry(name: str, what: str, role: Role) -> _Entry:
        return _Entry(parse_candidate(name, spec_changes), what, role)

    if not plan.backbone:
        return [entry(FROM_SCRATCH, "the network from scratch", "default")]
    parts = plan.backbone.split(JOIN)
    joined = "the joined model" if len(parts) > 1 else f"the linear head on {plan.backbone}"
    default = entry(default_candidate(plan.backbone), joined, "default")
    guess = entry(f"single-frame:{plan.fast or parts[0]},head=prior", "always the most frequent class", "guess")
    guess = replace(guess, candidate=replace(guess.candidate, name=_MAJORITY))
    simple: Role = "simple" if groups_known else "live"
    live = [
        *([entry(f"single-frame:{plan.fast},head=linear", "single frames", simple)] if plan.fast else []),
        *([entry(default_candidate(plan.fast), "frames and how they change", "live")] if plan.fast else []),
    ]
    live = [one for one in live if one.candidate.name != default.candidate.name]
    scratch = entry(FROM_SCRATCH, "the network from scratch", "other")
    if wish.goal == "live":
        if plan.fast:
            live.append(entry(f"{FROM_SCRATCH}:{plan.fast}", "an LSTM over frames", "live"))
        if JOINTS_BACKBONE in parts:
            live.append(entry(f"pose-lstm:{JOINTS_BACKBONE}", "an LSTM over joints", "live"))
        return [*(replace(one, role="live") for one in [default, *live, scratch]), guess]
    others = [
        entry(f"{FROM_SCRATCH}:{parts[0]}", f"an LSTM over {parts[0]}", "other"),
        entry(f"late-fusion:{parts[0]},merge=attention", f"attention over {parts[0]}", "other"),
    ]
    return [default, *live, *others, scratch, guess]


def _no_folds(training: ClipTable, plan: FeaturePlan) -> str:
    """Why candidates cannot be tried on folds; "" where they can."""
    if not plan.backbone:
        return "no pretrained features are used, so there is one candidate only"
    if _one_class_groups(training):
        return "each group holds one class, so places or people alone distinguish the classes, and folds show nothing"
    fewest = _groups_of_classes(training)
    label, groups = min(fewest.items(), key=lambda one: one[1])
    if groups < 2:
        return f"class {label!r} has one group only to learn from, so no fold can test it"
    return ""


def _one_class_groups(table: ClipTable) -> bool:
    """Whether groups are known, and none has two classes."""
    if table.group_source == ONE_PER_VIDEO:
        return False
    return bool(_one_class_share(table) == 1)


def _one_class_share(table: ClipTable) -> float:
    """Of the clips, those whose group holds one class; 0 where no groups are known."""
    if table.group_source == ONE_PER_VIDEO:
        return 0.0
    classes = table.rows.select((pl.col("label").n_unique().over("group") == 1).alias("one"))
    return float(np.mean(classes["one"].to_numpy()))


def _groups_of_classes(table: ClipTable) -> dict[str, int]:
    return dict(table.rows.group_by("label").agg(pl.col("group").n_unique()).iter_rows())


def _moving_share(table: ClipTable) -> float:
    """Of the picture, what changes during a clip: the median of the clips."""
    frames = small_frames()
    _, items = frames.prepare(table, table.labels)
    return float(np.median([moving_share(frames.window(item, 0)) for item in items]))


def _folds(training: ClipTable, options: TrainOptions, validation: float) -> tuple[ClipTable, Protocol]:
    """The training videos divided as a linear head divides them, so that all candidates meet on the same folds."""
    fold_N = np.full(len(training), "", object)
    for number, held_out in enumerate(
        grouped_folds(training.rows["label"].to_numpy(), training.rows["group"].to_list())
    ):
        fold_N[held_out] = f"fold {number + 1}"
    rows = training.rows.with_columns(fold=pl.Series(fold_N, dtype=pl.String), split=pl.lit(None, pl.String))
    return replace(training, rows=rows), Protocol(kind="column", validation=validation, seed=options.seed)


def _try_all(
    runner: TrialRunner, training: ClipTable, entries: Sequence[_Entry]
) -> tuple[list[Tried], NDArray[np.str_]]:
    """What every candidate gives on the folds, and the group of each clip, in the order of the table."""
    order_N = _order(runner, training)
    truth_N = np.array([training.labels.index(label) for label in training.rows["label"]])
    groups_N = training.rows["group"].to_numpy().astype(np.str_)
    right = {name: (answers_N[order_N] == truth_N).astype(np.float64) for name, answers_N in runner.baselines().items()}
    tried: list[Tried] = []
    for entry in entries:
        why = _not_worth_trying(entry, tried[0], groups_N) if entry.role == "other" else ""
        if why:
            tried.append(Tried(entry.candidate.name, entry.what, entry.role, not_measured=why))
        elif entry.role == "guess":
            tried.append(Tried(entry.candidate.name, entry.what, entry.role, right[_MAJORITY]))
        else:
            tried.append(_try(runner, training, order_N, entry))
    tried.append(Tried(_BACKGROUND, "the background alone", "background", right[_BACKGROUND]))
    return tried, groups_N


def _order(runner: TrialRunner, training: ClipTable) -> NDArray[np.int64]:
    """Where in the results of the folds, one after the other, each row of the table is."""
    key = ("name", "start_s", "end_s", "label")
    tested = [row for fold in runner.folds for row in fold.in_split("test").rows.select(key).iter_rows()]
    place = {row: number for number, row in enumerate(tested)}
    return np.array([place[row] for row in training.rows.select(key).iter_rows()])


def _try(runner: TrialRunner, training: ClipTable, order_N: NDArray[np.int64], entry: _Entry) -> Tried:
    candidate = entry.candidate
    try:
        if candidate.approach.has_linear_head and not has_parts(training):
            return Tried(candidate.name, entry.what, entry.role, _solved(candidate, training, runner.options))
        result = runner.run(candidate)
    except KinemeError as error:
        return Tried(candidate.name, entry.what, entry.role, not_measured=str(error))
    if not result.timelines:
        return Tried(candidate.name, entry.what, entry.role, result.right[order_N])
    segment_f1 = pooled_f1(result.timelines)
    return Tried(candidate.name, entry.what, entry.role, result.right[order_N], "", result.units, segment_f1)


def _solved(candidate: Candidate, training: ClipTable, options: TrainOptions) -> NDArray[np.float64]:
    """Which clips a linear head is right on, solved without their fold: it predicts those to calibrate itself."""
    from kineme.training.fit import train_once
    from kineme.training.learner import make_learner

    learner = make_learner(candidate.approach, candidate.spec, len(training.labels), seed=options.seed)
    cache = learner.cache()
    readable, items = cache.prepare(replace(training, warnings=(), skipped=()), training.labels)
    if len(readable) < len(training):
        raise KinemeError(f"cannot read {readable.skipped[0].path}, which others can: {readable.skipped[0].reason}")
    parts = {"train": items, "validation": [], "test": []}
    settings = {"labels": list(training.labels)}
    held_out = train_once(
        learner, parts, cache, options, checkpoint=None, settings=settings, label=f"{candidate.name}, folds"
    ).held_out
    return np.asarray(held_out.video_logits.argmax(axis=1) == held_out.truth, np.float64)


def _not_worth_trying(entry: _Entry, default: Tried, groups_N: NDArray[np.str_]) -> str:
    """Why a candidate could not be called clearly better than the default; "" where it could."""
    if default.right_N is None or default.videos is not None:
        return ""
    if not find_backbone(entry.candidate.approach.backbone).is_pretrained and len(groups_N) < _FEWEST_CLIPS:
        return f"{len(groups_N)} clips are too few for a network from scratch"
    erring = len(set(groups_N[default.right_N < 1].tolist()))
    if erring >= _FEWEST_GROUPS:
        return ""
    groups = "1 group" if erring == 1 else f"{erring} groups"
    return f"{default.what} makes errors in {groups}, too few to show that another is better"


def _selection(chosen: _Entry, plan: FeaturePlan, table: ClipTable) -> Selection:
    """The facts that are known before any fold."""
    return {
        "chosen": chosen.candidate.name,
        "what": chosen.what,
        "role": chosen.role,
        "reason": "",
        "learned": None,
        "guessing": None,
        "folds": 0,
        "clips": len(table),
        "groups": table.rows["group"].n_unique(),
        "not_tried": None,
        "one_class_groups": _one_class_groups(table),
        "one_class_share": _one_class_share(table),
        "clips_per_class": min(Counter(table.rows["label"]).values()),
        "candidates": [],
        "features": plan.backbone,
        "missing_weights": list(plan.missing),
        "costs": plan.costs,
        "note": plan.note,
    }
