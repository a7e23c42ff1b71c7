"""``kineme compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kineme.cli.train import Folder, name_of, spec_changes
from kineme.errors import UsageError


def compare(
    data: Folder,
    approach: Annotated[
        list[str] | None,
        typer.Option(
            metavar="APPROACH[:BACKBONE][,OPTION=VALUE...]",
            help="A candidate; give several.  [default: all seven approaches, and two of them on ImageNet features]",
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None, typer.Option(help="Try each approach named without one on this; give several.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to make or go on in.  [default: runs/DATA-compare]")] = None,
    folds: Annotated[int | None, typer.Option(help="Cross-validate with so many folds.  [default: one split]")] = None,
    leave_one_group_out: Annotated[
        bool, typer.Option("--leave-one-group-out", help="Test every group on what was learned from the others.")
    ] = False,
    fold_column: Annotated[
        str | None, typer.Option(help="Test every value of this column of the CSV on what was learned from the others.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each candidate and fold.")] = 1,
    frames: Annotated[int | None, typer.Option(help="Frames of a clip, for all.")] = None,
    fps: Annotated[str | None, typer.Option(help="Frames a second of a clip, or 'spread', for all.")] = None,
    size: Annotated[str | None, typer.Option(help="Pixels, for all: 64, or 96x64 for width and height.")] = None,
    fit: Annotated[str | None, typer.Option(help="stretch, crop or letterbox, for all.")] = None,
    short: Annotated[str | None, typer.Option(help="Videos shorter than a clip: hold, loop or refuse.")] = None,
    epochs: Annotated[int, typer.Option(help="Most passes over the training videos.")] = 60,
    batch_size: Annotated[int | None, typer.Option(help="Clips a step.  [default: 16, or 4 with --finetune]")] = None,
    learning_rate: Annotated[float, typer.Option(help="Of the Adam optimiser.")] = 1e-3,
    patience: Annotated[int, typer.Option(help="Epochs without progress before stopping.")] = 15,
    augment: Annotated[bool, typer.Option(help="Move, mirror and relight training clips.")] = True,
    views: Annotated[
        int | None,
        typer.Option(help="Augmented views of each training video behind a frozen backbone.  [default: as it is slow]"),
    ] = None,
    flip: Annotated[
        bool | None, typer.Option(help="Mirror half of them.  [default: unless a label says left or right]")
    ] = None,
    finetune: Annotated[bool, typer.Option("--finetune", help="Train pretrained backbones too.")] = False,
    group_column: Annotated[str | None, typer.Option(help="Column of the CSV that names the groups.")] = None,
    test: Annotated[float, typer.Option(help="Share of the videos to test on, with one split.")] = 0.2,
    validation: Annotated[float, typer.Option(help="Share of the videos to stop by.")] = 0.2,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Go on where the same video is on two sides, or under two labels.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The first seed, and that of the split.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print comparison.json.")] = False,
) -> None:
    """Compare approaches on one honest test; run again, it goes on where it was interrupted."""
    from kineme import api
    from kineme.cli.output import print_comparison, print_json, warn
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
    options = TrainOptions(
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
    out = out or Path("runs") / f"{name_of(data)}-compare"
    found = api.compare(
        table,
        out,
        approaches=approach,
        backbones=backbone,
        spec_changes=spec_changes(frames, fps, size, fit, short),
        protocol=protocol,
        seeds=seeds,
        options=options,
        name=name_of(data),
        allow_leaks=allow_leaks,
    )
    if json:
        print_json(found.document)
        return
    print_comparison(found.document)
    print(f"\nReport  {out / 'report.html'}\nModel   {found.winner.model_path}")
    print(f"\nNext: kineme predict VIDEO --model {found.winner.folder} --save video")
