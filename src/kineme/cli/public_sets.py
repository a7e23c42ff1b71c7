"""``kineme datasets list`` and ``get``: public sets by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kineme.cli import options
from kineme.cli.output import print_json, print_table, say, tell, warn
from kineme.errors import UsageError

if TYPE_CHECKING:
    from kineme.dataset.public.catalogue import PublicSet


def list_sets(json: options.Json = False) -> None:
    """List the public sets, with their terms."""
    from kineme.dataset.public.catalogue import SETS

    if json:
        print_json([_facts(one) for one in SETS.values()])
        return
    print_table(
        ["name", "classes", "videos", "download", "terms", "page"],
        [[one.name, one.classes, f"{one.videos:,}", one.size, one.terms, one.page] for one in SETS.values()],
    )
    say("To fetch one: kineme datasets get NAME DIR")


def get(
    name: Annotated[str, typer.Argument(help="As in kineme datasets list.")],
    folder: Annotated[Path, typer.Argument(help="Folder for the videos and their tables.", metavar="DIR")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch without asking.")] = False,
    classes: Annotated[str | None, typer.Option(help="Only these classes, comma-separated.")] = None,
    per_class: Annotated[int | None, typer.Option(min=1, help="Maximum number of videos per class.")] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FOLDER|URL", help="Folder or mirror with archives that were already fetched."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Fetch a public set, with its groups and official splits.

    Rerun the command to resume an interrupted download.
    """
    from kineme.dataset.public.catalogue import named
    from kineme.dataset.public.get import get_set

    public = named(name)
    chosen = None if classes is None else [one.strip() for one in classes.split(",") if one.strip()]
    _show(public, folder)
    if not yes and not _is_here(source):
        _ask(public, folder)
    got = get_set(public, folder, source=source, classes=chosen, per_class=per_class)
    warn(got.warnings)
    if json:
        tables = {name: str(path) for name, path in got.tables.items()}
        print_json(
            {**_facts(public), "folder": str(folder), "labels": got.labels, "found": got.videos, "tables": tables}
        )
        return
    for path in got.tables.values():
        say(f"Table    {path}")
    kept = folder / "archives"
    and_kept = f" {kept} is only needed to add further classes." if kept.is_dir() else ""
    say("", f"{got.videos:,} videos of {len(got.labels)} classes.{and_kept}")
    say(f"As the literature measures: {public.protocol.replace('DIR', str(folder))}")
    say("", f"Next: kineme train {folder}")


def _facts(public: PublicSet) -> dict[str, Any]:
    columns = ("name", "classes", "videos", "size", "terms", "citation", "page", "protocol")
    return {column: getattr(public, column) for column in columns}


def _show(public: PublicSet, folder: Path) -> None:
    """Announce the download on standard error."""
    from kineme.dataset.public.unpack import RAR_HINT, rar_tool_is_missing

    lines = {
        "Set": f"{public.name}, {public.videos:,} videos of {public.classes} classes",
        "Size": f"{public.size} to fetch, and about as much again unpacked, into {folder}",
        "Terms": public.terms,
        "Cite": public.citation,
        "Page": public.page,
    }
    if any(archive.name.endswith(".rar") for archive in public.archives) and rar_tool_is_missing():
        lines["Needs"] = RAR_HINT
    for head, text in lines.items():
        tell(f"{head:<6} {text}")


def _is_here(source: str | None) -> bool:
    """Whether nothing is fetched, since the archives lie in a folder."""
    return source is not None and Path(source).is_dir()


def _ask(public: PublicSet, folder: Path) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"nothing is fetched without consent: add --yes to fetch {public.name} without being asked")
    if not typer.confirm(f"Fetch {public.size} into {folder}?", err=True):
        raise typer.Abort
