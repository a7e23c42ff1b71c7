"""``kineme train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kineme.cli import options
from kineme.cli.interrupt import continues_by
from kineme.cli.output import print_json, print_verdict, say, tell, warn
from kineme.errors import KinemeError, UsageError

if TYPE_CHECKING:
    from kineme.training.options import AutoOptions


def train(
    data: options.Data,
    approach: Annotated[
        str | None,
        typer.Option(
            help="How a clip is classified: see 'kineme models list'; or auto, which chooses on folds.  [default: auto]"
        ),
    ] = None,
    backbone: options.Backbone = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder to create.  [default: runs/DATA-APPROACH]")
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="With auto: features of single frames alone, in a tenth of the time.")
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="With auto: time that features may take, as 90s, 10m or 2h; picks what fits."
        ),
    ] = None,
    goal: Annotated[
        str, typer.Option("--for", help="With auto: accuracy; or live, the best that keeps up with a camera.")
    ] = "accuracy",
    frames: options.Frames = None,
    fps: options.Fps = None,
    size: options.Size = None,
    fit: options.Fit = None,
    short: options.Short = None,
    region: options.Region = None,
    brightness: options.Brightness = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An option of the approach, as units=64.",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch",
            help="With auto: use no pretrained weights, and fetch none.",
            rich_help_panel=options.TRAINING,
        ),
    ] = False,
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
            help="Ignore groups: metrics will be too high. A second training with groups shows by how much.",
            rich_help_panel=options.SPLIT,
        ),
    ] = False,
    allow_leaks: options.AllowLeaks = False,
    devices: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Devices that share the clips of each step; or 'all'. Needs JAX.",
            rich_help_panel=options.RUN,
        ),
    ] = "1",
    seed: Annotated[
        int,
        typer.Option(
            help="Random seed; the same seed, data and machine give the same numbers.", rich_help_panel=options.RUN
        ),
    ] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted training.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a finished run.", rich_help_panel=options.RUN)
    ] = False,
    log: options.Log = None,
    json: options.Json = False,
) -> None:
    """Train on a folder of videos, and test on unseen groups.

    A group is a person, a scene or a source video: it is never split between training and test.
    """
    from kineme import api
    from kineme.models.registry import find_backbone, make_approach
    from kineme.training.feature_cost import external_forecast
    from kineme.training.options import AUTO, AutoOptions, TrainOptions, is_chosen, resolve_approach

    config: dict[str, Any] = dict(_name_value(text) for text in option or [])
    if backbone:
        config["backbone"] = backbone
    wish = _wish(fast, budget, goal, from_scratch)
    resolved, resolved_config, best = resolve_approach(approach, config, finetune=finetune)
    record = find_backbone(make_approach(resolved, resolved_config).backbone)
    changes = options.spec_changes(frames, fps, size, fit=fit, short=short, region=region, brightness=brightness)
    spec = replace(best, **changes) if changes else None
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
    if is_chosen(approach, config, wish, training, devices=devices, leaky=leaky_random_split):
        _fetch_missing(wish or AutoOptions())
    if record.external and not resume:
        tell(external_forecast(record, spec or best, table) or "features are on disk")
    out = out or Path("runs") / f"{options.name_of(data)}-{approach or AUTO}"
    with continues_by(lambda: _going_on(out)):
        run = api.train(
            table,
            out,
            approach=approach,
            config=config,
            spec=spec,
            options=training,
            auto=wish,
            devices=devices,
            test=test,
            validation=validation,
            leaky=leaky_random_split,
            labelled_throughout=labelled_throughout,
            allow_leaks=allow_leaks,
            resume=resume,
            overwrite=overwrite,
            log=log or (),
            say=lambda line: warn([line]),
        )
    warn(line for line in run.table.warnings if line not in table.warnings)
    warn(f"skipped {one.path}: {one.reason}" for one in run.table.skipped)
    if json:
        print_json(run.metrics)
        return
    print_verdict(run.metrics)
    say("", f"Model   {run.model_path}", f"Report  {run.folder / 'report.html'}")
    say("", f"Next: kineme predict VIDEO --model {run.folder} --save video")


def _wish(fast: bool, budget: str | None, goal: str, from_scratch: bool) -> AutoOptions | None:
    """What the default approach is to look for; None where nothing is said of that."""
    from kineme.training.options import AutoOptions

    if not (fast or budget or from_scratch or goal != "accuracy"):
        return None
    budget_s = options.parse_duration("--budget", budget) if budget else None
    return AutoOptions(goal=goal, fast=fast, budget_s=budget_s, from_scratch=from_scratch)  # type: ignore[arg-type]


def _fetch_missing(wish: AutoOptions) -> None:
    """Fetch the weights of the default approach that are not here; what cannot be fetched is left out, and told."""
    from kineme.cli.models import fetch
    from kineme.models import weights
    from kineme.training.feature_plan import wanted_weights

    if wish.from_scratch:
        return
    for name in wanted_weights(wish):
        if weights.find(name) is None:
            try:
                fetch(name)
            except KinemeError as error:
                warn([f"{error}; training continues without it"])


def _going_on(out: Path) -> str:
    from kineme.training.run import CHECKPOINT

    if (out / CHECKPOINT).exists():
        return "rerun the command with --resume to continue after the last finished epoch"
    return "no epoch is finished yet; rerun the command to start again; decoded frames and features are kept"


def _name_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: write NAME=VALUE, as in --set units=64")
    return name.strip(), value.strip()
