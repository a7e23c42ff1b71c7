"""Decode once: the network's input from each video, tick by tick, on disk.

Each video, or what :mod:`kineme.training.parts` takes of one for a labelled part, becomes an *entry*: a record for
every tick of the spec. For a network that is trained whole the records are frames, uint8, at its size, with two ticks
for each clip frame so that training can draw windows between the coarse ones. For a frozen backbone they are its
features, float32, once as filmed and once for each augmented *view*; one that looks at whole windows leaves a record
for each window instead. Windows are read from the entry one at a time, so memory does not grow with the data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kineme.dataset.table import ClipTable, Skipped
from kineme.errors import VideoError
from kineme.models.encoder import Encoder
from kineme.progress import progress
from kineme.training.augment import Augmentation, Mirror
from kineme.training.entries import Entries
from kineme.training.frame_order import FrameOrder
from kineme.training.items import Item, shown_name
from kineme.training.parts import Row, Stretch, background_stretches, by_video, labelled_throughout, stretch_of
from kineme.training.persons import with_persons
from kineme.training.pool import decoding_threads
from kineme.video.spec import ClipSpec


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
        entries: the entries on disk.
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
        self.entries = Entries(spec, encoder, per_frame=per_frame, folder=folder, limit_bytes=limit_bytes)
        self.lost: dict[str, str] = {}

    @property
    def full_note(self) -> str | None:
        """A warning if not everything fits on the disk."""
        if self.entries.problem is None:
            return None
        return f"the cache of decoded frames is full ({self.entries.problem}); the rest is decoded again in every epoch"

    def prepare(self, table: ClipTable, labels: tuple[str, ...]) -> tuple[ClipTable, list[Item]]:
        """Decode the items that are not on disk yet; with progress, if there are any.

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
            self.entries.forget(row["path"])
        of_video = by_video(rows)
        skipped: list[Skipped] = []
        warnings: list[str] = []
        items: list[Item | None] = []

        def read(row: Row) -> tuple[Item, list[str]] | Skipped:
            try:
                return self._item(
                    row, labels.index(row["label"]), stretch_of(row, of_video, self.entries.duration_s, self.spec)
                )
            except (VideoError, MemoryError) as error:
                return Skipped(
                    shown_name(row), error.reason if isinstance(error, VideoError) else "takes too much memory"
                )

        doing = "computing features" if self.encoder else "decoding videos"
        said = doing if len(rows) > 1 and not all(self.is_kept(table)) else None
        with decoding_threads() as pool, progress(said, len(rows)) as advance:
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
                return self.entries.file(
                    row["path"], stretch_of(row, of_video, self.entries.duration_s, self.spec)
                ).exists()
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
            for stretch in background_stretches(rows, self.entries.duration_s(path), self.spec)
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
        """Compute the features of ``views`` augmented views of each item that are not on disk yet.

        With progress, if there are any.

        A view's change is drawn from the video, the settings and the view's number alone: the same in every run.
        """
        self.entries.augmentation = augmentation

        def compute(job: tuple[Item, int]) -> None:
            if self.entries.problem is None:
                with contextlib.suppress(VideoError):  # whoever asks for it is told
                    self.entries.length(job[0].path, job[0].stretch, job[1])

        jobs = [(item, view) for item in items for view in range(1, views + 1)]
        is_kept = all(self.entries.file(item.path, item.stretch, view).exists() for item, view in jobs)
        said = None if is_kept else "computing augmented views"
        with decoding_threads() as pool, progress(said, len(jobs)) as advance:
            for _ in pool.map(compute, jobs):
                advance()

    def reordered(self, item: Item, frame_order: FrameOrder) -> NDArray[np.float32]:
        """Features of an item's middle window with its frames in another order, for an encoder that sees time.

        They are kept like all others, since such an encoder is slow.
        """
        return self.entries.reordered(item.path, item.stretch, frame_order, len(self.evaluation_starts(item)) // 2)

    def records(self, item: Item, wanted: list[int], view: int = 0) -> NDArray[Any]:
        """Records (N, ...) at the given fine ticks of an item: frames, or features."""
        return self.entries.read(item.path, item.stretch, item.ticks, wanted, view)

    def window(self, item: Item, start: int, view: int = 0) -> NDArray[Any]:
        """The clip, frames_THWC or features_TD, whose first record is fine tick ``start``, or is window ``start``."""
        if self.per_window:
            return np.asarray(self.records(item, [start], view)[0])
        # A clip lives on the coarse ticks of one phase, so that a short video ends for it just as in prediction.
        first, phase = divmod(start, self.per_frame)
        coarse = (item.ticks - phase + self.per_frame - 1) // self.per_frame
        return self.records(item, [phase + self.per_frame * tick for tick in self.spec.window(first, coarse)], view)

    def distinct(self, item: Item, start: int) -> int:
        """How many ticks lie from fine tick ``start`` to an item's end: what else a clip shows there is repeated."""
        return -(-(item.ticks - start) // self.per_frame)

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

    def _item(self, row: Row, label: int, stretch: Stretch) -> tuple[Item, list[str]]:
        """An item with its entry on disk, and the warnings met when it was decoded."""
        length, notes = self.entries.length(row["path"], stretch)
        item = Item(row["name"], row["path"], label, row["group"], row["start_s"], row["end_s"], stretch, length)
        return item, notes
