"""Models on joined backbones: each member scores its own windows of the same seconds, and their mean is the answer.

A tick of such a model shows a frame for each member, or None if it is not a tick of that member.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.models.joined import mean_logits
from kineme.people.region import known_cuts, region_ticks
from kineme.prediction.engine import Engine
from kineme.prediction.trained import TrainedModel
from kineme.video.brightness import Brightener
from kineme.video.container import PathLike
from kineme.video.cuts import as_filmed, number_shots
from kineme.video.geometry import Window
from kineme.video.spec import ClipSpec

Views = tuple[NDArray[np.uint8] | None, ...]
Scored = tuple[NDArray[np.float64], NDArray[np.float32]]


def member_steps(model: TrainedModel) -> list[int]:
    """How many ticks of a joined model lie between two of each member."""
    fps = model.card.spec.fps
    if fps is None:
        return [1] * len(model.members)
    return [round(fps / (one.card.spec.fps or fps)) for one in model.members]


def leader_of(model: TrainedModel) -> int:
    """The number of the member whose windows are those of all: the last of those with the finest ticks."""
    steps = member_steps(model)
    heavy = [number for number, one in enumerate(model.members) if not one.card.is_per_frame]
    return heavy[0] if heavy else steps.index(min(steps))


def model_ticks(
    model: TrainedModel, path: PathLike, *, change: Callable[[ClipSpec], ClipSpec] = lambda spec: spec, **options: Any
) -> Iterator[tuple[float, Any]]:
    """The ticks that a model sees of a video; arguments as of :func:`kineme.people.region.region_ticks`.

    ``change`` makes of a spec the one to read by.
    """
    each = [region_ticks(path, change(one.card.spec), **options) for one in model.members or (model,)]
    if not model.members:
        return each[0]
    return _together(each, member_steps(model), leader_of(model))


def model_shots(
    model: TrainedModel, path: PathLike, on_cut: Callable[[float], object], **options: Any
) -> Iterator[tuple[int, tuple[float, Any]]]:
    """The same ticks, each with the number of its shot: see :func:`kineme.video.cuts.number_shots`."""
    of_ticks = model_ticks(model, path, change=as_filmed, **options)
    cuts = known_cuts(path, model.card.spec)
    if not model.members:
        return number_shots(of_ticks, model.card.spec, on_cut, cuts=cuts)
    leader = leader_of(model)
    brighten = JoinedPixels(Brightener, [one.card.spec for one in model.members])
    return number_shots(of_ticks, model.card.spec, on_cut, lambda views: views[leader], brighten, cuts)


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
        self.members, self._steps, self._leader = list(scorers), member_steps(model), leader_of(model)
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
        for times_T, logits_K in each[self._leader]:
            for number, scored in enumerate(each):
                newest[number] = logits_K if number == self._leader else next(scored, (None, newest[number]))[1]
            yield times_T, mean_logits([one[None] for one in newest if one is not None])[0]


def _of_member(number: int, of_ticks: Iterable[Any]) -> Iterator[Any]:
    """The ticks of one member."""
    return ((instant_s, views[number]) for instant_s, views in of_ticks if views[number] is not None)


class JoinedReader:
    """Answers a stream: what each member says of its newest window, whenever the leader has a new one.

    Args:
        model: on joined backbones.
        engine: opens an engine for a member.
        open_reader: makes the reader of a member, of its engine and stride.
        stride: ticks from one answer to the next; None is half a clip.
    """

    def __init__(
        self,
        model: TrainedModel,
        engine: Callable[[TrainedModel], Engine],
        open_reader: Callable[[TrainedModel, Engine, int | None], Any],
        stride: int | None,
    ) -> None:
        self._steps, self._leader = member_steps(model), leader_of(model)
        self._readers = [
            open_reader(one, engine(one), max(1, stride // step) if stride else one.card.spec.default_stride)
            for one, step in zip(model.members, self._steps, strict=True)
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
                    answer = found[0], mean_logits([one[None] for one in self._newest if one is not None])[0]
        self._count = first + len(seen)
        return answer


class JoinedPixels:
    """Brings frames that are arrays to the size of each member.

    Args:
        make: makes the processor of one member from its spec.
        specs: of the members.
    """

    def __init__(self, make: Callable[[ClipSpec], Any], specs: Sequence[ClipSpec]) -> None:
        self._each = [make(spec) for spec in specs]

    def __call__(self, frame_HWC: Any, windows: Sequence[Window | None] | None = None) -> Views:
        """A view of the frame, or of a window of it, for each member; or each view that is there, changed for it."""
        count = len(self._each)
        frames = frame_HWC if isinstance(frame_HWC, tuple) else (frame_HWC,) * count
        each = zip(self._each, frames, windows or (None,) * count, strict=True)
        return tuple(
            None if frame is None else one(frame, window) if window else one(frame) for one, frame, window in each
        )

    def displayed_pixels(self, frame_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The whole frame as it is."""
        return frame_HWC

    def reset(self) -> None:
        """Forget the frames so far."""
        for one in self._each:
            one.reset()
