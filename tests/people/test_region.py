"""The region of people: a window that follows them smoothly, and the same pixels on every road to the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers_people import edited_video
from helpers_stream import model_of, stream_file

from drawn_people.actions import BY_NAME
from drawn_people.render import Person, Shot, frames
from drawn_people.script import clip_script
from kineme.dataset.scan import scan
from kineme.errors import KinemeError, UsageError
from kineme.people.find import find_people
from kineme.people.region import RegionFollower, choose_track, region_clips, region_ticks
from kineme.training.cache import FrameCache
from kineme.training.persons import with_persons
from kineme.video.clips import read_clips
from kineme.video.decode import read_frames
from kineme.video.spec import ClipSpec
from kineme.video.write import VideoWriter

SPEC = ClipSpec(frames=6, fps=8.0, height=64, width=64, region="people")
FPS, SECONDS = 10, 2.4


def drawn(number: int, action: str) -> list[np.ndarray]:
    """A drawn person who does something, in the middle of 240 x 240 pixels."""
    rng = np.random.default_rng(number)
    person, shot = Person.draw(0, number), Shot.draw(np.random.default_rng(1), 240, 320)
    script = clip_script(BY_NAME[action], person.style, SECONDS, rng)
    return [frame[:, 40:280] for frame in frames(person, script, replace(shot, aside=0.0, pan=(0.0, 0.0)), FPS, rng)]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``one.mp4``: one person at the left of a wide picture; ``two.mp4``: and another at its right."""
    folder = tmp_path_factory.mktemp("people")
    waves, sits = drawn(2, "wave"), drawn(5, "squat")
    for name, right in (("one", None), ("two", sits)):
        (folder / name).mkdir()
        with VideoWriter(folder / name / f"{name}.mp4", width=480, height=240, fps=FPS) as writer:
            for number, frame in enumerate(waves):
                wide = np.full((240, 480, 3), 128, np.uint8)
                wide[:, :240] = frame
                if right:
                    wide[:, 240:] = right[number]
                writer.write(wide)
    return folder


def follow(boxes: list[list[float]], aspect: float = 1.0) -> list[tuple[float, ...]]:
    """The windows, in pixels of 1000 x 1000, after looks at one box each, an eighth of a second apart."""
    follower = RegionFollower(aspect)
    windows = []
    for look, box in enumerate(boxes):
        follower.see(np.array([box]) if box else np.zeros((0, 4)), (1000, 1000), look / 8)
        window = follower.window(look / 8)
        windows.append(tuple(1000 * side for side in window) if window else ())
    return windows


def test_the_window_has_the_aspect_of_the_clip_and_a_margin_and_stays_within_the_frame() -> None:
    for aspect in (1.0, 16 / 9, 0.5):
        ((left, top, right, bottom),) = follow([[450, 300, 520, 500]], aspect)
        assert (right - left) / (bottom - top) == pytest.approx(aspect)
        assert min(450 - left, right - 520, 300 - top, bottom - 500) > 10
    ((left, top, right, bottom),) = follow([[0, 0, 100, 200]])
    assert (left, top) == (0, 0)


def test_the_window_is_still_while_somebody_moves_within_it_and_follows_smoothly_who_walks() -> None:
    waving = [[400 - 60 * (look % 2), 300, 600 + 60 * (look % 2), 700] for look in range(40)]
    assert np.abs(np.diff(follow(waving)[16:], axis=0)).max() < 2
    walking = [[100 + 15 * look, 300, 200 + 15 * look, 600] for look in range(40)]
    windows = follow(walking)
    assert np.abs(np.diff(windows, n=2, axis=0)).max() < 15  # it changes its speed little
    assert all(left <= box[0] and box[2] <= right for (left, _, right, _), box in zip(windows, walking, strict=True))


def test_after_some_seconds_without_anybody_the_whole_frame_is_shown() -> None:
    windows = follow([[400, 300, 600, 700], *[[]] * 40])
    assert windows[20] == windows[0]
    assert windows[-1] == ()


def test_people_are_cut_out_at_the_size_of_the_clip(people: Path) -> None:
    one, two = (list(region_clips(people / name / f"{name}.mp4", SPEC))[-1].frames_THWC for name in ("one", "two"))
    assert one.any(axis=(0, 2, 3)).all()  # of one person, the window lies within the frame
    assert not two[-1, :5].any()  # over both it is wider than the frame is high, and black beyond it
    assert not two[-1, -5:].any()
    assert two[-1, 32].any()


def test_one_of_several_people_is_shown_by_track_or_else_the_one_who_moves_most(people: Path) -> None:
    path, spec = people / "two" / "two.mp4", replace(SPEC, region="person")
    found = find_people(path)
    assert len(found.tracks) == 2
    of_tracks = {one.id: [frame for _, frame in region_ticks(path, spec, track=one.id)] for one in found.tracks}
    notes: list[str] = []
    chosen = [frame for _, frame in region_ticks(path, spec, on_warning=notes.append)]
    assert np.array_equal(chosen, of_tracks[choose_track(found)])
    assert not np.array_equal(*of_tracks.values())
    assert any("2 people; the one who moves most" in note for note in notes)


def test_a_table_says_whom_a_label_is_about(people: Path, tmp_path: Path) -> None:
    boxes = ["0 0 240 240", "240 0 480 240"]
    rows = [f"{people}/two/two.mp4,{label},{box}" for label, box in zip(("wave", "squat"), boxes, strict=True)]
    table = tmp_path / "clips.csv"
    table.write_text("path,label,person_box\n" + "\n".join(rows) + f"\n{people}/one/one.mp4,wave,240 0 480 240\n")
    found = scan(table)
    cache = FrameCache(replace(SPEC, region="person"), folder=tmp_path / "cache")
    readable, items = cache.prepare(found, found.labels)
    assert set(readable.rows["label"]) == {"wave", "squat"}
    assert readable.rows["track"].n_unique() == 2
    assert not np.array_equal(*(cache.window(item, 0) for item in items))
    (left_out,) = readable.skipped
    assert "nobody was found in its person_box 240 0 480 240" in left_out.reason
    for wrong in ("1 2 3", "5 5 1 9", "a b c d"):
        table.write_text(f'path,label,person_box\n{people}/two/two.mp4,wave,"{wrong}"\n')
        with pytest.raises(KinemeError, match="line 2: person_box must be 'x0 y0 x1 y1'"):
            scan(table)


def test_a_clip_with_a_cut_in_it_is_told(tmp_path: Path) -> None:
    edited_video(tmp_path / "edited.mp4")
    rows = [f"edited.mp4,{label},{start},{end}" for label, start, end in (("a", 0, 2.9), ("b", 3.1, 6))]
    for name, said in (("whole", ["edited.mp4,a,,"]), ("shots", rows)):
        (tmp_path / f"{name}.csv").write_text("path,label,start_s,end_s\n" + "\n".join(said) + "\n")
    spec = replace(SPEC, region="person")
    of_whole, of_shots = (with_persons(scan(tmp_path / f"{name}.csv"), spec).warnings for name in ("whole", "shots"))
    assert any("edited videos: 'edited.mp4'" in line for line in of_whole)
    assert not any("edited videos" in line for line in of_shots)


def test_nobody_there_is_the_whole_frame_with_a_note(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "empty.mp4", width=96, height=64, fps=FPS) as writer:
        for _ in range(8):
            writer.write(np.full((64, 96, 3), 90, np.uint8))
    for region in ("people", "person"):
        notes: list[str] = []
        spec = replace(SPEC, region=region)  # type: ignore[arg-type]
        seen = [frame for _, frame in region_ticks(tmp_path / "empty.mp4", spec, on_warning=notes.append)]
        whole = [frame for _, frame in region_ticks(tmp_path / "empty.mp4", replace(SPEC, region="frame"))]
        assert np.array_equal(seen, whole)
        assert any("nobody was found" in note for note in notes)


def test_training_and_prediction_and_a_stream_see_the_same_pixels(people: Path, tmp_path: Path) -> None:
    path = people / "two" / "two.mp4"
    clips = list(region_clips(path, SPEC, stride=1))
    table = scan(people)
    cache = FrameCache(SPEC, folder=tmp_path / "cache")
    _, items = cache.prepare(table, table.labels)
    (item,) = [one for one in items if one.path.endswith("two.mp4")]
    for start, clip in enumerate(clips):
        np.testing.assert_array_equal(cache.window(item, 2 * start), clip.frames_THWC)

    model = model_of("lrcn", SPEC)
    expected_WK = model.probabilities(model.network.predict_on_batch(np.stack([clip.frames_THWC for clip in clips])))
    np.testing.assert_allclose(model.predict(path, engine="keras").window_probabilities_WK, expected_WK, atol=1e-6)
    stream = model.stream(engine="keras")
    np.testing.assert_allclose(stream_file(stream, path, SPEC), expected_WK, atol=1e-6)
    with pytest.raises(UsageError, match="must be a Converter"):
        stream.push(next(read_frames(path)), 0.0, convert=lambda frame: frame.pixels_HWC)
    with pytest.raises(UsageError, match=r"kineme\.people\.region"):
        next(read_clips(path, SPEC))
