"""How long the features of some videos will take on this machine, measured on two of them before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from kineme.dataset.table import ClipTable
from kineme.errors import VideoError
from kineme.models.backbone import Backbone
from kineme.models.registry import find_backbone, make_approach, recommended
from kineme.training.cache import FrameCache
from kineme.training.parts import Row
from kineme.training.resources import external_cost
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

_MEASURED = 2  # videos: the first also compiles the network


@dataclass(frozen=True)
class FeatureCost:
    """What the features of one backbone take.

    Args:
        backbone: its name.
        videos: rows whose features are not on disk yet.
        seconds: that computing them will take.
    """

    backbone: str
    videos: int
    seconds: float


def forecast(backbone: str, spec: ClipSpec, table: ClipTable, *, mirrored: bool = True) -> FeatureCost:
    """Measure on up to two rows, whose features are then kept, and estimate the rest by length.

    Args:
        backbone: a frozen one.
        spec: what a clip is.
        table: labelled videos.
        mirrored: training takes their mirror images, too.

    Raises:
        KinemeError: its weights are not on this machine.
    """
    from kineme.training.learner import make_learner

    approach = make_approach("late-fusion", recommended("late-fusion", backbone))
    cache = make_learner(approach, spec, max(2, len(table.labels))).cache()
    missing = [number for number, kept in enumerate(cache.is_kept(table)) if not kept]
    lengths_s = {number: _length_s(table.rows.row(number, named=True)) for number in missing}
    spent_s, measured_s = 0.0, 0.0
    for number in missing[:_MEASURED]:
        started = time.perf_counter()
        cache.prepare(replace(table, rows=table.rows[number : number + 1], skipped=(), warnings=()), table.labels)
        spent_s, measured_s = time.perf_counter() - started, lengths_s[number]
    rest_s = sum(lengths_s[number] for number in missing[_MEASURED:])
    views = 1 + (mirrored and find_backbone(backbone).mirror is None)  # else mirrored features are computed from them
    seconds = views * spent_s * rest_s / measured_s if measured_s else 0.0
    return FeatureCost(backbone, len(missing[_MEASURED:]), seconds)


def external_forecast(backbone: Backbone, spec: ClipSpec, table: ClipTable) -> str | None:
    """What the features of another library's network will take, in one line; None where all of them are kept.

    Args:
        backbone: with ``external``.
        spec: what a clip is.
        table: labelled videos.

    Raises:
        KinemeError: its library is missing.
    """
    assert backbone.external
    kept = FrameCache(spec, backbone.external(spec), per_frame=1).is_kept(table)
    rows = zip(table.rows.to_dicts(), kept, strict=True)
    lengths_s = [_length_s(row) for row, is_kept in rows if not is_kept]
    return external_cost(backbone, spec, lengths_s) if lengths_s else None


def _length_s(row: Row) -> float:
    """Seconds of a row; 0 if its file cannot be read, which is reported when features are computed."""
    try:
        end_s = row["end_s"] if row["end_s"] is not None else probe(row["path"]).duration_s
    except VideoError:
        return 0.0
    return max(0.0, float(end_s) - float(row["start_s"]))
