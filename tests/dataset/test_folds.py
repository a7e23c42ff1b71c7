"""Folds: every video is tested once, and no group is on two sides of any of them."""

from __future__ import annotations

import polars as pl
import pytest

from kineme.dataset.folds import Protocol, make_folds
from kineme.dataset.scan import scan
from kineme.errors import KinemeError, UsageError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten people, two classes, two places; a person is always in the same place."""
    folder = tmp_path_factory.mktemp("data")
    lines = ["path,label,group,place"]
    for person in range(10):
        for label in ("run", "walk"):
            for take in range(1 + person % 2):
                path = folder / f"{label}_{person}_{take}.mp4"
                path.write_bytes(b"video")
                lines.append(f"{path.name},{label},p{person},{'indoors' if person < 4 else 'outdoors'}")
    (folder / "clips.csv").write_text("\n".join(lines))
    return folder


def check(folds):
    """Everything is tested once; groups are on one side; all rows have a split. Gives what is tested in each fold."""
    tested = [fold.in_split("test").rows for fold in folds]
    names = [name for rows in tested for name in rows["name"]]
    assert sorted(names) == sorted(folds[0].rows["name"])
    for fold in folds:
        assert fold.rows["split"].null_count() == 0
        groups = {part: set(fold.in_split(part).rows["group"]) for part in ("train", "validation", "test")}
        assert not groups["test"] & (groups["train"] | groups["validation"])
        assert not groups["train"] & groups["validation"]
        assert set(fold.in_split("train").rows["label"]) == {"run", "walk"}
    return tested


def test_k_folds_hold_about_as_many_videos_each(data):
    tested = check(make_folds(scan(data), Protocol(kind="folds", folds=5)))
    assert len(tested) == 5
    assert all(4 <= len(rows) <= 8 for rows in tested)  # of 30


def test_the_same_seed_gives_the_same_folds_and_another_seed_gives_others(data):
    first, again, other = (
        [set(fold.in_split("test").rows["group"]) for fold in make_folds(scan(data), Protocol(kind="folds", seed=seed))]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_leaving_one_group_out_tests_each_group_alone(data):
    tested = check(make_folds(scan(data), Protocol(kind="leave-one-group-out")))
    assert [rows["group"].unique().to_list() for rows in tested] == [[f"p{person}"] for person in range(10)]


def test_the_values_of_a_column_are_tested_in_turn(data):
    tested = check(make_folds(scan(data, fold_column="place"), Protocol(kind="column")))
    assert [set(rows["fold"]) for rows in tested] == [{"indoors"}, {"outdoors"}]
    assert tested[0]["group"].n_unique() == 4


def test_one_split_is_that_of_training(data):
    (only,) = make_folds(scan(data), Protocol(seed=3))
    assert 0.1 < (only.rows["split"] == "test").mean() < 0.3


def test_what_cannot_be_divided_is_refused_in_a_line(data, tmp_path):
    table = scan(data)
    with pytest.raises(KinemeError, match="11 folds need as many groups, and the videos have 10"):
        make_folds(table, Protocol(kind="folds", folds=11))
    with pytest.raises(UsageError, match="the name of that column"):
        make_folds(table, Protocol(kind="column"))
    with pytest.raises(KinemeError, match=r"no column 'room' for the folds; it has .*'place'"):
        scan(data, fold_column="room")
    with pytest.raises(KinemeError, match=r"'p0', .* in several folds"):
        make_folds(scan(data, fold_column="label"), Protocol(kind="column"))
    with pytest.raises(UsageError, match="folds must be from 2"):
        Protocol(kind="folds", folds=1)
    only_one = table.rows.with_columns(
        label=pl.when(pl.col("group") == "p0").then(pl.lit("jump")).otherwise(pl.col("label"))
    )
    with pytest.raises(KinemeError, match="'jump' is in one fold only"):
        make_folds(type(table)(only_one, table.group_source), Protocol(kind="leave-one-group-out"))
