"""Contact sheets: rows, frames in order of time, labels, and the choice of videos of a table."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kineme.errors import KinemeError, VideoError
from kineme.report.contact_sheet import contact_sheet, contact_sheet_of
from kineme.video.write import VideoWriter


def brightening(path, tint):
    """A video of 24 frames that goes from dark to bright in one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=80, height=60, fps=12) as writer:
        for number in range(24):
            writer.write(np.broadcast_to(np.uint8(np.array(tint) * (10 + 9 * number)), (60, 80, 3)).copy())
    return path


def test_a_row_shows_its_label_and_its_frames_in_order(tmp_path):
    videos = [
        (brightening(tmp_path / f"{name}.mp4", tint), name) for name, tint in (("grey", (1, 1, 1)), ("red", (1, 0, 0)))
    ]
    picture = contact_sheet(videos, tmp_path / "sheets" / "sheet.png", columns=5, height=48)
    sheet = cv2.imread(str(picture))[..., ::-1].astype(int)
    rows = [sheet[4:52], sheet[56:104]]
    assert sheet.shape[0] == 108
    left = sheet.shape[1] - 4 - 5 * 64 - 4 * 2  # frames of 64 x 48, two pixels between them
    for row, colours in zip(rows, ((1, 1, 1), (1, 0, 0)), strict=True):
        assert row[:, :left].min() < 100  # dark letters on white
        levels = [row[10:40, left + 66 * number + 5 : left + 66 * number + 60].mean(axis=(0, 1)) for number in range(5)]
        assert (np.diff([level[0] for level in levels]) > 20).all()
        assert (levels[-1][1] > 100) == bool(colours[1])


def test_the_sheet_of_a_table_shows_each_class_with_different_people(tmp_path):
    lines = ["path,label,group"]
    for label in ("walk", "run"):
        for number in range(3):
            brightening(tmp_path / label / f"{number}.mp4", (1, 1, 0))
            lines.append(f"{label}/{number}.mp4,{label},person{min(number, 1)}")
    (tmp_path / "clips.csv").write_text("\n".join(lines) + "\n")
    picture = cv2.imread(str(contact_sheet_of(tmp_path / "clips.csv", tmp_path / "sheet.png", per_class=2)))
    assert picture.shape[0] == 4 + 4 * 100


def test_frames_can_be_shown_as_a_network_sees_them(tmp_path):
    path = brightening(tmp_path / "a.mp4", (1, 1, 1))
    sheet = cv2.imread(str(contact_sheet([(path, "a")], tmp_path / "sheet.png", columns=3, height=64, size=(32, 32))))
    assert (sheet[10:60, -60:-10] > 150).all()
    assert sheet.shape[0] == 72
    assert sheet.shape[1] < 3 * 66 + 60


def test_what_cannot_be_shown_is_named(tmp_path):
    with pytest.raises(KinemeError, match="no video to show"):
        contact_sheet([], tmp_path / "sheet.png")
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(VideoError, match=r"text\.mp4"):
        contact_sheet([(tmp_path / "text.mp4", "a")], tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()
