"""Train, validation and test: stratified by label, and no group on two sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kineme.dataset.groups import ONE_PER_VIDEO
from kineme.dataset.table import BY_MODEL, ClipTable, listed
from kineme.errors import KinemeError, UsageError

_NEAR_ENOUGH = 0.01  # a class share this close to the wanted one ends the search
_NOT_HELD_OUT = "in the validation set as well"  # the end of a warning
_FAR_OFF = 0.1  # a test set this far from the wanted share is reported


def split(
    table: ClipTable, *, seed: int = 0, test: float = 0.2, validation: float = 0.2, leaky: bool = False
) -> ClipTable:
    """Fill the split column.

    A table that already has splits keeps them: they are checked, and a missing validation set is taken from the
    training rows. Otherwise whole groups are drawn at random, many times over, and the draw is kept whose classes
    come nearest to the wanted shares. The result depends on the seed and the rows, not on their order. A group with a
    label that a model gave and no person has confirmed is never tested on.

    Args:
        table: at least two labels, each with at least two groups. A class with just two has none for validation.
        seed: of the random draws.
        test: share of all rows for the test set, above 0.
        validation: share of all rows for the validation set; 0 for none.
        leaky: draw videos, not groups. The figures on the test set are then too high; a warning says so.

    Returns:
        The table sorted by name and start, every row in a split, with any new warnings.

    Raises:
        KinemeError: no split by group exists, or the given one cuts a group.
        UsageError: the shares make no sense.
    """
    if not (test > 0 and validation >= 0 and test + validation < 1):
        raise UsageError(
            f"test ({test}) must be above 0, validation ({validation}) 0 or more, and both together below 1"
        )
    rows = table.rows.sort("name", "start_s", "end_s", "label")
    labels, units = rows["label"].to_numpy(), rows["name" if leaky else "group"].to_numpy()
    unconfirmed = rows["labelled_by"].eq_missing(BY_MODEL).to_numpy()
    rng = np.random.default_rng(seed)
    warnings: list[str] = []

    if len(table.labels) < 2:
        raise KinemeError(_one_class(table))
    if rows["split"].null_count() == 0:
        splits = rows["split"].to_numpy().astype(object)
        leaks = _check_given(rows, leaky=leaky)
        untested = sorted(set(labels) - set(labels[splits == "test"]))
        if untested:
            warnings.append(f"the split column has no test row for {listed(untested)}: they will not be tested")
    else:
        splits = np.full(len(rows), "train", dtype=object)
        leaks = leaky
        _check_groups(table, labels, units, leaky=leaky)
        trusted = ~np.isin(units, units[unconfirmed])
        _check_confirmed(table, labels, trusted)
        chosen = _draw_test(labels, units, test, rng, spare=validation > 0, trusted=trusted)
        splits[np.isin(units, chosen)] = "test"
        got = float(np.mean(splits == "test"))
        if abs(got - test) > _FAR_OFF:
            warnings.append(
                f"the test set holds {got:.0%} of the clips, not {test:.0%}: the groups allow nothing closer"
            )

    if validation > 0 and not np.any(splits == "validation"):
        train = splits == "train"
        share = min(0.5, validation * len(rows) / train.sum())
        chosen, _ = _draw(labels[train], units[train], share, rng, keep=1)
        splits[train & np.isin(units, chosen)] = "validation"
        without = sorted(set(labels[train]) - set(labels[splits == "validation"]))
        if without:
            warnings.append(f"too few groups to have {listed(without)} {_NOT_HELD_OUT}")
    if leaks:
        warnings.insert(
            0, "leaky split: videos of one group may be on both sides, and the test metrics are then too high"
        )
    return replace(
        table, rows=rows.with_columns(pl.Series("split", splits, pl.String)), warnings=(*table.warnings, *warnings)
    )


def without_validation(table: ClipTable) -> ClipTable:
    """A split table whose validation videos are learned from instead, without the warning of classes missing there."""
    rows = table.rows.with_columns(pl.col("split").replace("validation", "train"))
    kept = tuple(warning for warning in table.warnings if not warning.endswith(_NOT_HELD_OUT))
    return replace(table, rows=rows, warnings=kept)


def _one_class(table: ClipTable) -> str:
    if not len(table):
        return "there is no video to split"
    label, hint = table.labels[0], ""
    if all(name.count("/") > 1 for name in table.rows["name"]):
        hint = f"; if the classes are the folders inside {label!r}, give that folder"
    return f"the videos have one class only, {label!r}: at least two are needed{hint}"


def _check_given(rows: pl.DataFrame, *, leaky: bool) -> bool:
    """Check a split that came with the data; whether groups straddle it."""
    present = set(rows["split"])
    for name in ("train", "test"):
        if name not in present:
            raise KinemeError(
                f"the split column has no row {name!r}: mark some, or leave the column out to have one made"
            )
    is_test = pl.col("split") == "test"
    untrained = set(rows["label"]) - set(rows.filter(pl.col("split") == "train")["label"])
    if untrained:
        raise KinemeError(f"the split column has no training row for {listed(sorted(untrained))}")
    if rows.filter(is_test & (pl.col("labelled_by") == BY_MODEL)).height:
        raise KinemeError(
            "the split column has labels in test that no person has confirmed (labelled_by is 'model'): confirm them, "
            "or move their groups to train"
        )
    straddling = sorted(set(rows.filter(is_test)["group"]) & set(rows.filter(~is_test)["group"]))
    if straddling and not leaky:
        raise KinemeError(
            f"the split column has {listed(straddling)} both in test and outside of it, which makes the test "
            f"too easy: keep each group on one side, or ask for a leaky split"
        )
    return bool(straddling)


def _check_confirmed(table: ClipTable, labels: NDArray[np.object_], trusted: NDArray[np.bool_]) -> None:
    untestable = [label for label in table.labels if not trusted[labels == label].any()]
    if untestable:
        raise KinemeError(
            f"the class {listed(untestable)} has no group of which a person has confirmed all labels (labelled_by is "
            f"{BY_MODEL!r}), so it cannot be tested: confirm the labels of some groups"
        )


def _check_groups(table: ClipTable, labels: NDArray[np.object_], units: NDArray[np.object_], *, leaky: bool) -> None:
    for label in table.labels:
        of_label = sorted(set(units[labels == label]))
        if len(of_label) > 1:
            continue
        only = of_label[0]
        if leaky or table.group_source == ONE_PER_VIDEO:
            raise KinemeError(f"class {label!r} has one video only ({only!r}): add another, or leave the class out")
        raise KinemeError(
            f"class {label!r} has one group only ({only!r}), which cannot be both learned and tested: add videos of "
            f"another one, leave the class out, or name the groups in a CSV with the columns path, label and group "
            f"(now taken from {table.group_source})"
        )


def _draw_test(
    labels: NDArray[np.object_],
    units: NDArray[np.object_],
    share: float,
    rng: np.random.Generator,
    *,
    spare: bool,
    trusted: NDArray[np.bool_],
) -> NDArray[np.object_]:
    """Units of ``trusted`` rows for the test set, leaving two of each class that has three if ``spare``, else one."""
    missing: list[str] = []
    for keep in (2, 1) if spare else (1,):
        chosen, missing = _draw(labels, units, share, rng, keep=keep, trusted=trusted)
        if not missing:
            return chosen
    raise KinemeError(
        f"no split has {listed(missing)} both in train and in test: the classes share too few groups; "
        f"add videos of more people or scenes"
    )


def _draw(
    labels: NDArray[np.object_],
    units: NDArray[np.object_],
    share: float,
    rng: np.random.Generator,
    *,
    keep: int,
    trusted: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.object_], list[str]]:
    """Draw units that hold about ``share`` of the rows of each class; also the classes none could be drawn for.

    Each class keeps at least ``keep`` units, or one where it has two. Only units of ``trusted`` rows are drawn.
    """
    classes, class_index = np.unique(labels, return_inverse=True)
    names, unit_index = np.unique(units, return_inverse=True)
    counts_UC = np.zeros((len(names), len(classes)))
    np.add.at(counts_UC, (unit_index, class_index), 1)
    shares_UC = counts_UC / counts_UC.sum(axis=0)
    has_UC = counts_UC > 0
    may_U = np.ones(len(names), bool) if trusted is None else np.isin(names, units[trusted])
    most_C = has_UC.sum(axis=0) - np.minimum(keep, np.maximum(1, has_UC.sum(axis=0) - 1))

    best = np.empty(0, np.int64)
    best_cost = np.inf
    for _ in range(max(8, min(200, 100_000 // len(names)))):
        order = rng.permutation(len(names))
        drawn, off_C = _draw_once(shares_UC, has_UC, most_C, share, order[may_U[order]])
        missing = off_C <= -share  # nothing drawn
        cost = float((off_C**2).sum() + missing.sum())
        if cost < best_cost:
            best, best_cost = drawn, cost
        if np.abs(off_C).max() <= _NEAR_ENOUGH:
            break
    return names[best], [str(label) for label in classes[~has_UC[best].any(axis=0)]]


def _draw_once(
    shares_UC: NDArray[np.float64],
    has_UC: NDArray[np.bool_],
    most_C: NDArray[np.int64],
    share: float,
    order: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Take units in order: first for the classes still without, then while the shares come nearer.

    Returns:
        The units taken, and how far above its wanted share each class then is.
    """
    taken = np.zeros(len(shares_UC), bool)
    off_C = np.full(shares_UC.shape[1], -share)
    room_C = most_C.copy()
    for cover in (True, False):
        for unit in order:
            has = has_UC[unit]
            if taken[unit] or (room_C[has] <= 0).any():
                continue
            if cover:
                wanted = (room_C[has] == most_C[has]).any()
            else:
                nearer = (off_C[has] + shares_UC[unit, has]) ** 2 - off_C[has] ** 2
                wanted = nearer.sum() < 0
            if wanted:
                taken[unit] = True
                off_C += shares_UC[unit]
                room_C = room_C - has
    return np.flatnonzero(taken), off_C
