"""``kineme batch --features``: the features that ``kineme train`` would compute first, on Ray, into its own cache.

Each actor holds the backbone and fills the cache as training does, strip by strip: a strip is there or is not, so the
job can be ended and started again at any time, and ``kineme train`` finds the finished ones. Decoding and encoding lie
in one actor, since the frames between them are larger than the features.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa

from kineme import api
from kineme.dataset.table import SCHEMA, ClipTable
from kineme.errors import UsageError
from kineme.models.approaches.single_frame import SingleFrame
from kineme.models.registry import BACKBONES, find_backbone
from kineme.progress import progress
from kineme.scale.cluster import check_ray, check_workers, limit_threads, running, through_stages, with_ray
from kineme.training.augment import Augmentation
from kineme.training.cache import FrameCache
from kineme.training.items import shown_name
from kineme.training.options import TrainOptions
from kineme.training.parts import by_video

_PASSES = 3


@dataclass(frozen=True)
class FeaturesPlan:
    """The settings of a worker.

    Args:
        backbone: its name.
        flip: whether views may be mirrored.
        labels: all of the data.
        threads: of a worker.
    """

    backbone: str
    flip: bool
    labels: tuple[str, ...]
    threads: int = 1


@dataclass(frozen=True)
class FeaturesResult:
    """What became of a job.

    Args:
        folder: of the cache.
        videos: how many have their features.
        errors: how many have each reason for having none.
        seconds: in all.
    """

    folder: str
    videos: int
    errors: dict[str, int]
    seconds: float


def run(
    data: str,
    backbone: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    label: str | None = "features",
) -> FeaturesResult:
    """Compute the features of labelled videos, as filmed and in the views that training takes by default.

    What the baselines take of the videos is kept too, so that training looks at none of them again.

    Args:
        data: as :func:`kineme.scan` takes it.
        backbone: a pretrained one.
        workers: how many at a time; as many as there are cores by default.
        address: of a Ray cluster whose machines share the folder of the cache.
        label: of the progress that is shown; None shows none.

    Raises:
        UsageError: the backbone is trained itself, or its name is unknown.
        KinemeError: there is nothing usable; or Ray or the weights are missing.
    """
    started = time.monotonic()
    check_ray()
    check_workers(workers)
    pretrained = [name for name in BACKBONES if find_backbone(name).is_pretrained]
    if backbone not in pretrained:
        raise UsageError(f"--features {backbone}: features come from a pretrained backbone: {', '.join(pretrained)}")
    table = api.scan(data)
    plan = FeaturesPlan(backbone, TrainOptions().flips(table.labels), table.labels)
    errors: Counter[str] = Counter()
    rows = table.rows.to_dicts()
    with progress(label, len(rows)) as advance:

        def take(reason: str | None) -> None:
            errors.update([reason] if reason else [])
            advance()

        with_ray("kineme.scale.features:drive", rows, asdict(plan), address=address, workers=workers, on_progress=take)
    folder = FrameCache(find_backbone(backbone).spec).entries.folder
    return FeaturesResult(
        str(folder), len(rows) - errors.total(), dict(errors.most_common()), round(time.monotonic() - started, 2)
    )


def drive(
    rows: list[dict[str, Any]],
    plan: dict[str, Any],
    cluster: dict[str, Any],
    on_progress: Callable[[str | None], None],
) -> None:
    """Fill the cache, in a process of its own; told for each row why it has no features, None where it has."""
    left = {_name(row): row for row in rows}
    told = FeaturesPlan(**plan | {"labels": tuple(plan["labels"])})
    with running(**cluster) as (count, threads):
        for _ in range(_PASSES):
            # A video at a time: what a part takes of it depends on the other parts.
            groups = [
                json.dumps(those) for those in by_video(rows).values() if any(_name(row) in left for row in those)
            ]
            if not groups:
                break
            for found in through_stages(groups, None, Features, replace(told, threads=threads), count):
                for name, reason in zip(found["name"].to_pylist(), found["error"].to_pylist(), strict=True):
                    if left.pop(name, None) is not None:
                        on_progress(reason)
    for _ in left:
        on_progress("it crashes every worker")


class Features:
    """Holds a backbone and fills the cache. Ray makes one in each actor."""

    def __init__(self, plan: FeaturesPlan) -> None:
        limit_threads(plan.threads)
        from kineme.training.baselines import image_features, small_frames
        from kineme.training.learner import make_learner

        approach = SingleFrame(backbone=plan.backbone)  # any approach will do
        learner = make_learner(approach, find_backbone(plan.backbone).spec, max(2, len(plan.labels)))
        self._cache, self._plan = learner.cache(), plan
        images = image_features()
        self._baselines = [small_frames(), *([images] if images else [])]
        self._views = TrainOptions().num_views(learner.encoder)

    def __call__(self, groups: pa.Table) -> pa.Table:
        """Name and error of each video of a list of rows as JSON."""
        found = [one for text in groups.column("group").to_pylist() for one in self._video(json.loads(text))]
        names, errors = zip(*found, strict=True)
        return pa.table([pa.array(names, pa.string()), pa.array(errors, pa.string())], ["name", "error"])

    def _video(self, rows: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
        given = ClipTable(pl.DataFrame(rows, SCHEMA), "")
        table, items = self._cache.prepare(given, self._plan.labels)
        gaps = self._cache.background(table, len(self._plan.labels))
        self._cache.add_views([*items, *gaps], Augmentation(flip=self._plan.flip), self._views)
        for cache in self._baselines:
            cache.prepare(table, self._plan.labels)
        reasons = {one.path: one.reason for one in table.skipped}
        return [(_name(row), reasons.get(shown_name(row))) for row in rows]


def _name(row: Mapping[str, Any]) -> str:
    return json.dumps([row["path"], row["start_s"], row["end_s"]])
