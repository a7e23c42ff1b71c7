"""The leak search refuses one recording on two sides, and lets different takes be that look alike."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers_scenes import COUNT, HEIGHT, WIDTH, save, scene
from helpers_takes import pose_take, save_take, screen_take

from kineme.dataset.audit.audit import audit, check_splits
from kineme.dataset.audit.copies import find_near_duplicates
from kineme.dataset.audit.inspection import FRAMES, SIDE
from kineme.dataset.audit.signature import make_signature
from kineme.dataset.scan import scan
from kineme.errors import KinemeError
from kineme.video.decode import read_frames
from kineme.video.spec import ClipSpec


def table_of(folder: Path, *rows: tuple[Path, str, str]) -> Path:
    """A table of videos, their labels and splits, each video a group of its own."""
    table = folder / "clips.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group", "split"])
        writer.writerows([path, label, path.name, split] for path, label, split in rows)
    return table


def said_of(table: Path) -> set[tuple[str, str]]:
    kinds = {"near-duplicate", "two-labels", "look-alike"}
    return {(one.severity, one.kind) for one in audit(scan(table), ClipSpec()).findings if one.kind in kinds}


@pytest.fixture(scope="module")
def takes(tmp_path_factory):
    """Two slow takes of one pose by one person, and one of another person."""
    folder = tmp_path_factory.mktemp("takes")
    found = [save_take(folder / f"{n}.mp4", pose_take(0, "forward-fold", n, slow=True)) for n in range(2)]
    return [*found, save_take(folder / "other.mp4", pose_take(2, "warrior", 0, slow=True))]


def test_slow_takes_of_one_pose_are_a_note_and_do_not_stop_the_training(takes, tmp_path):
    first, second, other = takes
    table = table_of(tmp_path, (first, "fold", "train"), (second, "fold", "test"), (other, "bow", "train"))
    assert said_of(table) == {("note", "look-alike")}
    assert [one.kind for one in check_splits([scan(table)])] == ["look-alike"]


@pytest.mark.parametrize("how", ["worse", "mirrored", "cropped", "faster"])
def test_a_copy_of_a_slow_take_is_refused(takes, tmp_path, how):
    pixels = [frame.pixels_HWC for frame in read_frames(takes[0])]
    changes = {
        "worse": lambda frame: cv2.resize(frame, (160, 120), interpolation=cv2.INTER_AREA),
        "mirrored": lambda frame: frame[:, ::-1],
        "cropped": lambda frame: frame[10:226, 16:304],
        "faster": lambda frame: frame,
    }
    copy = save(tmp_path / "copy.mp4", map(changes[how], pixels), fps=20 if how == "faster" else 15, crf=30)
    table = table_of(tmp_path, (takes[0], "fold", "train"), (takes[2], "bow", "train"), (copy, "fold", "test"))
    assert said_of(table) == {("error", "near-duplicate")}
    with pytest.raises(KinemeError, match=r"the data leaks: .* show the same"):
        check_splits([scan(table)])


def test_recordings_of_one_screen_are_no_leak(tmp_path):
    files = [save_take(tmp_path / f"{n}.mp4", screen_take(0, "menu", n)) for n in range(4)]
    rows = [(path, "menu", "train" if number % 2 else "test") for number, path in enumerate(files)]
    assert said_of(table_of(tmp_path, *rows)) == {("note", "look-alike")}


def test_where_nothing_moves_one_recording_cannot_be_proved(tmp_path):
    still = next(scene(0))
    save(tmp_path / "a.mp4", [still] * COUNT, crf=16)
    save(tmp_path / "b.mp4", [cv2.resize(still, (2 * WIDTH, 2 * HEIGHT))] * COUNT, crf=16)
    table = table_of(tmp_path, (tmp_path / "a.mp4", "empty", "train"), (tmp_path / "b.mp4", "closed", "test"))
    assert said_of(table) == {("note", "look-alike")}


def test_comparing_many_videos_takes_little_memory():
    rng = np.random.default_rng(0)
    signatures = [make_signature(rng.integers(0, 256, (FRAMES, SIDE, SIDE), np.uint8), 1.0) for _ in range(400)]
    tracemalloc.start()
    try:
        assert find_near_duplicates(signatures, [f"{number}.mp4" for number in range(400)]) == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 60e6  # all windows of all pairs at once: 220 MB
