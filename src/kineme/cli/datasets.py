"""``kineme datasets``: the synthetic set, public sets by name, cutting long videos, and a look at a set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kineme.cli import options, public_sets
from kineme.cli.output import print_json, say, warn

app = typer.Typer(help="Public data sets, drawn ones, and clips cut from long videos.", no_args_is_help=True)
app.command("list")(public_sets.list_sets)
app.command("get")(public_sets.get)


@app.callback()
def group() -> None:
    """Data sets: public ones by name, the synthetic one, and tools to make your own."""


@app.command("make")
def make(
    folder: Annotated[Path, typer.Argument(help="Folder to make; must be empty or new.")],
    clips: Annotated[int, typer.Option(min=1, help="Labelled clips.")] = 240,
    people: Annotated[int, typer.Option(min=1, help="People; each is a group.")] = 20,
    actions: Annotated[str | None, typer.Option(help="Names with commas between.  [default: all]")] = None,
    untrimmed: Annotated[int, typer.Option(min=0, help="Long videos with pauses and their true segments.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pixels.")] = 0,
    strong_scenes: Annotated[
        bool, typer.Option("--strong-scenes", help="Each person does one action only: the place gives it away.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Make a data set of drawn people; nothing is downloaded."""
    from drawn_people.make import make_dataset
    from kineme.report.contact_sheet import contact_sheet_of

    chosen = [name.strip() for name in actions.split(",")] if actions else None
    table = make_dataset(
        folder,
        clips=clips,
        people=people,
        actions=chosen,
        untrimmed=untrimmed,
        seed=seed,
        strong_scenes=strong_scenes,
    )
    sheet = contact_sheet_of(table, folder / "contact-sheet.png")
    if json:
        print_json({"table": str(table), "contact_sheet": str(sheet)})
    else:
        say(f"Table    {table}", f"Picture  {sheet}", "", f"Next: kineme train {folder}")


@app.command("split")
def split(
    video: Annotated[
        Path,
        typer.Argument(help="A long video; or a CSV with a column path, to cut all its videos.", metavar="VIDEO"),
    ],
    segments: Annotated[
        Path | None,
        typer.Argument(
            help="Its segments: CSV (start_s,end_s,label; perhaps path, group), ELAN, VIA 3, or lines such as "
            "'0:15 jump'.",
            metavar="SEGMENTS",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the clips; several videos may share one.")],
    tier: Annotated[str | None, typer.Option(help="Tier of ELAN or attribute of VIA, where there are several.")] = None,
    json: options.Json = False,
) -> None:
    """Cut the labelled segments of long videos into clips.

    Without loss where key frames allow, and without sound.

    With a CSV alone, all videos that its column path names are cut in one go. (Without cutting: train takes a CSV with
    the columns path, label, start_s and end_s.)
    """
    from kineme.dataset.long_videos import split_sheet, split_video
    from kineme.errors import UsageError

    if segments is None and tier is not None:
        raise UsageError("--tier is for ELAN and VIA files, which are given after a video")
    made = split_sheet(video, out) if segments is None else split_video(video, segments, out, tier=tier)
    warn([*made.warnings, *made.errors])
    if json:
        clips = [{**vars(clip), "path": str(clip.path), "label": label} for clip, label in made.clips]
        lines = {"warnings": made.warnings, "errors": made.errors}
        print_json({"table": str(made.table), "clips": clips, **lines})
    else:
        copied = sum(clip.copied for clip, _ in made.clips)
        encoded = len(made.clips) - copied
        say(f"Table    {made.table}", "")
        say(f"{len(made.clips)} clips: {copied} copied (within a frame), {encoded} encoded anew (exact)")
        say("", f"Next: kineme train {out}")
    if made.errors:
        raise typer.Exit(1)


@app.command("preview")
def preview(
    data: Annotated[Path, typer.Argument(help="Folder of class folders, or a CSV.", metavar="DATA")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write (PNG).")] = Path("sheet.png"),
    per_class: Annotated[int, typer.Option(min=1, help="Videos of each class.")] = 2,
    columns: Annotated[int, typer.Option(min=1, max=100, help="Frames of each video.")] = 8,
    json: options.Json = False,
) -> None:
    """Draw a contact sheet: a few videos of each class."""
    from kineme.report.contact_sheet import contact_sheet_of

    sheet = contact_sheet_of(data, out, per_class=per_class, columns=columns)
    if json:
        print_json({"contact_sheet": str(sheet)})
    else:
        say(f"Picture  {sheet}")
