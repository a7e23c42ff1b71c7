"""``kineme batch``: a corpus of videos to two Parquet files, exactly once each, whatever breaks off.

Two stages on Ray Data: tasks decode videos to parts of bounded size, and a pool of actors that hold the model scores
their windows. The driver alone gathers and writes: a row for each finished video, in shards. It also tries again: what
a pass leaves unfinished, since a worker or a machine was gone, comes in the next pass, each video alone. A job that
is started again reads the shards first, and does what is not in them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from kineme import api
from kineme.errors import KinemeError
from kineme.model import Model
from kineme.prediction.engines.select import check_engine
from kineme.prediction.loading import KINETICS
from kineme.prediction.summary import summarize_windows
from kineme.progress import progress
from kineme.scale.cluster import check_ray, in_a_worker, running, through_stages
from kineme.scale.plan import Plan, model_id, plan_for
from kineme.scale.rows import Row, row_of, schema, tables
from kineme.scale.sources import Source, list_sources
from kineme.scale.store import SEGMENTS, VIDEOS, ShardStore, parquet

_FORMAT = 1  # of the rows; a change of what the same key would hold raises it
_GROUPS = (64, 8, 1, 1, 1)  # videos of a task, at most, in each pass
_TASKS_A_WORKER = 8  # at least, where there are videos enough
_SHARD_VIDEOS = 500

Note = Callable[[str], None]


@dataclass(frozen=True)
class BatchResult:
    """What became of a job.

    Args:
        out: the folder of the results.
        videos: how many there are in all.
        done: of them now.
        kept: of them, from before.
        errors: how many have each reason for not being used.
        segments: how many.
        start_s: until the first video was finished, seconds.
        seconds: in all.
        files: what was written.
    """

    out: str
    videos: int
    done: int
    kept: int
    errors: dict[str, int]
    segments: int
    start_s: float
    seconds: float
    files: list[str]


@dataclass
class _Gathered:
    """The scores of a video that is not finished."""

    scores: dict[int, Any] = field(default_factory=dict)
    parts: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def run(
    sources: Sequence[str],
    out: str,
    *,
    model: Model | str = KINETICS,
    engine: str = "auto",
    workers: int | None = None,
    address: str | None = None,
    stalled_s: float = 300.0,
    shard_s: float = 10.0,
    on_note: Note | None = None,
    label: str | None = "videos",
) -> BatchResult:
    """Predict every video of a corpus and write ``videos.parquet`` and ``segments.parquet``.

    Run it again after it was ended in any way, and it goes on: finished videos are kept where they, the model and the
    settings are unchanged. What could not be fetched is tried again.

    Args:
        sources: files, folders, patterns, addresses, and tables with a column ``path`` or ``url``.
        out: a folder, or an address of an object store.
        model: a model, or what :func:`kineme.load` takes.
        engine: as for :meth:`kineme.model.Model.predict`.
        workers: how many videos are decoded, and how many models score, at a time; as many as there are cores by
            default.
        address: of a Ray cluster, ``"auto"`` for the one that this machine is part of; by default Ray starts here.
        stalled_s: a video that gives no frame for so long is given up.
        shard_s: finished videos are written at least so often, seconds; more is lost when the job is killed.
        on_note: told in one line of what the user should know.
        label: of the progress that is shown; None shows none.

    Raises:
        UsageError: a source or an option makes no sense.
        KinemeError: Ray or the model is missing, there is no video, or nothing can be written.
    """
    started = time.monotonic()
    check_ray()
    check_engine(engine)
    note = on_note or (lambda line: None)
    store = ShardStore(out)
    wanted = list_sources(sources, leave_out=out)
    loaded = model if isinstance(model, Model) else api.load(model)
    name, _ = model_id(loaded)
    keys = {one.path: _key(one, name, loaded, engine) for one in wanted}
    of_path = {one.path: one for one in wanted}
    kept = _kept(store, keys, of_path, note)
    pending = [one for one in wanted if one.path not in kept]
    shards = _Shards(store, loaded, shard_s)
    first_s = 0.0
    if pending:
        with running(address, workers) as (count, threads):
            import ray

            with progress(label and "starting Ray", 1) as ready:
                content = ray.put(loaded.path.read_bytes()) if loaded.path else None
                plan = plan_for(loaded, engine, content, threads=threads, stalled_s=stalled_s)
                in_a_worker(_prepare, plan)
                ready()
            begun = time.monotonic()
            rows = _finished(pending, loaded, plan, count)
            try:
                with progress(label, len(pending)) as advance:
                    for done, (path, row) in enumerate(rows, 1):
                        first_s = first_s or time.monotonic() - started
                        own = {"path": path, "fingerprint": of_path[path].fingerprint, "model": name, "key": keys[path]}
                        shards.add({**row, **own})
                        advance(1, f"{done / (time.monotonic() - begun):.3g} a second")
            finally:
                shards.flush()
    videos, segments = _write_tables(store, keys, loaded)
    errors = Counter(videos["error"].drop_nulls().to_list())
    return BatchResult(
        out=out,
        videos=videos.height,
        done=len(pending),
        kept=videos.height - len(pending),
        errors=dict(errors.most_common()),
        segments=segments.height,
        start_s=round(first_s, 2),
        seconds=round(time.monotonic() - started, 2),
        files=[store.where(VIDEOS), store.where(SEGMENTS)],
    )


def _key(source: Source, model: str, loaded: Model, engine: str) -> str:
    """What a row depends on; with another key it is made again."""
    told = [source.fingerprint, model, engine, loaded.stride, _FORMAT]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _kept(store: ShardStore, keys: dict[str, str], of_path: dict[str, Source], note: Note) -> set[str]:
    """The videos that are done with; shards that hold none of them, or are damaged, are removed."""
    kept: set[str] = set()
    vanished: set[str] = set()
    changed: set[str] = set()
    for name, frame in store.shards():
        if frame is None:
            note(f"{store.where(name)}: is damaged; its videos are done again")
            store.remove(name)
            continue
        good = 0
        for path, key, error in frame.select("path", "key", "error").iter_rows():
            if path not in keys:
                vanished.add(path)
            elif keys[path] != key:
                changed.add(path)
            elif error is None or not of_path[path].is_fetched:
                kept.add(path)
                good += 1
        if not good:
            store.remove(name)
    if vanished:
        note(f"{min(vanished)}{_more(vanished)}: no longer among the sources, and left out")
    if changed := changed - kept:
        note(f"{min(changed)}{_more(changed)}: was another video, or had another model or setting; done again")
    return kept


def _more(names: set[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


class _Shards:
    """Keeps finished rows, some hundred at a time."""

    def __init__(self, store: ShardStore, model: Model, shard_s: float) -> None:
        self._store, self._schema, self._shard_s = store, schema(model.labels), shard_s
        self._rows: list[Row] = []
        self._since = 0.0  # when the first of them came

    def add(self, row: Row) -> None:
        if not self._rows:
            self._since = time.monotonic()
        self._rows.append(row)
        if len(self._rows) >= _SHARD_VIDEOS or time.monotonic() - self._since >= self._shard_s:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._store.add_shard(pl.DataFrame(self._rows, schema=self._schema))
        self._rows = []


def _finished(sources: list[Source], model: Model, plan: Plan, workers: int) -> Iterator[tuple[str, Row]]:
    """Path and row of every source, as they are finished."""
    left = {one.path: one for one in sources}
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
        yield path, {"error": f"no worker survives it: {len(_GROUPS)} broke down"}


def _scored(groups: list[str], plan: Plan, workers: int) -> Iterator[Any]:
    from kineme.scale.decode import decode
    from kineme.scale.score import Score, scores_in

    for table in through_stages(groups, decode, Score, plan, workers):
        yield from scores_in(table)


def _add(gathered: _Gathered, scored: Any, model: Model) -> Row | None:
    """Add the scores of a part; the row, where the video is finished with it."""
    if "error" in scored.facts:
        return {"error": scored.facts["error"]}
    gathered.scores[scored.number] = scored
    if scored.is_last:
        gathered.parts, gathered.facts = scored.number + 1, scored.facts
    if gathered.parts is None or len(gathered.scores) < gathered.parts:
        return None
    in_order = [gathered.scores[number] for number in range(gathered.parts)]
    result = summarize_windows(
        model,
        scored.path,
        np.concatenate([one.times_W2 for one in in_order]),
        np.concatenate([one.logits_WK for one in in_order]),
        **gathered.facts,
    )
    return row_of(result)


def _prepare(plan: Plan) -> None:
    """In a worker that ends with it: the model is loaded, and compiled where it must be, before others need it."""
    plan.windows(plan.open())


def _grouped(items: list[Source], size: int) -> Iterable[list[Source]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _write_tables(store: ShardStore, keys: dict[str, str], model: Model) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The two tables of all finished videos."""
    whole = [frame for _, frame in store.shards() if frame is not None]
    wanted = pl.DataFrame({"path": list(keys), "key": list(keys.values())})
    valid = [frame.join(wanted, on=["path", "key"], how="semi") for frame in whole]
    videos, segments = tables([frame for frame in valid if frame.height], model.labels)
    if videos.height != len(keys):
        raise KinemeError(f"{store.out}: {len(keys) - videos.height} videos are missing; run the same command again")
    store.write(VIDEOS, parquet(videos))
    store.write(SEGMENTS, parquet(segments))
    return videos, segments
