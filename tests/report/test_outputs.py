"""What predictions are saved as: players, browsers and other programs read it, and it says what was predicted."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
from helpers_browser import browser
from helpers_video import numbered_video

from kineme.errors import UsageError
from kineme.prediction.result import Prediction, Segment
from kineme.prediction.timeline import TimelineSettings, segments
from kineme.report.prediction_page import page_of, write_page
from kineme.report.save import FORMATS, check_pipe, parse_formats
from kineme.report.tables import to_csv, to_json, to_srt, to_vtt, write_parquet
from kineme.video.probe import probe

SHARP = TimelineSettings(smooth_s=0.5, shortest_s=0.5)
HOSTILE = "sit & </script><b>down</b> --> {\\an8}\n\nNOTE"


def prediction(source: str = "clip.mp4", seconds: float = 4.0) -> Prediction:
    """Windows of a second, every half: wave, then something hostile, then wave."""
    labels = ("wave", HOSTILE, "punch")
    starts = np.arange(0, seconds - 0.99, 0.5)
    times_W2 = np.stack([starts, starts + 1], axis=1)
    middle = (starts > seconds / 4) & (starts < seconds / 2)
    probabilities_WK = np.where(middle[:, None], [0.1, 0.75, 0.15], [0.8, 0.1, 0.1])
    parts = segments(times_W2.mean(axis=1), probabilities_WK, None, labels, seconds, SHARP)
    whole_K = probabilities_WK.mean(axis=0)
    return Prediction(source, "some-model", seconds, 25.0, labels, whole_K, times_W2, probabilities_WK, parts, {})


def cues(path: Path) -> list[tuple[float, float, str]]:
    """Start, end and text of each subtitle, as FFmpeg's players see them."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        for packet in container.demux(stream):
            if packet.size:
                start = float(packet.pts * packet.time_base)
                for one in packet.decode():
                    lines = [one] if hasattr(one, "ass") else list(one)
                    text = "".join(line.ass.decode().split(",", 8)[8] for line in lines)
                    found.append((start, start + float(packet.duration * packet.time_base), text))
    return found


@pytest.mark.parametrize(("suffix", "write"), [("srt", to_srt), ("vtt", to_vtt)])
def test_a_player_reads_the_subtitles(tmp_path, suffix, write):
    result = prediction()
    path = tmp_path / f"clip.{suffix}"
    path.write_text(write(result), encoding="utf-8")
    read = cues(path)
    assert [round(time, 3) for cue in read for time in cue[:2]] == [
        round(time, 3) for one in result.segments for time in (one.start_s, one.end_s)
    ]
    assert read[0][2] == "wave 80 %"
    assert len(read) == 3
    assert read[1][2].startswith("sit & ")  # not cut off, nor taken for a tag
    assert read[1][2].endswith("75 %")
    assert "NOTE" in read[1][2]
    if suffix == "vtt":
        assert "</script><b>down</b> -->" in read[1][2]


def test_subtitles_of_long_videos_have_hours_and_round_to_the_millisecond(tmp_path):
    result = prediction()
    late = Segment(3599.9996, 36000.0123, "wave", 0.5)
    object.__setattr__(result, "segments", (late,))
    assert "01:00:00,000 --> 10:00:00,012\n" in to_srt(result)
    assert "01:00:00.000 --> 10:00:00.012\n" in to_vtt(result)


def test_csv_has_a_row_for_each_window_and_a_column_for_each_label():
    result = prediction()
    header, *rows = csv.reader(io.StringIO(to_csv(result)))
    assert header == ["start_s", "end_s", *result.labels]
    np.testing.assert_allclose(
        np.array(rows, float), np.hstack([result.window_times_W2, result.window_probabilities_WK]), atol=1e-4
    )


def test_parquet_has_a_row_for_each_segment(tmp_path):
    result = prediction()
    write_parquet(tmp_path / "clip.parquet", result)
    rows = pl.read_parquet(tmp_path / "clip.parquet")
    assert rows.columns == ["source", "model", "start_s", "end_s", "label", "confidence"]
    assert rows["source"].to_list() == ["clip.mp4"] * 3
    assert [Segment(*row) for row in rows.drop("source", "model").iter_rows()] == list(result.segments)


def test_json_holds_every_label():
    assert len(json.loads(to_json(prediction()))["top"]) == 3


def test_background_is_told_apart_everywhere():
    times_W2 = np.stack([np.arange(4.0), np.arange(4.0) + 2], axis=1)
    rows_WK = np.array([[0.8, 0.2]] * 4)
    known_W = np.array([-3.0, 3.0, 3.0, -3.0])
    parts = segments(times_W2.mean(axis=1), rows_WK, known_W, ("wave", "punch"), 5.0)
    result = Prediction("a.mp4", "m", 5.0, 25.0, ("wave", "punch"), rows_WK[0], times_W2, rows_WK, parts, {})
    assert [one["label"] for one in result.to_json()["segments"]] == ["background", "wave", "background"]
    assert to_srt(result).count("-->") == to_vtt(result).count("-->") == 1
    assert "background" not in to_srt(result)
    page = page_of(result, "a.mp4")
    assert page.count('class="c-background"') == 2
    assert ">wave<" in page
    nothing = segments([1.0], rows_WK[:1], [-1.0], ("wave", "punch"), 2.0)
    result = Prediction("a.mp4", "m", 2.0, 25.0, ("wave", "punch"), rows_WK[0], times_W2[:1], rows_WK[:1], nothing, {})
    assert result.actions == ()
    assert "No known action (if any, wave, 80 %)" in page_of(result, "a.mp4").replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("wave wave wave wave wave wave", "wave, 67 %"),  # an edited video of six shots
        ("wave wave punch punch wave wave", "wave, then punch, then wave"),
        ("wave background wave background wave background", "wave, then wave, then wave"),
        ("wave background " * 5, "5 parts, all wave, 50 % of the time"),
        ("wave wave background punch " * 3, "6 parts, 2 labels; the longest is wave, 50 % of the time"),
    ],
)
def test_the_heading_says_what_happens_however_often_the_video_is_cut(labels, says):
    names = labels.split()
    parts = tuple(Segment(number, number + 1, name, 0.9) for number, name in enumerate(names))
    page = page_of(replace(prediction(seconds=len(names)), segments=parts), "v.mp4")
    assert re.search(r'<p class="headline">(.*?)</p>', page)[1] == says


def test_formats_are_checked():
    assert parse_formats("video, csv,csv") == ("video", "csv")
    assert parse_formats(",".join(FORMATS)) == FORMATS
    for wrong in (("video",), ("csv", "json"), ()):
        with pytest.raises(UsageError, match="--out -"):
            check_pipe(wrong)
    check_pipe(("vtt",))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture(scope="module")
def page_path(tmp_path_factory):
    """A page of an XviD AVI, which no browser plays."""
    folder = tmp_path_factory.mktemp("page")
    video = numbered_video(folder / "clip.avi", 100, codec="mpeg4")
    out = folder / "out dir" / "clip #1 50%.html"
    written = write_page(out, prediction(str(video)), video)
    assert [path.name for path in written] == ["clip #1 50%.html", "clip #1 50%-video.mp4"]
    assert probe(written[1]).codec == "h264"
    assert sorted(path.name for path in out.parent.iterdir()) == sorted(path.name for path in written)
    return out


SETTLED = "video.readyState >= 2 && !video.seeking"
CURRENT = "parts.findIndex(part => part.ariaCurrent === 'true')"


def test_the_page_plays_and_follows_without_network(chromium, page_path):
    chromium.go(page_path)
    chromium.wait_for(SETTLED)
    assert chromium.run("video.duration") == pytest.approx(4.0, abs=0.1)
    assert chromium.run("[video.videoWidth, video.videoHeight]") == [128, 96]
    assert chromium.run(CURRENT) == 0
    chromium.run("video.muted = true")
    chromium.press("k")
    chromium.wait_for(f"{CURRENT} === 1")
    chromium.press("k")
    assert chromium.run("video.paused")
    time_s = chromium.run("video.currentTime")
    assert 1 < time_s < 3.5
    at = chromium.run("parseFloat(document.getElementById('playhead').style.left)")
    assert at == pytest.approx(100 * time_s / 4, abs=2)
    assert chromium.complaints() == []


def test_the_timeline_is_clicked_and_the_curves_too(chromium, page_path):
    result = prediction()
    chromium.go(page_path)
    chromium.wait_for(SETTLED)
    chromium.click("#timeline button:nth-child(2)")
    chromium.wait_for(SETTLED)
    assert chromium.run("video.currentTime") == pytest.approx(result.segments[1].start_s, abs=0.01)
    assert chromium.run(CURRENT) == 1
    chromium.click("#curves", share=0.4375)  # 1.75 s: halfway between the middles of two windows
    chromium.wait_for(SETTLED)
    assert chromium.run("video.currentTime") == pytest.approx(1.75, abs=0.02)
    shown = chromium.run("[...document.querySelectorAll('.legend div')].slice(1).map(one => one.textContent.trim())")
    wanted = {
        label: f"{round(100 * value)} %"
        for label, value in zip(result.labels, result.probabilities_at(1.751), strict=True)
    }
    for label, share in wanted.items():
        assert any(" ".join(text.split()) == " ".join(f"{label}{share}".split()) for text in shown), (shown, wanted)


def test_the_page_is_used_by_keyboard_alone(chromium, page_path):
    chromium.go(page_path)
    chromium.wait_for(SETTLED)
    chromium.run("parts[0].focus()")
    for key, part in (("ArrowRight", 1), ("End", 2), ("ArrowRight", 2), ("Home", 0), ("ArrowRight", 1)):
        chromium.press(key)
        assert chromium.run("parts.indexOf(document.activeElement)") == part
    chromium.press("Enter")
    chromium.wait_for(SETTLED)
    begins = chromium.run("video.currentTime")
    assert begins == pytest.approx(prediction().segments[1].start_s, abs=0.01)
    chromium.press("l")
    chromium.wait_for(SETTLED)
    assert chromium.run("video.currentTime") == pytest.approx(begins + 1, abs=0.01)
    chromium.press("j")
    chromium.wait_for(SETTLED)
    assert chromium.run("video.currentTime") == pytest.approx(begins, abs=0.01)


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_and_opens_at_a_time(chromium, page_path, dark):
    chromium.go(page_path, "#t=2.5", width=390, height=800, dark=dark)
    chromium.wait_for(SETTLED)
    assert chromium.run("video.currentTime") == pytest.approx(2.5, abs=0.01)
    assert chromium.run("document.documentElement.scrollWidth") == 390
    ink, card = chromium.run(
        "['color', 'backgroundColor'].map(name => getComputedStyle(document.querySelector('section'))[name])"
    )
    brightness = [sum(map(int, text[4:-1].split(","))) for text in (ink, card)]
    assert (brightness[0] > brightness[1]) is dark


def test_a_label_that_looks_like_html_is_shown_as_it_is(chromium, page_path):
    chromium.go(page_path)
    assert chromium.run("parts[1].textContent") == HOSTILE
    assert chromium.run("document.querySelectorAll('section b').length") == 0


def test_a_missing_video_is_said(chromium, page_path, tmp_path):
    alone = tmp_path / "alone.html"
    alone.write_bytes(page_path.read_bytes())
    chromium.go(alone)
    chromium.wait_for("!document.getElementById('missing').hidden")
    assert "clip #1 50%-video.mp4" in chromium.run("document.getElementById('missing').textContent")


def test_a_video_that_browsers_play_is_copied_as_it_is(tmp_path):
    h264 = numbered_video(tmp_path / "a.mp4", 30)
    assert write_page(tmp_path / "a.html", prediction(), h264)[1].read_bytes() == h264.read_bytes()


@pytest.mark.parametrize("how", [{"pixel_format": "yuv444p"}, {"options": {"qp": "0"}}])
def test_kinds_of_h264_that_only_some_browsers_play_are_encoded_anew(tmp_path, how):
    odd = numbered_video(tmp_path / "a.mp4", 30, **how)
    copy = write_page(tmp_path / "a.html", prediction(), odd)[1]
    with av.open(str(odd)) as before, av.open(str(copy)) as after:
        assert "4:4:4" in before.streams.video[0].profile
        assert after.streams.video[0].profile == "High"
    assert probe(copy).frame_count == 30
