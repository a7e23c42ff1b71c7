"""The driver of ``kineme batch``: Ray Data decodes videos and scores their windows; rows come as they are finished.

Two stages: tasks decode videos to parts of bounded size, and a pool of actors that hold the model scores their windows.
The driver gathers the scores and tries again: what a pass leaves unfinished, since a worker or a machine was gone,
comes in the next pass, each video alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kineme.errors import KinemeError
from kineme.model import Model
from kineme.prediction.summary import summarize_windows
from kineme.scale.cluster import in_a_worker, running, through_stages
from kineme.scale.decode import decode
from kineme.scale.plan import Plan
from kineme.scale.rows import Row, row_of
from kineme.scale.score import Score, Scored, scores_in
from kineme.scale.sources import Source

_GROUPS = (64, 8, 1, 1, 1)  # videos of a task, at most, in each pass
_TASKS_A_WORKER = 8  # at least, where there are videos enough


def drive(
    sources: list[dict[str, Any]],
    plan: dict[str, Any],
    cluster: dict[str, Any],
    on_progress: Callable[[Any], None],
) -> None:
    """Do all of it; takes and gives what JSON holds, since it is called in a process of its own.

    Args:
        sources: the fields of each :class:`~kineme.scale.sources.Source`.
        plan: those of the :class:`~kineme.scale.plan.Plan`.
        cluster: the arguments of :func:`~kineme.scale.cluster.running`.
        on_progress: called with number and row of each finished video.

    Raises:
        KinemeError: Ray cannot be started or reached, or no worker can begin.
    """
    wanted = [Source(**fields) for fields in sources]
    numbers = {one.path: number for number, one in enumerate(wanted)}
    with running(**cluster) as (count, threads):
        import ray

        told = Plan(**plan)
        content = ray.put(Path(told.model).read_bytes()) if told.sha256 else None
        told = replace(told, content=content, threads=threads)
        in_a_worker(_prepare, told)
        for path, row in _finished(wanted, told, count):
            on_progress([numbers[path], row])


@dataclass
class _Gathered:
    """The scores of a video that is not finished."""

    scores: dict[int, Any] = field(default_factory=dict)
    parts: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def _finished(sources: list[Source], plan: Plan, workers: int) -> Iterator[tuple[str, Row]]:
    """Path and row of every source, as they are finished."""
    model, left = plan.without_network(), {one.path: one for one in sources}
    for number in range(len(_GROUPS)):
        if not left:
            return
        size = min(_GROUPS[number], max(1, len(left) // (workers * _TASKS_A_WORKER)))
        groups = [json.dumps([asdict(one) for one in group]) for group in _grouped(list(left.values()), size)]
        gathered: dict[str, _Gathered] = {}
        for scored in _scored(groups, replace(plan, is_alone=number > 0), workers):
            if scored.path not in left:
                continue  # its parts came twice
            row = _add(gathered.setdefault(scored.path, _Gathered()), scored, model)
            if row is not None:
                del left[scored.path], gathered[scored.path]
                yield scored.path, row
    for path in list(left):
        yield path, {"error": f"it crashed {len(_GROUPS)} workers"}


def _scored(groups: list[str], plan: Plan, workers: int) -> Iterator[Scored]:
    for table in through_stages(groups, decode, Score, plan, workers):
        yield from scores_in(table)


def _add(gathered: _Gathered, scored: Scored, model: Model) -> Row | None:
    """Add the scores of a part; the row, where the video is finished with it."""
    if "error" in scored.facts:
        return {"error": scored.facts["error"]}
    gathered.scores[scored.number] = scored
    if scored.is_last:
        gathered.parts, gathered.facts = scored.number + 1, scored.facts
    if gathered.parts is None or len(gathered.scores) < gathered.parts:
        return None
    in_order = [gathered.scores[number] for number in range(gathered.parts)]
    times_W2 = np.concatenate([one.times_W2 for one in in_order])
    logits_WK = np.concatenate([one.logits_WK for one in in_order])
    try:
        return row_of(summarize_windows(model, scored.path, times_W2, logits_WK, **gathered.facts))
    except KinemeError as error:  # its scores are not numbers
        return {"error": str(error)}


def _prepare(plan: Plan) -> None:
    """In a worker that ends with it: the model is loaded, and compiled where it must be, before others need it."""
    plan.windows(plan.open())


def _grouped(items: list[Source], size: int) -> Iterable[list[Source]]:
    return (items[start : start + size] for start in range(0, len(items), size))
