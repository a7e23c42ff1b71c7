"""Which person of a video a row of the table is about, where clips show the region of one person or of all people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from kineme.dataset.table import ClipTable, Skipped, listed
from kineme.errors import VideoError
from kineme.people.find import find_people
from kineme.people.region import choose_track
from kineme.people.tracks import People, Track
from kineme.progress import progress
from kineme.training.parts import Row
from kineme.training.pool import decoding_threads
from kineme.video.spec import ClipSpec

Found = Literal["named", "only", "moves-most", "nobody"]

_SOON_S = 1.0  # after the beginning of a row: its box is where the person is then
_SAME = 0.1  # intersection over union of a track's box and that of a row, from which on they are of one person


def with_persons(table: ClipTable, spec: ClipSpec) -> ClipTable:
    """The table with the track of the person that each row is about, where clips show one person.

    That is the person named by the row's ``track`` or ``person_box``, or the only one who is seen, or else the one who
    moves most; a warning says how many rows had to be decided that way, another in how many nobody was found, and a
    third how many of them have a cut within.

    Args:
        table: of any videos.
        spec: of the clips. Where they show the whole frame, the tracks are taken away.

    Returns:
        The table; rows whose person is not there go to ``skipped``.

    Raises:
        KinemeError: the weights that find people are not on this machine.
    """
    if spec.region != "person":
        table = replace(table, rows=table.rows.with_columns(track=pl.lit(None, pl.Int64)))
    if spec.region == "frame" or not len(table):
        return table
    rows = table.rows.to_dicts()
    edited = set[str]()

    def find(row: Row) -> tuple[int | None, Found] | str:
        try:
            people = find_people(row["path"])
            if any(row["start_s"] < one < (row["end_s"] or np.inf) for one in people.cuts):
                edited.add(row["name"])
            if spec.region == "person":
                return person_of(row, people)
            return None, "only" if people.tracks else "nobody"
        except VideoError as error:
            return error.reason

    with decoding_threads() as pool, progress("looking for people", len(rows)) as advance:
        found = []
        for one in pool.map(find, rows):
            advance()
            found.append(one)
    kept = [not isinstance(one, str) for one in found]
    skipped = [Skipped(row["name"], one) for row, one in zip(rows, found, strict=True) if isinstance(one, str)]
    tracks = [one[0] for one in found if not isinstance(one, str)]
    hows = [(row["name"], one[1]) for row, one in zip(rows, found, strict=True) if not isinstance(one, str)]
    return replace(
        table,
        rows=table.rows.filter(pl.Series(kept, dtype=pl.Boolean)).with_columns(track=pl.Series(tracks, dtype=pl.Int64)),
        skipped=(*table.skipped, *skipped),
        warnings=(*table.warnings, *_warnings(hows, sorted(edited))),
    )


def person_of(row: Row, people: People) -> tuple[int | None, Found]:
    """The track of the person that a row is about, and how that is known.

    Raises:
        VideoError: the person that the row names is not there.
    """
    ids = [track.id for track in people.tracks]
    start_s, end_s = row["start_s"], row["end_s"]
    if row["track"] is not None:
        if row["track"] not in ids:
            raise VideoError(row["path"], f"has no track {row['track']}; its tracks are {listed([*map(str, ids)])}")
        return row["track"], "named"
    if row["person_box"] is not None:
        overlaps = {track.id: _overlap(track, row["person_box"], start_s, end_s) for track in people.tracks}
        best = max(overlaps, key=lambda one: overlaps[one], default=None)
        if best is None or overlaps[best] < _SAME:
            box = " ".join(f"{side:g}" for side in row["person_box"])
            raise VideoError(row["path"], f"nobody was found in its person_box {box}")
        return best, "named"
    chosen = choose_track(people, start_s, end_s)
    if chosen is None:
        return None, "nobody"
    return chosen, "only" if len(_seen(people, start_s, end_s)) == 1 else "moves-most"


def _seen(people: People, start_s: float, end_s: float | None) -> list[int]:
    """Who is seen between two instants."""
    last_s = np.inf if end_s is None else end_s
    return [
        track.id
        for track in people.tracks
        if ((track.scores_T > 0) & (track.times_T >= start_s) & (track.times_T <= last_s)).any()
    ]


def _overlap(track: Track, box: list[float], start_s: float, end_s: float | None) -> float:
    """The largest intersection over union of a box and those of a track when a row begins, or else later in it."""
    last_s = np.inf if end_s is None else end_s
    within_T = (track.scores_T > 0) & (track.times_T >= start_s) & (track.times_T <= last_s)
    soon_T = within_T & (track.times_T <= start_s + _SOON_S)
    within_T = soon_T if soon_T.any() else within_T
    boxes_T4, box_4 = track.boxes_T4[within_T], np.asarray(box)
    sides_T2 = np.minimum(boxes_T4[:, 2:], box_4[2:]) - np.maximum(boxes_T4[:, :2], box_4[:2])
    shared_T = np.prod(np.maximum(sides_T2, 0), axis=1)
    areas_T = np.prod(boxes_T4[:, 2:] - boxes_T4[:, :2], axis=1) + np.prod(box_4[2:] - box_4[:2])
    return float((shared_T / (areas_T - shared_T)).max(initial=0.0))


def _warnings(found: Iterable[tuple[str, Found]], edited: Sequence[str]) -> list[str]:
    """What the user should know of how rows were decided."""
    names: dict[Found, list[str]] = {}
    for name, how in found:
        names.setdefault(how, []).append(name)
    said = []
    if several := names.get("moves-most"):
        said.append(
            f"{len(several)} clips show several people, and the one who moves most was taken ({listed(several)}); a "
            "column 'person_box' or 'track' says whom the label is about"
        )
    if nobody := names.get("nobody"):
        said.append(f"in {len(nobody)} clips nobody was found, so their whole frame counts ({listed(nobody)})")
    if edited:
        said.append(
            f"edited videos: {listed(edited)}; training clips may cross their cuts, so split such videos at the cuts "
            "before you train"
        )
    return said
