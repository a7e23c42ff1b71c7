"""The synthetic set as files: balance, determinism, resumption, errors, and that nothing but the movement tells."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers_boxes import true_boxes
from scipy.stats import chi2_contingency, kruskal

from drawn_people.make import ACTIONS, _clip_jobs, _format, _length_s, _rate, make_dataset
from kineme.errors import KinemeError, UsageError
from kineme.video.clips import read_sampled_video
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

SMALL = {
    "clips": 10,
    "people": 3,
    "actions": ("sit-down", "stand-up", "wave"),
    "untrimmed": 1,
    "width": 160,
    "height": 120,
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pixels(path: Path, fps: float = 8.0) -> np.ndarray:
    return read_sampled_video(path, ClipSpec(fps=fps, height=60, width=80)).frames_NHWC


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """The table of a small set, made in this process."""
    return make_dataset(tmp_path_factory.mktemp("set") / "small", **SMALL, workers=1)


def test_the_table_lists_whole_videos_balanced_over_classes_and_people(small):
    rows = rows_of(small)
    assert list(rows[0]) == ["path", "label", "group"]
    labels, groups = Counter(row["label"] for row in rows), Counter(row["group"] for row in rows)
    assert len(rows) == 10
    assert set(labels) == set(SMALL["actions"])
    assert max(labels.values()) - min(labels.values()) <= 1
    assert len(groups) == 3
    # ten clips are more than 3 people x 3 actions: everyone does everything
    assert len({(row["label"], row["group"]) for row in rows}) == 9
    for row in rows:
        info = probe(small.parent / row["path"])
        assert row["path"].startswith(f"{row['label']}/{row['group']}_{row['label']}_")
        assert 2.3 <= info.duration_s <= 3.7
        assert (info.width, info.height) == (160, 120)


def test_untrimmed_videos_have_pauses_between_true_segments(small):
    segments = rows_of(small.parent / "untrimmed" / "segments.csv")
    name = segments[0]["path"]
    assert {row["path"] for row in segments} == {name}
    assert {row["labelled_throughout"] for row in segments} == {"yes"}  # what lies between is background
    assert name.split("_")[0] in {row["group"] for row in rows_of(small)}
    duration_s = probe(small.parent / "untrimmed" / name).duration_s
    assert 20 <= duration_s <= 42
    assert 4 <= len(segments) <= 7
    spans = [(float(row["start_s"]), float(row["end_s"])) for row in segments]
    edges = [0.0, *(edge for span in spans for edge in span), duration_s]
    gaps = np.diff(edges)[::2]
    assert (gaps[:-1] >= 1.49).all()
    assert gaps[-1] >= 0

    frames = pixels(small.parent / "untrimmed" / name).astype(float)
    change = np.abs(np.diff(frames, n=1, axis=0)).mean(axis=(1, 2, 3))
    times = (np.arange(len(change)) + 1) / 8
    moving = np.any([(times > start + 0.2) & (times < end - 0.2) for start, end in spans], axis=0)
    resting = ~np.any([(times > start - 0.5) & (times < end + 0.5) for start, end in spans], axis=0)
    assert np.median(change[moving]) > 1.5 * np.median(change[resting])


def test_the_same_seed_gives_the_same_pixels_in_any_number_of_processes(small, tmp_path):
    again = make_dataset(tmp_path / "again", **SMALL, workers=2)
    assert again.read_text() == small.read_text()
    for row in rows_of(small)[::3]:
        np.testing.assert_array_equal(pixels(small.parent / row["path"]), pixels(again.parent / row["path"]))
    ours, theirs = small.parent / "untrimmed" / "segments.csv", again.parent / "untrimmed" / "segments.csv"
    assert ours.read_text() == theirs.read_text()


def test_every_codec_gives_the_same_pixels_however_busy_the_machine_is(tmp_path):
    parameters = {"clips": 4, "people": 2, "actions": ["wave"], "untrimmed": 0, "seed": 19, "height": 120, "width": 160}
    alone, together = (make_dataset(tmp_path / str(n), **parameters, workers=n) for n in (1, 4))
    suffixes = [Path(row["path"]).suffix for row in rows_of(alone)]
    assert suffixes.count(".webm") == 2
    for row in rows_of(alone):
        one, other = (
            np.stack([frame.pixels_HWC for frame in read_frames(table.parent / row["path"])])
            for table in (alone, together)
        )
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_other_people(small, tmp_path):
    other = make_dataset(tmp_path / "other", **{**SMALL, "clips": 1, "untrimmed": 0}, seed=1, workers=1)
    path = rows_of(other)[0]["path"]
    first, second = pixels(other.parent / path)[0], pixels(next((small.parent / "sit-down").iterdir()))[0]
    assert np.abs(first.astype(int) - second).mean() > 10


def test_what_is_missing_of_a_set_is_made_and_the_rest_left_alone(small, tmp_path):
    parameters = {**SMALL, "clips": 4, "untrimmed": 0, "workers": 1}
    table = make_dataset(tmp_path / "set", **parameters)
    paths = [table.parent / row["path"] for row in rows_of(table)]
    before, kept = paths[0].read_bytes(), paths[1].stat().st_mtime_ns
    listed = table.read_text()
    paths[0].unlink()
    table.unlink()
    unfinished = paths[0].parent / ".person01-abc.mp4"
    unfinished.write_bytes(b"half")
    make_dataset(tmp_path / "set", **parameters)
    assert paths[0].read_bytes() == before
    assert paths[1].stat().st_mtime_ns == kept
    assert table.read_text() == listed
    assert not unfinished.exists()
    with pytest.raises(KinemeError, match="made otherwise"):
        make_dataset(tmp_path / "set", **{**parameters, "clips": 5})


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(KinemeError, match=r"not empty.*new or empty"):
        make_dataset(tmp_path, clips=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(KinemeError, match="is a file"):
        make_dataset(tmp_path / "mine.txt", clips=1)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"actions": ("wave", "fly")}, r"'fly'.*jumping-jack"),
        ({"actions": ()}, "at least one action"),
        ({"actions": ("wave", "wave")}, "only once"),
        ({"clips": 0}, "clips must be from 1"),
        ({"people": 0}, "people must be from 1"),
        ({"width": 321}, "width must be even"),
        ({"height": 4}, "height must be from 64"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, wrong, told):
    with pytest.raises(UsageError, match=told):
        make_dataset(tmp_path / "set", **wrong)
    assert not (tmp_path / "set").exists()


def test_container_rate_and_length_tell_nothing_of_the_class():
    jobs = list(_clip_jobs(Path(), 4000, 20, ACTIONS, 0, 320, 240))
    for drawn in (_format, _rate):
        values = sorted({drawn(job) for job in jobs})
        assert len(values) >= 4
        counts = np.zeros((len(ACTIONS), len(values)))
        for job in jobs:
            counts[ACTIONS.index(job.action), values.index(drawn(job))] += 1
        assert chi2_contingency(counts).pvalue > 0.001
    lengths = [[_length_s(job) for job in jobs if job.action == name] for name in ACTIONS]
    assert kruskal(*lengths).pvalue > 0.001
    assert min(map(min, lengths)) >= 2.4
    assert max(map(max, lengths)) <= 3.6


def test_every_class_has_many_people_when_not_everyone_does_everything():
    jobs = list(_clip_jobs(Path(), 240, 20, ACTIONS, 0, 320, 240))
    assert len({job.path for job in jobs}) == 240
    for name in ACTIONS:
        assert len({job.person for job in jobs if job.action == name}) == 15
    per_person = Counter(job.person for job in jobs).values()
    assert max(per_person) - min(per_person) <= 4


def test_the_synthetic_set_tells_where_the_person_is(tmp_path):
    """The box holds what moves, and it is not the whole frame."""
    make_dataset(tmp_path / "set", clips=1, people=1, actions=["jumping-jack"], untrimmed=0, seed=5)
    ((path, fps, boxes_T4),) = true_boxes(tmp_path / "set")
    frames = np.stack([frame.pixels_HWC for frame in read_frames(path)]).astype(int)
    assert len(boxes_T4) == len(frames)
    assert fps == pytest.approx(float(probe(path).fps))
    number = len(frames) // 2
    left, top, right, bottom = boxes_T4[number].round().astype(int)
    change_HW = np.abs(frames[number + 2] - frames[number - 2]).sum(axis=2)
    is_person = np.zeros(change_HW.shape, bool)
    is_person[max(0, top - 8) : bottom + 8, max(0, left - 8) : right + 8] = True
    assert is_person.mean() < 0.5
    assert change_HW[is_person].mean() > 2 * change_HW[~is_person].mean()  # noise and the camera's shake are everywhere
