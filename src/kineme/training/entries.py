"""The entries on disk of each stretch of a video: frames, or features of a frozen backbone.

An entry is made alone, or beside others in one pass over the video (:mod:`kineme.video.shared`); both give the same.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.disk_cache import DiskCache
from kineme.errors import KinemeError, VideoError
from kineme.files import user_cache_folder, write_text
from kineme.models.encoder import Encoder, WindowEncoder
from kineme.people.region import find_region, region_key
from kineme.training.augment import Augmentation, Mirror, view_seed
from kineme.training.frame_order import FrameOrder, reorder
from kineme.training.parts import Row, Stretch
from kineme.training.recent import RecentFiles, read_records
from kineme.video.brightness import BRIGHTNESS_FORMAT
from kineme.video.clips import Clip, Tick, cut_clips, refuse_short, ticks
from kineme.video.probe import probe
from kineme.video.shared import Reader, SharedVideo
from kineme.video.spec import ClipSpec

SUFFIX = ".strip"
Identity = tuple[str, int, int]  # path without links, bytes, time of the last change

_FORMAT = 1  # of the entries; a change of what the same key would hold raises it
_ORDER_FORMAT = 2  # of those whose frames are in another order


class Entries:
    """Entries of one kind; arguments as for :class:`kineme.training.cache.FrameCache`.

    Attributes:
        folder: where they lie.
        augmentation: of the augmented views.
    """

    def __init__(
        self,
        spec: ClipSpec,
        encoder: Encoder | None,
        *,
        per_frame: int,
        folder: Path | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        self.spec, self.encoder, self.per_frame = spec, encoder, per_frame
        self.folder = folder or _default_folder()
        self.augmentation: Augmentation | Mirror | None = None
        self._disk = DiskCache(self.folder, (SUFFIX, ".json"), limit_bytes)
        self._identities: dict[str, Identity] = {}
        self._read_records = RecentFiles().read if encoder else read_records  # of frames, one read wants a small part

    @property
    def problem(self) -> str | None:
        """Why nothing more is stored, one line; None while it is."""
        return self._disk.problem

    @property
    def per_window(self) -> bool:
        """Whether a record stands for a window instead of a tick."""
        return self.encoder is not None and self.encoder.per_window

    def forget(self, path: str) -> None:
        """Look at a file anew when it is next asked for."""
        self._identities.pop(path, None)

    def identity(self, path: str) -> Identity:
        """What tells a file apart from another under the same name: as it was when it was first looked at."""
        if path not in self._identities:
            try:
                stat = Path(path).stat()
            except OSError as error:
                raise VideoError(path, f"cannot be opened ({error.strerror})") from error
            self._identities[path] = str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns
        return self._identities[path]

    def duration_s(self, path: str) -> float:
        """Seconds that a video lasts."""
        return _duration_s(self.identity(path))

    def file(self, path: str, stretch: Stretch, view: int | FrameOrder = 0) -> Path:
        """Where an entry lies: a name made of all that its pixels depend on."""
        spec = self.spec
        length = spec.frames if spec.fps is None or spec.short == "refuse" else None
        key: list[object] = [*self.identity(path), *stretch[:2]]
        key += [spec.fps, length, spec.height, spec.width, spec.fit, self.per_frame]
        if spec.brightness != "as-is" or spec.region != "frame":  # else the key has the form that it always had
            key += [spec.frames, spec.region, spec.brightness, stretch.track, *region_key(spec)]
            key += [BRIGHTNESS_FORMAT] if spec.brightness != "as-is" else []
        if self.per_window and spec.overlap != ClipSpec.overlap:
            key.append(spec.overlap)
        key += [self.encoder and self.encoder.key, view, _FORMAT if isinstance(view, int) else _ORDER_FORMAT]
        key += [asdict(self.augmentation)] if isinstance(view, int) and view and self.augmentation else []
        return self.folder / (hashlib.sha256(json.dumps(key).encode()).hexdigest()[:40] + SUFFIX)

    def length(self, path: str, stretch: Stretch, view: int = 0) -> tuple[int, list[str]]:
        """Number of records of an entry, and the warnings met when it was decoded; decodes it if need be.

        Raises:
            VideoError: the video cannot be used.
        """
        file = self.file(path, stretch, view)
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
        try:
            written = self._write(path, stretch, view, self._ticks(path, stretch, said.append), said)
            return self._checked(path, sum(1 for _ in written)), said
        except VideoError:
            raise
        except KinemeError:  # the disk is full: training goes on, decoding again where it must
            said.clear()
            return self._checked(path, self._count(path, stretch, said.append)), said

    def read(self, path: str, stretch: Stretch, count: int, wanted: list[int], view: int = 0) -> NDArray[Any]:
        """Some records (N, ...) of an entry, by their numbers; they are made again where it is not on disk.

        Args:
            path: the video.
            stretch: the stretch of it.
            count: number of its records, from :meth:`length`.
            wanted: which of them.
            view: number of the augmented view; 0 is as filmed.
        """
        shape, dtype = self._record
        try:
            return self._read_records(self.file(path, stretch, view), dtype, (count, *shape), wanted)
        except (FileNotFoundError, ValueError):
            return self._decode_some(path, stretch, wanted, view)

    def reordered(self, path: str, stretch: Stretch, frame_order: FrameOrder, middle: int) -> NDArray[np.float32]:
        """Features of the window of number ``middle`` with its frames in another order, kept for that window alone."""
        assert self.encoder
        file = self.file(path, stretch, frame_order)
        shape, dtype = self._record
        if file.exists():
            features = np.fromfile(file, dtype).reshape(-1, *shape)
        else:
            clips = cut_clips(path, self._ticks(path, stretch), self.spec)
            features = self._store_reordered(path, stretch, frame_order, next(itertools.islice(clips, middle, None)))
        return features[0] if self.encoder.per_window else features

    def _store_reordered(self, path: str, stretch: Stretch, frame_order: FrameOrder, clip: Clip) -> NDArray[np.float32]:
        """Compute and keep the features of a clip with its frames in another order."""
        rng = np.random.default_rng(view_seed(path, stretch[:2], frame_order))
        distinct = len(np.unique(clip.times_s))
        frames_THWC = reorder(clip.frames_THWC, frame_order, rng, self.spec, distinct)
        if isinstance(self.encoder, WindowEncoder):
            features = self.encoder.window(frames_THWC)[None]
        else:
            assert self.encoder
            of_ticks = zip(clip.times_s.tolist(), frames_THWC, strict=True)
            features = np.stack([record for _, record in self.encoder(of_ticks)])
        features = features.astype(np.float32)
        self._disk.write(self.file(path, stretch, frame_order).name, features.tobytes())
        return features

    def readers(self, row: Row, stretch: Stretch, *, views: int = 0, orders: Sequence[FrameOrder] = ()) -> list[Reader]:
        """What makes the entries of a row that are not on disk yet, while others read its video too.

        Args:
            row: of a table.
            stretch: the time read for it, from :func:`~kineme.training.parts.stretch_of`.
            views: number of augmented views beside the plain one, of :attr:`augmentation`.
            orders: for an encoder that sees time, the orders of frames that will be asked for.

        Raises:
            VideoError: there is no such file.
        """
        if self._disk.problem:
            return []
        path = row["path"]

        def of_view(view: int) -> Reader:
            def begin(video: SharedVideo) -> Iterator[object]:
                said: list[str] = []
                of_ticks = self._ticks(path, stretch, said.append, video)
                return self._write(path, stretch, view, of_ticks, said)

            return Reader(begin, stretch.start_s, needs_length=self.spec.fps is None)

        for view in range(views + 1):  # else a pass over more than fits would throw away what it has made
            self._disk.hold(self.file(path, stretch, view).name)
        missing = [view for view in range(views + 1) if not self.file(path, stretch, view).exists()]
        if self.encoder is None or not self.encoder.is_temporal:
            orders = ()
        asked = [order for order in orders if not self.file(path, stretch, order).exists()]
        found = [of_view(view) for view in missing]
        return [*found, self._reorder_reader(path, stretch, asked)] if asked else found

    def _reorder_reader(self, path: str, stretch: Stretch, orders: Sequence[FrameOrder]) -> Reader:
        """Which window is the middle one is known by the length of the video, and proved wrong at its end at worst."""

        def begin(video: SharedVideo) -> Iterator[object]:
            assert video.length_s is not None
            last_s = video.length_s if stretch.end_s is None else min(stretch.end_s, video.length_s)
            windows = len(self.spec.window_starts(self.spec.tick_count(last_s - stretch.start_s)))
            return work(self._ticks(path, stretch, None, video), windows // 2)

        def work(of_ticks: Iterator[Tick], middle: int) -> Iterator[object]:
            chosen, count = None, 0
            for count, clip in enumerate(cut_clips(path, of_ticks, self.spec), 1):
                chosen = clip if count == middle + 1 else chosen
                yield None
            if chosen is not None and middle == count // 2:
                for order in orders:
                    yield self._store_reordered(path, stretch, order, chosen)

        return Reader(begin, stretch.start_s, needs_length=True)

    @property
    def _record(self) -> tuple[tuple[int, ...], type[np.generic]]:
        """Shape and type of the data of a tick."""
        if self.encoder:
            return self.encoder.shape, np.float32
        return (self.spec.height, self.spec.width, 3), np.uint8

    def _write(
        self, path: str, stretch: Stretch, view: int, of_ticks: Iterator[Tick], said: Sequence[str]
    ) -> Iterator[object]:
        """Store an entry, a record at each step, and the warnings that were met when it was decoded."""
        file = self.file(path, stretch, view)
        with self._disk.storing(file.name) as temporary, temporary.open("wb") as out:
            for record in self._encoded(path, self._viewed(path, stretch, view, of_ticks)):
                out.write(np.ascontiguousarray(record).data)
                yield None
        if said:
            write_text(file.with_suffix(".json"), json.dumps(said))

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

    def _viewed(self, path: str, stretch: Stretch, view: int, of_ticks: Iterator[Tick]) -> Iterator[Tick]:
        """The ticks as filmed (view 0), or with every frame changed alike."""
        augmentation = self.augmentation if view else None
        if augmentation is None:
            yield from of_ticks
            return
        seed = view_seed(path, stretch[:2], view)
        for instant, frame in of_ticks:
            yield instant, augmentation(frame[None], np.random.default_rng(seed))[0]

    def _ticks(
        self,
        path: str,
        stretch: Stretch,
        on_warning: Callable[[str], None] | None = None,
        video: SharedVideo | None = None,
    ) -> Iterator[Tick]:
        """The ticks of a stretch, of a video that others read too where one is given."""
        start_s, end_s, track = stretch
        read = video.ticks if video else functools.partial(ticks, path)
        windows = find_region(path, self.spec, start_s=start_s, end_s=end_s, track=track)
        return read(
            self.spec, start_s=start_s, end_s=end_s, per_frame=self.per_frame, windows=windows, on_warning=on_warning
        )

    def _decode_some(self, path: str, stretch: Stretch, wanted: list[int], view: int) -> NDArray[Any]:
        """Decode a stretch that is not on disk, keeping only the wanted records."""
        needed = sorted(set(wanted))
        of_ticks = self._viewed(path, stretch, view, self._ticks(path, stretch))
        if not self.per_window:
            of_ticks = itertools.islice(of_ticks, needed[-1] + 1)
        # All of them are encoded: an encoder may follow what it sees in time.
        records = itertools.islice(self._encoded(path, of_ticks), needed[-1] + 1)
        kept = {number: record for number, record in enumerate(records) if number in needed}
        if len(kept) < len(needed):
            raise VideoError(path, "is shorter than it was when training began")
        return np.stack([kept[number] for number in wanted])


@functools.lru_cache(maxsize=100_000)
def _duration_s(identity: Identity) -> float:
    return probe(identity[0]).duration_s


def _default_folder() -> Path:
    """``KINEME_FRAME_CACHE``, or the name that this variable had before; else within the user's cache folder."""
    named = os.environ.get("KINEME_FRAME_CACHE") or os.environ.get("KINEME_STRIPS")
    return Path(named) if named else user_cache_folder() / "strips"
