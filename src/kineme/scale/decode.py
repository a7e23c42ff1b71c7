"""The first stage: videos to parts. A video that hangs, or kills the process that reads it, is one row in the end.

The members of joined backbones read a video each at its own pace, so this stage scores their windows, too.

A worker that hangs over a video ends itself, and one that is killed is gone: either way its videos are not finished,
and come again in the next pass. There each is decoded in a process of its own, which may crash.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa

from kineme.errors import KinemeError, VideoError
from kineme.prediction.featurizers import FrameFeaturizer
from kineme.prediction.joined import model_shots
from kineme.prediction.windows import WindowScorer, file_stride
from kineme.scale.parts import SCHEMA, Part, Tick, cut_shots, failed, from_table, to_table
from kineme.scale.plan import Plan
from kineme.scale.sources import Source, fetched
from kineme.video.container import PathLike
from kineme.video.cuts import by_shot
from kineme.video.probe import probe

TRIES = 2  # of a video alone: something else may have ended the first
_TICKS = 32
_GAVE_UP = 70  # exit code


def decode(groups: pa.Table, plan: Plan) -> Iterator[pa.Table]:
    """The parts of videos; each row of ``groups`` is a list of sources as JSON."""
    work = Decoding(plan)
    for text in groups.column("group").to_pylist():
        for fields in json.loads(text):
            source = Source(**fields)
            yield from work.alone(source) if plan.is_alone else work.here(source)


class Decoding:
    """Decodes videos for a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._model = plan.without_network()
        self._featurizer = plan.featurizer(self._model)

    @cached_property
    def _joined(self) -> WindowScorer:
        """What scores the windows of joined backbones."""
        return self._plan.windows(self._plan.open())

    def here(self, source: Source) -> Iterator[pa.Table]:
        """The parts of a video, decoded in this process, which ends where it hangs."""
        with Watchdog(self._plan.stalled_s, lambda: os._exit(_GAVE_UP)) as watch:
            for part in self._parts(source, watch):
                table = to_table(part)
                watch.pause()  # while others take their time
                yield table
                watch.feed()

    def alone(self, source: Source) -> Iterator[pa.Table]:
        """The same, decoded in a process of its own; the parts may begin twice, or end with the reason."""
        for attempt in range(TRIES):
            try:
                yield from self._of_child(source)
                return
            except _CrashedError as error:
                if attempt == TRIES - 1:
                    yield to_table(failed(source.path, str(error)))
                    return

    def _parts(self, source: Source, watch: Watchdog) -> Iterator[Part]:
        """The parts of a video; the last one holds the error, if any."""
        model = self._model
        try:
            if model.members:
                self._joined  # noqa: B018 (loading it takes long, and is not watched)
            with fetched(source.file, self._plan.fetch_options(model), source.path) as path:
                watch.feed()
                info = probe(path)
                warnings: list[str] = []
                cuts: list[float] = []
                of_shots = by_shot(
                    model_shots(
                        model,
                        path,
                        cuts.append,
                        watch.guard,
                        on_look=lambda _: watch.feed(),
                        on_warning=warnings.append,
                    )
                )
                if model.members:
                    parts = iter([(0, _scored(self._joined, path, of_shots, file_stride(model)), True)])
                else:
                    if self._featurizer is not None:
                        of_shots = (_featurized(shot, self._featurizer) for shot in of_shots)
                    parts = cut_shots(of_shots, model.card.spec, file_stride(model))
                for number, (lead, of_ticks, is_last) in enumerate(parts):
                    facts: dict[str, Any] = {}
                    if is_last:
                        told = list(dict.fromkeys(warnings))
                        facts = {"duration_s": info.duration_s, "fps": float(info.fps), "cuts": cuts, "warnings": told}
                    yield Part(source.path, number, is_last, lead, of_ticks, facts)
        except KinemeError as error:
            yield failed(source.path, error.reason if isinstance(error, VideoError) else str(error))

    def _of_child(self, source: Source) -> Iterator[pa.Table]:
        """What a process of its own makes of a video.

        Raises:
            _CrashedError: it ended, or hung.
        """
        plan = replace(self._plan, content=None)
        if self._model.members:
            plan = replace(plan, model=plan.file())  # a copy of it, where this is another machine
        question = json.dumps({"plan": asdict(plan), "source": asdict(source)})
        child = subprocess.Popen(
            [sys.executable, "-m", "kineme.scale.decode"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert child.stdin is not None
        finished = False
        with child:
            try:
                child.stdin.write(question.encode())
                child.stdin.close()
                for batch in pa.ipc.open_stream(child.stdout):
                    table = pa.Table.from_batches([batch])
                    finished = finished or any(part.is_last for part in from_table(table))
                    yield table
            except (OSError, pa.ArrowInvalid):
                pass
            finally:
                if not finished:
                    child.kill()
        if child.returncode == _GAVE_UP:
            raise _CrashedError(f"gives no frame for {self._plan.stalled_s:g} s")
        if not finished:
            raise _CrashedError(f"crashes the process that reads it ({_ending(child.returncode)})")


class Watchdog:
    """Does something when it has not been fed for too long; use it in a ``with`` statement.

    Args:
        limit_s: how long is too long, in seconds.
        act: what to do then, in a thread of its own.
    """

    def __init__(self, limit_s: float, act: Callable[[], None]) -> None:
        self._limit_s, self._act = limit_s, act
        self._last_s: float | None = None
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._look, name="watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def feed(self) -> None:
        """Report progress; the next step is watched."""
        self._last_s = time.monotonic()

    def pause(self) -> None:
        """What follows is not watched, until it is fed again."""
        self._last_s = None

    def guard(self, of_ticks: Iterator[Tick]) -> Iterator[Tick]:
        """The same ticks, with a watch on their reading; their processing may take its time."""
        for tick in of_ticks:
            self.pause()
            yield tick
            self.feed()

    def _look(self) -> None:
        while not self._over.wait(min(1.0, self._limit_s / 4)):
            last_s = self._last_s
            if last_s is not None and time.monotonic() - last_s > self._limit_s:
                self._act()
                return


class _CrashedError(Exception):
    """A process that was to read one video gave up, or was ended."""


def _featurized(of_ticks: Iterator[Tick], featurizer: FrameFeaturizer) -> Iterator[Tick]:
    """Features in place of frames."""
    featurizer.reset()
    for instant_s, pixels in of_ticks:
        yield instant_s, featurizer([(instant_s, pixels)])[0]


def _scored(scorer: WindowScorer, path: PathLike, of_shots: Iterator[Iterator[Any]], stride: int | None) -> list[Tick]:
    """The windows of a video: first instant of each, and its last instant and logits in one row."""
    scored = itertools.chain.from_iterable(scorer.score(path, shot, stride) for shot in of_shots)
    return [(float(times_T[0]), np.array([times_T[-1], *logits_K], np.float64)) for times_T, logits_K in scored]


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    import signal

    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"


def _main() -> None:
    """In a process of its own: the parts of one video, as an Arrow stream on standard output."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is not a part
    question = json.loads(sys.stdin.buffer.read())
    work = Decoding(Plan(**question["plan"]))
    with out, pa.ipc.new_stream(out, SCHEMA) as stream:
        for table in work.here(Source(**question["source"])):
            stream.write_table(table)
            out.flush()


if __name__ == "__main__":
    _main()
