"""``kineme batch --summary``: a summary of the results, with a picture per label from its most confident video."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from kineme.dataset.labels import BACKGROUND
from kineme.errors import KinemeError
from kineme.scale.sources import fetched, is_address
from kineme.scale.store import SEGMENTS, VIDEOS, ShardStore
from kineme.sources.local_video import FetchOptions
from kineme.text import clock

FOLDER = "summary"
_SIDE = 128  # pixels of a frame, at least, where a site offers several sizes


def summarise(
    out: str,
    *,
    examples: int = 8,
    pictures: bool = True,
    fetch: FetchOptions | None = None,
    on_note: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Read the tables of a job and draw the contact sheets.

    Args:
        out: the folder of the results.
        examples: of each label, the surest ones of different videos.
        pictures: whether to draw ``summary/LABEL.png`` for each label: a row of frames of each example.
        fetch: how videos are fetched that come from links.
        on_note: called with one line about a video that cannot be shown any more.

    Returns:
        ``out``, ``videos``, ``hours``, ``errors`` (reason and number of videos each), and ``labels``: ``label``,
        ``videos`` in which it is, ``segments``, ``seconds`` in all, ``longest_s``, ``examples`` (``path``,
        ``start_s``, ``end_s``, ``confidence``) and ``picture``, the label that lasts longest first and background last.

    Raises:
        KinemeError: there are no results.
    """
    store = ShardStore(out)
    videos, segments = (_table(store, name) for name in (VIDEOS, SEGMENTS))
    errors = videos.drop_nulls("error").group_by("error").len().sort("len", "error", descending=[True, False])
    labels: list[dict[str, Any]] = []
    for label, part in sorted(segments.group_by("label"), key=lambda one: (one[0] == (BACKGROUND,), one[0])):
        name = str(label[0])
        length = part["end_s"] - part["start_s"]
        surest = part.sort("confidence", "path", "start_s", descending=[True, False, False]).unique(
            "path", keep="first", maintain_order=True
        )
        labels.append(
            {
                "label": name,
                "videos": part["path"].n_unique(),
                "segments": part.height,
                "seconds": round(float(length.sum()), 1),
                "longest_s": round(float(length.max() or 0.0), 1),  # type: ignore[arg-type]
                "examples": surest.select("path", "start_s", "end_s", "confidence").head(examples).to_dicts(),
                "picture": None,
            }
        )
    labels.sort(key=lambda one: (one["label"] == BACKGROUND, -one["seconds"], one["label"]))
    if pictures:
        for one in labels:
            if one["label"] != BACKGROUND:
                one["picture"] = _picture(store, one, fetch or FetchOptions(), on_note or (lambda line: None))
    return {
        "out": out,
        "videos": videos.height,
        "hours": round(float(videos["duration_s"].sum()) / 3600, 3),
        "errors": [{"error": reason, "videos": count} for reason, count in errors.iter_rows()],
        "labels": labels,
    }


def _table(store: ShardStore, name: str) -> pl.DataFrame:
    content = store.read(name)
    if content is None:
        raise KinemeError(f"{store.where(name)}: there is no such file; run kineme batch first, to its end")
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise KinemeError(f"{store.where(name)}: cannot be read ({error}); run kineme batch again") from error


def _picture(store: ShardStore, found: dict[str, Any], fetch: FetchOptions, note: Callable[[str], None]) -> str | None:
    """The contact sheet of a label: where it is, or None where no example can be shown."""
    from kineme.report.contact_sheet import contact_sheet

    stem = re.sub(r"[^\w.-]+", "-", found["label"])
    fetch = replace(fetch, min_side=_SIDE)
    path = Path(FOLDER if is_address(store.out) else Path(store.out, FOLDER), f"{stem}.png")
    with ExitStack() as stack:
        shown, parts = [], []
        for one in found["examples"]:
            try:
                file = stack.enter_context(fetched(one["path"], fetch))
                if not Path(file).is_file():
                    raise KinemeError(f"{one['path']}: is not there any more; not shown")
            except KinemeError as error:
                note(str(error))
                continue
            name = Path(one["path"]).stem
            shown.append((file, f"{one['confidence']:.2f}  {clock(one['start_s'])}  {name[-24:]}"))
            parts.append((one["start_s"], one["end_s"]))
        if not shown:
            return None
        return str(contact_sheet(shown, path, columns=6, parts=parts))
