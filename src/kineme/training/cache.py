"""Decode once: the network's input from each video, tick by tick, on disk.

Each video, or what :mod:`kineme.training.parts` takes of one for a labelled part, becomes an *entry*: a record for
every tick of the spec. For a network that is trained whole the records are frames, uint8, at its size, with two ticks
for each clip frame so that training can draw windows between the coarse ones. For a frozen backbone they are its
features, float32, once as filmed and once for each augmented *view*; one that looks at whole windows leaves a record
for each window instead. Windows are read from the entry one at a time, so memory does not grow with the data.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kineme.dataset.table import ClipTable, Skipped
from kineme.disk_cache import DiskCache
from kineme.errors import KinemeError, VideoError, VideoWarning
from kineme.files import user_cache_folder, write_text
from kineme.models.encoder import Encoder, WindowEncoder
from kineme.people.region import REGION_FLAWS, region_key, region_ticks
from kineme.progress import progress
from kineme.training.augment import Augmentation, Mirror, view_seed
from kineme.training.frame_order import FrameOrder, reorder
from kineme.training.items import Item, shown_name
from kineme.training.parts import Row, Stretch, background_stretches, by_video, labelled_throughout, stretch_of
from kineme.training.persons import with_persons
from kineme.training.pool import decoding_threads
from kineme.video.clips import Tick, cut_clips, refuse_short
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

SUFFIX = ".strip"
Identity = tuple[str, int, int]  # path without links, bytes, time of the last change

_FORMAT = 1  # of the entries; a change of what the same key would hold raises it


class FrameCache:
    """Decoded frames or features on disk, shared by all runs; items that do not fit are decoded anew on request.

    A video is looked at when it is prepared. From then on its entry stands for it, even where the file is gone.

    Args:
        spec: what a clip is.
        encoder: the frozen backbone whose features are kept; None keeps frames.
        per_frame: ticks for each clip frame: with 2, training windows may start at half steps (time jitter).
        folder: where entries lie; in the user's cache folder by default (``KINEME_FRAME_CACHE`` names another folder).
        limit_bytes: see :class:`kineme.disk_cache.DiskCache`.

    Attributes:
        lost: name and reason of each video that could be read no more after it was prepared.
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
        self._disk = DiskCache(self.folder, (SUFFIX, ".json"), limit_bytes)
        self._augmentation: Augmentation | Mirror | None = None  # of the augmented views
        self._identities: dict[str, Identity] = {}
        self.lost: dict[str, str] = {}

    @property
    def full_note(self) -> str | None:
        """A warning if not everything fits on the disk."""
        if self._disk.problem is None:
            return None
        return f"the cache of decoded frames is full ({self._disk.problem}); the rest is decoded again in every epoch"

    def prepare(self, table: ClipTable, labels: tuple[str, ...]) -> tuple[ClipTable, list[Item]]:
        """Decode the items that are not on disk yet, with progress.

        Args:
            table: the videos. Of those of which it has parts, it holds all that may not be in each other's clips.
            labels: the classes in the order of the logits.

        Returns:
            The table of the videos that could be read, with the others in its ``skipped`` and a warning for each
            that was damaged but usable; and an item for each of its rows.
        """
        table = with_persons(table, self.spec)
        rows = table.rows.to_dicts()
        for row in rows:
            self._identities.pop(row["path"], None)
        of_video = by_video(rows)
        skipped: list[Skipped] = []
        warnings: list[str] = []
        items: list[Item | None] = []

        def read(row: Row) -> tuple[Item, list[str]] | Skipped:
            try:
                return self._item(
                    row, labels.index(row["label"]), stretch_of(row, of_video, self._duration_s, self.spec)
                )
            except (VideoError, MemoryError) as error:
                return Skipped(
                    shown_name(row), error.reason if isinstance(error, VideoError) else "takes too much memory"
                )

        doing = "computing features" if self.encoder else "decoding videos"
        with decoding_threads() as pool, progress(doing if len(rows) > 1 else None, len(rows)) as advance:
            for row, found in zip(rows, pool.map(read, rows), strict=True):
                advance()
                if isinstance(found, Skipped):
                    skipped.append(found)
                else:
                    warnings += [f"{shown_name(row)}: {line}" for line in found[1]]
                items.append(None if isinstance(found, Skipped) else found[0])
        readable = replace(
            table,
            rows=table.rows.filter(pl.Series([item is not None for item in items], dtype=pl.Boolean)),
            skipped=(*table.skipped, *skipped),
            warnings=(*table.warnings, *warnings, *filter(None, [self.full_note])),
        )
        return readable, [item for item in items if item is not None]

    def is_kept(self, table: ClipTable) -> list[bool]:
        """Whether the records of each row are on disk already; of one that cannot be read, whether none are needed."""
        rows = table.rows.to_dicts()
        of_video = by_video(rows)

        def kept(row: Row) -> bool:
            try:
                return self._file(row["path"], stretch_of(row, of_video, self._duration_s, self.spec)).exists()
            except VideoError:
                return True

        return [kept(row) for row in rows]

    def background(self, table: ClipTable, label: int) -> list[Item]:
        """Items of the time between the parts of the videos that are labelled throughout.

        Args:
            table: from :meth:`prepare`.
            label: that the items get: the number of classes.
        """
        wanted = [
            (rows[0], stretch)
            for (path, _), rows in by_video(table.rows.to_dicts()).items()
            if labelled_throughout(rows)
            for stretch in background_stretches(rows, self._duration_s(path), self.spec)
        ]
        found = []
        with decoding_threads() as pool, progress("decoding background" if wanted else None, len(wanted)) as advance:
            for item, _ in pool.map(lambda one: self._item(one[0], label, one[1]), wanted):
                advance()
                found.append(replace(item, start_s=item.stretch.start_s, end_s=item.stretch.end_s))
        return found

    def whole(self, path: str, track: int | None = None) -> Item:
        """A whole video, or a person in it, as one item without a label that counts.

        Raises:
            VideoError: it cannot be read.
        """
        row = {"name": path, "path": path, "group": "", "start_s": 0.0, "end_s": None}
        return self._item(row, 0, Stretch(0.0, None, track))[0]

    def add_views(self, items: Sequence[Item], augmentation: Augmentation | Mirror, views: int) -> None:
        """Compute the features of ``views`` augmented views of each item that are not on disk yet, with progress.

        A view's change is drawn from the video, the settings and the view's number alone: the same in every run.
        """
        self._augmentation = augmentation

        def compute(job: tuple[Item, int]) -> None:
            if self._disk.problem is None:
                with contextlib.suppress(VideoError):  # whoever asks for it is told
                    self._entry_length(job[0].path, job[0].stretch, job[1])

        jobs = [(item, view) for item in items for view in range(1, views + 1)]
        with decoding_threads() as pool, progress("computing augmented views" if jobs else None, len(jobs)) as advance:
            for _ in pool.map(compute, jobs):
                advance()

    def reordered(self, item: Item, frame_order: FrameOrder) -> NDArray[np.float32]:
        """Features of an item's middle window with its frames in another order, for an encoder that sees time.

        They are kept like all others, since such an encoder is slow.
        """
        assert self.encoder
        file = self._file(item.path, item.stretch, frame_order)
        middle = len(self.evaluation_starts(item)) // 2
        shape, dtype = self._record

        def compute() -> NDArray[np.float32]:
            of_ticks = self._ticks(item.path, item.stretch)
            clip = next(itertools.islice(cut_clips(item.path, of_ticks, self.spec), middle, None))
            rng = np.random.default_rng(view_seed(item.path, item.stretch[:2], frame_order))
            frames_THWC = reorder(clip.frames_THWC, frame_order, rng)
            if isinstance(self.encoder, WindowEncoder):
                return self.encoder.window(frames_THWC)[None]
            assert self.encoder
            return np.stack(
                [record for _, record in self.encoder(zip(clip.times_s.tolist(), frames_THWC, strict=True))]
            )

        if file.exists():
            features = np.fromfile(file, dtype).reshape(-1, *shape)
        else:
            features = compute()
            self._disk.write(file.name, features.astype(np.float32).tobytes())
        return features[0] if self.encoder.per_window else features

    def records(self, item: Item, wanted: list[int], view: int = 0) -> NDArray[Any]:
        """Records (N, ...) at the given fine ticks of an item: frames, or features."""
        file = self._file(item.path, item.stretch, view)
        shape, dtype = self._record
        try:
            # Mapped for one read only: a lasting map would count every record ever touched as resident memory.
            entry = np.memmap(file, dtype=dtype, mode="r", shape=(item.ticks, *shape))
            return np.asarray(entry[wanted])
        except (FileNotFoundError, ValueError):
            return self._decode_some(item, wanted, view)

    def window(self, item: Item, start: int, view: int = 0) -> NDArray[Any]:
        """The clip, frames_THWC or features_TD, whose first record is fine tick ``start``, or is window ``start``."""
        if self.per_window:
            return np.asarray(self.records(item, [start], view)[0])
        # A clip lives on the coarse ticks of one phase, so that a short video ends for it just as in prediction.
        first, phase = divmod(start, self.per_frame)
        coarse = (item.ticks - phase + self.per_frame - 1) // self.per_frame
        return self.records(item, [phase + self.per_frame * tick for tick in self.spec.window(first, coarse)], view)

    def last_start(self, item: Item) -> int:
        """The last fine tick at which a clip can begin without running past the end (0 for a short video)."""
        if self.per_window:
            return item.ticks - 1
        return max(0, item.ticks - 1 - (self.spec.frames - 1) * self.per_frame)

    def evaluation_starts(self, item: Item) -> list[int]:
        """Fine ticks at which prediction's windows begin: the same as :func:`kineme.video.clips.read_clips`."""
        if self.per_window:
            return list(range(item.ticks))
        coarse = (item.ticks + self.per_frame - 1) // self.per_frame
        return [start * self.per_frame for start in self.spec.window_starts(coarse)]

    @property
    def per_window(self) -> bool:
        """Whether a record stands for a window instead of a tick."""
        return self.encoder is not None and self.encoder.per_window

    @property
    def _record(self) -> tuple[tuple[int, ...], type[np.generic]]:
        """Shape and type of the data of a tick."""
        if self.encoder:
            return self.encoder.shape, np.float32
        return (self.spec.height, self.spec.width, 3), np.uint8

    def _item(self, row: Row, label: int, stretch: Stretch) -> tuple[Item, list[str]]:
        """An item with its entry on disk, and the warnings met when it was decoded."""
        length, notes = self._entry_length(row["path"], stretch)
        item = Item(row["name"], row["path"], label, row["group"], row["start_s"], row["end_s"], stretch, length)
        return item, notes

    def _identity(self, path: str) -> Identity:
        """What tells a file apart from another under the same name: as it was when it was first looked at."""
        if path not in self._identities:
            try:
                stat = Path(path).stat()
            except OSError as error:
                raise VideoError(path, f"cannot be opened ({error.strerror})") from error
            self._identities[path] = str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns
        return self._identities[path]

    def _duration_s(self, path: str) -> float:
        return _duration_s(self._identity(path))

    def _file(self, path: str, stretch: Stretch, view: int | FrameOrder = 0) -> Path:
        """Where an entry lies: a name made of all that its pixels depend on."""
        spec = self.spec
        length = spec.frames if spec.fps is None or spec.short == "refuse" else None
        key: list[object] = [*self._identity(path), *stretch[:2]]
        key += [spec.fps, length, spec.height, spec.width, spec.fit, self.per_frame]
        if spec.brightness != "as-is" or spec.region != "frame":  # else the key has the form that it always had
            key += [spec.frames, spec.region, spec.brightness, stretch.track, *region_key(spec)]
        key += [self.encoder and self.encoder.key, view, _FORMAT]
        key += [asdict(self._augmentation)] if isinstance(view, int) and view and self._augmentation else []
        return self.folder / (hashlib.sha256(json.dumps(key).encode()).hexdigest()[:40] + SUFFIX)

    def _entry_length(self, path: str, stretch: Stretch, view: int = 0) -> tuple[int, list[str]]:
        """Number of records of an entry, and the warnings met when it was decoded; decodes it if need be.

        Raises:
            VideoError: the video cannot be used.
        """
        file = self._file(path, stretch, view)
        notes = file.with_suffix(".json")
        shape, dtype = self._record
        record_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        self._disk.hold(file.name)
        if self._disk.find(file.name):
            kept = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else []
            return self._checked(path, file.stat().st_size // record_bytes), kept
        said: list[str] = []
        if self._disk.problem:
            return self._checked(path, self._count(path, stretch, said.append)), said
        count = 0
        try:
            with self._disk.storing(file.name) as temporary, temporary.open("wb") as out:
                for record in self._encoded(path, self._viewed(path, stretch, view, said.append)):
                    out.write(np.ascontiguousarray(record).data)
                    count += 1
            if said:
                write_text(notes, json.dumps(said))
        except VideoError:
            raise
        except KinemeError:  # the disk is full: training goes on, decoding again where it must
            said.clear()
            return self._checked(path, self._count(path, stretch, said.append)), said
        return self._checked(path, count), said

    def _checked(self, path: str, records: int) -> int:
        if not self.per_window:  # cutting windows checks it too
            refuse_short(path, self.spec, -(-records // self.per_frame))
        return records

    def _count(self, path: str, stretch: Stretch, on_warning: Callable[[str], None]) -> int:
        """Number of records of an entry that is not kept."""
        of_ticks = self._ticks(path, stretch, on_warning)
        return sum(1 for _ in (cut_clips(path, of_ticks, self.spec) if self.per_window else of_ticks))

    def _encoded(self, path: str, of_ticks: Iterator[Tick]) -> Iterator[NDArray[Any]]:
        """What the entry holds: the frames themselves, or their features."""
        if isinstance(self.encoder, WindowEncoder):
            return (self.encoder.window(clip.frames_THWC) for clip in cut_clips(path, of_ticks, self.spec))
        return (record for _, record in (self.encoder(of_ticks) if self.encoder else of_ticks))

    def _viewed(
        self, path: str, stretch: Stretch, view: int, on_warning: Callable[[str], None] | None = None
    ) -> Iterator[Tick]:
        """The ticks as filmed (view 0), or with every frame changed alike."""
        of_ticks = self._ticks(path, stretch, on_warning)
        augmentation = self._augmentation if view else None
        if augmentation is None:
            yield from of_ticks
            return
        seed = view_seed(path, stretch[:2], view)
        for instant, frame in of_ticks:
            yield instant, augmentation(frame[None], np.random.default_rng(seed))[0]

    def _ticks(self, path: str, stretch: Stretch, on_warning: Callable[[str], None] | None = None) -> Iterator[Tick]:
        def warn(warning: VideoWarning) -> None:
            if on_warning and warning.kind not in REGION_FLAWS:  # of these the table has been told
                on_warning(warning)

        start_s, end_s, track = stretch
        of_part = functools.partial(region_ticks, path, self.spec, start_s=start_s, end_s=end_s)
        return of_part(per_frame=self.per_frame, track=track, on_warning=warn)

    def _decode_some(self, item: Item, wanted: list[int], view: int) -> NDArray[Any]:
        """Decode an item that is not on disk, keeping only the wanted records."""
        needed = sorted(set(wanted))
        of_ticks = self._viewed(item.path, item.stretch, view)
        if not self.per_window:
            of_ticks = itertools.islice(of_ticks, needed[-1] + 1)
        # All of them are encoded: an encoder may follow what it sees in time.
        records = itertools.islice(self._encoded(item.path, of_ticks), needed[-1] + 1)
        kept = {number: record for number, record in enumerate(records) if number in needed}
        if len(kept) < len(needed):
            raise VideoError(item.path, "is shorter than it was when training began")
        return np.stack([kept[number] for number in wanted])


@functools.lru_cache(maxsize=100_000)
def _duration_s(identity: Identity) -> float:
    return probe(identity[0]).duration_s


def _default_folder() -> Path:
    """``KINEME_FRAME_CACHE``, or the name that this variable had before; else within the user's cache folder."""
    named = os.environ.get("KINEME_FRAME_CACHE") or os.environ.get("KINEME_STRIPS")
    return Path(named) if named else user_cache_folder() / "strips"
