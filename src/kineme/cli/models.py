"""``kineme models``: what there is to choose from."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Approaches and backbones to choose from.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Approaches and backbones to choose from."""


@app.command("list")
def list_models(json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Show the approaches with their options, and the backbones."""
    from kineme.cli.output import print_json, print_table
    from kineme.models.registry import describe

    found = describe()
    if json:
        print_json(found)
        return
    approaches = [
        [one["name"], one["what"], ", ".join(f"{name}={value}" for name, value in one["options"].items())]
        for one in found["approaches"]
    ]
    print_table(["approach", "what it does", "options (--set)"], approaches)
    print_table(["backbone", "what it is"], [[one["name"], one["what"]] for one in found["backbones"]])
