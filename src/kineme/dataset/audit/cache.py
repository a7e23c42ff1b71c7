"""Inspections of videos, kept in the user's cache folder: the second audit of the same files costs nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import cv2

from kineme.dataset.audit.inspection import SIDE, Broken, Facts, Inspection, Inspector, decoded, inspect_video
from kineme.disk_cache import DiskCache
from kineme.errors import VideoWarning
from kineme.files import user_cache_folder
from kineme.progress import track
from kineme.video.shared import Reader, SharedVideo

_FORMAT = 6  # of what is kept; a change of what an inspection holds, or of what counts as a copy, raises it
_SUFFIX = ".look"
_LIMIT_BYTES = 10**9  # about 25,000 videos


class InspectionCache:
    """Inspections on disk, found by the file's path, size and time of change.

    Args:
        folder: where they lie; in the user's cache folder by default (``KINEME_INSPECTION_CACHE`` moves them).
    """

    def __init__(self, folder: Path | None = None) -> None:
        named = os.environ.get("KINEME_INSPECTION_CACHE") or os.environ.get("KINEME_LOOKS")  # the second: its old name
        self._files = DiskCache(folder or Path(named or user_cache_folder() / "looks"), (_SUFFIX,), _LIMIT_BYTES)

    def inspect_all(self, rows: Sequence[dict[str, Any]]) -> list[Inspection | Broken]:
        """Inspect each row's ``path`` from ``start_s`` to ``end_s``, with progress, on all processors.

        FFmpeg releases Python's lock while it decodes.
        """
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            return list(track(pool.map(self.inspect, rows), "checking videos", len(rows)))

    def inspect(self, row: dict[str, Any]) -> Inspection | Broken:
        """One video, or the labelled part of one."""
        path, start_s, end_s = row["path"], row["start_s"], row["end_s"]
        try:
            name = _name([_key(row)])
        except OSError as error:
            return Broken("missing", f"cannot be opened ({error.strerror})")
        if kept := self.find(row):
            return kept
        found = inspect_video(path, start_s, end_s)
        if isinstance(found, Broken):
            return found
        packed = _packed(found)
        self._files.write(name, packed)
        return _unpacked(packed)  # what the next audit will see too

    def find(self, row: dict[str, Any]) -> Inspection | None:
        """The kept record of a row; None without one."""
        with suppress(OSError, ValueError, KeyError, TypeError, BadZipFile, cv2.error):
            if (content := self._files.read(_name([_key(row)]))) is not None:
                return _unpacked(content)
        return None

    def reader(self, row: dict[str, Any]) -> Reader | None:
        """Inspects a row while others read it too; None where its inspection is kept already."""
        path, start_s, end_s = row["path"], row["start_s"], row["end_s"]
        if not Path(path).exists() or self.find(row):
            return None

        def begin(video: SharedVideo) -> Iterator[object]:
            warnings: list[VideoWarning] = []
            inspector = Inspector(video.decoder, start_s, end_s)
            return work(video, inspector, warnings, video.watch(inspector, warnings.append))

        def work(
            video: SharedVideo, inspector: Inspector, warnings: list[VideoWarning], nothing: Iterator[object]
        ) -> Iterator[object]:
            yield from nothing
            found = inspector.inspection(warnings, video.decoding_s)
            self._files.write(_name([_key(row)]), _packed(found))

        return Reader(begin, start_s)

    def compared(self, rows: Sequence[dict[str, Any]], compare: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``compare`` says of these rows, a JSON document; where it is kept from another time, without asking."""
        try:
            name = _name([_key(row) for row in rows])
        except OSError:  # some file is gone
            return compare()
        if (content := self._files.read(name)) is not None:
            with suppress(ValueError):
                kept: dict[str, Any] = json.loads(content)
                return kept
        found = compare()
        self._files.write(name, json.dumps(found).encode())
        return found


def _name(key: list[Any]) -> str:
    """The name of a file, made of all that it depends on."""
    return hashlib.sha256(json.dumps([key, _FORMAT]).encode()).hexdigest()[:40] + _SUFFIX


def _key(row: dict[str, Any]) -> list[Any]:
    """All that the inspection of a row depends on."""
    path = Path(row["path"]).resolve()
    stat = path.stat()
    return [str(path), stat.st_size, stat.st_mtime_ns, row["start_s"], row["end_s"]]


def _packed(inspection: Inspection) -> bytes:
    """An inspection as the bytes of an archive: its pictures as PNG and JPEG, its facts as JSON.

    Not one of NumPy's archives: to read one it parses Python, at which two threads disturb each other in some versions
    of Python 3.11 (github.com/python/cpython/issues/106905).
    """
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("film.png", cv2.imencode(".png", inspection.thumbnails_THW.reshape(-1, SIDE))[1].tobytes())
        archive.writestr("background.jpg", inspection.background_jpeg)
        archive.writestr("facts.json", json.dumps(asdict(inspection.facts)))
    return packed.getvalue()


def _unpacked(content: bytes) -> Inspection:
    with ZipFile(io.BytesIO(content)) as archive:
        facts = json.loads(archive.read("facts.json"))
        film = decoded(archive.read("film.png"), cv2.IMREAD_GRAYSCALE)
        background = archive.read("background.jpg")
    decoded(background, cv2.IMREAD_COLOR)  # damage is found here, not when it is looked at
    return Inspection(Facts(**{**facts, "damage": tuple(facts["damage"])}), film.reshape(-1, SIDE, SIDE), background)
