"""``kineme train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from kineme.cli import options
from kineme.cli.output import print_json, print_verdict, say, says_how_to_go_on, warn
from kineme.errors import UsageError


def train(
    data: options.Data,
    approach: Annotated[
        str | None,
        typer.Option(
            help="How a clip is classified: see 'kineme models list'.  [default: lrcn on efficientnet-lite0 features]"
        ),
    ] = None,
    backbone: options.Backbone = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An option of the approach, as units=64.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder to make.  [default: runs/DATA-APPROACH]")
    ] = None,
    frames: options.Frames = None,
    fps: options.Fps = None,
    size: options.Size = None,
    fit: options.Fit = None,
    short: options.Short = None,
    brightness: options.Brightness = None,
    epochs: options.Epochs = 100,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = 1e-3,
    patience: options.Patience = 20,
    augment: options.Augment = True,
    views: options.Views = None,
    flip: options.Flip = None,
    finetune: options.Finetune = False,
    group_column: options.GroupColumn = None,
    labelled_throughout: options.LabelledThroughout = False,
    test: options.Test = 0.2,
    validation: options.Validation = 0.2,
    leaky_random_split: Annotated[
        bool,
        typer.Option(
            "--leaky-random-split",
            help="Ignore groups; the figures will flatter, and a training without the leak takes as long again.",
            rich_help_panel=options.SPLIT,
        ),
    ] = False,
    allow_leaks: options.AllowLeaks = False,
    devices: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Devices that share the clips of each step; or 'all'. Needs JAX.",
            rich_help_panel=options.MACHINE,
        ),
    ] = "1",
    seed: Annotated[
        int, typer.Option(help="Same seed, same data, same machine: same numbers.", rich_help_panel=options.MACHINE)
    ] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted training.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run.")] = False,
    json: options.Json = False,
) -> None:
    """Train on a folder of videos, and test on unseen groups.

    A group is a person, a scene or a source video: it is never split between training and test.
    """
    from kineme import api
    from kineme.training.options import TrainOptions

    config: dict[str, Any] = dict(_name_value(text) for text in option or [])
    if backbone:
        config["backbone"] = backbone
    approach, config, best = api.resolve_approach(approach, config)
    spec = replace(best, **options.spec_changes(frames, fps, size, fit=fit, short=short, brightness=brightness))
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
    table = api.scan(data, group_column=group_column)
    warn(table.warnings)
    out = out or Path("runs") / f"{options.name_of(data)}-{approach}"
    with says_how_to_go_on(lambda: _going_on(out)):
        run = api.train(
            table,
            out,
            approach=approach,
            config=config,
            spec=spec,
            options=training,
            devices=devices,
            test=test,
            validation=validation,
            leaky=leaky_random_split,
            labelled_throughout=labelled_throughout,
            allow_leaks=allow_leaks,
            resume=resume,
            overwrite=overwrite,
        )
    warn(line for line in run.table.warnings if line not in table.warnings)
    warn(f"skipped {one.path}: {one.reason}" for one in run.table.skipped)
    if json:
        print_json(run.metrics)
        return
    print_verdict(run.metrics)
    say("", f"Model   {run.model_path}", f"Report  {run.folder / 'report.html'}")
    say("", f"Next: kineme predict VIDEO --model {run.folder} --save video")


def _going_on(out: Path) -> str:
    from kineme.training.run import CHECKPOINT

    if (out / CHECKPOINT).exists():
        return "the same command with --resume continues after the last finished epoch"
    return "no epoch is finished yet; the same command starts again, and decodes nothing that it has decoded"


def _name_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: write NAME=VALUE, as in --set units=64")
    return name.strip(), value.strip()
