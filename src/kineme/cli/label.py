"""``kineme label``."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from kineme.cli import options
from kineme.cli.output import print_json, say


def label(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the videos; labels.csv is written there.", metavar="FOLDER")
    ],
    model: Annotated[
        str | None, typer.Option(help="A model that proposes labels: a model file, a run folder or a pretrained model.")
    ] = None,
    camera: Annotated[bool, typer.Option("--camera", help="Open the page where clips are recorded.")] = False,
    approach: Annotated[
        str | None, typer.Option(help="Approach that the page trains; see 'kineme models list'.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    json: options.Json = False,
) -> None:
    """Label or record videos on a page; a model proposes labels.

    The page is served to this machine alone.
    """
    from kineme.serving.labelling.run import label as run

    def on_start(address: str) -> None:
        if json:
            print_json({"address": address, "table": str(folder / "labels.csv")})
        else:
            say(f"{folder} at {address} (Ctrl-C ends); labels in {folder / 'labels.csv'}")
        sys.stdout.flush()
        if browser and not json:
            webbrowser.open(address)

    run(str(folder), on_start, model=model, approach=approach, camera=camera, port=port)
