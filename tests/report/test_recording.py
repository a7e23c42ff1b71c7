"""Recordings of live sources: playable while they grow, of one size whatever the camera does, with pauses left out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import av
import numpy as np
from helpers_live import motion_jpeg
from helpers_people import frames, need_movenet
from helpers_stream import model_of

from kineme.dataset.labels import BACKGROUND
from kineme.report.recording import Painter, Recording
from kineme.video.decode import read_frames
from kineme.video.write import VideoWriter


def test_what_was_written_in_fragments_can_be_played_if_the_process_is_killed(tmp_path):
    options = {"g": "10", "tune": "zerolatency"}
    with VideoWriter(tmp_path / "a.mp4", width=64, height=64, fps=25, options=options, in_fragments=True) as writer:
        for number in range(30):
            writer.write(np.full((64, 64, 3), 5 * number, np.uint8), pts_s=number / 25)
        (growing,) = tmp_path.glob(".a-*.mp4")
        with av.open(str(growing)) as container:
            assert len(list(container.decode(video=0))) == 20
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 30


def test_a_camera_that_turns_is_recorded_at_its_first_size_and_pauses_have_no_labels(tmp_path):
    model = model_of("lrcn", backbone="small-cnn")
    knows_nothing = SimpleNamespace(score=lambda logits_NK: np.full(len(logits_NK), -5.0))
    model.card = replace(model.card, open_set=knows_nothing)
    paint = Painter(model)
    sizes, pictures = set(), []
    with (
        motion_jpeg(turns_s=1.0) as live,
        Recording(model, live.url, ("video", "json", "srt", "vtt"), tmp_path) as recording,
    ):
        for event in model.watch(live.url, engine="keras", max_seconds=1.8):
            picture = paint(event)
            if event.frame and picture is not None:
                sizes.add(event.frame.pixels().shape)
                pictures.append(picture)
            recording.add(event, picture)
    assert sizes == {(96, 128, 3), (128, 96, 3)}
    frames = list(read_frames(recording.written[-1]))
    assert len(frames) == len(pictures)
    assert {frame.pixels_HWC.shape for frame in frames} == {(96, 128, 3)}
    assert frames[-1].pixels_HWC[:, :20].max() < 30  # black beside what is upright now
    assert event.label == BACKGROUND
    document = json.loads(recording.written[0].read_text())
    assert [one["label"] for one in document["segments"]] == [BACKGROUND]
    assert recording.written[1].suffix == ".srt"
    assert recording.written[1].read_text() == ""
    assert not recording.result().actions


def test_nobody_in_a_stream_is_an_empty_list(tmp_path):
    need_movenet()
    model = model_of("lrcn", backbone="small-cnn")
    with motion_jpeg(10, shows=lambda time_s: np.full((240, 320, 3), 128, np.uint8)) as live:
        recording = Recording(model, live.url, ("json",), tmp_path, people=True)
        with recording:
            for event in model.watch(live.url, engine="keras", people=True, max_seconds=60.0):
                recording.add(event)
                if recording.has_answer:
                    break
    assert json.loads(recording.written[0].read_text())["people"] == []


def test_rows_of_people_who_are_followed_say_whose_they_are(tmp_path):
    need_movenet()
    (standing,) = frames([lambda s: 0.3], 0.2, fps=5)
    model = model_of("lrcn", backbone="small-cnn")
    with motion_jpeg(10, shows=lambda time_s: standing) as live:
        recording = Recording(model, live.url, ("csv", "json"), tmp_path, people=True)
        with recording:
            for event in model.watch(live.url, engine="keras", people=True, max_seconds=6.0):
                recording.add(event)
    json_file, csv_file = recording.written
    rows = list(csv.DictReader(csv_file.read_text().splitlines()))
    assert list(rows[0])[:3] == ["start_s", "end_s", "person"]
    assert {row["person"] for row in rows} == {"", "1"}
    ends = [row["end_s"] for row in rows if row["person"] == "1"]
    assert ends == sorted(set(ends), key=float), "each window once"
    assert [one["id"] for one in json.loads(json_file.read_text())["people"]] == [1]
