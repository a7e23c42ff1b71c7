"""Which videos are tested when: one split, k folds, every group in turn, or every value of a column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from kineme.dataset.split import split
from kineme.dataset.table import BY_MODEL, ClipTable, listed
from kineme.errors import KinemeError, UsageError
from kineme.keywords import suggest_fields

Kind = Literal["split", "folds", "leave-one-group-out", "column"]


@suggest_fields
@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a data set is divided for a comparison; in none of the ways is a group on two sides.

    Args:
        kind: ``"split"`` once into train, validation and test; ``"folds"`` into as many parts, each tested once by
            a model trained on the others; ``"leave-one-group-out"`` with every group as a part; ``"column"`` with
            the values of the table's fold column as parts.
        folds: number of parts, for ``"folds"``.
        column: what the fold column is called, for ``"column"``; for people.
        test: share of the videos to test on, for ``"split"``.
        validation: share of all videos, taken from those not tested, to stop training by and to calibrate with.
        seed: of the random split.

    Raises:
        UsageError: a value is out of its range.

    Example:
        >>> kineme.Protocol(kind="folds", folds=4).folds
        4
    """

    kind: Kind = "split"
    folds: int = 5
    column: str | None = None
    test: float = 0.2
    validation: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageError(f"the protocol must be one of {', '.join(get_args(Kind))}, not {self.kind!r}")
        if not 2 <= self.folds <= 1000:
            raise UsageError(f"folds must be from 2 to 1000, not {self.folds}")


def make_folds(table: ClipTable, protocol: Protocol) -> list[ClipTable]:
    """The table once for each test, every row of it in a split.

    Raises:
        KinemeError: there are too few groups, or a class would have nothing to learn from.
    """
    if protocol.kind == "split":
        return [split(table, seed=protocol.seed, test=protocol.test, validation=protocol.validation)]
    part_N = _parts(table, protocol)
    return [_tested_on(table, part_N == part, protocol) for part in dict.fromkeys(part_N.tolist())]


def _parts(table: ClipTable, protocol: Protocol) -> NDArray[np.str_]:
    """The part that each row is tested in."""
    groups_N, labels_N = table.rows["group"].to_numpy(), table.rows["label"].to_numpy()
    count = len(set(groups_N))
    if protocol.kind == "leave-one-group-out":
        if count < 2:
            raise KinemeError("leaving one group out needs at least two groups, and the videos have one")
        return np.array(groups_N, np.str_)
    if protocol.kind == "folds":
        if count < protocol.folds:
            raise KinemeError(f"{protocol.folds} folds need as many groups, and the videos have {count}")
        numbers_N = np.zeros(len(table), int)
        kfold = StratifiedGroupKFold(protocol.folds, shuffle=True, random_state=protocol.seed)
        for number, (_, tested) in enumerate(kfold.split(labels_N, labels_N, groups_N), 1):
            numbers_N[tested] = number
        return np.array([f"fold {number}" for number in numbers_N], np.str_)
    if table.rows["fold"].null_count():
        raise UsageError("testing the values of a column needs a CSV and the name of that column")
    folds = table.rows.group_by("group").agg(pl.col("fold").n_unique())
    straddling = sorted(folds.filter(pl.col("fold") > 1)["group"])
    if straddling:
        raise KinemeError(f"the fold column has {listed(straddling)} in several folds: keep each group in one")
    if table.rows["fold"].n_unique() < 2:
        raise KinemeError("the fold column has one value only; at least two are needed to test one on the other")
    return np.array(table.rows["fold"].to_numpy(), np.str_)


def _tested_on(table: ClipTable, tested_N: NDArray[np.bool_], protocol: Protocol) -> ClipTable:
    """The table with these rows as the test set and a validation set drawn from the others."""
    labels_N = table.rows["label"].to_numpy()
    unlearned = sorted(set(labels_N) - set(labels_N[~tested_N]))
    if unlearned:
        raise KinemeError(f"the class {listed(unlearned)} is in one fold only, so it cannot be both learned and tested")
    marked = table.rows.with_columns(pl.Series("split", np.where(tested_N, "test", "train"), pl.String))
    marked = marked.filter((pl.col("split") == "train") | pl.col("labelled_by").ne_missing(BY_MODEL))
    divided = split(replace(table, rows=marked), seed=protocol.seed, validation=protocol.validation)
    return replace(divided, warnings=table.warnings)  # that a fold tests only some of the classes is as it should be
