"""``kineme train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from kineme.errors import UsageError

Folder = Annotated[Path, typer.Argument(help="folder/class/video.*, or a CSV with the columns path and label")]


def train(
    data: Folder,
    approach: Annotated[
        str | None,
        typer.Option(
            help="How a clip is classified: see 'kineme models list'.  [default: lrcn on efficientnet-lite0 features]"
        ),
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="The network under it; each approach has a default.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An option of the approach, as units=64.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to make.  [default: runs/DATA-APPROACH]")] = None,
    frames: Annotated[
        int | None, typer.Option(help="Frames of a clip.  [default: 20; efficientnet-lite0 16, i3d 64]")
    ] = None,
    fps: Annotated[
        str | None,
        typer.Option(
            help="Frames a second of a clip; or 'spread' over the video.  [default: 8; efficientnet-lite0 4, i3d 25]"
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Pixels: 64, or 96x64 for width and height.  [default: 224 where pretrained, else 64]"),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(help="stretch, crop, letterbox.  [default: letterbox for landmarks, crop for i3d, else stretch]"),
    ] = None,
    short: Annotated[
        str | None,
        typer.Option(help="Videos shorter than a clip: hold, loop or refuse.  [default: hold, for i3d loop]"),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Most passes over the training videos.")] = 100,
    batch_size: Annotated[int | None, typer.Option(help="Clips a step.  [default: 16, or 4 with --finetune]")] = None,
    learning_rate: Annotated[float, typer.Option(help="Of the Adam optimiser.")] = 1e-3,
    patience: Annotated[int, typer.Option(help="Epochs without progress before stopping.")] = 20,
    augment: Annotated[bool, typer.Option(help="Move, mirror and relight training clips.")] = True,
    views: Annotated[
        int | None,
        typer.Option(help="Augmented views of each training video behind a frozen backbone.  [default: as it is slow]"),
    ] = None,
    flip: Annotated[
        bool | None, typer.Option(help="Mirror half of them.  [default: unless a label says left or right]")
    ] = None,
    finetune: Annotated[
        bool, typer.Option("--finetune", help="Train a pretrained backbone too, at smaller learning rates.")
    ] = False,
    group_column: Annotated[str | None, typer.Option(help="Column of the CSV that names the groups.")] = None,
    test: Annotated[float, typer.Option(help="Share of the videos to test on.")] = 0.2,
    validation: Annotated[float, typer.Option(help="Share of the videos to stop by.")] = 0.2,
    leaky_random_split: Annotated[
        bool,
        typer.Option(
            "--leaky-random-split",
            help="Ignore groups; the figures will flatter, and an honest training beside it takes as long again.",
        ),
    ] = False,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Go on where the same video is on two sides, or under two labels.")
    ] = False,
    devices: Annotated[
        str, typer.Option(metavar="N", help="Devices that share the clips of each step; or 'all'. Needs JAX.")
    ] = "1",
    seed: Annotated[int, typer.Option(help="Same seed, same data, same machine: same numbers.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print metrics.json.")] = False,
) -> None:
    """Train on a folder of videos and measure on groups (people, scenes) never seen."""
    from kineme import api
    from kineme.cli.output import print_json, print_verdict, warn
    from kineme.training.options import TrainOptions

    config: dict[str, Any] = dict(_name_value(text) for text in option or [])
    if backbone:
        config["backbone"] = backbone
    approach, config, best = api.resolve_approach(approach, config)
    spec = replace(best, **spec_changes(frames, fps, size, fit, short))
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
    table = api.scan(data, group_column=group_column)
    warn(table.warnings)
    out = out or Path("runs") / f"{name_of(data)}-{approach}"
    run = api.train(
        table,
        out,
        approach=approach,
        config=config,
        spec=spec,
        options=options,
        devices=devices,
        test=test,
        validation=validation,
        leaky=leaky_random_split,
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
    print(f"\nModel   {run.model_path}\nReport  {run.folder / 'report.html'}")
    print(f"\nNext: kineme predict VIDEO --model {run.folder} --save video")


def name_of(data: Path) -> str:
    """What the data is called: its folder, also where it is given as the folder's clips.csv."""
    data = data.resolve()
    return data.parent.name if data.name == "clips.csv" else data.stem


def _name_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: write NAME=VALUE, as in --set units=64")
    return name.strip(), value.strip()


def spec_changes(
    frames: int | None, fps: str | None, size: str | None, fit: str | None, short: str | None
) -> dict[str, Any]:
    """The fields of a clip spec that options change.

    Raises:
        UsageError: one of them cannot be read.
    """
    changes: dict[str, Any] = {"frames": frames, "fit": fit, "short": short}
    if fps is not None and fps != "spread":
        try:
            changes["fps"] = float(fps)
        except ValueError:
            raise UsageError(f"--fps {fps}: give a number of frames a second, or 'spread'") from None
    if size is not None:
        try:
            sides = [int(side) for side in size.lower().split("x")]
            changes["width"], changes["height"] = sides if len(sides) == 2 else sides * 2
        except ValueError:
            raise UsageError(f"--size {size}: give pixels, as 64, or 96x64 for width and height") from None
    changes = {name: value for name, value in changes.items() if value is not None}
    return changes | ({"fps": None} if fps == "spread" else {})
