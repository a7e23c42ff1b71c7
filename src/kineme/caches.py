"""What Kineme keeps in the user's cache folder: where it lies, how large it is, and how it is removed."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kineme.errors import UsageError
from kineme.files import user_cache_folder

_HOLDS = {
    "weights": "pretrained weights; kineme models pull fetches them again",
    "strips": "decoded frames and features of training videos",
    "looks": "what kineme check found in each video",
    "people": "people found in each video",
    "backgrounds": "pictures of the places of videos, with the people taken away",
    "engines": "networks compiled for this machine, and how fast each engine runs them",
    "batch": "copies of models for kineme batch",
}
_MOVED_BY = {
    "strips": ("KINEME_FRAME_CACHE", "KINEME_STRIPS"),
    "looks": ("KINEME_INSPECTION_CACHE", "KINEME_LOOKS"),
}


@dataclass(frozen=True)
class Cache:
    """One folder of files that can be made again.

    Args:
        name: of the folder in the user's cache folder.
        holds: its content, one line.
        folder: where it lies.
        files: how many files are in it.
        bytes: that they take.
    """

    name: str
    holds: str
    folder: Path
    files: int
    bytes: int


def list_caches() -> list[Cache]:
    """Every cache that holds something, in the user's cache folder or where an environment variable moved it."""
    folders = {name: user_cache_folder() / name for name in _HOLDS}
    for name, variables in _MOVED_BY.items():
        for moved in filter(None, map(os.environ.get, variables)):
            folders[name] = Path(moved).expanduser()
    found = []
    for name, folder in folders.items():
        sizes = []
        for path in folder.rglob("*"):
            with suppress(OSError):  # gone since
                if path.is_file() and not path.is_symlink():
                    sizes.append(path.stat().st_size)
        if sizes:
            found.append(Cache(name, _HOLDS[name], folder, len(sizes), sum(sizes)))
    return found


def clear_cache(name: str | None = None) -> list[Cache]:
    """Remove one cache, or all of them; needed files are made or downloaded again.

    Raises:
        UsageError: no cache of that name holds anything, or an environment variable has moved it to another folder.
        OSError: a file cannot be removed.
    """
    found = list_caches()
    chosen = [one for one in found if name in (None, one.name)]
    if name is not None and not chosen:
        there = ", ".join(one.name for one in found) or "none"
        raise UsageError(f"{name}: no cache of that name holds anything; there are: {there}")
    for one in chosen:
        if one.folder.parent != user_cache_folder():
            raise UsageError(
                f"{one.folder}: is a folder of your own choice and may hold other files; remove it yourself"
            )
    for one in chosen:
        shutil.rmtree(one.folder)
    return chosen
