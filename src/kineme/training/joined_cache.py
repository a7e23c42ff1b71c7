"""The caches of the members of joined backbones as one: each keeps the same items as alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.table import ClipTable
from kineme.models.encoder import Encoder
from kineme.models.joined import JoinedNetwork, mean_scores
from kineme.training.cache import FrameCache
from kineme.training.items import Item
from kineme.video.spec import ClipSpec

Windows = tuple[NDArray[np.float32], NDArray[np.int64]]
ScoreMember = Callable[[Any, Sequence[Item], FrameCache], Windows]


class JoinedCache:
    """Stands where a :class:`~kineme.training.cache.FrameCache` stands.

    Args:
        spec: the clip of the joined model.
        caches: of the members, in order.
        leader: number of the member whose windows are those of all: :func:`kineme.models.joined.leader_of`.
    """

    def __init__(self, spec: ClipSpec, caches: Sequence[FrameCache], leader: int) -> None:
        self.spec, self.caches, self.leader = spec, list(caches), leader
        self.per_frame = 1

    @property
    def encoder(self) -> Encoder | None:
        """That of the leader."""
        return self.caches[self.leader].encoder

    @property
    def per_window(self) -> bool:
        """Whether a record of the leader's cache stands for a window."""
        return self.caches[self.leader].per_window

    @property
    def lost(self) -> dict[str, str]:
        """Name and reason of each video that could be read no more after it was prepared."""
        return {name: reason for one in self.caches for name, reason in one.lost.items()}

    @property
    def full_note(self) -> str | None:
        """A warning if not everything fits on the disk."""
        return next((note for one in self.caches if (note := one.full_note)), None)

    def prepare(self, table: ClipTable, labels: tuple[str, ...]) -> tuple[ClipTable, list[Item]]:
        """As of :class:`FrameCache`; a video that one member cannot use is left out for all."""
        of_member: list[dict[tuple[object, ...], Item]] = []
        items: list[Item] = []
        for cache in self.caches:
            table, items = cache.prepare(table, labels)
            of_member.append({_key(item): item for item in items})
        table = replace(table, warnings=tuple(dict.fromkeys(table.warnings)))
        return table, [self._joined([found[_key(item)] for found in of_member]) for item in items]

    def background(self, table: ClipTable, label: int) -> list[Item]:
        """As of :class:`FrameCache`."""
        gaps = zip(*(one.background(table, label) for one in self.caches), strict=True)
        return [self._joined(items) for items in gaps]

    def whole(self, path: str, track: int | None = None) -> Item:
        """As of :class:`FrameCache`."""
        return self._joined([one.whole(path, track) for one in self.caches])

    def _joined(self, members: Sequence[Item]) -> Item:
        return replace(members[self.leader], members=tuple(members))

    def score(self, score_member: ScoreMember, heads: JoinedNetwork, items: Sequence[Item]) -> Windows:
        """Scores_WS of each window of each video, and the number of its video.

        Args:
            score_member: the same of one member.
            heads: of the members.
            items: from :meth:`prepare`.
        """
        found = [
            score_member(head, [item.members[number] for item in items], cache)
            for number, (head, cache) in enumerate(zip(heads.members.values(), self.caches, strict=True))
        ]
        return joined_windows(found, self.leader, heads.classes)


def _key(item: Item) -> tuple[object, ...]:
    return item.path, item.start_s, item.end_s, item.stretch.track, item.label


def joined_windows(found: Sequence[Windows], leader: int, classes: int) -> Windows:
    """The windows of the leader, with what all members say of each, as in prediction.

    Where a member has fewer of a video, its last stands for those it lacks; where it has more, they are left out.
    """
    _, item_W = found[leader]
    aligned = []
    for logits_WK, its_item_W in found:
        first_W = np.searchsorted(its_item_W, item_W)
        count_W = np.searchsorted(its_item_W, item_W, side="right") - first_W
        place_W = np.arange(len(item_W)) - np.searchsorted(item_W, item_W)
        aligned.append(logits_WK[first_W + np.minimum(place_W, count_W - 1)])
    return mean_scores(aligned, classes), item_W
