"""How much accuracy a leaky split adds: the same training once more, on a split that keeps groups apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from kineme.dataset.groups import ONE_PER_VIDEO
from kineme.dataset.table import ClipTable
from kineme.errors import KinemeError
from kineme.training.run import CHECKPOINT, METRICS, MODEL, run_folder, train

FOLDER = "honest"  # within the leaky run's


def group_split_reference(
    table: ClipTable, out: Path, *, resume: bool, overwrite: bool, **training: Any
) -> dict[str, Any]:
    """Train on a split by groups and say how good that is; it takes as long as the leaky training.

    Args:
        table: the videos, with a leaky split or none.
        out: the folder of the leaky run; this one is made within it, and a finished one is used when resuming.
        resume: continue an interrupted run.
        overwrite: replace a finished leaky run.
        training: further arguments of :func:`kineme.training.run.train`.

    Returns:
        ``top1``, ``top1_interval``, ``n``, ``groups`` and ``reason`` None; or ``reason``: why there is no such figure.

    Raises:
        KinemeError: the folder of the leaky run cannot be used.
    """
    with run_folder(out, resume=resume, overwrite=overwrite):
        pass
    if table.group_source == ONE_PER_VIDEO:
        return {"reason": "each video is its own group, so a random split equals a split by groups"}
    unsplit = replace(table, rows=table.rows.with_columns(split=pl.lit(None, pl.String)))
    folder = out / FOLDER
    going_on = resume and (folder / CHECKPOINT).exists()
    try:
        if going_on or not (resume and (folder / MODEL).exists()):
            train(unsplit, folder, allow_leaks=True, resume=going_on, overwrite=not going_on, **training)
    except KinemeError as error:
        return {"reason": str(error)}
    test = json.loads((folder / METRICS).read_text(encoding="utf-8"))["test"]
    return {**{name: test[name] for name in ("top1", "top1_interval", "n", "groups")}, "reason": None}
