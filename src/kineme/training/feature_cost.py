"""How long the features of some videos will take on this machine, measured on two of them before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kineme.dataset.audit.cache import InspectionCache
from kineme.dataset.table import ClipTable
from kineme.errors import VideoError
from kineme.models.backbone import Backbone
from kineme.models.registry import make_approach, recommended
from kineme.training.cache import FrameCache
from kineme.training.one_pass import MEASURED, Wanted, decode_once, for_solved_head, key_of
from kineme.training.parts import Row
from kineme.training.resources import external_cost
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

Part = tuple[str, ClipSpec]  # a frozen backbone, and its clip


def wanted_features(backbone: str, spec: ClipSpec, classes: int, *, mirrored: bool) -> Wanted:
    """The features that a linear head on a frozen backbone takes.

    Args:
        backbone: its name.
        spec: what a clip is.
        classes: number of labels.
        mirrored: training takes the mirror images of videos, too.

    Raises:
        KinemeError: its weights are not on this machine.
    """
    from kineme.training.learner import make_learner

    approach = make_approach("late-fusion", recommended("late-fusion", backbone))
    return for_solved_head(make_learner(approach, spec, max(2, classes)).cache(), backbone, mirrored=mirrored)


def forecast(wanted: Mapping[Part, Wanted], table: ClipTable, others: Sequence[Wanted]) -> dict[Part, float]:
    """Measure on up to two rows, whose features are then kept, and estimate the rest by length.

    Args:
        wanted: features, from :func:`wanted_features`.
        table: labelled videos.
        others: other results made of these rows, so that their videos are not opened again for it.

    Returns:
        Seconds that each will take.
    """
    missing = {
        part: [number for number, kept in enumerate(one.cache.is_kept(table)) if not kept]
        for part, one in wanted.items()
    }
    for number in sorted({number for numbers in missing.values() for number in numbers[:MEASURED]}):
        decode_once(table, [*wanted.values(), *others], only=number)
    rows = table.rows.to_dicts()
    lengths_s = _lengths_s(rows) if any(missing.values()) else []
    seconds = {}
    for part, one in wanted.items():
        measured, rest = missing[part][:MEASURED], missing[part][MEASURED:]
        spent_s = [(one.seconds.get(key_of(rows[number]), 0.0), lengths_s[number]) for number in measured]
        rate = spent_s[-1][0] / spent_s[-1][1] if spent_s and spent_s[-1][1] else 0.0
        seconds[part] = (1 + one.views) * rate * sum(lengths_s[number] for number in rest)
    return seconds


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


def _lengths_s(rows: Sequence[Row]) -> list[float]:
    """Seconds of each row; where a video has not been looked at yet, by its bytes, as of those that have been."""
    kept, cache = dict[int, float](), InspectionCache()
    bytes_of = [_bytes_of(row) for row in rows]
    for number, row in enumerate(rows):
        if found := cache.find(dict(row)):
            kept[number] = found.facts.duration_s
        elif row["end_s"] is not None:
            kept[number] = float(row["end_s"]) - float(row["start_s"])
    whole = [number for number in kept if rows[number]["end_s"] is None]
    rate = sum(kept[number] for number in whole) / max(sum(bytes_of[number] for number in whole), 1)
    return [kept.get(number, rate * size) for number, size in enumerate(bytes_of)]


def _bytes_of(row: Row) -> int:
    try:
        return Path(row["path"]).stat().st_size
    except OSError:
        return 0


def _length_s(row: Row) -> float:
    """Seconds of a row; 0 if its file cannot be read, which is reported when features are computed."""
    try:
        end_s = row["end_s"] if row["end_s"] is not None else probe(row["path"]).duration_s
    except VideoError:
        return 0.0
    return max(0.0, float(end_s) - float(row["start_s"]))
