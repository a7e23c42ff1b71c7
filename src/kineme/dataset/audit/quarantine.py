"""Moves broken files into a quarantine: a folder beside the data, with a list of the reasons. Nothing is ever deleted.

It may be killed at any point. The list is complete before the first file is moved, and each move is one step of the
file system; so files that were not moved yet are found again by the next audit, which continues the same list.
"""

from __future__ import annotations

import csv
import errno
import filecmp
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kineme.errors import KinemeError
from kineme.files import atomic_write, cannot_write, remove_abandoned, write_csv

REASONS = "reasons.csv"
_COLUMNS = ("file", "moved_to", "reason")


@dataclass(frozen=True)
class QuarantineResult:
    """What became of the broken files.

    Args:
        folder: the quarantine.
        files: where each is now, by where it was.
        outside: those that were left where they are, since they do not lie in the data's own folder.
    """

    folder: Path
    files: dict[str, Path]
    outside: tuple[str, ...]


def quarantine_files(data: Path, broken: Mapping[str, str]) -> QuarantineResult:
    """Move broken files of a data set to ``DATA-quarantine`` beside it, keeping their places within it.

    Args:
        data: the folder, or the CSV that lists the videos.
        broken: path and reason of each file.

    Raises:
        KinemeError: a file cannot be moved, or the list cannot be read or written.
    """
    home = (data if data.is_dir() else data.parent).absolute()
    folder = home.parent / f"{home.name}-quarantine"
    inside = {path: Path(path).absolute() for path in broken}
    outside = tuple(sorted(path for path, file in inside.items() if not file.is_relative_to(home)))
    places = {inside[path].relative_to(home).as_posix(): path for path in broken if path not in outside}
    if not places:
        return QuarantineResult(folder, {}, outside)
    listed = _read(folder / REASONS)
    for place, path in places.items():
        if place not in listed or _taken(folder / listed[place][0], Path(path)):
            listed[place] = (_free(folder, place, Path(path)), broken[path])
    _write(folder / REASONS, listed)
    moved = {}
    for place, path in sorted(places.items()):
        moved[path] = folder / listed[place][0]
        _move(Path(path), moved[path])
    return QuarantineResult(folder, moved, outside)


def _free(folder: Path, place: str, file: Path) -> str:
    """A place in the quarantine that holds no other file."""
    wanted, number = Path(place), 1
    while _taken(folder / wanted, file):
        number += 1
        wanted = Path(place).with_stem(f"{Path(place).stem}-{number}")
    return wanted.as_posix()


def _taken(place: Path, file: Path) -> bool:
    """Whether another file lies there; a copy of this one is left by a move that was interrupted."""
    return place.exists() and not filecmp.cmp(place, file, shallow=False)


def _move(file: Path, to: Path) -> None:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not to.exists():
                file.rename(to)
                return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            remove_abandoned(to)
            with atomic_write(to) as temporary:  # another disk: copy first, and take away only what is there whole
                shutil.copy2(file, temporary)
        file.unlink()
    except OSError as error:
        raise cannot_write(to, error) from error


def _read(path: Path) -> dict[str, tuple[str, str]]:
    """What the list says: where each file went, and why."""
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["file"]: (row["moved_to"], row["reason"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, csv.Error, UnicodeDecodeError) as error:
        raise KinemeError(f"{path}: is not the list of reasons that it was; rename it and run again") from error


def _write(path: Path, listed: Mapping[str, tuple[str, str]]) -> None:
    remove_abandoned(path)
    write_csv(path, _COLUMNS, [(place, *listed[place]) for place in sorted(listed)])
