"""``kineme cache``: where Kineme keeps files that it can make again, and how to remove them."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from kineme.cli import options
from kineme.cli.output import print_json, print_table, say
from kineme.text import file_size


def cache(
    clear: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Remove the cache with this name, or 'all'; it is rebuilt when needed."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Show the caches with their paths and sizes, or clear them."""
    from kineme import caches
    from kineme.files import user_cache_folder

    found = caches.clear_cache(None if clear == "all" else clear) if clear else caches.list_caches()
    total = sum(one.bytes for one in found)
    if json:
        print_json(
            {
                "cleared" if clear else "caches": [
                    dataclasses.asdict(one) | {"folder": str(one.folder)} for one in found
                ],
                "bytes": total,
            }
        )
        return
    if clear:
        say(f"removed {file_size(total)}: {', '.join(one.name for one in found) or 'the cache was empty'}")
        return
    rows = [[one.name, file_size(one.bytes), one.files, one.holds, one.folder] for one in found]
    print_table(["cache", "size", "files", "holds", "folder"], rows)
    say(f"{file_size(total)} in all; KINEME_CACHE moves {user_cache_folder()}")
