"""Models on joined backbones: each member scores its own windows of the same seconds, and their mean is the answer.

A tick of such a model shows a frame for each member, or None if it is not a tick of that member.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.models.joined import leader_of, mean_scores, steps_in
from kineme.people.region import known_cuts, region_ticks
from kineme.prediction.trained import TrainedModel
from kineme.video.container import PathLike
from kineme.video.cuts import number_shots
from kineme.video.decode import EPSILON_S
from kineme.video.spec import ClipSpec

Views = tuple[NDArray[np.uint8] | None, ...]
Scored = tuple[NDArray[np.float64], NDArray[np.float32]]


def member_steps(model: TrainedModel) -> list[int]:
    """How many ticks of a joined model lie between two of each member."""
    return steps_in(model.card.spec, [one.card.spec for one in model.members])


def leader_number(model: TrainedModel) -> int:
    """The number of the member whose windows are those of all."""
    return leader_of(model.card.backbone)


def model_ticks(
    model: TrainedModel, path: PathLike, *, change: Callable[[ClipSpec], ClipSpec] = lambda spec: spec, **options: Any
) -> Iterator[tuple[float, Any]]:
    """The ticks that a model sees of a video; arguments as of :func:`kineme.people.region.region_ticks`.

    ``change`` makes of a spec the one to read by.
    """
    each = [region_ticks(path, change(one.card.spec), **options) for one in model.members or (model,)]
    if not model.members:
        return each[0]
    return _together(each, member_steps(model), leader_number(model))


def model_shots(
    model: TrainedModel,
    path: PathLike,
    on_cut: Callable[[float], object],
    guard: Callable[[Iterator[Any]], Iterator[Any]] = iter,
    **options: Any,
) -> Iterator[tuple[int, tuple[float, Any]]]:
    """The same ticks, each with the number of its shot: see :func:`kineme.video.cuts.number_shots`.

    ``guard`` is given the ticks as they are read, and passes them on.
    """
    of_ticks = guard(model_ticks(model, path, two_lights=True, **options))
    leader = leader_number(model) if model.members else None

    def filmed(frame: Any) -> NDArray[np.uint8]:
        return (frame if leader is None else frame[leader]).filmed_HWC  # type: ignore[no-any-return]

    def seen(frame: Any) -> Any:
        return frame.seen_HWC if leader is None else tuple(view and view.seen_HWC for view in frame)

    cuts = known_cuts(path, model.card.spec)
    for shot, (instant_s, frame) in number_shots(of_ticks, model.card.spec, on_cut, filmed, cuts):
        yield shot, (instant_s, seen(frame))


def _together(each: Sequence[Iterator[Any]], steps: Sequence[int], leader: int) -> Iterator[tuple[float, Views]]:
    newest: list[Any] = [None] * len(each)
    for number, (instant_s, frame) in enumerate(each[leader]):
        views: list[NDArray[np.uint8] | None] = []
        for place, step in enumerate(steps):
            if place == leader:
                views.append(frame)
            elif number % step:
                views.append(None)
            else:
                newest[place] = next(each[place], newest[place])
                views.append(newest[place][1])
        yield instant_s, tuple(views)


class JoinedScorer:
    """Scores the windows of a joined model; stands where a :class:`~kineme.prediction.windows.WindowScorer` stands.

    Args:
        model: a loaded model on joined backbones.
        scorers: of its members.
    """

    def __init__(self, model: TrainedModel, scorers: Sequence[Any]) -> None:
        self.members, self._steps, self._leader = list(scorers), member_steps(model), leader_number(model)
        self._classes = len(model.labels)
        self.batch_size = 1
        for one in self.members:
            one.batch_size = 1  # else one would run far ahead of the others, and frames be held that long

    def score(
        self, path: PathLike, of_ticks: Iterable[Any], stride: int | None = None, lead: Sequence[Any] = ()
    ) -> Iterator[Scored]:
        """As of :meth:`kineme.prediction.windows.WindowScorer.score`."""
        copies = itertools.tee(of_ticks, len(self.members))
        each = [
            one.score(
                path,
                _of_member(number, copy),
                max(1, stride // step) if stride else None,
                list(_of_member(number, lead)),
            )
            for number, (one, step, copy) in enumerate(zip(self.members, self._steps, copies, strict=True))
        ]
        newest: list[NDArray[np.float32] | None] = [None] * len(each)
        coming = [None if number == self._leader else next(one, None) for number, one in enumerate(each)]
        for times_T, logits_K in each[self._leader]:
            newest[self._leader] = logits_K
            for number, scored in enumerate(each):
                # As in a stream: the newest window that is over by then.
                while (one := coming[number]) and one[0].max() <= times_T.max() + EPSILON_S:
                    newest[number], coming[number] = one[1], next(scored, None)
            yield times_T, mean_scores([one[None] for one in newest if one is not None], self._classes)[0]


def _of_member(number: int, of_ticks: Iterable[Any]) -> Iterator[Any]:
    """The ticks of one member."""
    return ((instant_s, views[number]) for instant_s, views in of_ticks if views[number] is not None)


class JoinedReader:
    """Answers a stream: what each member says of its newest window, whenever the leader has a new one.

    Args:
        model: on joined backbones.
        open_reader: makes the reader of a member, of its stride.
        stride: ticks from one answer to the next.
    """

    def __init__(self, model: TrainedModel, open_reader: Callable[[TrainedModel, int], Any], stride: int) -> None:
        self._steps, self._leader = member_steps(model), leader_number(model)
        self._classes = len(model.labels)
        self._readers = [
            open_reader(one, max(1, stride // step)) for one, step in zip(model.members, self._steps, strict=True)
        ]
        self.stride = self._readers[self._leader].stride
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        for one in self._readers:
            one.reset()
        self._count = 0
        self._newest: list[NDArray[np.float32] | None] = [None] * len(self._readers)

    def read(self, seen: Sequence[Any], *, skipped: int) -> tuple[float, NDArray[np.float32]] | None:
        """Instant and logits_K of the last of the ticks that has an answer; ``skipped`` ticks came before them."""
        first, answer = self._count + skipped, None
        left_out = [-(-first // step) - -(-self._count // step) for step in self._steps]
        order = sorted(range(len(self._steps)), key=lambda number: number == self._leader)
        for tick, (instant_s, views) in enumerate(seen, first):
            for number in order:
                if tick % self._steps[number]:
                    continue
                found = self._readers[number].read([(instant_s, views[number])], skipped=left_out[number])
                left_out[number] = 0
                if found is None:
                    continue
                self._newest[number] = found[1]
                if number == self._leader:
                    present = [one[None] for one in self._newest if one is not None]
                    answer = found[0], mean_scores(present, self._classes)[0]
        self._count = first + len(seen)
        return answer
