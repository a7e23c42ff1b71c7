"""``kineme batch``: a corpus of videos to two Parquet files, exactly once each, however often the job is interrupted.

Ray runs in a process of its own (:mod:`kineme.scale.driver`), which gives a row for each finished video; here they are
written, in shards. A job that is started again reads the shards first, and does the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass

import polars as pl

from kineme import api
from kineme.errors import KinemeError
from kineme.files import sole_writer
from kineme.model import Model
from kineme.prediction.engines.select import check_engine
from kineme.prediction.loading import KINETICS
from kineme.progress import progress
from kineme.scale.cluster import check_ray, check_workers, with_ray
from kineme.scale.plan import model_id, plan_for
from kineme.scale.rows import Row, schema, tables
from kineme.scale.sources import Source, is_address, list_sources
from kineme.scale.store import SEGMENTS, VIDEOS, ShardStore, parquet
from kineme.sources.cookies import check_cookies
from kineme.sources.local_video import FetchOptions

_FORMAT = 1  # of the rows; a change of what the same key would hold raises it
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
        files: the written files.
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
    cookies: str | None = None,
    cookies_from_browser: str | None = None,
    on_note: Note | None = None,
    label: str | None = "videos",
) -> BatchResult:
    """Predict every video of a corpus and write ``videos.parquet`` and ``segments.parquet``.

    Run it again to continue after any kind of end: finished videos are kept if they, the model and the
    settings are unchanged. Failed downloads are tried again.

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
        cookies: a ``cookies.txt`` for links, under the same path on every machine.
        cookies_from_browser: a browser that has them, on every machine.
        on_note: called with one line about what the user should know.
        label: of the progress that is shown; None shows none.

    Raises:
        UsageError: a source or an option makes no sense.
        KinemeError: Ray or the model is missing, there is no video, or nothing can be written.
    """
    started_s = time.monotonic()
    check_ray()
    check_workers(workers)
    check_engine(engine)
    cookies = os.path.abspath(cookies) if cookies else None  # noqa: PTH100 (workers have other folders)
    check_cookies(FetchOptions(cookies=cookies, cookies_from_browser=cookies_from_browser))
    store = ShardStore(out)
    with nullcontext() if is_address(out) else sole_writer(out):
        wanted = list_sources(sources, leave_out=out)
        loaded = model if isinstance(model, Model) else api.load(model)
        name, _ = model_id(loaded)
        keys = {one.path: _key(one, name, loaded, engine) for one in wanted}
        kept = _kept(store, keys, {one.path: one for one in wanted}, on_note or (lambda line: None))
        pending = [one for one in wanted if one.path not in kept]
        first_s = None
        if pending:
            lent = {"cookies": cookies, "cookies_from_browser": cookies_from_browser}
            plan = asdict(plan_for(loaded, engine, stalled_s=stalled_s, **lent))
            shards = _Shards(store, loaded, shard_s)
            with closing(shards), progress(label, len(pending)) as advance:

                def take(finished: tuple[int, Row]) -> None:
                    nonlocal first_s
                    number, row = finished
                    one, first_s = pending[number], first_s or time.monotonic() - started_s
                    own = {"path": one.path, "fingerprint": one.fingerprint, "model": name, "key": keys[one.path]}
                    shards.add({**row, **own})
                    advance()

                jobs = [asdict(one) for one in pending]
                with_ray("kineme.scale.driver:drive", jobs, plan, address=address, workers=workers, on_progress=take)
        videos, segments = _write_tables(store, keys, loaded)
    errors = Counter(videos["error"].drop_nulls().to_list())
    return BatchResult(
        out=out,
        videos=videos.height,
        done=len(pending),
        kept=videos.height - len(pending),
        errors=dict(errors.most_common()),
        segments=segments.height,
        start_s=round(first_s or 0.0, 2),
        seconds=round(time.monotonic() - started_s, 2),
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
            note(f"{store.where(name)}: is damaged; its videos are processed again")
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
        note(f"{min(changed)}{_more(changed)}: was another video, or had another model or setting; processed again")
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

    def close(self) -> None:
        """Write the remaining rows, however the job ends."""
        self.flush()

    def flush(self) -> None:
        if self._rows:
            self._store.add_shard(pl.DataFrame(self._rows, schema=self._schema))
        self._rows = []


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
