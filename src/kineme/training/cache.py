"""Decode once: what a network takes of each video, tick by tick, on disk.

Each video (or labelled part of one) becomes an *entry*: a record for every tick of the spec. For a network that is
trained whole the records are frames, uint8, at its size, with two ticks for each clip frame so that training can
draw windows between the coarse ones. For a frozen backbone they are its features, float32, once as filmed and once
for each augmented *view*; one that looks at whole windows leaves a record for each window instead. Windows are read
from the entry one at a time, so memory does not grow with the data.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kineme.dataset.table import SPLITS, ClipTable, Skipped
from kineme.errors import KinemeError, VideoError
from kineme.files import atomic_write, user_cache_folder
from kineme.models.encoder import Encoder, WindowEncoder
from kineme.progress import progress
from kineme.training.augment import Augmentation
from kineme.training.frame_order import FrameOrder, reorder
from kineme.video.clips import cut_clips, refuse_short, ticks
from kineme.video.spec import ClipSpec

SUFFIX = ".strip"
_FORMAT = 1  # of the entries; a change of what the same key would hold raises it


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
        ticks: number of fine ticks in the entry.
    """

    name: str
    path: str
    label: int
    group: str
    start_s: float
    end_s: float | None
    ticks: int


class FrameCache:
    """Strips on disk, shared by all runs, bounded in size; what does not fit is decoded anew when asked for.

    Args:
        spec: what a clip is.
        encoder: the frozen backbone whose features are kept; None keeps frames.
        per_frame: ticks for each clip frame: with 2, training windows may start at half steps (time jitter).
        folder: where entries lie; in the user's cache folder by default (``KINEME_FRAME_CACHE`` names another folder).
        limit_bytes: most the folder may hold; by default 20 GB, or half of the free disk where that is less.
    """

    def __init__(
        self,
        spec: ClipSpec,
        encoder: Encoder | None = None,
        *,
        per_frame: int = 2,
        folder: Path | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        self.spec, self.encoder, self.per_frame = spec, encoder, per_frame
        self.folder = folder or _default_folder()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.limit_bytes = limit_bytes if limit_bytes is not None else _default_limit(self.folder)
        self._augmentation: Augmentation | None = None  # of the augmented views
        self._in_use: set[str] = set()
        self._full = False
        self._stored = sum(size for _, size, _ in self._listed())
        self._lock = threading.Lock()

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
                return self._entry_length(str(row["path"]), row["start_s"], row["end_s"])  # type: ignore[arg-type]
            except VideoError as error:
                return Skipped(_shown(row), error.reason)

        with (
            _pool() as pool,
            progress("looking at videos" if self.encoder else "decoding videos", len(rows)) as advance,
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

    def add_views(self, items: Sequence[Item], augmentation: Augmentation, views: int) -> None:
        """Compute the features of ``views`` augmented views of each item that are not on disk yet, with progress.

        A view's change is drawn from the video, the settings and the view's number alone: the same in every run.
        """
        self._augmentation = augmentation
        jobs = [(item, view) for item in items for view in range(1, views + 1)]
        with _pool() as pool, progress("looking at augmented views", len(jobs)) as advance:
            for _ in pool.map(lambda job: self._entry_length(job[0].path, job[0].start_s, job[0].end_s, job[1]), jobs):
                advance()

    def reordered(self, item: Item, frame_order: FrameOrder) -> NDArray[np.float32]:
        """Features of an item's middle window with its frames in another order, for an encoder that sees time.

        They are kept like all others, since such an encoder is slow.
        """
        assert self.encoder
        file = self._file(item.path, item.start_s, item.end_s, frame_order)
        middle = len(self.evaluation_starts(item)) // 2
        shape, dtype = self._record

        def compute() -> NDArray[np.float32]:
            of_ticks = self._ticks(item.path, item.start_s, item.end_s)
            clip = next(itertools.islice(cut_clips(item.path, of_ticks, self.spec), middle, None))
            rng = np.random.default_rng(int(file.stem[:8], 16))
            frames_THWC = reorder(clip.frames_THWC, frame_order, rng)
            if isinstance(self.encoder, WindowEncoder):
                return self.encoder.window(frames_THWC)[None]
            assert self.encoder
            return np.stack(
                [record for _, record in self.encoder(zip(clip.times_s.tolist(), frames_THWC, strict=True))]
            )

        if not file.exists():
            features = compute()
            if self._full:
                return features[0] if self.encoder.per_window else features
            with atomic_write(file) as temporary:
                temporary.write_bytes(features.astype(np.float32).tobytes())
            self._make_room(features.nbytes)
        features = np.fromfile(file, dtype).reshape(-1, *shape)
        return features[0] if self.encoder.per_window else features

    def records(self, item: Item, wanted: list[int], view: int = 0) -> NDArray[Any]:
        """Records (N, ...) at the given fine ticks of an item: frames, or features."""
        file = self._file(item.path, item.start_s, item.end_s, view)
        shape, dtype = self._record
        try:
            # Mapped for one read only: a lasting map would count every record ever touched as resident memory.
            entry = np.memmap(file, dtype=dtype, mode="r", shape=(item.ticks, *shape))
            return np.asarray(entry[wanted])
        except (FileNotFoundError, ValueError):
            return self._decode_some(item, wanted)

    def window(self, item: Item, start: int, view: int = 0) -> NDArray[Any]:
        """The clip, frames_THWC or features_TD, whose first record is fine tick ``start``, or is window ``start``."""
        if self._per_window:
            return np.asarray(self.records(item, [start], view)[0])
        # A clip lives on the coarse ticks of one phase, so that a short video ends for it just as in prediction.
        first, phase = divmod(start, self.per_frame)
        coarse = (item.ticks - phase + self.per_frame - 1) // self.per_frame
        return self.records(item, [phase + self.per_frame * tick for tick in self.spec.window(first, coarse)], view)

    def last_start(self, item: Item) -> int:
        """The last fine tick at which a clip can begin without running past the end (0 for a short video)."""
        if self._per_window:
            return item.ticks - 1
        return max(0, item.ticks - 1 - (self.spec.frames - 1) * self.per_frame)

    def evaluation_starts(self, item: Item) -> list[int]:
        """Fine ticks at which prediction's windows begin: the same as :func:`kineme.video.clips.read_clips`."""
        if self._per_window:
            return list(range(item.ticks))
        coarse = (item.ticks + self.per_frame - 1) // self.per_frame
        return [start * self.per_frame for start in self.spec.window_starts(coarse)]

    @property
    def _per_window(self) -> bool:
        return self.encoder is not None and self.encoder.per_window

    @property
    def _record(self) -> tuple[tuple[int, ...], type[np.generic]]:
        """Shape and type of what is kept for a tick."""
        if self.encoder:
            return self.encoder.shape, np.float32
        return (self.spec.height, self.spec.width, 3), np.uint8

    def _file(self, path: str, start_s: float, end_s: float | None, view: int | FrameOrder = 0) -> Path:
        """Where an entry lies: a name made of all that its pixels depend on."""
        try:
            stat = Path(path).stat()
        except OSError as error:
            raise VideoError(path, f"cannot be opened ({error.strerror})") from error
        spec = self.spec
        length = spec.frames if spec.fps is None or spec.short == "refuse" else None
        key = [str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns, start_s, end_s]
        key += [spec.fps, length, spec.height, spec.width, spec.fit, self.per_frame]
        key += [self.encoder and self.encoder.key, view, _FORMAT]
        key += [asdict(self._augmentation)] if isinstance(view, int) and view and self._augmentation else []
        return self.folder / (hashlib.sha256(json.dumps(key).encode()).hexdigest()[:40] + SUFFIX)

    def _entry_length(self, path: str, start_s: float, end_s: float | None, view: int = 0) -> tuple[int, list[str]]:
        """Number of fine ticks of an entry, and the warnings met when it was decoded; decodes it if need be.

        Raises:
            VideoError: the video cannot be used.
        """
        file = self._file(path, start_s, end_s, view)
        notes = file.with_suffix(".json")
        self._in_use.add(file.stem)
        shape, dtype = self._record
        record_bytes = math.prod(shape) * np.dtype(dtype).itemsize

        def decoded() -> Iterator[NDArray[Any]]:
            of_ticks = self._ticks(path, start_s, end_s, said.append)
            if view and self._augmentation:
                of_ticks = _changed(of_ticks, self._augmentation, [int(file.stem[:8], 16), view])
            return self._encoded(path, of_ticks)

        if file.exists():
            os.utime(file)
            kept = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else []
            return self._checked(path, file.stat().st_size // record_bytes), kept
        said: list[str] = []
        if self._full:
            return self._checked(path, self._count(path, start_s, end_s, said.append)), said
        count = 0
        try:
            with atomic_write(file) as temporary, temporary.open("wb") as out:
                for record in decoded():
                    out.write(np.ascontiguousarray(record).data)
                    count += 1
            if said:
                with atomic_write(notes) as temporary:
                    temporary.write_text(json.dumps(said), encoding="utf-8")
        except VideoError:
            raise
        except KinemeError:  # the disk is full: training goes on, decoding again where it must
            self._full = True
            said.clear()
            return self._checked(path, self._count(path, start_s, end_s, said.append)), said
        self._make_room(count * record_bytes)
        return self._checked(path, count), said

    def _checked(self, path: str, records: int) -> int:
        if not self._per_window:  # cutting windows checks it too
            refuse_short(path, self.spec, -(-records // self.per_frame))
        return records

    def _count(self, path: str, start_s: float, end_s: float | None, on_warning: Callable[[str], None]) -> int:
        """Number of records of an entry that is not kept."""
        of_ticks = self._ticks(path, start_s, end_s, on_warning)
        return sum(1 for _ in (cut_clips(path, of_ticks, self.spec) if self._per_window else of_ticks))

    def _encoded(self, path: str, of_ticks: Iterator[tuple[float, NDArray[np.uint8]]]) -> Iterator[NDArray[Any]]:
        """What the entry holds: the frames themselves, or their features."""
        if isinstance(self.encoder, WindowEncoder):
            return (self.encoder.window(clip.frames_THWC) for clip in cut_clips(path, of_ticks, self.spec))
        return (record for _, record in (self.encoder(of_ticks) if self.encoder else of_ticks))

    def _ticks(
        self, path: str, start_s: float, end_s: float | None, on_warning: Callable[[str], None] | None = None
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        return ticks(path, self.spec, start_s=start_s, end_s=end_s, per_frame=self.per_frame, on_warning=on_warning)

    def _decode_some(self, item: Item, wanted: list[int]) -> NDArray[Any]:
        """Decode an uncached item, as filmed, keeping only the wanted ticks."""
        needed = sorted(set(wanted))
        of_ticks = self._ticks(item.path, item.start_s, item.end_s)
        if not self._per_window:
            of_ticks = itertools.islice(of_ticks, needed[-1] + 1)
        # All of them are encoded: an encoder may follow what it sees in time.
        records = itertools.islice(self._encoded(item.path, of_ticks), needed[-1] + 1)
        kept = {number: record for number, record in enumerate(records) if number in needed}
        return np.stack([kept[number] for number in wanted])

    def _make_room(self, added: int) -> None:
        """After ``added`` bytes: remove the entries used longest ago, but none of this run's, where it is too much.

        Storing ends when that is not enough. The folder is listed at the start and when it seems full, not every
        time: with thousands of entries that would take longer than decoding.
        """
        with self._lock:
            self._stored += added
            if self._stored <= self.limit_bytes:
                return
            self._stored = self._evict()
            self._full = self._stored > self.limit_bytes

    def _evict(self) -> int:
        """Remove old entries until the folder is within its limit, if that can be; bytes it holds then."""
        entries = self._listed()
        total = sum(size for _, size, _ in entries)
        for _, size, file in sorted(entries):
            if total <= self.limit_bytes:
                break
            if file.stem not in self._in_use:
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)
                total -= size
        return total

    def _listed(self) -> list[tuple[float, int, Path]]:
        """When each entry was last used, its bytes, and where it is."""
        found = []
        for file in self.folder.glob("*" + SUFFIX):
            try:
                stat = file.stat()
            except FileNotFoundError:  # another process makes room too
                continue
            found.append((stat.st_mtime, stat.st_size, file))
        return found


def parts_of(table: ClipTable, items: Sequence[Item]) -> dict[str, list[Item]]:
    """The items of each split."""
    parts: dict[str, list[Item]] = {name: [] for name in SPLITS}
    for item, name in zip(items, table.rows["split"], strict=True):
        parts[name].append(item)
    return parts


def _changed(
    of_ticks: Iterator[tuple[float, NDArray[np.uint8]]], augmentation: Augmentation, seed: list[int]
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Every frame of an entry changed alike."""
    for instant, frame in of_ticks:
        yield instant, augmentation(frame[None], np.random.default_rng(seed))[0]


def _shown(row: dict[str, object]) -> str:
    """A row as people know it: the video, and which part of it."""
    if row["end_s"] is None and not row["start_s"]:
        return str(row["name"])
    end = "the end" if row["end_s"] is None else f"{row['end_s']} s"
    return f"{row['name']} ({row['start_s']} s to {end})"


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))


def _default_folder() -> Path:
    """``KINEME_FRAME_CACHE``, or the name that this variable had before; else within the user's cache folder."""
    named = os.environ.get("KINEME_FRAME_CACHE") or os.environ.get("KINEME_STRIPS")
    return Path(named) if named else user_cache_folder() / "strips"


def _default_limit(folder: Path) -> int:
    return min(20 * 10**9, shutil.disk_usage(folder).free // 2)
