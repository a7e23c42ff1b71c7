"""``kineme check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kineme.cli import options
from kineme.cli.output import print_json, print_table, say

_NAMES = 3  # of the videos of a finding, in the table


def check(
    data: options.Data,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="HTML report to write.  [default: DATA-check.html here]")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Move broken files to DATA-quarantine; nothing is deleted.")
    ] = False,
    write_groups: Annotated[
        Path | None, typer.Option(help="Write a table with guessed groups; correct it, then train on it.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 1 if errors are found; useful in CI.")
    ] = False,
    approach: Annotated[
        str | None, typer.Option(help="Approach to estimate time and memory for.  [default: as kineme train]")
    ] = None,
    backbone: options.Backbone = None,
    frames: options.Frames = None,
    fps: options.Fps = None,
    size: options.Size = None,
    short: options.Short = None,
    group_column: options.GroupColumn = None,
    json: options.Json = False,
) -> None:
    """Find problems in the data, and what training will cost.

    Broken files, duplicates, leaks between groups, unbalanced classes; time and memory of training.
    """
    from kineme import api
    from kineme.errors import KinemeError
    from kineme.report.audit_page import headline, people_sentence
    from kineme.text import duration

    out = out or Path(f"{options.name_of(data)}-check.html")
    found = api.check(
        data,
        page=out,
        fix=fix,
        groups=write_groups,
        approach=approach,
        config={"backbone": backbone} if backbone else None,
        spec_changes=options.spec_changes(frames, fps, size, short=short),
        group_column=group_column,
    )
    if json:
        print_json(found)
    else:
        say(headline(found["counts"], found["data"]["videos"]))
        if found["findings"]:
            rows = [[one["severity"], one["kind"], _told(one)] for one in found["findings"]]
            print_table(["", "kind", "finding"], rows)
        say(people_sentence(found["people"]))
        needs = found["needs"]
        say(
            f"One training: {needs['disk_bytes'] / 1e6:,.0f} MB of disk, {needs['memory_bytes'] / 1e9:.1f} GB of "
            f"memory, {duration(needs['first_seconds'])} once and {duration(needs['training_seconds'])} at most after "
            "that.",
            f"This assumes: {' '.join(needs['assumes'])}",
        )
        if found["moved"]:
            say("", f"Moved   {len(found['moved']['files'])} files to {found['moved']['folder']}")
        say("", f"Report  {out}")
        if write_groups:
            say(f"Groups  {write_groups}; correct the column 'group', then: kineme train {write_groups}")
    if strict and found["counts"]["error"]:
        raise KinemeError(f"{data}: {found['counts']['error']} errors; see {out}")


def _told(finding: dict[str, Any]) -> str:
    names = finding["files"]
    text = finding["says"]
    if len(names) > 2:
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        text += f" [{', '.join(names[:_NAMES])}{more}]"
    return f"{text} {finding['advice']}".strip()
