"""``kineme check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kineme.cli.train import Folder, spec_changes

_NAMES = 3  # of the videos of a finding, in the table


def check(
    data: Folder,
    out: Annotated[Path | None, typer.Option(help="Page to write.  [default: DATA-check.html here]")] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Move broken files to DATA-quarantine; nothing is deleted.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where there are errors, as for CI.")] = False,
    approach: Annotated[
        str | None, typer.Option(help="What to estimate time and memory for.  [default: as kineme train]")
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="The network under it.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of a clip.")] = None,
    fps: Annotated[str | None, typer.Option(help="Frames a second of a clip; or 'spread' over the video.")] = None,
    size: Annotated[str | None, typer.Option(help="Pixels: 64, or 96x64 for width and height.")] = None,
    short: Annotated[str | None, typer.Option(help="Videos shorter than a clip: hold, loop or refuse.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Column of the CSV that names the groups.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
) -> None:
    """Say what is broken, there twice, leaking or unbalanced, and what training will take."""
    from kineme import api
    from kineme.cli.output import print_json, print_table
    from kineme.cli.train import name_of
    from kineme.errors import KinemeError
    from kineme.report.audit_page import headline

    out = out or Path(f"{name_of(data)}-check.html")
    found = api.check(
        data,
        page=out,
        fix=fix,
        approach=approach,
        config={"backbone": backbone} if backbone else None,
        spec_changes=spec_changes(frames, fps, size, None, short),
        group_column=group_column,
    )
    if json:
        print_json(found)
    else:
        print(headline(found["counts"], found["data"]["videos"]))
        if found["findings"]:
            rows = [[one["severity"], one["kind"], _told(one)] for one in found["findings"]]
            print_table(["", "kind", "finding"], rows)
        needs = found["needs"]
        print(
            f"One training: {needs['disk_bytes'] / 1e6:,.0f} MB of disk, {needs['memory_bytes'] / 1e9:.1f} GB of "
            f"memory, "
            f"{_duration(needs['first_seconds'])} once and {_duration(needs['training_seconds'])} at most after that.\n"
            f"This assumes: {' '.join(needs['assumes'])}"
        )
        if found["moved"]:
            print(f"\nMoved   {len(found['moved']['files'])} files to {found['moved']['folder']}")
        print(f"\nReport  {out}")
    if strict and found["counts"]["error"]:
        raise KinemeError(f"{data}: {found['counts']['error']} errors; see {out}")


def _told(finding: dict[str, Any]) -> str:
    names = finding["files"]
    text = finding["says"]
    if len(names) > 2:
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        text += f" [{', '.join(names[:_NAMES])}{more}]"
    return f"{text} {finding['advice']}".strip()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
