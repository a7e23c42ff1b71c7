"""Folders and CSVs to a table: what is found, what is skipped and why, and the one line for each wrong input."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kineme.dataset.scan import scan
from kineme.dataset.split_csv import read_split_csv, write_split_csv
from kineme.errors import KinemeError, UsageError

UT_INTERACTION = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ut-interaction"


def make_files(folder: Path, *names: str) -> Path:
    """Files that look like videos by name (scanning opens none), each as long as its name."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return folder


def make_csv(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    make_files(folder, "a/1.mp4", "a/2.mp4", "b/3.mp4")
    path = folder / "list.csv"
    path.write_text(text, encoding=encoding)
    return path


# Folders


def test_folders_are_classes_and_deeper_folders_belong_to_them(tmp_path):
    make_files(tmp_path, "wave/x.mp4", "wave/anna/2024/y.MOV", "jump/z.avi")
    table = scan(tmp_path)
    assert table.rows["name"].to_list() == ["jump/z.avi", "wave/anna/2024/y.MOV", "wave/x.mp4"]
    assert table.rows["label"].to_list() == ["jump", "wave", "wave"]
    assert table.labels == ("jump", "wave")
    assert all(Path(path).is_file() for path in table.rows["path"])
    assert set(table.rows["start_s"]) == {0.0}
    assert table.rows["end_s"].null_count() == table.rows["split"].null_count() == len(table) == 3


def test_junk_is_passed_over_and_other_files_are_told_of(tmp_path):
    make_files(
        tmp_path,
        *("a/1.mp4", "b/2.mp4", "a/.DS_Store", "a/._1.mp4", "b/Thumbs.db", ".git/c/3.mp4", "__MACOSX/d/4.mp4"),
        *("b/notes.txt", "b/cover.JPG", "loose.mp4"),
    )
    table = scan(tmp_path)
    assert len(table) == 2
    assert {(Path(item.path).name, item.reason) for item in table.skipped} == {
        ("notes.txt", "not a video by its name"),
        ("cover.JPG", "not a video by its name"),
        ("loose.mp4", "not in a class folder"),
    }


def test_a_class_folder_without_videos_is_told_of(tmp_path):
    make_files(tmp_path, "a/1.mp4", "b/2.mp4", "c/readme.md")
    assert any("'c'" in warning for warning in scan(tmp_path).warnings)


def test_links_are_followed_and_loops_end(tmp_path):
    make_files(tmp_path / "elsewhere", "1.mp4")
    data = make_files(tmp_path / "data", "b/2.mp4")
    try:
        (data / "a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        (data / "b" / "again").symlink_to(data, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    table = scan(data)
    assert table.rows["name"].to_list() == ["a/1.mp4", "b/2.mp4"]
    assert [item.reason for item in table.skipped] == ["a link to a folder that is read already"]


def test_a_file_name_that_is_no_text_is_skipped_with_the_reason(tmp_path):
    make_files(tmp_path, "a/1.mp4", "b/2.mp4")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path / "a") + b"/\xff\xfe.mp4")).touch()
    except OSError:
        pytest.skip("this file system holds no such name")
    table = scan(tmp_path)
    assert len(table) == 2
    assert [item.reason for item in table.skipped] == ["its name is not valid text (UTF-8); rename it"]
    table.skipped[0].path.encode()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ((), "holds no video; expected one folder for each class"),
        (("a/frame1.jpg", "a/frame2.jpg"), "only 2 other files such as frame1.jpg"),
        (("1.mp4", "2.mp4"), "holds 2 videos but no class folders"),
        (("train/a/1.mp4", "test/a/2.mp4"), "look like splits, not classes"),
    ],
)
def test_a_folder_that_cannot_be_used_gives_one_line(tmp_path, files, says):
    make_files(tmp_path, *files)
    with pytest.raises(KinemeError) as caught:
        scan(tmp_path)
    assert says in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_and_a_group_column_without_a_csv(tmp_path):
    with pytest.raises(KinemeError, match=r"nowhere: no such folder or CSV"):
        scan(tmp_path / "nowhere")
    make_files(tmp_path, "a/1.mp4", "b/2.mp4")
    with pytest.raises(UsageError, match=r"clips\.csv"):
        scan(tmp_path, group_column="person")


def test_labels_that_look_alike_are_one_class_or_are_named(tmp_path):
    labels = ["Wave", "wave ", "caf\u00e9", "cafe\u0301", "sit\u00a0 down\u200b", "sit down", "jump\n"]
    make_files(tmp_path, *(f"{number}.mp4" for number in range(len(labels))))
    rows = "".join(f'{number}.mp4,"{label}"\n' for number, label in enumerate(labels))
    table = scan(make_csv(tmp_path, "path,label\n" + rows))
    assert table.labels == ("Wave", "caf\u00e9", "jump", "sit down", "wave")
    (seen, unseen) = (next(line for line in table.warnings if word in line) for word in ("case", "invisible"))
    assert "'Wave', 'wave'" in seen
    assert "'sit down', 'sit down\\u200b'" in unseen
    latin_and_cyrillic = scan(make_csv(tmp_path, "path,label\na/1.mp4,pass\na/2.mp4,p\u0430ss\n"))
    assert any("look alike" in line for line in latin_and_cyrillic.warnings)


def test_thirteen_thousand_files_are_listed_without_opening_one(tmp_path):
    for number in range(13_000):
        folder = tmp_path / f"class{number % 100:02}"
        if number < 100:
            folder.mkdir()
        (folder / f"v_X_g{number % 25:02}_c{number:05}.avi").touch()
    table = scan(tmp_path)
    assert len(table) == 13_000
    assert table.rows["name"].is_sorted()
    assert not table.skipped


# CSVs


def test_a_csv_gives_labels_groups_splits_and_spans(tmp_path):
    path = make_csv(
        tmp_path,
        "path,label,group,split,start_s,end_s\n"
        "a/1.mp4,wave,anna,train,,\n"
        "a/1.mp4,jump,anna,train,2.5,4\n"
        "a/2.mp4,wave,bob,val,0,1.5\n"
        "b/3.mp4,jump,cleo,test,,\n",
    )
    table = scan(path)
    assert table.group_source == "the group column"
    assert table.rows.select("name", "label", "group", "start_s", "end_s", "split").rows() == [
        ("a/1.mp4", "wave", "anna", 0.0, None, "train"),
        ("a/1.mp4", "jump", "anna", 2.5, 4.0, "train"),
        ("a/2.mp4", "wave", "bob", 0.0, 1.5, "validation"),
        ("b/3.mp4", "jump", "cleo", 0.0, None, "test"),
    ]
    assert table.in_split("train").rows["label"].to_list() == ["wave", "jump"]
    assert not table.warnings
    with pytest.raises(UsageError):
        table.in_split("dev")


def test_parts_of_one_video_are_one_group(tmp_path):
    table = scan(make_csv(tmp_path, "path,label,start_s,end_s\na/1.mp4,wave,0,1\na/1.mp4,jump,1,2\na/2.mp4,wave,0,1\n"))
    assert table.group_source == "one group per video"
    assert table.rows["group"].to_list() == ["a/1.mp4", "a/1.mp4", "a/2.mp4"]
    assert any("column 'group'" in warning for warning in table.warnings)


@pytest.mark.parametrize(
    "text", ["\ufeffPath; Label\na/1.mp4;wave\nb/3.mp4;jump\n", "path\tlabel\na/1.mp4\twave\nb/3.mp4\tjump\n"]
)
def test_what_spreadsheets_write_is_read(tmp_path, text):
    assert scan(make_csv(tmp_path, text)).labels == ("jump", "wave")


def test_clips_csv_in_a_folder_is_used(tmp_path):
    make_csv(tmp_path, "path,label,person,camera\na/1.mp4,wave,anna,1\nb/3.mp4,wave,bob,1\n").rename(
        tmp_path / "clips.csv"
    )
    table = scan(tmp_path, group_column="person")
    assert table.rows["group"].to_list() == ["anna", "bob"]
    assert table.group_source == "the column 'person'"
    assert [warning for warning in table.warnings if "'camera'" in warning and "person" not in warning]


def test_a_video_that_is_not_there_and_a_repeated_row_are_skipped_with_the_reason(tmp_path):
    table = scan(
        make_csv(tmp_path, "path,label\na/1.mp4,wave\nb/gone.mp4,jump\na/1.mp4,wave\n./a/1.mp4,wave\na,jump\n")
    )
    assert table.rows["name"].to_list() == ["a/1.mp4"]
    assert sorted(item.reason for item in table.skipped) == [
        "is a folder, not a video",
        "line 4 repeats line 2",
        "line 5 repeats line 2",
        "no such file",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs one column 'path' in its first line, which holds nothing"),
        ("file,label\na/1.mp4,wave\n", "needs one column 'path' in its first line, which holds 'file', 'label'"),
        ("path,class\na/1.mp4,wave\n", "needs one column 'label'"),
        ("path,label\n", "lists no videos"),
        ("path,label\na/1.mp4,wave\nb/3.mp4, \n", "line 3: the label is empty"),
        ("path,label\n,wave\n", "line 2: the path is empty"),
        ("path,label\nc/1.mp4,wave\nc/2.mp4,wave\n", "none of its 2 videos is there"),
        ("path,label,start_s\na/1.mp4,wave,soon\n", "line 2: start_s must be a number of seconds, not 'soon'"),
        ("path,label,start_s\na/1.mp4,wave,-1\n", "line 2: start_s must be 0 or more"),
        ("path,label,start_s,end_s\na/1.mp4,wave,3,2\n", "line 2: start_s must be 0 or more and end_s greater"),
        ("path,label,start_s,end_s\na/1.mp4,wave,0,nan\n", "line 2: end_s must be a number of seconds, not 'nan'"),
        ("path,label,split\na/1.mp4,wave,training set\n", "line 2: the split must be one of train, validation, test"),
        ("path,label,split\na/1.mp4,wave,train\nb/3.mp4,wave,\n", "line 3: the split is empty"),
        ("path,label,group\na/1.mp4,wave,anna\nb/3.mp4,wave,\n", "line 3: the group is empty"),
        ("path,label\na/1.mp4,wave\na/1.mp4,jump\n", "line 3: a/1.mp4 is already in line 2"),
        ("path,label\na/1,5.mp4,wave\n", "line 2: more cells than columns"),
        ('path,label\n"a/1.mp4,wave\n', "is not a CSV that can be read"),
    ],
)
def test_a_wrong_csv_gives_one_line_that_names_the_place(tmp_path, text, says):
    path = make_csv(tmp_path, text)
    with pytest.raises(KinemeError) as caught:
        scan(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_csv_in_another_encoding_and_a_missing_group_column(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.mp4").write_bytes(b"x")
    assert scan(make_csv(tmp_path, "path,label\na/1.mp4,drücken\n", encoding="latin-1")).labels == ("drücken",)
    with pytest.raises(KinemeError, match="no column 'person' for the groups; it has 'path', 'label'"):
        scan(make_csv(tmp_path, "path,label\na/1.mp4,wave\n"), group_column="person")
    with pytest.raises(KinemeError, match="the column 'person' for the groups is empty"):
        scan(make_csv(tmp_path, "path,label,person\na/1.mp4,wave,\n"), group_column="person")


def test_a_video_given_instead_of_a_csv_is_named(tmp_path):
    file = tmp_path / "clip.mp4"
    file.write_bytes(bytes(range(256)))
    with pytest.raises(KinemeError, match=r"clip\.mp4: is a video; give a folder"):
        scan(file)


# Fingerprint and split.csv


def test_the_fingerprint_sees_the_data_and_neither_its_place_nor_its_order(tmp_path):
    first = scan(make_files(tmp_path / "one", "a/1.mp4", "a/2.mp4", "b/3.mp4"))
    shutil.copytree(tmp_path / "one", tmp_path / "moved")
    moved = scan(tmp_path / "moved")
    moved_fingerprint = moved.fingerprint()
    assert moved_fingerprint == first.fingerprint()
    assert type(first)(first.rows.reverse(), first.group_source).fingerprint() == first.fingerprint()

    (tmp_path / "moved" / "a" / "1.mp4").write_bytes(b"another length")
    assert scan(tmp_path / "moved").fingerprint() != first.fingerprint()
    (tmp_path / "one" / "a" / "2.mp4").rename(tmp_path / "one" / "b" / "2.mp4")
    with pytest.raises(KinemeError, match=r"2\.mp4"):
        first.fingerprint()
    assert scan(tmp_path / "one").fingerprint() != moved_fingerprint


def test_split_csv_comes_back_equal_and_finds_videos_that_moved(tmp_path):
    source = make_csv(
        tmp_path / "data", "path,label,group,split,start_s,end_s\na/1.mp4,wäve,x,train,0.1,2\nb/3.mp4,jump,y,test,,\n"
    )
    table = scan(source)
    written = tmp_path / "runs" / "1" / "split.csv"
    write_split_csv(table, written)
    assert written.read_text(encoding="utf-8").splitlines()[0].split(",")[:6] == [
        "path",
        "label",
        "group",
        "start_s",
        "end_s",
        "split",
    ]

    again = scan(written)
    assert again.rows.drop("path").equals(table.rows.drop("path"))
    assert [Path(a).samefile(b) for a, b in zip(again.rows["path"], table.rows["path"], strict=True)] == [True, True]
    fingerprint = table.fingerprint()
    assert again.fingerprint() == fingerprint

    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(KinemeError, match="none of its 2 videos"):
        scan(written)
    for data in (tmp_path / "elsewhere", tmp_path / "elsewhere" / "list.csv"):
        moved = read_split_csv(written, data)
        assert moved.rows.drop("path").equals(table.rows.drop("path"))
        assert moved.fingerprint() == fingerprint


def test_paths_relative_to_the_current_folder_stay_usable(tmp_path, monkeypatch):
    make_files(tmp_path / "data", "a/1.mp4", "b/2.mp4")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    table = scan(Path("..") / "data")
    write_split_csv(table, "run/split.csv")
    assert scan("run/split.csv").fingerprint() == table.fingerprint()


@pytest.mark.skipif(not UT_INTERACTION.is_dir(), reason="needs shared/data/ut-interaction beside the repository")
def test_a_real_set_is_read():
    table = scan(UT_INTERACTION)
    assert (len(table), len(table.labels), table.rows["group"].n_unique()) == (120, 6, 20)
    assert not table.skipped


def test_a_video_is_labelled_throughout_where_any_of_its_rows_says_so(tmp_path):
    make_files(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    csv = tmp_path / "parts.csv"
    csv.write_text(
        "path,label,start_s,end_s,labelled_throughout\n"
        "a.mp4,jump,0,1,\na.mp4,run,2,3,Yes\nb.mp4,jump,0,1,no\nc.mp4,run,0,1,\n",
        encoding="utf-8",
    )
    table = scan(csv)
    assert dict(zip(table.rows["name"], table.rows["labelled_throughout"], strict=True)) == {
        "a.mp4": True,
        "b.mp4": False,
        "c.mp4": None,
    }
    write_split_csv(table, tmp_path / "run" / "split.csv")
    assert scan(tmp_path / "run" / "split.csv").rows["labelled_throughout"].to_list() == [True, True, False, None]
    assert scan(csv).fingerprint() == table.fingerprint()
    plain = csv.read_text(encoding="utf-8").replace("Yes", "")
    csv.write_text(plain, encoding="utf-8")
    assert scan(csv).fingerprint() != table.fingerprint()
    for cell, message in (("maybe", "line 2: labelled_throughout must be yes or no"), ("no", "same in all rows of a")):
        csv.write_text(plain.replace("jump,0,1,\n", f"jump,0,1,{cell}\n").replace("run,2,3,", "run,2,3,yes"), "utf-8")
        with pytest.raises(KinemeError, match=message):
            scan(csv)
