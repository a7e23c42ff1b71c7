"""Everything that a training needs of a video, made in one pass over it, before any of it is asked for.

What cannot be made here is left out, and made or reported by whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from kineme.dataset.audit.audit import check_splits
from kineme.dataset.audit.cache import InspectionCache
from kineme.dataset.audit.finding import Finding
from kineme.dataset.table import ClipTable
from kineme.errors import KinemeError, VideoError
from kineme.models.registry import find_backbone
from kineme.people.find import people_reader
from kineme.progress import progress
from kineme.training.augment import Augmentation, Mirror
from kineme.training.baselines import image_features, small_frames
from kineme.training.cache import FrameCache
from kineme.training.frame_order import CHANGED_ORDERS, FrameOrder
from kineme.training.joined_cache import JoinedCache
from kineme.training.parts import Row, Stretch, by_video, stretch_of
from kineme.training.persons import with_persons
from kineme.training.pool import decoding_threads
from kineme.video.shared import Reader, read_together
from kineme.video.spec import ClipSpec

_AUDIT_FIRST_S = 300.0  # a pass that takes longer does not begin before leaks have been looked for
MEASURED = 2  # rows: in the first, networks are compiled
_TESTED = "test"  # the split whose videos are answered with their frames in other orders


@dataclass(eq=False)
class Wanted:
    """What one cache is to hold of the videos.

    Args:
        cache: of one backbone, or of the frames of a network that is trained whole.
        augmentation: of the views of training videos.
        views: number of them.
        orders: orders of frames in which the test videos are asked for, where the encoder sees time.
        everywhere: whether each video is a training video as well as a test video, as over folds.
        seconds: by row, that its plain entry took, without decoding; see :func:`key_of`.
    """

    cache: FrameCache
    augmentation: Augmentation | Mirror | None = None
    views: int = 0
    orders: Sequence[FrameOrder] = CHANGED_ORDERS
    everywhere: bool = False
    seconds: dict[tuple[str, float], float] = field(default_factory=dict, init=False)

    def readers(self, row: Row, stretch: Stretch) -> list[Reader]:
        """What makes all that is missing of a row."""
        if self.augmentation:
            self.cache.entries.augmentation = self.augmentation
        is_test = row["split"] == _TESTED
        # A solved head learns from the validation videos too, and needs their mirror images.
        learns = not is_test if isinstance(self.augmentation, Mirror) else row["split"] == "train"
        views = self.views if self.everywhere or learns else 0
        orders = self.orders if self.everywhere or is_test else ()
        return self.cache.entries.readers(row, stretch, views=views, orders=orders)


def members_of(cache: FrameCache | JoinedCache) -> list[FrameCache]:
    """The caches of the members of joined backbones, or the cache itself."""
    return cache.caches if isinstance(cache, JoinedCache) else [cache]


def for_solved_head(cache: FrameCache, backbone: str, *, mirrored: bool) -> Wanted:
    """What a solved head on a frozen backbone asks for.

    Args:
        cache: of the backbone.
        backbone: its name.
        mirrored: training takes the mirror images of videos, too. Some backbones compute their features from the plain
            ones.
    """
    views = int(mirrored and find_backbone(backbone).mirror is None)
    return Wanted(cache, Mirror() if views else None, views)


def for_baselines() -> list[Wanted]:
    """What the baselines and the choice of a model ask for."""
    return [Wanted(cache) for cache in (small_frames(), image_features()) if cache]


def decode_and_check(
    table: ClipTable, wanted: Sequence[Wanted], *, allow_leaks: bool, expected_s: float | None = None
) -> list[Finding]:
    """:func:`decode_once`, and :func:`kineme.dataset.audit.audit.check_splits`, which belongs to that pass.

    Where features take long, videos are opened once more for the audit before it, so that leaks are refused at once.

    Args:
        table: the videos with their split.
        wanted: what to make of them.
        allow_leaks: find leaks but do not refuse them.
        expected_s: seconds that computing features will take; by default, measured on the second row.

    Returns:
        All duplicates, the worst first.

    Raises:
        KinemeError: the data leaks.
    """
    if expected_s is None:
        expected_s = _expected_s(table, wanted)
    if expected_s > _AUDIT_FIRST_S:
        check_splits([table], allow=allow_leaks)
    decode_once(table, wanted)
    return check_splits([table], allow=allow_leaks)


def _expected_s(table: ClipTable, wanted: Sequence[Wanted]) -> float:
    """Seconds that features will take, by those of the second row."""
    if len(table) <= MEASURED:
        return 0.0
    for number in range(MEASURED):
        decode_once(table, wanted, only=number)
    last = key_of(table.rows.row(MEASURED - 1, named=True))
    spent_s = sum((1 + one.views) * one.seconds.get(last, 0.0) for one in wanted)
    return spent_s * (len(table) - MEASURED)


def key_of(row: Row) -> tuple[str, float]:
    """What tells the rows of a table apart: its video, and where in it it begins."""
    return row["path"], float(row["start_s"])


def decode_once(table: ClipTable, wanted: Sequence[Wanted], *, only: int | None = None) -> None:
    """Inspect each row's video and make the wanted results in one pass; those on disk are not made again.

    Clips of people need to know where these are, so such videos are read twice: to find them, and for their clips.

    Args:
        table: the videos. Each part of a longer video is a pass of its own.
        wanted: what to make; the seconds that each took are added to it.
        only: the number of a row, where nothing is to be made of the others.
    """
    in_regions = [one for one in wanted if one.cache.spec.region != "frame"]
    of_frames = [one for one in wanted if one not in in_regions]
    _read_all(with_persons(table, ClipSpec()), of_frames, only, finds_people=bool(in_regions))
    if in_regions:
        rows = table.rows if only is None else table.rows[only : only + 1]
        with suppress(KinemeError):  # without the weights that find people
            _read_all(with_persons(replace(table, rows=rows), in_regions[0].cache.spec), in_regions, None)


def _read_all(table: ClipTable, wanted: Sequence[Wanted], only: int | None, *, finds_people: bool = False) -> None:
    rows, inspections = table.rows.to_dicts(), InspectionCache()
    of_video = by_video(rows)
    rows = rows if only is None else rows[only : only + 1]

    def read(row: Row) -> None:
        work: list[tuple[Reader, Wanted | None]] = []
        with suppress(KinemeError):
            beside = [inspections.reader(dict(row)), people_reader(row["path"]) if finds_people else None]
            work += [(reader, None) for reader in beside if reader]
        for one in wanted:
            with suppress(VideoError):
                stretch = stretch_of(row, of_video, one.cache.entries.duration_s, one.cache.spec)
                work += [(reader, one) for reader in one.readers(row, stretch)]
        if not work:
            return
        with suppress(VideoError, MemoryError):
            spent_s = read_together(row["path"], [reader for reader, _ in work])
            for (_, asked_by), seconds in zip(work, spent_s, strict=True):
                if asked_by:
                    asked_by.seconds.setdefault(key_of(row), seconds)

    label = "decoding videos, computing features" if len(rows) > 1 else None
    with decoding_threads() as pool, progress(label, len(rows)) as advance:
        for _ in pool.map(read, rows):
            advance()
