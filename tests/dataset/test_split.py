"""Splits: no group on two sides, every class on each, near the wanted shares, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kineme.dataset.folds import Protocol, make_folds
from kineme.dataset.groups import guess_groups
from kineme.dataset.scan import scan
from kineme.dataset.split import split, without_validation
from kineme.dataset.table import SCHEMA, ClipTable
from kineme.errors import KinemeError, UsageError

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def make_table(
    rows: Sequence[tuple[str, str]] | Sequence[tuple[str, str, str | None]], source: str = "the group column"
) -> ClipTable:
    """A table of (label, group[, split]) rows."""
    records = [
        {
            "path": f"{i}.mp4",
            "name": f"{i:05}.mp4",
            "label": row[0],
            "group": row[1],
            "start_s": 0.0,
            "split": (*row, None)[2],
        }
        for i, row in enumerate(rows)
    ]
    return ClipTable(pl.DataFrame(records, schema=SCHEMA), source)


def people(labels: str, count: int, clips: int = 2) -> list[tuple[str, str]]:
    """Every person does every action a few times."""
    return [(label, f"person{p:02}") for label in labels for p in range(count) for _ in range(clips)]


def straddling(table: ClipTable) -> int:
    return (table.rows.group_by("group").agg(pl.col("split").n_unique())["split"] > 1).sum()


def shares(table: ClipTable, name: str) -> dict[str, float]:
    per_class = table.rows.group_by("label").agg((pl.col("split") == name).mean().alias("share"))
    return dict(per_class.rows())


def test_groups_stay_whole_and_classes_get_their_shares():
    table = split(make_table(people("abcdef", 20)), seed=3)
    assert straddling(table) == 0
    assert table.rows["split"].null_count() == 0
    for name, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        assert shares(table, name) == pytest.approx(dict.fromkeys("abcdef", share))
    assert not table.warnings


def test_uneven_groups_still_come_near_the_shares():
    rng = np.random.default_rng(0)
    rows = [(str(label), f"g{rng.geometric(0.05)}") for label in rng.choice(list("aaaabbc"), 900)]
    table = split(make_table(rows), test=0.25, validation=0.15)
    assert straddling(table) == 0
    assert shares(table, "test") == pytest.approx(dict.fromkeys("abc", 0.25), abs=0.04)
    assert shares(table, "validation") == pytest.approx(dict.fromkeys("abc", 0.15), abs=0.04)


def test_the_seed_decides_and_the_order_of_rows_does_not():
    table = make_table(people("abc", 15))
    shuffled = ClipTable(table.rows.sample(fraction=1, shuffle=True, seed=1), table.group_source)
    assert split(shuffled, seed=5).rows.equals(split(table, seed=5).rows)
    assert len({tuple(split(table, seed=seed).in_split("test").rows["group"].unique().sort()) for seed in range(6)}) > 3


def test_every_class_is_in_train_and_test_even_when_groups_are_few():
    rows = [("a", "g1"), ("a", "g2"), *[("b", f"h{i}") for i in range(30)], ("c", "g1"), ("c", "h0"), ("c", "h1")]
    for seed in range(10):
        table = split(make_table(rows), seed=seed)
        assert straddling(table) == 0
        assert table.in_split("train").labels == table.in_split("test").labels == ("a", "b", "c")
        assert any("'a'" in warning and "validation" in warning for warning in table.warnings)


def test_a_class_with_three_groups_has_one_in_each_split():
    table = split(make_table([*[("a", f"x{i}") for i in range(3)], *[("b", f"y{i}") for i in range(40)]]))
    assert table.in_split("train").labels == table.in_split("validation").labels == table.in_split("test").labels


def test_where_validation_videos_are_learned_from_nothing_is_said_of_classes_missing_there():
    table = split(make_table(people("abc", 2)), test=0.4)
    assert any("validation" in warning for warning in table.warnings)
    without = without_validation(table)
    assert set(without.rows["split"]) == {"train", "test"}
    assert without.rows["split"].to_list().count("test") == table.rows["split"].to_list().count("test")
    assert not any("validation" in warning for warning in without.warnings)


def test_groups_too_large_for_the_share_are_told_of():
    table = split(make_table(people("ab", 2, clips=10)), validation=0)
    assert any("50% of the clips, not 20%" in warning for warning in table.warnings)
    assert set(table.rows["split"]) == {"train", "test"}


def test_no_possible_split_is_an_error_that_names_the_classes():
    triangle = [("a", "g1"), ("a", "g2"), ("b", "g2"), ("b", "g3"), ("c", "g1"), ("c", "g3")]
    with pytest.raises(KinemeError, match="both in train and in test"):
        split(make_table(triangle))


def test_leaky_ignores_groups_and_says_so():
    table = split(make_table(people("ab", 10, clips=10)), leaky=True)
    assert straddling(table) > 0
    assert table.warnings[0].startswith("leaky split:")
    assert shares(table, "test") == pytest.approx({"a": 0.2, "b": 0.2})


def test_leaky_keeps_the_parts_of_one_video_together():
    table = make_table(people("ab", 10))
    table = ClipTable(
        table.rows.with_columns(name=pl.col("group") + ".mp4", start_s=pl.Series(map(float, range(40)))), "x"
    )
    assert straddling(split(table, leaky=True)) == 0


@pytest.mark.parametrize(
    ("rows", "source", "says"),
    [
        ([("a", "g1"), ("a", "g2")], "the group column", "one class only, 'a'"),
        ([*people("a", 3), ("b", "g1"), ("b", "g1")], "the group column", "class 'b' has one group only ('g1')"),
        ([*people("a", 3), ("b", "b/1.mp4")], "one group per video", "class 'b' has one video only ('b/1.mp4')"),
        ([], "the group column", "no video"),
    ],
)
def test_too_little_gives_one_line(rows, source, says):
    with pytest.raises(KinemeError) as caught:
        split(make_table(rows, source))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_folder_too_high_is_recognised(tmp_path):
    for name in ("UCF50/Swing/1.avi", "UCF50/TaiChi/2.avi"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    with pytest.raises(KinemeError, match="if the classes are the folders inside 'UCF50'"):
        split(scan(tmp_path))


@pytest.mark.parametrize(
    "shares", [{"test": 0.0}, {"test": 0.7, "validation": 0.3}, {"validation": -0.1}, {"test": float("nan")}]
)
def test_shares_that_make_no_sense(shares):
    with pytest.raises(UsageError):
        split(make_table(people("ab", 5)), **shares)


# A split that comes with the data


def test_a_given_split_is_kept():
    rows = [
        ("a", "g1", "train"),
        ("a", "g2", "validation"),
        ("a", "g3", "test"),
        ("b", "g1", "train"),
        ("b", "g3", "test"),
    ]
    table = make_table(rows)
    assert split(table, seed=9).rows.equals(table.rows)


def test_a_missing_validation_set_is_taken_from_the_training_groups():
    rows = [(label, f"g{g}", "test" if g < 3 else "train") for label in "ab" for g in range(13) for _ in range(2)]
    table = split(make_table(rows))
    assert straddling(table) == 0
    assert sorted(set(table.in_split("test").rows["group"])) == ["g0", "g1", "g2"]
    assert table.in_split("validation").labels == ("a", "b")
    assert set(split(make_table(rows), validation=0).rows["split"]) == {"train", "test"}


def test_a_given_split_without_a_class_in_test_is_told_of():
    table = split(make_table([("a", "g1", "train"), ("b", "g1", "train"), ("a", "g2", "test")]), validation=0)
    assert any("no test row for 'b'" in warning for warning in table.warnings)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("a", "g1", "train"), ("b", "g2", "train")], "no row 'test'"),
        ([("a", "g1", "test"), ("b", "g2", "test")], "no row 'train'"),
        ([("a", "g1", "train"), ("a", "g2", "test"), ("b", "g2", "test")], "no training row for 'b'"),
        (
            [("a", "g1", "train"), ("b", "g1", "train"), ("a", "g1", "test"), ("b", "g3", "test")],
            "'g1' both in test and outside",
        ),
    ],
)
def test_a_given_split_that_cannot_be_used(rows, says):
    with pytest.raises(KinemeError) as caught:
        split(make_table(rows))
    assert says in str(caught.value)


def test_a_given_split_whose_groups_straddle_is_used_only_when_asked():
    rows = [*[(label, "g1", name) for label in "ab" for name in ("train", "test")], ("a", "g2", "validation")]
    table = split(make_table(rows), leaky=True)
    assert table.warnings[0].startswith("leaky split:")
    assert table.rows["split"].to_list() == [row[2] for row in rows]


# Real sets


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs shared/data beside the repository")
def test_real_sets_split_evenly():
    table = split(scan(SHARED / "ut-interaction"))
    assert straddling(table) == 0
    assert set(shares(table, "test").values()) == set(shares(table, "validation").values()) == {0.2}

    lists = (SHARED / "ucf101-splits").glob("t*list01.txt")
    names = sorted(line.split()[0] for path in lists for line in path.read_text().splitlines())
    labels = [name.split("/")[0] for name in names]
    groups, source = guess_groups(names, labels)
    table = split(make_table(list(zip(labels, groups, strict=True)), source))
    assert straddling(table) == 0
    assert shares(table, "test") == pytest.approx(dict.fromkeys(labels, 0.2), abs=0.03)
    assert shares(table, "validation") == pytest.approx(dict.fromkeys(labels, 0.2), abs=0.03)


def test_what_no_person_has_confirmed_is_never_tested_on():
    rows = people("ab", 10)
    table = make_table(rows)
    by = [
        "model" if group in ("person03", "person07") and n % 2 else "model+person" for n, (_, group) in enumerate(rows)
    ]
    marked = ClipTable(table.rows.with_columns(pl.Series("labelled_by", by)), table.group_source)
    for seed in range(20):
        divided = split(marked, seed=seed, test=0.4)
        tested = set(divided.rows.filter(pl.col("split") == "test")["group"])
        assert len(tested) == 4
        assert not tested & {"person03", "person07"}
    for part in make_folds(marked, Protocol(kind="folds", folds=5)):
        tested = part.rows.filter(pl.col("split") == "test")
        assert "model" not in tested["labelled_by"].to_list()
    alone = [("model" if row[0] == "a" else "person") for row in rows]
    with pytest.raises(KinemeError, match="class 'a', 'b' has no group of which a person has confirmed all labels"):
        split(ClipTable(table.rows.with_columns(pl.Series("labelled_by", alone)), table.group_source))
    given = table.rows.with_columns(
        pl.Series("labelled_by", ["model"] * len(rows)),
        pl.Series("split", ["test" if row[1] < "person03" else "train" for row in rows]),
    )
    with pytest.raises(KinemeError, match="labels in test that no person has confirmed"):
        split(ClipTable(given, table.group_source))
