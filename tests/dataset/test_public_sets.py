"""Public sets by name, from archives of the same form and names, on a loopback mirror and from a folder."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers_archives import write_rar4, write_rar5, write_zip
from helpers_mirror import mirror

from kineme.dataset.folds import Protocol, make_folds
from kineme.dataset.groups import guess_groups
from kineme.dataset.public.catalogue import SETS, named
from kineme.dataset.public.get import get_set
from kineme.dataset.public.layouts import ucf101_lists
from kineme.dataset.scan import scan
from kineme.dataset.split import split
from kineme.errors import KinemeError, UsageError

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
LISTS = SHARED / "ucf101-splits"


def ucf_files(root, labels, groups=25, clips=2, pattern="{root}/{label}/v_{label}_g{group:02}_c{clip:02}.avi"):
    return {
        pattern.format(root=root, label=label, group=group, clip=clip): f"{label} {group} {clip}".encode()
        for label in labels
        for group in range(1, groups + 1)
        for clip in range(1, clips + 1)
    }


def ucf101_archives(folder, labels=("Archery", "YoYo"), tested=((1, 7), (8, 14), (15, 21))):
    files = ucf_files("UCF-101", labels)
    write_rar4(folder / "UCF101.rar", files)
    lists = {}
    for number, (first, last) in enumerate(tested, 1):
        names = [name.removeprefix("UCF-101/") for name in files]
        is_test = [first <= int(re.search(r"_g(\d+)_", name)[1]) <= last for name in names]
        test = [name for name, tests in zip(names, is_test, strict=True) if tests]
        train = [f"{name} 1" for name, tests in zip(names, is_test, strict=True) if not tests]
        lists[f"ucfTrainTestlist/testlist0{number}.txt"] = "\r\n".join(test).encode()
        lists[f"ucfTrainTestlist/trainlist0{number}.txt"] = "\r\n".join(train).encode()
    lists["ucfTrainTestlist/classInd.txt"] = b"1 Archery\r\n2 YoYo\r\n"
    write_zip(folder / "UCF101TrainTestSplits-RecognitionTask.zip", lists)
    return folder


def hmdb_archives(folder):
    inner, lists = {}, {}
    for label in ("sword", "draw_sword"):
        names = [
            f"{source}_{label}_u_cm_np1_fr_med_{n}.avi" for source in ("LOTR", "#20_Rhythm", "Kill") for n in (0, 1)
        ]
        write_rar4(folder / "inner", {f"{label}/{name}": name.encode() for name in names})
        inner[f"{label}.rar"] = (folder / "inner").read_bytes()
        for number in (1, 2, 3):
            uses = [2, 2, 1, 1, 0, 0] if label == "sword" else [1, 1, 2, 2, 1, 0]
            text = "".join(f"{name} {use} \n" for name, use in zip(names, uses, strict=True))
            lists[f"testTrainMulti_7030_splits/{label}_test_split{number}.txt"] = text.encode()
    (folder / "inner").unlink()
    write_rar4(folder / "hmdb51_org.rar", inner)
    write_rar5(folder / "test_train_splits.rar", lists)
    return folder


def kth_archives(folder):
    lines = [
        "Training:   person 11, 12, 13, 14, 15, 16, 17, 18",
        "Validation: person 19, 20, 21, 23, 24, 25, 01, 04",
        "Test:       person 22, 02, 03, 05, 06, 07, 08, 09, 10",
        "",
    ]
    for label in ("boxing", "handclapping", "handwaving", "jogging", "running", "walking"):
        names = [f"person{person:02}_{label}_d1" for person in range(1, 26)]
        write_zip(folder / f"{label}.zip", {f"{name}_uncomp.avi": name.encode() for name in names})
        lines += [f"{name}\t\tframes\t1-95, 96-185, 186-245, 246-360 " for name in names]
    lines.append("person13_handclapping_d3\t*missing*")
    (folder / "00sequences.txt").write_text("\n".join(lines))
    return folder


def weizmann_archives(folder):
    for label in ("bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2"):
        names = [f"{person}_{label}.avi" for person in ("daria", "denis", "eli")]
        names += [f"lena_{label}{n}.avi" for n in ((1, 2) if label in ("run", "skip", "walk") else ("",))]
        write_zip(folder / f"{label}.zip", {name: name.encode() for name in names})
    return folder


def ut_archives(folder, content=lambda label, group: b"x"):
    for of, first in ((1, 1), (2, 11)):
        members = {
            f"segmented_set{of}/{number + 10 * label}_{sequence}_{label}.avi": f"{of} {sequence} {label}".encode()
            for number, sequence in enumerate(range(first, first + 10))
            for label in range(6)
        }
        write_zip(folder / f"ut-interaction_segmented_set{of}.zip", {**members, f"segmented_set{of}/Thumbs.db": b""})
    return folder


def ucf_archives(folder):
    write_rar4(folder / "UCF50.rar", ucf_files("UCF50", ["Swing", "TaiChi"]))
    pattern = "{root}/{label}/v_shooting_{group:02}/v_shooting_{group:02}_{clip:02}.mpg"
    files = ucf_files("UCF11_updated_mpg", ["basketball", "golf_swing"], pattern=pattern)
    files["UCF11_updated_mpg/basketball/Annotation/v_shooting_01_01.xviri"] = b"boxes"
    write_rar5(folder / "UCF11_updated_mpg.rar", files)
    return folder


def tree(folder):
    """Every file with its content, but for the archives."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "archives" not in path.relative_to(folder).parts
    }


def test_ucf101_with_its_three_lists(tmp_path):
    got = get_set(named("UCF101"), tmp_path / "out", source=str(ucf101_archives(tmp_path)))
    assert (got.videos, got.labels, got.warnings) == (100, ("Archery", "YoYo"), ())
    assert sorted(got.tables) == ["clips", "list1", "list2", "list3"]
    assert set(scan(tmp_path / "out").rows["split"]) == {None}
    for number, tested in ((1, range(1, 8)), (2, range(8, 15)), (3, range(15, 22))):
        table = scan(got.tables[f"list{number}"])
        assert (len(table), table.warnings, table.group_source) == (100, (), "the group column")
        for row in table.rows.iter_rows(named=True):
            assert row["split"] == ("test" if int(row["group"][-2:]) in tested else "train")
            assert Path(row["path"]).read_bytes().decode().split()[0] == row["label"]
        assert split(table, validation=0).warnings == ()


@pytest.mark.skipif(not LISTS.is_dir(), reason="needs shared/data/ucf101-splits beside the repository")
def test_the_official_ucf101_lists_come_out_of_the_group_rule_exactly():
    splits = ucf101_lists({path.name: path.read_text() for path in LISTS.glob("*list0?.txt")})
    names = sorted(splits["1"])
    assert len(names) == 13_320
    assert [Counter(splits[number].values()) for number in "123"] == [
        Counter(train=9537, test=3783),
        Counter(train=9586, test=3734),
        Counter(train=9624, test=3696),
    ]
    groups, _ = guess_groups(names, [name.split("/")[0] for name in names])
    group_of = dict(zip(names, groups, strict=True))
    for number, tested in (("1", range(1, 8)), ("2", range(8, 15)), ("3", range(15, 22))):
        assert sorted(splits[number]) == names
        by_rule = {name: "test" if int(group_of[name][-2:]) in tested else "train" for name in names}
        assert splits[number] == by_rule
        sides = {(group_of[name], side) for name, side in splits[number].items()}
        assert len(sides) == len(set(groups)) == 101 * 25  # no group on two sides
    archived = [SETS["ucf101"].layout.video("UCF101.rar", f"UCF-101/{name}") for name in names]
    assert [(video.path, video.group) for video in archived] == list(zip(names, groups, strict=True))


def test_hmdb51_is_an_archive_of_archives_and_some_clips_are_in_no_list(tmp_path):
    got = get_set(named("hmdb51"), tmp_path / "out", source=str(hmdb_archives(tmp_path)))
    assert (got.videos, got.labels) == (12, ("draw_sword", "sword"))
    assert set(scan(tmp_path / "out").rows["group"]) == {"LOTR", "#20_Rhythm", "Kill"}  # a film is one source
    table = scan(got.tables["list1"])
    assert Counter(table.rows["split"]) == Counter(train=5, test=4)
    assert "sword/LOTR" in set(table.rows["group"])
    split(table, validation=0)
    inner = {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()} - {""}  # locks have none
    assert inner == {".avi", ".csv", ".txt"}  # no archive of the inside is left


def test_an_official_list_with_a_source_on_both_sides_is_told_of(tmp_path):
    hmdb_archives(tmp_path)
    lists = {}
    for label in ("sword", "draw_sword"):
        names = [
            f"{source}_{label}_u_cm_np1_fr_med_{n}.avi" for source in ("LOTR", "#20_Rhythm", "Kill") for n in (0, 1)
        ]
        text = "".join(f"{name} {1 + n % 2}\n" for n, name in enumerate(names)).encode()
        lists |= {f"x/{label}_test_split{number}.txt": text for number in (1, 2, 3)}
    write_rar5(tmp_path / "test_train_splits.rar", lists)
    got = get_set(named("hmdb51"), tmp_path / "out", source=str(tmp_path))
    assert len(got.warnings) == 3
    assert "6 sources are in both train and test" in got.warnings[0]


def test_kth_has_its_people_and_its_parts(tmp_path):
    got = get_set(named("kth"), tmp_path / "out", source=str(kth_archives(tmp_path)))
    table = scan(tmp_path / "out")
    assert len(table) == 4 * got.videos == 4 * 150
    people = {side: {int(group[-2:]) for group in table.in_split(side).rows["group"]} for side in ("train", "test")}
    assert people == {"train": set(range(11, 19)), "test": {2, 3, 5, 6, 7, 8, 9, 10, 22}}
    spans = table.rows.filter(table.rows["name"] == "boxing/person01_boxing_d1_uncomp.avi")
    assert spans["start_s"].to_list() == [0.0, 3.8, 7.4, 9.8]
    assert spans["end_s"].to_list() == [3.8, 7.4, 9.8, 14.4]
    assert len(scan(got.tables["videos"])) == 150
    assert split(table).rows["split"].to_list() == table.rows["split"].to_list()


def test_weizmann_ut_interaction_ucf11_and_ucf50(tmp_path):
    for name, write, count in (
        ("weizmann", weizmann_archives, 43),
        ("ut-interaction", ut_archives, 120),
        ("ucf50", ucf_archives, 100),
        ("ucf11", ucf_archives, 100),
    ):
        source = tmp_path / f"{name}-archives"
        source.mkdir()
        assert get_set(named(name), tmp_path / name, source=str(write(source))).videos == count
    weizmann = scan(tmp_path / "weizmann")
    assert set(weizmann.rows["group"]) == {"daria", "denis", "eli", "lena"}
    assert len(weizmann.labels) == 10
    first = scan(tmp_path / "ut-interaction" / "set1.csv")
    assert len(make_folds(first, Protocol(kind="leave-one-group-out"))) == 10
    both = scan(tmp_path / "ut-interaction", fold_column="fold")
    assert set(both.rows["group"]) == {f"set{1 + (n > 10)}-seq{n:02}" for n in range(1, 21)}
    assert len(make_folds(both, Protocol(kind="column", column="fold"))) == 2
    for name in ("ucf11", "ucf50"):
        assert scan(tmp_path / name).warnings == ()
        assert len(make_folds(scan(tmp_path / name, fold_column="fold"), Protocol(kind="column", column="fold"))) == 25
    assert "basketball_g07" in set(scan(tmp_path / "ucf11").rows["group"])


@pytest.mark.skipif(not (SHARED / "ut-interaction").is_dir(), reason="needs shared/data/ut-interaction")
def test_the_real_ut_interaction_comes_out_as_it_lies_beside_the_project(tmp_path):
    with (SHARED / "ut-interaction" / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    packed: dict[str, dict[str, bytes]] = {"set1": {}, "set2": {}}
    for row in rows:
        number = re.search(r"_(\d+)-(\d+)-(\d)\.avi", row["path"])
        content = (SHARED / "ut-interaction" / row["path"]).read_bytes()
        packed[row["set"]][f"segmented_{row['set']}/{'_'.join(number.groups())}.avi"] = content
    for of, files in packed.items():
        write_zip(tmp_path / f"ut-interaction_segmented_{of}.zip", files)
    get_set(named("ut-interaction"), tmp_path / "out", source=str(tmp_path))
    table = scan(tmp_path / "out")
    sizes = {(row["label"], row["group"], (SHARED / "ut-interaction" / row["path"]).stat().st_size) for row in rows}
    assert {(r["label"], r["group"], Path(r["path"]).stat().st_size) for r in table.rows.iter_rows(named=True)} == sizes


def test_a_subset_takes_turns_among_the_groups_and_fetches_only_what_it_needs(tmp_path):
    got = get_set(
        named("ucf101"), tmp_path / "out", source=str(ucf101_archives(tmp_path)), classes=["YoYo"], per_class=9
    )
    assert (got.videos, got.labels) == (9, ("YoYo",))
    assert len(set(scan(tmp_path / "out").rows["group"])) == 9
    assert len(list((tmp_path / "out").rglob("*.avi"))) == 9
    served = tmp_path / "kth"
    served.mkdir()
    with mirror(kth_archives(served)) as here:
        get_set(named("kth"), tmp_path / "kth-out", source=here.url, classes=["boxing", "running"], per_class=3)
        assert [name for name, _ in here.asked] == ["boxing.zip", "running.zip", "00sequences.txt"]
    assert Counter(scan(tmp_path / "kth-out" / "videos.csv").rows["label"]) == Counter(boxing=3, running=3)


def test_what_is_asked_for_wrongly(tmp_path):
    source = str(ucf101_archives(tmp_path))
    with pytest.raises(UsageError, match=r"no class 'Yoyo'; it has Archery, YoYo"):
        get_set(named("ucf101"), tmp_path / "out", source=source, classes=["Yoyo"])
    with pytest.raises(UsageError, match="no class 'box'"):
        get_set(named("kth"), tmp_path / "kth", source=source, classes=["box"])
    with pytest.raises(UsageError, match="no public set 'ucf5'; choose one of ucf11"):
        named("ucf5")
    with pytest.raises(UsageError, match="must be a folder"):
        get_set(named("ucf50"), tmp_path / "ucf50", source="ftp://example.org")
    with pytest.raises(KinemeError, match=r"no such file; --from needs 'UCF50\.rar'"):
        get_set(named("ucf50"), tmp_path / "ucf50", source=source)
    (tmp_path / "UCF50.rar").write_text("<html>moved</html>")
    with pytest.raises(KinemeError, match="is not an archive but perhaps a web page"):
        get_set(named("ucf50"), tmp_path / "ucf50", source=source)


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "clips.csv").write_text("path,label\n")
    source = str(ut_archives(tmp_path))
    with pytest.raises(KinemeError, match="mine: holds a table already; choose another folder for ut-interaction"):
        get_set(named("ut-interaction"), tmp_path / "mine", source=source)
    get_set(named("ut-interaction"), tmp_path / "ut", source=source)
    with pytest.raises(KinemeError, match="ut: holds ut-interaction already; choose another folder for kth"):
        get_set(named("kth"), tmp_path / "ut", source=source)
    assert (tmp_path / "mine" / "clips.csv").read_text() == "path,label\n"


@pytest.mark.parametrize("name", ["../v_X_g01_c01.avi", "UCF50/../v_X_g01_c01.avi", "UCF50/.ssh/v_X_g01_c01.avi"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    write_rar4(tmp_path / "UCF50.rar", {"UCF50/Swing/v_Swing_g01_c01.avi": b"fine", name: b"evil"})
    with pytest.raises(KinemeError, match="name that is not safe"):
        get_set(named("ucf50"), tmp_path / "deep" / "out", source=str(tmp_path))
    assert not list(tmp_path.rglob("*.avi"))


# Interruptions


def run_get(*arguments):
    code = (
        "import sys; from kineme.cli.main import main; sys.argv = ['kineme', 'datasets', 'get', *sys.argv[1:]]; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill_when(process, happened):
    """Kill the process without warning as soon as ``happened()``; whether that was before it ended by itself."""
    while process.poll() is None:
        if happened():
            process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
            break
        time.sleep(0.0005)
    process.communicate()
    return process.returncode != 0


def test_killed_during_the_download_it_goes_on_and_ends_in_the_same_state(tmp_path):
    served, out = tmp_path / "served", tmp_path / "out"
    served.mkdir()
    write_rar4(served / "UCF50.rar", {name: value * 5000 for name, value in ucf_files("UCF50", ["Swing"]).items()})
    get_set(named("ucf50"), tmp_path / "calm", source=str(served))
    part = out / "archives" / "UCF50.rar.part"
    with mirror(served) as here:
        here.pause_s = 0.05
        killed = kill_when(
            run_get("ucf50", out, "--yes", "--from", here.url), lambda: part.exists() and part.stat().st_size
        )
        assert killed
        assert part.stat().st_size
        here.pause_s = 0
        assert run_get("ucf50", out, "--yes", "--from", here.url).wait() == 0
        assert here.asked[1][1].startswith("bytes=")  # what had come was not fetched again
    assert tree(out) == tree(tmp_path / "calm")
    assert (out / "archives" / "UCF50.rar").read_bytes() == (served / "UCF50.rar").read_bytes()


def test_killed_while_unpacking_it_goes_on_and_ends_in_the_same_state(tmp_path):
    files = ucf_files("UCF50", ["Swing", "TaiChi"], clips=20)
    write_rar4(tmp_path / "UCF50.rar", {name: value * 5000 for name, value in files.items()})
    get_set(named("ucf50"), tmp_path / "calm", source=str(tmp_path))
    out = tmp_path / "out"
    first = out / "Swing" / "v_Swing_g01_c01.avi"
    assert kill_when(run_get("ucf50", out, "--from", tmp_path), first.exists)
    assert 0 < len(list(out.rglob("*.avi"))) < len(files)
    assert not (out / "clips.csv").exists()
    assert run_get("ucf50", out, "--from", tmp_path).wait() == 0
    assert tree(out) == tree(tmp_path / "calm")
