"""A timeline for each person: in files and streams, and in everything that is written of them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import polars as pl
import pytest
from helpers_networks import network_of
from helpers_people import edited_video, need_movenet, people_video

from kineme.model import Model
from kineme.models.model_file import ModelCard, config_of
from kineme.models.registry import make_approach
from kineme.prediction.people import nearest
from kineme.prediction.result import Prediction
from kineme.report.person_colours import colour_of, in_hex
from kineme.report.prediction_page import page_of
from kineme.report.save import save_prediction
from kineme.report.tables import to_csv, to_srt, to_vtt
from kineme.video.decode import Decoder
from kineme.video.spec import ClipSpec

SPEC = ClipSpec(frames=6, height=64, width=64, region="person")


@pytest.fixture(autouse=True, scope="module")
def _movenet() -> None:
    need_movenet()


def model_of(name: str = "lrcn", spec: ClipSpec = SPEC, **options: object) -> Model:
    """Untrained; the weights are those of a seed, since how far a small difference reaches depends on them."""
    keras.utils.set_random_seed(2)
    approach = make_approach(name, options)
    card = ModelCard(name, config_of(approach), spec, ("bow", "wave"))
    return Model(network_of(name, spec, **options), card, name, stride=1)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """One who stands, and one who comes after half a second and walks."""
    places = [lambda s: 0.02, lambda s: 0.62 - 0.05 * s if s >= 0.5 else None]
    return people_video(tmp_path_factory.mktemp("people") / "two.mp4", places, 2.5)


@pytest.fixture(scope="module")
def result(video) -> Prediction:
    return model_of().predict(video, people=True, engine="keras")


def test_each_person_has_segments_from_first_to_last_sight(result):
    assert result.people is not None
    one, two = result.people
    assert (one.id, two.id) == (1, 2)
    assert one.start_s == pytest.approx(0.0, abs=0.13)
    assert two.start_s == pytest.approx(0.5, abs=0.26)
    for person in (one, two):
        assert person.end_s == pytest.approx(2.5, abs=0.01)
        assert person.segments[0].start_s == person.start_s
        assert [first.end_s for first in person.segments[:-1]] == [later.start_s for later in person.segments[1:]]
        assert person.window_probabilities_WK.shape == (len(person.window_times_W2), 2)
    assert not np.allclose(one.probabilities_K, two.probabilities_K)


def test_a_model_of_whole_frames_says_that_its_figures_do_not_hold_and_one_of_persons_does_not(video, result):
    assert not any("whole frames" in line for line in result.warnings)
    told = model_of(spec=replace(SPEC, region="frame")).predict(video, people=True, engine="keras")
    assert any("trained on whole frames" in line and "--region person" in line for line in told.warnings)
    assert len(told.people) == 2


@pytest.mark.parametrize("people", ["one", "pair"])
def test_a_model_of_joints_reads_those_of_the_track(video, people):
    spec = ClipSpec(frames=6, height=256, width=256, fit="letterbox")
    model = model_of("pose-lstm", spec, backbone="movenet", units=4, people=people)
    result = model.predict(video, people=True, engine="keras")
    one, two = result.people
    same = np.allclose(one.window_probabilities_WK[-3:], two.window_probabilities_WK[-3:], atol=1e-4)
    assert same is (people == "pair"), "a pair is the same pair from both sides"
    assert any("two people together" in line for line in result.warnings) is (people == "pair")


def test_nobody_is_an_empty_list_and_a_note(tmp_path):
    result = model_of().predict(people_video(tmp_path / "empty.mp4", [], 1.5), people=True, engine="keras")
    assert result.people == ()
    assert any("nobody was found" in line for line in result.warnings)
    assert result.to_json()["people"] == []
    assert to_srt(result) == to_srt(replace(result, people=None))


def test_who_is_there_for_a_moment_is_left_out_and_that_is_said(tmp_path):
    places = [lambda s: 0.02, lambda s: 0.55 if 1.0 <= s < 1.3 else None]
    result = model_of().predict(people_video(tmp_path / "moment.mp4", places, 2.0), people=True, engine="keras")
    assert len(result.people) == 1
    assert any("1 of 2 people are seen for less than 0.5 s" in line for line in result.warnings)


@pytest.mark.parametrize("region", ["frame", "people", "person"])
def test_a_cut_ends_clips_and_persons_in_every_region(tmp_path, region):
    video = edited_video(tmp_path / "edited.mp4")
    result = model_of(spec=replace(SPEC, region=region)).predict(video, people=True, engine="keras")
    assert result.cuts == pytest.approx((3.0,))
    spans = [result.window_times_W2, *(person.window_times_W2 for person in result.people)]
    assert all(end_s < 3.0 or start_s >= 3.0 for start_s, end_s in np.concatenate(spans))
    assert [(person.start_s, person.end_s) for person in result.people] == [(0.0, 3.0), (3.0, 6.0)]
    assert not any("the one who moves most" in line for line in result.warnings)  # one in each shot


@pytest.mark.parametrize(
    "approach",
    [
        ("lrcn", {}),
        ("pose-lstm", {"backbone": "movenet", "units": 4}),
        ("late-fusion", {"backbone": "efficientnet-lite0+movenet", "head": "linear"}),
    ],
)
def test_a_stream_says_of_each_person_what_the_file_says_at_the_same_tick(video, approach):
    name, options = approach
    spec = SPEC if name != "pose-lstm" else ClipSpec(frames=6, height=256, width=256, fit="letterbox")
    model = model_of(name, spec, **options)
    of_file = {}
    for person in model.predict(video, people=True, engine="keras").people:
        for times, shares_K in zip(person.window_times_W2, person.window_probabilities_WK, strict=True):
            of_file[person.id, round(times[1], 4)] = shares_K
    compared = 0
    with Decoder(video) as decoder, model.stream(people=True, engine="keras", stride=1) as stream:
        convert = decoder.converter(size=(spec.height, spec.width), fit=spec.fit)
        for pts_s, _, frame, _ in decoder.iter_frames():
            for person in stream.push(frame, pts_s, convert=convert):
                if person.probabilities_K is not None:
                    assert person.prediction_time_s == pytest.approx(pts_s)
                    np.testing.assert_allclose(person.probabilities_K, of_file[person.id, round(pts_s, 4)], atol=2e-3)
                    compared += 1
        left = stream.close()
    assert compared >= 20
    assert [person.id for person in left] == [1, 2]
    assert all(person.has_left and person.finished_segments for person in left)


def test_a_stream_forgets_after_a_seek_and_costs_nothing_without_people(video):
    with model_of().stream(people=True, engine="keras") as stream:
        grey = np.full((240, 426, 3), 128, np.uint8)
        assert stream.push(grey, 0.0) == ()
        assert stream.push(grey, 5.0) == ()
        assert stream.push(grey, 1.0) == ()


def test_json_csv_parquet_and_subtitles_name_the_person(result, video, tmp_path):
    document = json.loads(json.dumps(result.to_json()))
    assert [one["id"] for one in document["people"]] == [1, 2]
    for one in document["people"]:
        assert set(one) == {"id", "start_s", "end_s", "box_at", "segments"}
        times = [row[0] for row in one["box_at"]]
        assert times == sorted(times)
        assert all(len(row) == 5 and row[1] < row[3] and row[2] < row[4] for row in one["box_at"])
    rows = list(csv.DictReader(io.StringIO(to_csv(result))))
    assert list(rows[0]) == ["start_s", "end_s", "person", "bow", "wave"]
    assert {row["person"] for row in rows} == {"", "1", "2"}
    assert to_csv(replace(result, people=None)).startswith("start_s,end_s,bow,wave\n")
    srt = to_srt(result)
    assert "person 1: " in srt
    assert "person 2: " in srt
    assert "person 2: " in to_vtt(result)
    starts = [line.split(" --> ")[0] for line in srt.splitlines() if " --> " in line]
    assert starts == sorted(starts)
    save_prediction(result, ("parquet", "video"), tmp_path, model_of(), video=video, name="two")
    table = pl.read_parquet(tmp_path / "two.parquet")
    assert table["person"].unique().sort().to_list() == [None, 1, 2]
    page = page_of(result, "two.mp4")
    assert "Person 1" in page
    assert page.count('class="timeline"') == 3
    for number in (1, 2):
        assert f'<span class="person" style="background:{in_hex(colour_of(number))}">' in page, "as in the video"
    with Decoder(tmp_path / "two.mp4") as decoder:
        assert decoder.converter().displayed == (240, 426)


def test_the_nearest_is_found_among_those_who_are_there_together(result, video):
    import kineme

    people = kineme.find_people(video)
    assert nearest(people, people.tracks[0]).id == 2
    assert nearest(replace(people, tracks=people.tracks[:1]), people.tracks[0]) is None
