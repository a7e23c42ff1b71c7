"""Inspections of videos, kept in the user's cache folder: the second audit of the same files costs nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.dataset.audit.inspection import SIDE, Broken, Facts, Inspection, inspect_video
from kineme.errors import KinemeError
from kineme.files import atomic_write, user_cache_folder, write_text
from kineme.progress import track

_FORMAT = 3  # of what is kept; a change of what an inspection holds, or of what counts as a copy, raises it
_SUFFIX = ".look"
_LIMIT_BYTES = 10**9  # about 25,000 videos


class InspectionCache:
    """Inspections on disk, found by the file's path, size and time of change.

    Args:
        folder: where they lie; in the user's cache folder by default (``KINEME_INSPECTION_CACHE`` moves them).
    """

    def __init__(self, folder: Path | None = None) -> None:
        named = os.environ.get("KINEME_INSPECTION_CACHE") or os.environ.get("KINEME_LOOKS")  # the second: its old name
        self.folder = folder or Path(named or user_cache_folder() / "looks")

    def inspect_all(self, rows: Sequence[dict[str, Any]]) -> list[Inspection | Broken]:
        """Inspect each row's ``path`` from ``start_s`` to ``end_s``, with progress, on all processors.

        FFmpeg releases Python's lock while it decodes.
        """
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            inspections = list(track(pool.map(self.inspect, rows), "checking videos", len(rows)))
        self._make_room()
        return inspections

    def inspect(self, row: dict[str, Any]) -> Inspection | Broken:
        """One video, or the labelled part of one."""
        path, start_s, end_s = row["path"], row["start_s"], row["end_s"]
        try:
            file = self._file([_key(row)])
        except OSError as error:
            return Broken("missing", f"cannot be opened ({error.strerror})")
        with suppress(OSError, ValueError, KeyError, TypeError, BadZipFile, cv2.error):
            kept = _unpacked(file.read_bytes())
            os.utime(file)
            return kept
        found = inspect_video(path, start_s, end_s)
        if isinstance(found, Broken):
            return found
        packed = _packed(found)
        with suppress(KinemeError), atomic_write(file) as temporary:  # a full disk only makes it slower
            temporary.write_bytes(packed)
        return _unpacked(packed)  # what the next audit will see too

    def compared(self, rows: Sequence[dict[str, Any]], compare: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``compare`` says of these rows, a JSON document; where it is kept from another time, without asking."""
        try:
            file = self._file([_key(row) for row in rows])
        except OSError:  # some file is gone
            return compare()
        with suppress(OSError, ValueError):
            kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            os.utime(file)
            return kept
        found = compare()
        with suppress(KinemeError):
            write_text(file, json.dumps(found))
        return found

    def _file(self, key: list[Any]) -> Path:
        """Where something lies: a name made of all that it depends on."""
        return self.folder / (hashlib.sha256(json.dumps([key, _FORMAT]).encode()).hexdigest()[:40] + _SUFFIX)

    def _make_room(self) -> None:
        """Remove what was used longest ago, where the folder holds too much."""
        listed = []
        for file in self.folder.glob("*" + _SUFFIX):
            with suppress(FileNotFoundError):  # another process makes room too
                listed.append((file.stat().st_mtime, file.stat().st_size, file))
        total = sum(size for _, size, _ in listed)
        for _, size, file in sorted(listed):
            if total <= _LIMIT_BYTES:
                return
            file.unlink(missing_ok=True)
            total -= size


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
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
        archive.writestr(
            "background.jpg", cv2.imencode(".jpg", inspection.background_HWC[..., ::-1], quality)[1].tobytes()
        )
        archive.writestr("facts.json", json.dumps(asdict(inspection.facts)))
    return packed.getvalue()


def _unpacked(content: bytes) -> Inspection:
    with ZipFile(io.BytesIO(content)) as archive:
        facts = json.loads(archive.read("facts.json"))
        film = _picture(archive.read("film.png"), cv2.IMREAD_GRAYSCALE)
        background = _picture(archive.read("background.jpg"), cv2.IMREAD_COLOR)
    return Inspection(
        Facts(**{**facts, "damage": tuple(facts["damage"])}),
        film.reshape(-1, SIDE, SIDE),
        np.ascontiguousarray(background[..., ::-1]),
    )


def _picture(content: bytes, how: int) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), how)
    if picture is None:
        raise ValueError("a picture is damaged")
    return np.asarray(picture, np.uint8)
