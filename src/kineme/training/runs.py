"""The runs of a folder side by side: what each was trained on, how, and how well it does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kineme.errors import KinemeError
from kineme.training.run import METRICS


@dataclass(frozen=True)
class RunSummary:
    """What ``metrics.json`` of a run says in short.

    Args:
        folder: the run folder.
        approach: name.
        backbone: name, or None.
        top1: share of the test videos that are classified correctly, 0 to 1.
        interval: 95 % interval of it.
        macro_f1: 0 to 1.
        videos: in the test split.
        groups: in the test split.
        test_set: the same text for runs with the same data and split: only their figures can be compared.
        seconds: that training took.
    """

    folder: Path
    approach: str
    backbone: str | None
    top1: float
    interval: tuple[float, float]
    macro_f1: float
    videos: int
    groups: int
    test_set: str
    seconds: float


def list_runs(folder: Path) -> tuple[list[RunSummary], list[str]]:
    """The finished runs in a folder and the folders below, best first; and a line for each that cannot be read.

    Raises:
        KinemeError: the folder is missing.
    """
    if not folder.is_dir():
        raise KinemeError(f"{folder}: no such folder; name the one that holds run folders")
    found, unreadable = [], []
    for path in sorted(folder.rglob(METRICS)):
        try:
            found.append(_summary(path))
        except (OSError, ValueError, KeyError, TypeError):
            unreadable.append(f"{path}: is not the metrics.json of a run")
    return sorted(found, key=lambda run: (-run.top1, str(run.folder))), unreadable


def _summary(path: Path) -> RunSummary:
    document = json.loads(path.read_text(encoding="utf-8"))
    test, model = document["test"], document["model"]
    low, high = test["top1_interval"]
    same = json.dumps([model["data"], model["split"], model["options"]["seed"]], sort_keys=True)
    return RunSummary(
        folder=path.parent,
        approach=model["approach"],
        backbone=model["config"].get("backbone"),
        top1=test["top1"],
        interval=(low, high),
        macro_f1=test["macro_f1"],
        videos=test["n"],
        groups=test["groups"],
        test_set=same,
        seconds=document["train"]["total_seconds"],
    )
