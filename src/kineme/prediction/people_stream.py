"""A stream of people: frames in, what each person does out, at the cost of one look and one step for each person."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.models.backbones.people_features import PeopleFeatures
from kineme.people.find import RATE
from kineme.people.follower import PeopleFollower
from kineme.people.region import RegionFollower
from kineme.people.tracker import TrackedPerson
from kineme.prediction.engine import Engine
from kineme.prediction.engines.select import open_engine
from kineme.prediction.people import reads_joints
from kineme.prediction.result import Segment
from kineme.prediction.stream_ticks import (
    Due,
    Eyes,
    Pixels,
    Reader,
    Shown,
    Ticks,
    check_stream,
    open_reader,
)
from kineme.prediction.timeline import Timeline
from kineme.prediction.trained import TrainedModel
from kineme.video.convert import Converter
from kineme.video.decode import EPSILON_S
from kineme.video.spec import ClipSpec


@dataclass(frozen=True, eq=False, kw_only=True)
class LivePerson:
    """Somebody who is followed in a stream, at its newest look.

    Args:
        id: number of the person, from 1 in the order of appearance.
        box_4: x0, y0, x1, y1 in pixels of the frame as it is displayed.
        joints_JC: float32, (17, 3): x, y in the same pixels, and score of each joint.
        is_hidden: whether the person cannot be seen now, and the rest is where they are expected.
        labels: the K names.
        probabilities_K: calibrated, of the newest window; None until there is one.
        prediction_time_s: the tick at which that window ends, on the clock of the frames; None until there is one.
        current_segment: what the person does, as the timeline has it; None before that is certain.
        finished_segments: those of the person that are over since the last push.
        has_left: whether this is the last that is heard of the person.
    """

    id: int
    box_4: NDArray[np.float32]
    joints_JC: NDArray[np.float32]
    is_hidden: bool
    labels: tuple[str, ...]
    probabilities_K: NDArray[np.float64] | None
    prediction_time_s: float | None
    current_segment: Segment | None
    finished_segments: tuple[Segment, ...] = ()
    has_left: bool = False

    @property
    def label(self) -> str | None:
        """The label of what the person does."""
        return self.current_segment.label if self.current_segment else None

    @property
    def probability(self) -> float:
        """That of the label in the newest window; 0 before the first one, and for background."""
        if self.probabilities_K is None or self.label not in self.labels:
            return 0.0
        return float(self.probabilities_K[self.labels.index(self.label)])


class PeopleStream:
    """Recognises what each person does as the frames come; made by ``model.stream(people=True)``, used in one thread.

    People are looked for eight times a second, and each is shown to the model at its ticks from the look on at which
    they are certain: cut out as in a file, or by their joints where the model reads these. Frames between two ticks
    and two looks cost nothing. For jumps in time see :class:`~kineme.prediction.stream.Stream`.

    Args:
        model: a loaded model.
        mode: as of :class:`~kineme.prediction.stream.Stream`.
        engine: of the same stream.
        stride: of the same stream.

    Raises:
        UsageError: see :meth:`~kineme.model.Model.stream`.
        KinemeError: the engine cannot run the model; the weights that find people are not on this machine.
    """

    def __init__(
        self, model: TrainedModel, *, mode: str = "exact", engine: str = "auto", stride: int | None = None
    ) -> None:
        check_stream(model, mode, stride)
        engines = {id(one): _Engine(open_engine(engine, one)) for one in model.members or (model,)}
        self._model, self._mode, self._stride = model, mode, stride
        self._open_engine = lambda one: engines[id(one)]
        self._ticks, self._looks, self._eyes = Ticks(model.card.spec), Ticks(ClipSpec(fps=RATE)), Eyes(model)
        self._follower = PeopleFollower()
        self._unused: Reader | None = None
        self._unused = self._open_reader()  # for whoever comes first; what is wrong is told now
        self._followed: dict[int, _Followed] = {}
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all frames and everybody; the next frame is a first one. Numbers of people continue."""
        self._ticks.reset()
        self._looks.reset()
        self._follower.reset()
        self._followed.clear()

    def push(
        self, frame: Any, time_s: float, *, convert: Callable[[Any], Pixels] | None = None
    ) -> tuple[LivePerson, ...]:
        """Show the next frame; arguments as of :meth:`Stream.push <kineme.prediction.stream.Stream.push>`.

        Returns:
            Everybody who is followed, by number, and once more those who have left since the last push.

        Raises:
            UsageError: the frame is not such an array, the time is not a number, or ``convert`` cannot cut a window.
        """
        if not math.isfinite(time_s):
            raise UsageError(f"stream: the time of a frame must be a number of seconds, not {time_s}")
        if convert and not isinstance(convert, Converter):
            raise UsageError("stream: where people are followed, 'convert' must be a Converter")
        if self._ticks.is_seek(time_s):
            self.reset()
        shown = self._eyes.shown(frame, convert)
        people = self._see(self._ticks.push(time_s, shown), self._looks.push(time_s, shown))
        if convert is None:
            shown.keep(always=True)
        return people

    def advance_to(self, time_s: float) -> tuple[LivePerson, ...]:
        """Say that no other frame was shown before ``time_s``; returns as :meth:`push`."""
        return self._see(self._ticks.until(time_s), self._looks.until(time_s))

    def close(self) -> tuple[LivePerson, ...]:
        """Say that no more frames come: everybody leaves."""
        left = tuple(self._left(person) for person in self._followed.values())
        self.reset()
        return left

    def _see(self, due: Due, looks: Due) -> tuple[LivePerson, ...]:
        """Run through the ticks that have come, and the looks at people between them."""
        gone: list[LivePerson] = []
        for person in self._followed.values():
            person.finished = ()
        skipped = self._ticks.skipped
        for instant_s, shown in due:
            while looks and looks[0][0] <= instant_s + EPSILON_S:
                gone += self._look(*looks.pop(0))
            self._tick(instant_s, shown, skipped)
            skipped = 0
        for look in looks:
            gone += self._look(*look)
        return tuple(sorted([*gone, *(one.told() for one in self._followed.values())], key=lambda one: one.id))

    def _look(self, instant_s: float, shown: Shown) -> list[LivePerson]:
        """Find everybody; gives those who have left."""
        frame_HWC = shown.displayed_pixels()
        people = {one.id: one for one in self._follower.look(frame_HWC, instant_s)}
        gone = [self._left(self._followed.pop(number)) for number in [*self._followed] if number not in people]
        for number, person in people.items():
            if number not in self._followed:
                self._followed[number] = _Followed(self._model, self._open_reader(), self._ticks.origin_s + instant_s)
            one = self._followed[number]
            one.look(person, (frame_HWC.shape[0], frame_HWC.shape[1]), instant_s)
            if person.score:
                one.last_s = self._ticks.origin_s + instant_s
        return gone

    def _tick(self, instant_s: float, shown: Shown, skipped: int) -> None:
        """Show everybody to the model."""
        seen = {number: one.person.joints_JC for number, one in self._followed.items() if one.person.score}
        for number, one in self._followed.items():
            if one.features is None:
                row: Any = one.eyes.see(shown, [region.window(instant_s) for region in one.regions], skipped)
            else:
                others = _nearest(number, self._followed) if self._model.card.architecture.reads_others else []
                row = one.features({id_: seen[id_] for id_ in (number, *others) if id_ in seen}, instant_s)
            one.tick(instant_s, self._ticks.origin_s, row, skipped)

    def _open_reader(self) -> Reader:
        """What scores the ticks of one person."""
        unused, self._unused = self._unused, None
        has_features = reads_joints(self._model)
        return unused or open_reader(
            self._model, self._open_engine, self._mode, self._stride, has_features=has_features
        )

    def _left(self, person: _Followed) -> LivePerson:
        """The last that is heard of somebody."""
        closed = person.timeline.close(person.last_s)
        told = person.told()
        return replace(told, finished_segments=(*told.finished_segments, *closed), current_segment=None, has_left=True)


class _Engine:
    """An engine that makes each function once, for all people: making one can take seconds."""

    def __init__(self, engine: Engine) -> None:
        self.function = cache(engine.function)


class _Followed:
    """The state of a tracked person."""

    def __init__(self, model: TrainedModel, reader: Reader, start_s: float) -> None:
        spec = model.card.spec
        self._model, self._reader = model, reader
        self._half_s = (spec.frames - 1) / 2 * spec.step_s(0.0)  # from the middle of a window to its last tick
        self.eyes = Eyes(model)
        self.regions = [RegionFollower(one.width / one.height) for one in self.eyes.specs]
        self.features = PeopleFeatures() if reads_joints(model) else None
        self.timeline: Timeline = Timeline(model.labels, model.card.timeline_settings, start_s=start_s)
        self.probabilities_K: NDArray[np.float64] | None = None
        self.prediction_time_s: float | None = None
        self.finished: tuple[Segment, ...] = ()
        self.last_s = start_s

    def look(self, person: TrackedPerson, size: tuple[int, int], instant_s: float) -> None:
        """A look at the person."""
        self.person = person
        boxes_P4 = person.box_4[None] if person.score else np.zeros((0, 4), np.float32)
        for region in self.regions:
            region.see(boxes_P4, size, instant_s)

    def tick(self, instant_s: float, origin_s: float, row: Any, skipped: int) -> None:
        """Show the model what there is of the person at a tick."""
        answer = self._reader.read([(instant_s, row)], skipped=skipped)
        if answer is None:
            return
        answered_s, logits_K = answer
        self.probabilities_K = self._model.probabilities(logits_K[None])[0]
        known = self._model.open_set_score(logits_K[None])
        self.prediction_time_s = origin_s + answered_s
        middle_s = self.prediction_time_s - self._half_s
        self.finished += self.timeline.push(middle_s, self.probabilities_K, math.inf if known is None else known[0])

    def told(self) -> LivePerson:
        """What there is to say."""
        return LivePerson(
            id=self.person.id,
            box_4=self.person.box_4,
            joints_JC=self.person.joints_JC,
            is_hidden=not self.person.score,
            labels=self._model.labels,
            probabilities_K=self.probabilities_K,
            prediction_time_s=self.prediction_time_s,
            current_segment=self.timeline.current,
            finished_segments=self.finished,
        )


def _nearest(number: int, followed: dict[int, _Followed]) -> list[int]:
    """Whoever else is seen and nearest to a person now; nobody where nobody is."""
    middle_2 = followed[number].person.box_4.reshape(2, 2).mean(axis=0)
    distances = {
        id_: float(np.linalg.norm(one.person.box_4.reshape(2, 2).mean(axis=0) - middle_2))
        for id_, one in followed.items()
        if id_ != number and one.person.score
    }
    return [min(distances, key=lambda id_: distances[id_])] if distances else []
