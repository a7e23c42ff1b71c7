"""Rows that are parts of longer videos: which frames their clips hold, what background is, and whole videos."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers_dataset import kineme, make_long_videos
from helpers_video import numbered_video, read_number

from kineme.dataset.scan import scan
from kineme.training.cache import FrameCache
from kineme.training.parts import labelled_throughout, windows_for
from kineme.video.spec import ClipSpec

FPS = 25
SPEC = ClipSpec(frames=8, fps=4.0, height=96, width=128)  # a clip of two seconds
OTHER = [("z.mp4", 0.0, 1.0, "a"), ("z.mp4", 3.0, 4.0, "b")]


def prepared(folder: Path, rows: list[tuple[str, float, float, str]], spec: ClipSpec = SPEC, **columns: str):
    """The items of labelled parts (path, start, end, label) of videos of 12 s, by name and start."""
    with (folder / "parts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "start_s", "end_s", "label", "group", *columns])
        for name in {row[0] for row in rows}:
            numbered_video(folder / name, 12 * FPS, fps=str(FPS))
        writer.writerows([*row, row[0], *columns.values()] for row in rows)
    table = scan(folder / "parts.csv")
    cache = FrameCache(spec, folder=folder / "cache")
    table, items = cache.prepare(table, table.labels)
    return table, items, cache


def seconds_seen(cache: FrameCache, item, start: int) -> np.ndarray:
    return np.array([read_number(frame) / FPS for frame in cache.window(item, start)])


def all_windows(cache: FrameCache, item) -> list[np.ndarray]:
    """The instants of the frames of all windows, of training and of evaluation."""
    starts = {*range(cache.last_start(item) + 1), *cache.evaluation_starts(item)}
    return [seconds_seen(cache, item, start) for start in sorted(starts)]


def test_a_part_shorter_than_a_clip_takes_the_real_frames_around_it(tmp_path):
    _, items, cache = prepared(tmp_path, [("x.mp4", 5.0, 6.0, "a"), *OTHER])
    windows = all_windows(cache, items[0])
    for seen in windows:
        np.testing.assert_allclose(np.diff(seen), 0.25, atol=0.05)  # no frame is held
        assert 5.25 - 0.2 <= seen.mean() + 0.125 <= 5.75 + 0.2  # its middle lies in the middle half of the part
    assert len({seen[0] for seen in windows}) > 2  # jittered


@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 0.5), (11.4, 12.0), (11.0, 14.0)])
def test_at_the_ends_of_the_file_a_clip_moves_inwards_and_holds_nothing(tmp_path, start_s, end_s):
    _, items, cache = prepared(tmp_path, [("x.mp4", start_s, end_s, "a"), *OTHER])
    for seen in all_windows(cache, items[0]):
        np.testing.assert_allclose(np.diff(seen), 0.25, atol=0.05)


def test_no_clip_shows_a_part_with_another_label_and_one_of_the_same_label_may_be_in_it(tmp_path):
    rows = [("x.mp4", 3.0, 4.5, "b"), ("x.mp4", 5.0, 6.0, "a"), ("x.mp4", 6.2, 7.0, "a"), ("x.mp4", 8.0, 9.0, "b")]
    _, items, cache = prepared(tmp_path, [*rows, *OTHER])
    for item, (_, _, _, label) in zip(items, rows, strict=False):
        others = [(start, end) for _, start, end, other in rows if other != label]
        for seen in all_windows(cache, item):
            assert all(not (start <= instant < end) for start, end in others for instant in seen)
    same = np.concatenate(all_windows(cache, items[1]))
    assert ((same >= 6.2) & (same < 7.0)).any()


def test_a_part_between_two_others_closer_than_a_clip_holds_its_last_frame_and_shows_neither(tmp_path):
    rows = [("x.mp4", 3.0, 5.0, "b"), ("x.mp4", 5.0, 6.0, "a"), ("x.mp4", 6.0, 8.0, "b")]
    _, items, cache = prepared(tmp_path, [*rows, *OTHER])
    for seen in all_windows(cache, items[1]):
        assert 5.0 <= seen.min() <= seen.max() < 6.0


def test_a_long_part_and_a_whole_file_take_nothing_from_outside(tmp_path):
    _, items, cache = prepared(tmp_path, [("x.mp4", 2.0, 10.0, "a"), *OTHER])
    seen = np.concatenate(all_windows(cache, items[0]))
    assert 2.0 <= seen.min() <= 2.1
    assert 9.6 <= seen.max() < 10.0


def test_background_is_what_lies_between_the_parts_where_the_table_says_that_all_is_labelled(tmp_path):
    rows = [("x.mp4", 2.0, 3.0, "a"), ("x.mp4", 6.0, 7.0, "b"), ("x.mp4", 7.3, 8.0, "a")]
    table, _, cache = prepared(tmp_path, [*rows, *OTHER])
    assert cache.background(table, 2) == []
    table, _, cache = prepared(tmp_path, [*rows, *OTHER], labelled_throughout="yes")
    gaps = [item for item in cache.background(table, 2) if item.name == "x.mp4"]
    assert {item.label for item in gaps} == {2}
    middles = np.array([seen.mean() + 0.125 for item in gaps for seen in all_windows(cache, item)])
    for _, start, end, _ in rows:
        assert not ((start - 0.1 < middles) & (middles < end + 0.1)).any()
    assert (middles < 2).any()
    assert ((middles > 3) & (middles < 6)).any()
    assert (middles > 8).any()


@pytest.mark.parametrize(("said", "overlap"), [("yes", 0.5), ("no", 0.0)])
def test_windows_overlap_where_a_timeline_is_learned(tmp_path, said, overlap):
    table, *_ = prepared(tmp_path, OTHER, labelled_throughout=said)
    assert windows_for(table, replace(SPEC, overlap=0.0)).overlap == overlap
    assert windows_for(table, replace(SPEC, overlap=0.75)).overlap == 0.75


def test_frames_spread_over_a_part_stay_within_it(tmp_path):
    _, items, cache = prepared(tmp_path, [("x.mp4", 5.0, 6.0, "a"), *OTHER], ClipSpec(frames=4, fps=None))
    assert items[0].stretch[:2] == (5.0, 6.0)
    assert cache.window(items[0], 0).shape[0] == 4


@pytest.fixture(scope="module")
def long_videos(tmp_path_factory):
    return make_long_videos(tmp_path_factory.mktemp("long"), people=10)


@pytest.fixture(scope="module")
def run(long_videos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    how = ["--backbone", "small-cnn", "--approach", "lrcn", "--frames", 8, "--fps", 8, "--no-flip"]
    done = kineme(
        *("train", long_videos, "--out", out, *how, "--labelled-throughout"),
        *("--epochs", 60, "--learning-rate", 0.003, "--json"),
    )
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


@pytest.mark.slow
def test_whole_test_videos_are_predicted_and_their_parts_found_by_more_than_luck(run):
    out, metrics = run
    segments = metrics["segments"]
    assert segments["labelled_throughout"]
    assert segments["videos"] == segments["groups"] == metrics["data"]["files"]["test"]
    assert segments["actions"] == metrics["test"]["n"]
    half = segments["overlaps"]["0.5"]
    loose = segments["overlaps"]["0.3"]
    assert loose["f1"] > max(0.25, 2 * loose["chance_f1"])  # a tiny set: benchmarks/parts.py has the figures
    assert half["true_positives"] + half["false_negatives"] == segments["actions"]
    assert half["f1"] <= segments["overlaps"]["0.3"]["f1"]
    for name in ("recall", "precision"):
        low, high = half[f"{name}_interval"]
        assert low <= half[name] <= high
    assert metrics["unknown"]["learned_from_background"]
    assert metrics["unknown"]["background_refused"]["share"] > 0.5
    assert metrics["triggers"]["background_hours"] > 0
    assert [row["threshold"] for row in metrics["triggers"]["thresholds"]] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    page = (out / "report.html").read_text()
    assert "segment F1" in page
    assert "False alarms" in page


@pytest.mark.slow
def test_the_headline_is_what_prediction_of_the_test_videos_gives(run, long_videos):
    """Predicted one by one from the command line and matched here, by a rule written anew."""
    out, metrics = run
    truth = {(long_videos.parent / one["name"]).resolve(): one["true"] for one in metrics["segments"]["timelines"]}
    printed = json.loads(kineme("predict", *truth, "--model", out, "--json").stdout)
    hits = predicted = 0
    for video in printed:
        true = list(truth[Path(video["source"]).resolve()])
        for one in video["segments"]:
            if one["label"] == "background":
                continue
            predicted += 1
            for other in true:
                both = min(one["end_s"], other["end_s"]) - max(one["start_s"], other["start_s"])
                either = max(one["end_s"], other["end_s"]) - min(one["start_s"], other["start_s"])
                if one["label"] == other["label"] and both / either >= 0.5:
                    hits += 1
                    true.remove(other)
                    break
    f1 = 2 * hits / (predicted + metrics["segments"]["actions"])
    assert f1 == pytest.approx(metrics["segments"]["overlaps"]["0.5"]["f1"], abs=0.03)


@pytest.mark.slow
def test_evaluate_gives_the_segments_of_its_own_test_and_of_any_table(run, long_videos, tmp_path):
    out, metrics = run
    own = json.loads(kineme("evaluate", out, long_videos, "--json").stdout)
    half = metrics["segments"]["overlaps"]["0.5"]
    assert own["split"] == "test"
    assert own["segments"]["overlaps"]["0.5"]["f1"] == pytest.approx(half["f1"], abs=0.03)
    assert own["segments"]["labelled_throughout"]
    other = make_long_videos(tmp_path / "other", people=2, first=50)
    done = kineme("evaluate", out, other, COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "segment F1" in done.stdout.replace("\n", " ")
    assert "Nothing says that the videos are labelled throughout" in done.stdout


@pytest.mark.slow
def test_nobody_is_told_to_label_throughout_who_has_said_so_and_others_are(long_videos, run, tmp_path):
    out, metrics = run
    assert not any("--labelled-throughout" in line for line in metrics["data"]["warnings"])
    split = scan(out / "split.csv")
    assert labelled_throughout(split.rows.to_dicts()[:1])  # the run remembers
    how = ["--frames", 6, "--fps", 8, "--approach", "single-frame", "--epochs", 1]
    done = kineme("train", long_videos, "--out", tmp_path / "run", *how)
    assert done.returncode == 0, done.stderr
    assert "--labelled-throughout" in done.stderr


def test_labelled_throughout_is_for_tables_with_parts(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for person in (1, 2):
            numbered_video(tmp_path / "data" / label / f"person{person}_x.mp4", 10)
    done = kineme("train", tmp_path / "data", "--labelled-throughout", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "--labelled-throughout is for a CSV whose rows are parts" in done.stderr
