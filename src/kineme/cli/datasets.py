"""``kineme datasets``: the synthetic set, public sets by name, cutting long videos, and a look at a set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kineme.cli import options, public_sets
from kineme.cli.help import SectionedCommand
from kineme.cli.output import print_json, say, warn

_TIER = typer.Option(help="Tier, track or attribute to read if the file has several; or all.")
_COLUMNS = typer.Option(help="Column names of the table: path=Datei,label=Übung.")

app = typer.Typer(help="Public data sets, drawn ones, and clips cut from long videos.", no_args_is_help=True)
app.command("list", cls=SectionedCommand)(public_sets.list_sets)
app.command("get", cls=SectionedCommand)(public_sets.get)


@app.callback()
def group() -> None:
    """Data sets: public ones by name, the synthetic one, and tools to make your own."""


@app.command("make", cls=SectionedCommand)
def make(
    folder: Annotated[Path, typer.Argument(help="Folder to make; must be empty or new.")],
    clips: Annotated[int, typer.Option(min=1, help="Labelled clips.")] = 240,
    people: Annotated[int, typer.Option(min=1, help="People; each is a group.")] = 20,
    actions: Annotated[str | None, typer.Option(help="Comma-separated names.  [default: all]")] = None,
    untrimmed: Annotated[int, typer.Option(min=0, help="Long videos with pauses and their true segments.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pixels.")] = 0,
    strong_scenes: Annotated[
        bool,
        typer.Option("--strong-scenes", help="Each person does one action only, so the background reveals the class."),
    ] = False,
    scenes: Annotated[int, typer.Option(min=0, help="Videos of several people at once, with ground truth.")] = 0,
    people_per_scene: Annotated[int, typer.Option(min=2, max=4, help="People in each of these videos.")] = 3,
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
        scenes=scenes,
        people_per_scene=people_per_scene,
    )
    sheet = contact_sheet_of(table, folder / "contact-sheet.png")
    if json:
        print_json({"table": str(table), "contact_sheet": str(sheet)})
    else:
        say(f"Table    {table}", f"Picture  {sheet}", "", f"Next: kineme train {folder}")


@app.command("split", cls=SectionedCommand)
def split(
    video: Annotated[
        Path,
        typer.Argument(help="A long video; or segments that name their videos, to cut all of them.", metavar="VIDEO"),
    ],
    segments: Annotated[
        Path | None,
        typer.Argument(
            help="Its segments: a table (start_s,end_s,label; perhaps path, group) as CSV or workbook, ELAN, VIA 3, "
            "BORIS, Label Studio, CVAT, Create ML, AutoML Video, or lines such as '0:15 jump'.",
            metavar="SEGMENTS",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the clips; several videos may share one.")],
    tier: Annotated[str | None, _TIER] = None,
    columns: Annotated[str | None, _COLUMNS] = None,
    json: options.Json = False,
) -> None:
    """Cut the labelled segments of long videos into clips.

    Without loss where key frames allow, and without sound.

    With segments alone, all videos that they name are cut. (Without cutting: train takes a CSV with the
    columns path, label, start_s and end_s, and convert makes one of any form.)
    """
    from kineme.dataset.long_videos import split_sheet, split_video

    called = options.parse_pairs("--columns", columns)
    if segments is None:
        made = split_sheet(video, out, tier=tier, columns=called)
    else:
        made = split_video(video, segments, out, tier=tier, columns=called)
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


@app.command("convert", cls=SectionedCommand)
def convert(
    segments: Annotated[
        Path, typer.Argument(help="Labelled segments in any form that split takes.", metavar="SEGMENTS")
    ],
    out: Annotated[Path, typer.Argument(help="File to write; for ELAN, a folder.", metavar="OUT")],
    to: Annotated[str, typer.Option(help="csv, elan, label-studio or via.")] = "csv",
    video: Annotated[Path | None, typer.Option(help="The video, if the segments do not name it.")] = None,
    tier: Annotated[str | None, _TIER] = None,
    columns: Annotated[str | None, _COLUMNS] = None,
    json: options.Json = False,
) -> None:
    """Convert labelled segments to other formats.

    The results are a table that train takes, or a file for another tool.
    """
    from kineme.dataset.annotations.convert import convert_segments

    made = convert_segments(
        segments, out, to, video=video, tier=tier, columns=options.parse_pairs("--columns", columns)
    )
    warn(made.left_out)
    if json:
        print_json({"files": made.files, "videos": made.videos, "segments": made.segments, "warnings": made.left_out})
    else:
        say(*(f"Written  {file}" for file in made.files), f"{made.segments} segments of {made.videos} videos")


@app.command("preview", cls=SectionedCommand)
def preview(
    data: Annotated[Path, typer.Argument(help="Folder of class folders, or a CSV.", metavar="DATA")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write (PNG).")] = Path("sheet.png"),
    per_class: Annotated[int, typer.Option(min=1, help="Videos per class.")] = 2,
    columns: Annotated[int, typer.Option(min=1, max=100, help="Frames per video.")] = 8,
    json: options.Json = False,
) -> None:
    """Draw a contact sheet: a few videos of each class."""
    from kineme.report.contact_sheet import contact_sheet_of

    sheet = contact_sheet_of(data, out, per_class=per_class, columns=columns)
    if json:
        print_json({"contact_sheet": str(sheet)})
    else:
        say(f"Picture  {sheet}")
