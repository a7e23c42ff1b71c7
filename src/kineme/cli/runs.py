"""``kineme runs``: the runs of a folder side by side, best first."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from kineme.cli import options
from kineme.cli.output import print_json, print_table, say, warn
from kineme.text import duration, percent


def runs(
    folder: Annotated[Path, typer.Argument(help="Folder that holds run folders.", metavar="FOLDER")] = Path("runs"),
    json: options.Json = False,
) -> None:
    """List the runs of a folder, best first."""
    from kineme.training.runs import list_runs

    found, unreadable = list_runs(folder)
    warn(unreadable)
    tests = list(dict.fromkeys(run.test_set for run in found))
    letters = {test: _letters(place) for place, test in enumerate(tests)}
    if json:
        rows = [{**dataclasses.asdict(run), "test_set": letters[run.test_set]} for run in found]
        print_json({"runs": [{**row, "folder": str(row["folder"])} for row in rows]})
        return
    print_table(
        ["run", "approach", "backbone", "top-1", "95 % interval", "videos", "groups", "test set", "took"],
        [
            [
                *(run.folder.relative_to(folder), run.approach, run.backbone or "", percent(run.top1)),
                f"{100 * run.interval[0]:.0f} to {percent(run.interval[1], 0)}",
                *(run.videos, run.groups, letters[run.test_set], duration(run.seconds)),
            ]
            for run in found
        ],
    )
    if not found:
        say(f"{folder} holds no finished run")
    elif len(tests) > 1:
        say("Figures on different test sets cannot be compared.")


def _letters(place: int) -> str:
    """A, B, ... Z, then AA, AB and so on."""
    return (_letters(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)
