"""Everybody in a video is found and followed, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers_people import edited_video, frames, need_movenet, people_video

import kineme
from kineme.errors import UsageError, VideoError
from kineme.models import weights
from kineme.people.detector import crops_of, parts_of
from kineme.people.find import people_cache
from kineme.people.tracks import packed, unpacked
from kineme.video.container import NamedFile
from kineme.video.write import VideoWriter


@pytest.fixture(autouse=True, scope="module")
def _movenet() -> None:
    need_movenet()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of tracks."""
    weights_file = weights.require("movenet")["movenet.tflite"]
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    (tmp_path / "cache" / "weights" / weights_file.name).symlink_to(weights_file)
    return tmp_path / "cache" / "people"


def test_two_people_are_two_tracks_from_their_first_to_their_last_frame(tmp_path, cache):
    video = people_video(
        tmp_path / "two.mp4", [lambda s: 0.02 if s < 1.5 else None, lambda s: 0.55 if s >= 0.5 else None], 2.5
    )
    people = kineme.find_people(video)
    assert (people.width, people.height, len(people.times_T)) == (426, 240, 20)
    left, right = people.tracks
    assert (left.id, right.id) == (1, 2)
    assert (left.start_s, left.end_s) == pytest.approx((0.0, 1.375), abs=0.13)
    assert (right.start_s, right.end_s) == pytest.approx((0.5, 2.375), abs=0.13)
    assert people.counts.max() == 2
    assert left.joints_TJC.shape == (len(left.times_T), 17, 3)
    assert left.boxes_T4[:, 2].max() < right.boxes_T4[:, 0].min() + 20
    x0, y0, x1, y1 = right.box_at(1.0)
    assert 0.5 * 426 < x0 < x1 < 1.02 * 426
    assert 20 < y0 < y1 <= 241


def test_who_walks_past_another_keeps_the_number(tmp_path, cache):
    video = people_video(tmp_path / "pass.mp4", [lambda s: 0.3, lambda s: -0.2 + 0.25 * s], 4.0)
    people = kineme.find_people(video)
    walker = max(people.tracks, key=lambda one: np.ptp(one.boxes_T4[:, 0]))
    assert walker.end_s - walker.start_s > 2.5
    middles_T = (walker.boxes_T4[:, 0] + walker.boxes_T4[:, 2]) / 2
    assert middles_T[-1] - middles_T[0] > 0.4 * 426


def test_nobody_gives_no_tracks(tmp_path, cache):
    video = people_video(tmp_path / "empty.mp4", [], 1.0)
    people = kineme.find_people(video)
    assert people.tracks == ()
    assert people.counts.tolist() == [0] * 8


def test_a_mirror_image_has_the_same_people_mirrored(tmp_path, cache):
    places = [lambda s: 0.05, lambda s: 0.5 + 0.05 * s]
    one = kineme.find_people(people_video(tmp_path / "one.mp4", places, 1.0))
    mirrored = tmp_path / "mirrored.mp4"
    with VideoWriter(mirrored, width=426, height=240, fps=8) as writer:
        for frame in frames(places, 1.0):
            writer.write(frame[:, ::-1])
    other = kineme.find_people(mirrored)
    assert len(one.tracks) == len(other.tracks) == 2
    boxes = sorted(track.boxes_T4[-1].tolist() for track in one.tracks)
    back = sorted([426 - x1, y0, 426 - x0, y1] for x0, y0, x1, y1 in (t.boxes_T4[-1].tolist() for t in other.tracks))
    assert np.abs(np.array(boxes) - np.array(back)).max() < 25


def test_the_second_call_reads_the_cache_and_a_changed_file_does_not(tmp_path, cache):
    video = people_video(tmp_path / "one.mp4", [lambda s: 0.3], 0.5)
    told: list[float] = []
    first = kineme.find_people(video, on_progress=told.append)
    assert len(told) == 4
    again = kineme.find_people(video, on_progress=told.append)
    assert len(told) == 4
    assert np.array_equal(first.tracks[0].joints_TJC, again.tracks[0].joints_TJC)
    assert first.times_T.tolist() == again.times_T.tolist()
    kineme.find_people(video, rate=4.0, on_progress=told.append)
    assert len(told) == 6
    for entry in cache.glob("*.people"):
        entry.write_bytes(entry.read_bytes()[:50])  # damaged: looked at again
    assert len(kineme.find_people(video, on_progress=told.append).tracks) == 1
    assert len(told) == 10
    people_video(video, [], 0.5)
    assert kineme.find_people(video).tracks == ()


def test_a_file_that_messages_call_by_another_name_is_read_by_its_own(tmp_path, cache):
    video = people_video(tmp_path / "one.mp4", [lambda s: 0.3], 0.5)
    assert len(kineme.find_people(NamedFile(str(video), "https://example.org/clip.mp4")).tracks) == 1


def test_two_processes_find_the_same_and_leave_one_entry(tmp_path, cache):
    video = people_video(tmp_path / "one.mp4", [lambda s: 0.3], 0.5)
    code = f"import kineme; print(kineme.find_people({str(video)!r}).tracks)"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[0] for process in running}
    assert len(said) == 1
    assert "Track(1, " in said.pop()
    assert len(list(cache.iterdir())) == 1


def test_tracks_survive_being_stored_to_the_bit(tmp_path, cache):
    people = kineme.find_people(people_video(tmp_path / "one.mp4", [lambda s: 0.3], 0.5))
    back = unpacked(packed(people))
    assert (back.width, back.height) == (people.width, people.height)
    for name in ("times_T", "joints_TJC", "boxes_T4", "scores_T"):
        assert np.array_equal(getattr(back.tracks[0], name), getattr(people.tracks[0], name))
    for damaged in (b"", b"\x00" * 40, packed(people)[:-5]):
        with pytest.raises(ValueError):  # noqa: PT011
            unpacked(damaged)


def test_a_second_look_finds_people_who_are_too_small_for_the_first(tmp_path, cache):
    places = [lambda s: 0.1, lambda s: 0.8 - 0.02 * s]
    video = people_video(tmp_path / "far.mp4", places, 1.0, size=(720, 1280), height=100)
    assert kineme.find_people(video, second_look=False).tracks == ()
    left, right = sorted(kineme.find_people(video).tracks, key=lambda one: one.boxes_T4[0, 0])
    assert left.boxes_T4[-1, 0] == pytest.approx(140, abs=25)
    assert right.boxes_T4[-1, 0] == pytest.approx(1015, abs=25)
    assert 60 < left.median_height < 110


def test_a_second_look_finds_large_people_once(tmp_path, cache):
    video = people_video(tmp_path / "near.mp4", [lambda s: 0.05, lambda s: 0.5], 0.5, size=(480, 854), height=400)
    assert len(kineme.find_people(video).tracks) == 2


def test_crops_hold_their_people_and_neighbours_share_one():
    boxes_P4 = np.array([(100, 100, 120, 160), (125, 100, 145, 160), (500, 10, 520, 70), (630, 400, 640, 460)], float)
    crops = crops_of(boxes_P4.astype(np.float32), 480, 640)
    assert len(crops) == 3
    for top, left, bottom, right in crops:
        assert 0 <= top < bottom <= 480
        assert 0 <= left < right <= 640
        assert bottom - top == right - left
    for x0, y0, x1, y1 in boxes_P4:
        assert any(top <= y0 and left <= x0 and y1 <= bottom and x1 <= right for top, left, bottom, right in crops)


@pytest.mark.parametrize("size", [(64, 64), (240, 320), (480, 640), (1080, 1920), (2160, 3840), (300, 9000)])
def test_parts_cover_the_frame_and_are_few(size):
    height, width = size
    parts = parts_of(height, width)
    assert len(parts) <= 120
    if parts:
        seen = np.zeros((height, width), bool)
        for top, left, bottom, right in parts:
            assert 0 <= top < bottom <= height
            assert 0 <= left < right <= width
            seen[top:bottom, left:right] = True
        assert seen.all()


def test_what_cannot_be_used_says_so(tmp_path):
    with pytest.raises(VideoError, match="cannot be opened"):
        kineme.find_people(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no")
    with pytest.raises(VideoError):
        kineme.find_people(tmp_path / "text.mp4")
    with pytest.raises(UsageError, match="fps"):
        kineme.find_people(tmp_path / "text.mp4", rate=0.0)
    assert people_cache().problem is None


def test_a_cut_ends_all_tracks_and_who_comes_after_it_is_somebody_new(tmp_path, cache):
    people = kineme.find_people(edited_video(tmp_path / "edited.mp4"))
    assert people.cuts == pytest.approx([3.0])
    assert unpacked(packed(people)).cuts == people.cuts
    before, after = people.tracks
    assert (before.start_s, before.end_s) == pytest.approx((0.0, 2.875))
    assert (after.start_s, after.end_s) == pytest.approx((3.0, 5.875))
