"""``kineme compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kineme.cli import options
from kineme.cli.interrupt import continues_by
from kineme.cli.output import print_comparison, print_json, say, warn
from kineme.errors import UsageError


def compare(
    data: options.Data,
    approach: Annotated[
        list[str] | None,
        typer.Option(
            metavar="APPROACH[:BACKBONE][,OPTION=VALUE...]",
            help="A candidate; repeatable.  [default: all, two of them on ImageNet features, and what train does]",
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None, typer.Option(help="Backbone for each approach given without one; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to create, or to continue in.  [default: runs/DATA-compare]"),
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Number of cross-validation folds.  [default: one split]")] = None,
    leave_one_group_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-group-out", help="Leave-one-group-out: test each group on a model trained on the other groups."
        ),
    ] = False,
    fold_column: Annotated[
        str | None,
        typer.Option(help="CSV column with the folds: each value is tested on a model trained on the other rows."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Number of trainings per candidate and fold.")] = 1,
    frames: options.Frames = None,
    fps: options.Fps = None,
    size: options.Size = None,
    fit: options.Fit = None,
    short: options.Short = None,
    region: options.Region = None,
    brightness: options.Brightness = None,
    epochs: options.Epochs = 60,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = 1e-3,
    patience: options.Patience = 15,
    augment: options.Augment = True,
    views: options.Views = None,
    flip: options.Flip = None,
    finetune: options.Finetune = False,
    group_column: options.GroupColumn = None,
    labelled_throughout: options.LabelledThroughout = False,
    test: options.Test = 0.2,
    validation: options.Validation = 0.2,
    allow_leaks: options.AllowLeaks = False,
    seed: Annotated[int, typer.Option(help="First seed; also the seed of the split.")] = 0,
    json: options.Json = False,
) -> None:
    """Compare approaches on one split by group.

    Rerun the command to continue an interrupted comparison.
    """
    from kineme import api
    from kineme.dataset.folds import Protocol
    from kineme.training.options import TrainOptions

    asked = [bool(folds), leave_one_group_out, bool(fold_column)]
    if sum(asked) > 1:
        raise UsageError("give one of --folds, --leave-one-group-out and --fold-column")
    kinds: list[Any] = ["folds", "leave-one-group-out", "column"]
    protocol = Protocol(
        kind=kinds[asked.index(True)] if any(asked) else "split",
        folds=folds or 5,
        column=fold_column,
        test=test,
        validation=validation,
        seed=seed,
    )
    training = TrainOptions(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        seed=seed,
        augment=augment,
        flip=flip,
        views=views,
        finetune=finetune,
    )
    table = api.scan(data, group_column=group_column, fold_column=fold_column)
    warn(table.warnings)
    out = out or Path("runs") / f"{options.name_of(data)}-compare"
    with continues_by(lambda: "rerun the command to continue with the unfinished trainings"):
        found = api.compare(
            table,
            out,
            approaches=approach,
            backbones=backbone,
            spec_changes=options.spec_changes(
                frames, fps, size, fit=fit, short=short, region=region, brightness=brightness
            ),
            protocol=protocol,
            seeds=seeds,
            options=training,
            name=options.name_of(data),
            labelled_throughout=labelled_throughout,
            allow_leaks=allow_leaks,
        )
    if json:
        print_json(found.document)
        return
    print_comparison(found.document)
    say("", f"Report  {out / 'report.html'}", f"Model   {found.winner.model_path}")
    say("", f"Next: kineme predict VIDEO --model {found.winner.folder} --save video")
