"""The audit of a data set: planted faults are named, copies are found however they were made, and nothing else is."""

from __future__ import annotations

import gc
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from helpers_scenes import COUNT, HEIGHT, WIDTH, save, scene, scenes_of_people
from helpers_video import cut_file, encode, sound_only, turn_mp4

from kineme.dataset.audit.audit import audit, check_splits, document_of
from kineme.dataset.audit.cache import InspectionCache
from kineme.dataset.audit.inspection import Broken, Inspection, inspect_video
from kineme.dataset.scan import scan
from kineme.errors import KinemeError
from kineme.video.spec import ClipSpec

SPEC = ClipSpec(frames=8, fps=8)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return scenes_of_people(tmp_path_factory.mktemp("people") / "set", 5)


def findings(folder: Path, **options: object) -> set[tuple[str, str, tuple[str, ...]]]:
    seen = audit(scan(folder), ClipSpec(**{"frames": 8, "fps": 8, **options}))  # type: ignore[arg-type]
    return {(one.severity, one.kind, tuple(name.split("/")[-1] for name in one.names)) for one in seen.findings}


def test_nothing_is_said_of_a_set_without_faults(people):
    assert findings(people) == set()


def test_each_fault_is_named_with_its_kind_and_file(people, tmp_path):
    data = tmp_path / "set"
    shutil.copytree(people, data)
    good = data / "left" / "person00_left.mp4"
    (data / "left" / "person10_empty.mp4").write_bytes(b"")
    (data / "left" / "person11_noise.mp4").write_bytes(np.random.default_rng(0).bytes(3000))
    sound_only(data / "left" / "person12_sound.mp4")
    cut_file(encode(tmp_path / "whole.mp4", scene(13)), 0.5, data / "left" / "person13_cut.mp4")
    save(data / "left" / "person14_part.avi", scene(14))
    cut_file(data / "left" / "person14_part.avi", 0.6, data / "left" / "person14_part.avi")
    save(tmp_path / "other.mp4", scene(15)).rename(data / "left" / "person15_other.avi")
    times = [number / 20 + 0.02 * (number % 3) for number in range(COUNT)]
    encode(data / "left" / "person16_uneven.mp4", scene(16), times_s=times)
    turn_mp4(save(data / "left" / "person17_turned.mp4", scene(17)), 90)
    save(data / "left" / "person18_short.mp4", scene(18, count=8))
    save(data / "left" / "person19_black.mp4", (frame * 0 for frame in scene(19)))
    save(data / "left" / "person20_still.mp4", [next(scene(20))] * COUNT)
    save(data / "left" / "person22_edited.mp4", [*scene(22), *scene(23)])
    save(data / "left-" / "person01_odd.mp4", scene(21))
    (data / "left" / "notes.txt").write_text("no video")
    shutil.copyfile(good, data / "left" / "video.bak")
    found = findings(data)
    assert {
        ("error", "zero-length", ("person10_empty.mp4",)),
        ("error", "unreadable", ("person11_noise.mp4",)),
        ("error", "audio-only", ("person12_sound.mp4",)),
        ("error", "truncated", ("person13_cut.mp4",)),
        ("warning", "truncated", ("person14_part.avi",)),
        ("warning", "wrong-extension", ("person15_other.avi",)),
        ("note", "variable-rate", ("person16_uneven.mp4",)),
        ("note", "edited", ("person22_edited.mp4",)),
        ("note", "rotated", ("person17_turned.mp4",)),
        ("warning", "too-short", ("person18_short.mp4",)),
        ("warning", "black", ("person19_black.mp4",)),
        ("warning", "frozen", ("person20_still.mp4",)),
        ("warning", "similar-names", ("left", "left-")),
        ("error", "few-groups", ("left-",)),
        ("warning", "unbalanced", ("left-", "left")),
        ("note", "not-used", ("notes.txt",)),
        ("warning", "wrong-extension", ("video.bak",)),
        ("error", "no-split", ()),
    } == found


def test_what_is_too_short_depends_on_the_clip(people):
    assert {kind for _, kind, _ in findings(people, frames=24)} == {"too-short"}
    (severity, _, names) = next(iter(findings(people, frames=24, short="refuse")))
    assert (severity, len(names)) == ("warning", 10)


def changed(how: str, seed: int) -> tuple[list[np.ndarray], int]:
    frames, fps = list(scene(seed)), 20
    if how == "mirrored":
        frames = [frame[:, ::-1] for frame in frames]
    elif how == "cropped":
        frames = [frame[8:104, 20:150] for frame in frames]
    elif how == "letterboxed":
        frames = [cv2.copyMakeBorder(frame, 20, 20, 0, 0, cv2.BORDER_CONSTANT) for frame in frames]
    elif how == "faster":
        fps = 32
    elif how == "cut":
        frames = frames[6:-5]
    elif how == "smaller":
        frames = [cv2.resize(frame, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA) for frame in frames]
    elif how == "half the frames":
        frames, fps = frames[::2], 10
    return [np.ascontiguousarray(frame) for frame in frames], fps


@pytest.mark.parametrize(
    "how", ["mirrored", "cropped", "letterboxed", "faster", "cut", "smaller", "half the frames", "worse"]
)
def test_a_copy_is_found_however_it_was_made_and_nothing_else_is(people, tmp_path, how):
    shutil.copytree(people, tmp_path / "set")
    frames, fps = changed(how, 2)
    save(tmp_path / "set" / "left" / "person30_left.mkv", frames, fps=fps, crf=34 if how == "worse" else 24)
    seen = audit(scan(tmp_path / "set"), SPEC)
    names = [row.split("/")[-1] for row in seen.table.rows["name"]]
    assert {(names[one.first], names[one.second]) for one in seen.copies} == {
        ("person02_left.mp4", "person30_left.mkv")
    }
    assert [(one.severity, one.kind) for one in seen.findings] == [("error", "near-duplicate")]
    message = seen.findings[0].message
    assert ("mirrored" in message) == (how == "mirrored")
    assert ("another speed" in message) == (how == "faster")
    assert ("cropped" in message) == (how in ("cropped", "letterboxed"))


def test_takes_of_another_movement_in_one_place_are_one_scene_and_no_copies(people, tmp_path):
    shutil.copytree(people, tmp_path / "set")
    save(tmp_path / "set" / "left" / "person40_left.mp4", scene(1, take=7))
    seen = audit(scan(tmp_path / "set"), SPEC)
    assert not seen.copies
    (one,) = seen.findings
    assert one.kind == "same-scene"
    assert set(one.names) == {"left/person01_left.mp4", "left/person40_left.mp4", "right/person01_right.mp4"}
    assert (one.severity, "2 of 6 groups" in one.message) == ("note", True)  # both classes were filmed there


def table_of(people: Path, *copies: tuple[str, str, str, str]) -> object:
    """The set's table with more rows: path, label, group and split of each; the other rows are for training."""
    table = scan(people)
    rows = table.rows.with_columns(
        split=pl.when(pl.col("group") == "person04").then(pl.lit("test")).otherwise(pl.lit("train"))
    )
    more = [
        {"path": path, "name": Path(path).name, "label": label, "group": group, "start_s": 0.0, "split": split}
        for path, label, group, split in copies
    ]
    return replace(table, rows=pl.concat([rows, pl.DataFrame(more, schema=rows.schema)]) if more else rows)


def test_a_split_with_the_same_video_on_two_sides_is_refused_unless_allowed(people, tmp_path):
    copy = shutil.copyfile(people / "left" / "person00_left.mp4", tmp_path / "again.mp4")
    assert check_splits([table_of(people)]) == []
    leaky = table_of(people, (str(copy), "left", "person09", "test"))
    with pytest.raises(
        KinemeError, match=r"the data leaks: .*person00_left.mp4 and again.mp4 .*train and test.*allow-leaks"
    ):
        check_splits([leaky])
    assert [(one.severity, one.kind) for one in check_splits([leaky], allow=True)] == [("error", "duplicate")]
    same_side = table_of(people, (str(copy), "left", "person00", "train"))
    assert [(one.severity, one.kind) for one in check_splits([same_side])] == [("warning", "duplicate")]


def test_one_video_under_two_labels_is_refused_on_whatever_side(people, tmp_path):
    copy = save(tmp_path / "again.mp4", changed("mirrored", 0)[0])
    with pytest.raises(KinemeError, match="under the labels 'left', 'right'"):
        check_splits([table_of(people, (str(copy), "right", "person00", "train"))])


def test_a_look_is_kept_until_the_file_changes(people, tmp_path):
    video = shutil.copyfile(people / "left" / "person00_left.mp4", tmp_path / "a.mp4")
    row = {"path": str(video), "start_s": 0.0, "end_s": None}
    cache = InspectionCache(tmp_path / "inspections")
    first = cache.inspect(row)
    assert isinstance(first, Inspection)
    content, stat = video.read_bytes(), video.stat()
    video.write_bytes(bytes(len(content)))
    os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = cache.inspect(row)  # it does not open the file
    assert isinstance(again, Inspection)
    np.testing.assert_array_equal(again.thumbnails_THW, first.thumbnails_THW)
    os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    assert isinstance(cache.inspect(row), Broken)
    video.write_bytes(content)
    os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (kept,) = (tmp_path / "inspections").glob("*.look")
    kept.write_bytes(kept.read_bytes()[:100])
    assert isinstance(cache.inspect(row), Inspection)


def test_many_threads_may_read_kept_looks_while_python_collects_garbage(people, tmp_path):
    video = people / "left" / "person00_left.mp4"
    row = {"path": str(video), "start_s": 0.0, "end_s": None}
    cache = InspectionCache(tmp_path / "inspections")
    cache.inspect(row)

    def other_threads_go_on(phase: str, info: dict[str, int]) -> None:
        time.sleep(0)

    threshold = gc.get_threshold()
    gc.callbacks.append(other_threads_go_on)
    gc.set_threshold(5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(isinstance(inspection, Inspection) for inspection in pool.map(cache.inspect, [row] * 400))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(other_threads_go_on)


def test_a_labelled_part_is_looked_at_by_itself(people):
    whole = inspect_video(people / "left" / "person00_left.mp4")
    part = inspect_video(people / "left" / "person00_left.mp4", 0.5, 1.5)
    assert isinstance(whole, Inspection)
    assert isinstance(part, Inspection)
    assert whole.facts.duration_s == pytest.approx(2.0)
    assert part.facts.duration_s == pytest.approx(1.0)
    assert not np.array_equal(whole.thumbnails_THW, part.thumbnails_THW)


def parts_of(people: Path, text: str, folder: Path) -> set[tuple[str, str, tuple[str, ...]]]:
    """What an audit says of parts of the set's videos; ``text`` lists path, label, group, start, end and split."""
    for name in ("person00_left", "person01_left", "person02_left"):
        shutil.copyfile(people / "left" / f"{name}.mp4", folder / f"{name[6:8]}.mp4")
    (folder / "parts.csv").write_text("path,label,group,start_s,end_s,split\n" + text)
    seen = audit(scan(folder / "parts.csv"), ClipSpec(frames=8, fps=8))
    kinds = {"short-labels", "too-short", "overlapping-parts", "split-recording", "near-duplicate", "two-labels"}
    return {(one.severity, one.kind, one.names) for one in seen.findings if one.kind in kinds}


def test_parts_that_overlap_across_a_split_are_an_error_and_one_recording_on_two_sides_is_a_warning(people, tmp_path):
    rows = (
        "00.mp4,wave,anna,0,1,train\n00.mp4,wave,ben,0.3,1.3,test\n01.mp4,wave,carl,0,0.8,train\n"
        "01.mp4,jump,dora,1,1.8,test\n02.mp4,jump,ed,0,1,train\n02.mp4,wave,ed,0.1,0.9,train\n"
    )
    assert parts_of(people, rows, tmp_path) == {
        ("error", "overlapping-parts", ("00.mp4",)),
        ("warning", "split-recording", ("01.mp4",)),
        ("warning", "overlapping-parts", ("02.mp4",)),
    }
    with pytest.raises(KinemeError, match=r"0 s to 1 s and 0\.3 s to 1\.3 s of 00\.mp4 overlap, on different sides"):
        check_splits([scan(tmp_path / "parts.csv")])


def test_two_people_in_a_video_may_do_different_things_at_once(people, tmp_path):
    shutil.copyfile(people / "left" / "person00_left.mp4", tmp_path / "00.mp4")
    for boxes, expected in ((("0 0 20 60", "30 0 60 60"), set()), (("0 0 20 60",) * 2, {"overlapping-parts"})):
        rows = [f"00.mp4,jump,0,1.5,{boxes[0]}", f"00.mp4,wave,0,1.4,{boxes[1]}"]
        (tmp_path / "parts.csv").write_text("path,label,start_s,end_s,person_box\n" + "\n".join(rows) + "\n")
        seen = audit(scan(tmp_path / "parts.csv"), ClipSpec(frames=8, fps=8))
        assert {one.kind for one in seen.findings if one.kind == "overlapping-parts"} == expected


def test_labels_much_shorter_than_a_clip_are_named_and_parts_are_not_counted_as_videos(people, tmp_path):
    rows = "00.mp4,wave,anna,0,0.3,\n00.mp4,wave,anna,0.4,0.7,\n01.mp4,jump,ben,0,0.8,\n02.mp4,jump,ed,0,,\n"
    found = parts_of(people, rows.replace(",\n", "\n").replace("split\n", "\n"), tmp_path)
    assert found == {("warning", "short-labels", ("00.mp4",))}
    seen = audit(scan(tmp_path / "parts.csv"), ClipSpec(frames=8, fps=8))
    data = document_of(seen, tmp_path)["data"]
    assert (data["videos"], data["parts"]) == (3, 3)
    assert data["classes"] == [("jump", 2, 2, 0.0), ("wave", 2, 1, 0.0)]


def test_files_of_equal_bytes_that_nobody_can_read_are_no_leak(people, tmp_path):
    shutil.copytree(people, tmp_path / "set")
    for name in ("left/person20_left.mp4", "right/person21_right.mp4"):
        (tmp_path / "set" / name).write_bytes(bytes(2000))
    assert {kind for _, kind, _ in findings(tmp_path / "set")} == {"unreadable"}
    check_splits([table_of(tmp_path / "set")])
