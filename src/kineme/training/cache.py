"""Decode once: the frames a data set needs, at the size and rate the network takes, as uint8 on disk.

Each video (or labelled part of one) becomes a *strip*: its frames at every tick of the spec, with a few ticks for
each clip frame so that training can draw windows between the coarse ones. Windows are read from the strip one at
a time, so memory does not grow with the data set.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kineme.dataset.table import ClipTable, Skipped
from kineme.errors import KinemeError, VideoError
from kineme.files import replacing, user_cache_folder
from kineme.progress import progress
from kineme.video.clips import ticks
from kineme.video.spec import ClipSpec

PER_FRAME = 2  # ticks for each clip frame: training windows start at half steps (time jitter)


@dataclass(frozen=True)
class Item:
    """One row of a table, ready to give windows.

    Args:
        name: as shown to people.
        path: the video.
        label: index into the table's labels.
        group: what must not straddle a split.
        start_s: where the labelled part begins.
        end_s: where it ends; None is the video's end.
        ticks: number of fine ticks in the strip.
    """

    name: str
    path: str
    label: int
    group: str
    start_s: float
    end_s: float | None
    ticks: int


class StripCache:
    """Strips on disk, shared by all runs, bounded in size; what does not fit is decoded anew when asked for.

    Args:
        spec: what a clip is.
        folder: where strips lie; in the user's cache folder by default (``KINEME_STRIPS`` moves them).
        limit_bytes: most the folder may hold; by default 20 GB, or half of the free disk where that is less.
    """

    def __init__(self, spec: ClipSpec, folder: Path | None = None, limit_bytes: int | None = None) -> None:
        self.spec = spec
        self.folder = folder or Path(os.environ.get("KINEME_STRIPS") or user_cache_folder() / "strips")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.limit_bytes = limit_bytes if limit_bytes is not None else _default_limit(self.folder)
        self._in_use: set[str] = set()
        self._full = False

    def prepare(self, table: ClipTable, labels: tuple[str, ...]) -> tuple[ClipTable, list[Item]]:
        """Decode what is not on disk yet, with progress.

        Args:
            table: the videos.
            labels: the classes in the order of the logits.

        Returns:
            The table of the videos that could be read, with the others in its ``skipped`` and a warning for each
            that was damaged but usable; and an item for each of its rows.
        """
        rows = table.rows.to_dicts()
        index = {label: number for number, label in enumerate(labels)}
        items: list[Item | None] = [None] * len(rows)
        skipped: list[Skipped] = []
        warnings: list[str] = []

        def work(row: dict[str, object]) -> tuple[int, list[str]] | Skipped:
            try:
                return self._strip_length(str(row["path"]), row["start_s"], row["end_s"])  # type: ignore[arg-type]
            except VideoError as error:
                return Skipped(_shown(row), error.reason)

        with (
            ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
            progress("decoding videos", len(rows)) as advance,
        ):
            for number, (row, result) in enumerate(zip(rows, pool.map(work, rows), strict=True)):
                advance()
                if isinstance(result, Skipped):
                    skipped.append(result)
                    continue
                length, said = result
                warnings += [f"{_shown(row)}: {line}" for line in said]
                items[number] = Item(
                    row["name"], row["path"], index[row["label"]], row["group"], row["start_s"], row["end_s"], length
                )
        if self._full:
            warnings.append(
                f"the cache of decoded frames is full ({self.limit_bytes / 1e9:.1f} GB in {self.folder}); "
                "the rest is decoded again in every epoch"
            )
        readable = replace(
            table,
            rows=table.rows.filter(pl.Series([item is not None for item in items], dtype=pl.Boolean)),
            skipped=(*table.skipped, *skipped),
            warnings=(*table.warnings, *warnings),
        )
        return readable, [item for item in items if item is not None]

    def frames(self, item: Item, wanted: list[int]) -> NDArray[np.uint8]:
        """Frames (N, H, W, 3) at the given fine ticks of an item."""
        file = self._file(item.path, item.start_s, item.end_s)
        try:
            # Mapped for one read only: a lasting map would count every frame ever touched as resident memory.
            strip = np.memmap(file, dtype=np.uint8, mode="r", shape=(item.ticks, *self._frame_shape))
            return np.asarray(strip[wanted])
        except (FileNotFoundError, ValueError):
            return self._decode_some(item, wanted)

    def window(self, item: Item, start: int) -> NDArray[np.uint8]:
        """The clip frames_THWC whose first frame is fine tick ``start``."""
        # A clip lives on the coarse ticks of one phase, so that a short video ends for it just as in prediction.
        first, phase = divmod(start, PER_FRAME)
        coarse = (item.ticks - phase + PER_FRAME - 1) // PER_FRAME
        return self.frames(item, [phase + PER_FRAME * tick for tick in self.spec.window(first, coarse)])

    def last_start(self, item: Item) -> int:
        """The last fine tick at which a clip can begin without running past the end (0 for a short video)."""
        return max(0, item.ticks - 1 - (self.spec.frames - 1) * PER_FRAME)

    def evaluation_starts(self, item: Item) -> list[int]:
        """Fine ticks at which prediction's windows begin: the same as :func:`kineme.video.clips.read_clips`."""
        coarse = (item.ticks + PER_FRAME - 1) // PER_FRAME
        return [start * PER_FRAME for start in self.spec.window_starts(coarse)]

    @property
    def _frame_shape(self) -> tuple[int, int, int]:
        return (self.spec.height, self.spec.width, 3)

    def _file(self, path: str, start_s: float, end_s: float | None) -> Path:
        """Where a strip lies: a name made of all that its pixels depend on."""
        try:
            stat = Path(path).stat()
        except OSError as error:
            raise VideoError(path, f"cannot be opened ({error.strerror})") from error
        spec = self.spec
        length = spec.frames if spec.fps is None or spec.short == "refuse" else None
        key = [str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns, start_s, end_s]
        key += [spec.fps, length, spec.height, spec.width, spec.fit, PER_FRAME, 1]
        return self.folder / (hashlib.sha256(json.dumps(key).encode()).hexdigest()[:40] + ".u8")

    def _strip_length(self, path: str, start_s: float, end_s: float | None) -> tuple[int, list[str]]:
        """Number of fine ticks of a strip, and the warnings met when it was decoded; decodes it if need be."""
        file = self._file(path, start_s, end_s)
        notes = file.with_suffix(".json")
        self._in_use.add(file.stem)
        frame_bytes = self.spec.height * self.spec.width * 3
        if file.exists():
            os.utime(file)
            kept = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else []
            return file.stat().st_size // frame_bytes, kept
        said: list[str] = []
        if self._full:
            return sum(1 for _ in self._ticks(path, start_s, end_s, said.append)), said
        count = 0
        try:
            with replacing(file) as temporary, temporary.open("wb") as out:
                for _, frame in self._ticks(path, start_s, end_s, said.append):
                    out.write(np.ascontiguousarray(frame).data)
                    count += 1
            if said:
                with replacing(notes) as temporary:
                    temporary.write_text(json.dumps(said), encoding="utf-8")
        except VideoError:
            raise
        except KinemeError:  # the disk is full: training goes on, decoding again where it must
            self._full = True
            said.clear()
            return sum(1 for _ in self._ticks(path, start_s, end_s, said.append)), said
        self._make_room()
        return count, said

    def _ticks(
        self, path: str, start_s: float, end_s: float | None, on_warning: Callable[[str], None] | None = None
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        return ticks(path, self.spec, start_s=start_s, end_s=end_s, per_frame=PER_FRAME, on_warning=on_warning)

    def _decode_some(self, item: Item, wanted: list[int]) -> NDArray[np.uint8]:
        """Decode an uncached item, keeping only the wanted ticks."""
        kept: dict[int, NDArray[np.uint8]] = {}
        needed = set(wanted)
        for number, (_, frame) in enumerate(self._ticks(item.path, item.start_s, item.end_s)):
            if number in needed:
                kept[number] = frame
                if len(kept) == len(needed):
                    break
        return np.stack([kept[number] for number in wanted])

    def _make_room(self) -> None:
        """Remove the strips used longest ago, but none of this run's; give up storing when that is not enough."""
        files = []
        for file in self.folder.glob("*.u8"):
            try:
                stat = file.stat()
            except FileNotFoundError:  # another process makes room too
                continue
            files.append((stat.st_mtime, stat.st_size, file))
        total = sum(size for _, size, _ in files)
        for _, size, file in sorted(files):
            if total <= self.limit_bytes:
                return
            if file.stem not in self._in_use:
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)
                total -= size
        self._full = total > self.limit_bytes


def _shown(row: dict[str, object]) -> str:
    """A row as people know it: the video, and which part of it."""
    if row["end_s"] is None and not row["start_s"]:
        return str(row["name"])
    end = "the end" if row["end_s"] is None else f"{row['end_s']} s"
    return f"{row['name']} ({row['start_s']} s to {end})"


def _default_limit(folder: Path) -> int:
    return min(20 * 10**9, shutil.disk_usage(folder).free // 2)
