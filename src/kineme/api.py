"""The functions of ``import kineme``, one for each command of the same name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineme.keywords import suggest_keywords
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.dataset.folds import Protocol
    from kineme.dataset.table import ClipTable
    from kineme.exporters.agreement import Export
    from kineme.model import Model
    from kineme.training.compare import Comparison
    from kineme.training.frame_order import FrameOrder
    from kineme.training.options import AutoOptions, TrainOptions
    from kineme.training.run import Run

Pathlike = str | os.PathLike[str]


@suggest_keywords
def load(model: Pathlike, *, labels: Sequence[str] | None = None, prompt: str = "{}") -> Model:
    """Load a trained model. Its network is built when first wanted: a model predicts without, where it is compiled.

    Args:
        model: a model file, or a run folder made by :func:`train`, or what ``kineme export`` wrote, or
            ``i3d-kinetics400`` for the pretrained model of 400 actions. What exists under that name goes
            first. Or a network of another library by name, such as ``hf:OWNER/NAME``, with its own labels.
        labels: classes by text, for a text-image model such as ``hf:microsoft/xclip-base-patch32``: nothing is trained,
            and no figure is known for them until :func:`evaluate` measures it on labelled videos.
        prompt: the sentence for a label, which takes the place of ``{}``.

    Raises:
        KinemeError: it is missing, damaged, or of another version; or the weights of the pretrained model are not
            on this machine (nothing is fetched: the line says how to).

    Example:
        >>> model = kineme.load("runs/first")
        >>> model.labels
        ('sit-down', 'wave')
    """
    from kineme.model import Model

    if labels is not None:
        from kineme.models.hub.text import with_labels

        return Model.published(with_labels(os.fspath(model), labels, prompt))
    return Model.load(model)


@suggest_keywords
def export(
    model: Pathlike,
    to: str = "litert",
    out: Pathlike | None = None,
    *,
    check: Pathlike | None = None,
) -> Export:
    """Write a model for an engine that needs neither Keras nor TensorFlow, if it says there what Keras says.

    Args:
        model: as for :func:`load`.
        to: the format: ``"litert"``, ``"onnx"``, ``"openvino"`` or ``"savedmodel"``.
        out: a name ending in ``.tflite``, for one file that :func:`load` reads again; or a folder for other programs,
            with the clip model, the step model and the model card. By default that file for ``"litert"``, else a
            folder named after the model and the format.
        check: a video to compare on, at least as long as a clip; by default drawn people.

    Raises:
        UsageError: there is no such format, or the folder holds something else.
        KinemeError: tools are missing, the format cannot hold the network, or the scores differ.

    Example:
        >>> written = kineme.export("runs/first", out="first.tflite")
        >>> kineme.load(written.path).labels
        ('sit-down', 'wave')
    """
    from kineme.models.formats import check_format

    check_format(to)  # before a model is looked for
    return load(model).export(to, out, check=check)


@suggest_keywords
def scan(data: Pathlike, *, group_column: str | None = None, fold_column: str | None = None) -> ClipTable:
    """Find labelled videos: ``folder/class/video``, or a CSV with the columns path and label.

    Args:
        data: the folder or the CSV.
        group_column: the column of the CSV that names groups, if it is not called ``group``.
        fold_column: the column of the CSV whose values :func:`compare` tests in turn, if any.

    Raises:
        KinemeError: there is nothing usable.

    Example:
        >>> table = kineme.scan("my-videos")
        >>> table.labels, table.rows.height
        (('sit-down', 'wave'), 16)
    """
    from kineme.dataset.scan import scan

    return scan(data, group_column=group_column, fold_column=fold_column)


@suggest_keywords
def train(
    data: ClipTable | Pathlike,
    out: Pathlike,
    *,
    approach: str | None = None,
    config: dict[str, Any] | None = None,
    spec: ClipSpec | None = None,
    options: TrainOptions | None = None,
    auto: AutoOptions | None = None,
    devices: int | str = 1,
    test: float = 0.2,
    validation: float = 0.2,
    labelled_throughout: bool = False,
    leaky: bool = False,
    allow_leaks: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    log: str | Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Run:
    """Train, evaluate on groups never seen, and write the run folder with its report.

    Without an approach, one is chosen: the joined model on the available pretrained backbones, unless another
    candidate is clearly better on folds of the training groups. ``metrics["selection"]`` lists the candidates and the
    reason for the choice.

    Args:
        data: a table from :func:`scan`, or any input of :func:`scan`.
        out: the run folder to make.
        approach: a name shown by ``kineme models list``; by default ``"auto"``, which chooses. It uses the pretrained
            weights that are on this machine (nothing is fetched); without any it trains a network from scratch, and
            ``selection`` says so.
        config: the approach's options. With a backbone alone, the default approach on that is trained.
        spec: what a clip is; by default what suits the backbone.
        options: how to train.
        auto: what ``"auto"`` is to look for.
        devices: how many share the clips of each step, or ``"all"`` that there are; more than one needs JAX. It changes
            neither the steps nor the checkpoints from which ``resume`` continues.
        test: fraction held out for the test, above 0.
        validation: fraction held out for early stopping and calibration.
        labelled_throughout: in videos of which rows are parts, all that happens is labelled: the time between the
            parts is learned as background. A column of that name in the table says so video by video.
        leaky: split at random, ignoring groups. The metrics are then too high, so it is trained once more on a split by
            groups (in the folder ``honest`` of the run), and ``test.honest`` of the metrics holds the one to believe.
        allow_leaks: continue even if the same video is on two sides of the split or has two labels.
        resume: continue an interrupted training.
        overwrite: replace a finished run.
        log: ``"tensorboard"``, ``"mlflow"``, ``"wandb"``, or several of them, which receive the metrics too.
        say: called with a line on the time that features will take.

    Raises:
        KinemeError: the data, the folder or a logger cannot be used, or there are not so many devices.
        UsageError: an unknown approach or option, or ``auto`` together with a named approach.

    Example:
        >>> options = kineme.TrainOptions(epochs=1, augment=False)
        >>> run = kineme.train("my-videos", "runs/second", approach="single-frame", options=options)
        >>> sorted(run.metrics["test"]["baselines"])[:2]
        ['background_only', 'chance']
    """
    from dataclasses import replace

    from kineme.report.run_page import write_run_report
    from kineme.training import run as training
    from kineme.training.auto import choose_for_run
    from kineme.training.devices import shared_out
    from kineme.training.leaky import group_split_reference
    from kineme.training.loggers import check_loggers
    from kineme.training.options import is_chosen, resolve_approach
    from kineme.training.parts import windows_for

    loggers = check_loggers(log)
    table = _table(data, labelled_throughout)
    how: dict[str, Any] = {"options": options, "test": test, "validation": validation}
    how |= {"resume": resume, "overwrite": overwrite}
    chosen = is_chosen(approach, config, auto, options, devices=devices, leaky=leaky)
    finetune = options is not None and options.finetune
    approach, config, best_spec = resolve_approach(approach, config, finetune=finetune)
    with shared_out(devices, Path(out)) as folder:
        if chosen:
            choice = choose_for_run(table, folder, spec=spec, wish=auto, allow_leaks=allow_leaks, say=say, **how)
            table = choice.table
            how |= {"approach": choice.candidate.approach_name, "config": choice.candidate.config}
            how |= {"spec": choice.candidate.spec, "selection": choice.selection}
        else:
            how |= {"approach": approach, "config": config, "spec": windows_for(table, spec or best_spec)}
        reference = group_split_reference(table, folder, **how) if leaky else None
        run = training.train(
            table,
            folder,
            **how,
            leaky=leaky,
            reference=reference,
            allow_leaks=allow_leaks,
            log=loggers,
            report=write_run_report,
        )
    return replace(run, folder=Path(out))


def _table(data: ClipTable | Pathlike, labelled_throughout: bool = False) -> ClipTable:
    from kineme.training.parts import mark_labelled_throughout

    table = scan(data) if isinstance(data, str | os.PathLike) else data
    return mark_labelled_throughout(table) if labelled_throughout else table


@suggest_keywords
def compare(
    data: ClipTable | Pathlike,
    out: Pathlike,
    *,
    approaches: Sequence[str] | None = None,
    backbones: Sequence[str] | None = None,
    spec_changes: dict[str, Any] | None = None,
    protocol: Protocol | None = None,
    seeds: int = 1,
    options: TrainOptions | None = None,
    name: str = "",
    labelled_throughout: bool = False,
    allow_leaks: bool = False,
) -> Comparison:
    """Train several approaches on the same splits by groups, and write a report that compares them.

    Args:
        data: a table from :func:`scan`, or any input of :func:`scan`.
        out: the folder to create; if it holds a comparison already, finished trainings are not run again.
        approaches: ``APPROACH[:BACKBONE][,OPTION=VALUE...]`` each; by default all approaches with their own
            networks, ``single-frame`` and ``lrcn`` on features of EfficientNet-Lite0, and the default of :func:`train`.
        backbones: try each approach that names none on each of these.
        spec_changes: fields of the clip spec, for all candidates.
        protocol: how the data is divided; by default once.
        seeds: trainings of each candidate and fold.
        options: how to train.
        name: of the data, for people.
        labelled_throughout: as for :func:`train`.
        allow_leaks: continue even if the same video is on two sides of a split or has two labels.

    Raises:
        KinemeError: the data cannot be divided, or leaks; or every candidate failed.
        UsageError: an unknown approach, backbone or option.

    Example:
        >>> options = kineme.TrainOptions(epochs=1, augment=False)
        >>> found = kineme.compare(
        ...     "my-videos", "compared", approaches=["single-frame", "late-fusion"], options=options
        ... )
        >>> found.document["best"] in ("single-frame", "late-fusion")
        True
    """
    from dataclasses import replace

    from kineme.models.registry import APPROACHES
    from kineme.report.comparison_page import write_comparison
    from kineme.report.run_page import write_run_report
    from kineme.training import compare as comparing
    from kineme.training.parts import windows_for
    from kineme.training.trials import parse_candidate

    wanted = list(approaches or comparing.CANDIDATES)
    if backbones:
        named = [one.partition(",") for one in (approaches or APPROACHES)]
        wanted = [
            head + comma + rest if ":" in head else f"{head}:{backbone}{comma}{rest}"
            for head, comma, rest in named
            for backbone in backbones
        ]
    candidates = [parse_candidate(one, spec_changes) for one in dict.fromkeys(wanted)]
    table = _table(data, labelled_throughout)
    candidates = [replace(one, spec=windows_for(table, one.spec)) for one in candidates]
    found = comparing.compare(
        table,
        out,
        candidates,
        protocol=protocol,
        seeds=seeds,
        options=options,
        name=name or Path(out).name,
        allow_leaks=allow_leaks,
    )
    write_run_report(found.winner)
    write_comparison(found.folder / "report.html", found.document)
    return found


@suggest_keywords
def check(
    data: Pathlike,
    *,
    page: Pathlike | None = None,
    fix: bool = False,
    groups: Pathlike | None = None,
    approach: str | None = None,
    config: dict[str, Any] | None = None,
    spec_changes: dict[str, Any] | None = None,
    options: TrainOptions | None = None,
    group_column: str | None = None,
) -> dict[str, Any]:
    """Find faults in labelled videos, and estimate the resources that a training needs.

    Args:
        data: the folder or the CSV.
        page: where to write a page with pictures, if anywhere.
        fix: move broken files to ``DATA-quarantine``, with a list of the reasons; nothing is deleted.
        groups: where to write a table with a guess of the groups, to be corrected and trained on, if anywhere.
        approach: what the needs are estimated for; by default that of :func:`train`.
        config: its options.
        spec_changes: fields of the clip spec.
        options: how to train, for the estimate.
        group_column: the column of the CSV that names groups, if it is not called ``group``.

    Returns:
        ``data`` (its content), ``findings`` (``kind``, ``severity``, ``files``, ``says``, ``advice`` each, the worst
        first), ``counts`` of each severity, ``needs``, ``people`` (how many people a sample of the videos shows, how
        large, and where nobody is; or ``none``, why nobody was looked for), and ``moved``: None, or where broken files
        are now.

    Raises:
        KinemeError: there is nothing usable, or a file cannot be written or moved.

    Example:
        >>> kineme.check("my-videos")["counts"]["error"]
        0
    """
    from kineme.report.check import check_data

    return check_data(
        Path(data),
        page=page,
        fix=fix,
        groups=groups,
        approach=approach,
        config=config,
        spec_changes=spec_changes,
        options=options,
        group_column=group_column,
    )


@suggest_keywords
def evaluate(
    model: Model | Pathlike,
    data: ClipTable | Pathlike,
    *,
    split: str | None = None,
    group_column: str | None = None,
    labelled_throughout: bool = False,
    frame_order: FrameOrder = "ordered",
    seed: int = 0,
) -> dict[str, Any]:
    """Measure a model on labelled videos.

    Args:
        model: a model, or what :func:`load` takes.
        data: a table, or an argument of :func:`scan`. Where it is the data the model was trained on, its run's own
            ``split.csv`` defines the test split.
        group_column: the column of the CSV that names groups, if it is not called ``group``.
        labelled_throughout: as for :func:`train`.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``; by default test where a split is known,
            else all.
        frame_order: ``"ordered"``, ``"shuffled"``, ``"reversed"`` or ``"frozen"``.
        seed: of the shuffling and of the intervals.

    Returns:
        The metrics, as ``test`` in ``metrics.json``, with ``split``, ``frame_order``, ``skipped`` and
        ``warnings`` beside. As filmed, they include the accuracy with frames shuffled, reversed or frozen; and
        on the test split of its own training, the baselines of that. Where rows are parts of longer videos, also
        ``segments``: whole videos are predicted, and compared with their labelled parts.

    Raises:
        KinemeError: nothing to evaluate, or a label that the model does not know.

    Example:
        >>> metrics = kineme.evaluate("runs/first", "my-videos")
        >>> metrics["split"], metrics["n"] > 0
        ('test', True)
    """
    from kineme.training.evaluate_model import evaluate_model

    loaded = load(model) if isinstance(model, str | os.PathLike) else model
    path = Path(data) if isinstance(data, str | os.PathLike) else None
    table = scan(data, group_column=group_column) if isinstance(data, str | os.PathLike) else data
    table = _table(table, labelled_throughout)
    return evaluate_model(loaded, table, path, split=split, frame_order=frame_order, seed=seed)
