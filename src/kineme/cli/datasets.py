"""``kineme datasets``: the synthetic set, public sets by name, cutting long videos, and a look at a set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kineme.cli import public_sets

app = typer.Typer(
    help="Data sets: public ones by name, the synthetic one, and tools to make your own.", no_args_is_help=True
)
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
    json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make a data set of drawn people: real files, many actions, known groups, no download."""
    from kineme.cli.output import print_json
    from kineme.dataset.synthetic.make import make_dataset
    from kineme.report.contact_sheet import contact_sheet_of

    chosen = [name.strip() for name in actions.split(",")] if actions else None
    table = make_dataset(folder, clips=clips, people=people, actions=chosen, untrimmed=untrimmed, seed=seed)
    sheet = contact_sheet_of(table, folder / "contact-sheet.png")
    if json:
        print_json({"table": str(table), "contact_sheet": str(sheet)})
    else:
        print(f"Table    {table}\nPicture  {sheet}\n\nNext: kineme train {folder}")
