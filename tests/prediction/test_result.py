"""Results say in a line, and in a notebook, what they hold; nothing in them is acted on by a terminal or a browser."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers_stream import feed, frames_of, model_of
from helpers_video import numbered_video

from kineme.errors import KinemeError
from kineme.prediction.result import Prediction, Segment

HOSTILE = "<script>\x1b]0;mine\x07"


def predicted(labels=("wave", "squat", "clap", "jump"), segments=()):
    probabilities_K = np.array([0.6, 0.05, 0.3, 0.05])
    return Prediction(
        source="clip.mp4",
        model="run",
        duration_s=10.0,
        fps=25.0,
        labels=labels,
        probabilities_K=probabilities_K,
        window_times_W2=np.array([[0.0, 2.0], [1.0, 3.0]]),
        window_probabilities_WK=np.tile(probabilities_K, (2, 1)),
        segments=segments,
        timing={},
    )


def test_a_prediction_in_a_line():
    segments = Segment(0.0, 4.0, "background", 0.7), Segment(4.0, 10.0, "wave", 0.9)
    assert repr(predicted(segments=segments)) == (
        "Prediction('clip.mp4', 10.0 s: wave 0.60, clap 0.30, squat 0.05; background 0.0-4.0 s, wave 4.0-10.0 s; "
        "windows 2 x 4)"
    )
    many = tuple(Segment(float(k), k + 1.0, "wave", 0.9) for k in range(9))
    assert "wave 5.0-6.0 s and 3 more;" in repr(predicted(segments=many))
    assert repr(segments[1]) == "Segment(4-10 s, 'wave', 0.90)"


def test_a_prediction_in_a_notebook_is_well_formed_and_harmless():
    segments = Segment(0.0, 4.0, "background", 0.7), Segment(4.0, 10.0, HOSTILE, 0.9)
    result = predicted((HOSTILE, "squat", "clap", "jump"), segments)
    assert "\x1b" not in repr(result)
    shown = ElementTree.fromstring(result._repr_html_().replace("\x1b", "").replace("\x07", ""))
    assert not list(shown.iter("script"))
    (bar,) = shown.iter("rect")  # background stays empty
    assert (bar.get("x"), bar.get("width")) == ("40.00%", "60.00%")
    assert [one.get("value") for one in shown.iter("progress")] == ["0.6000", "0.3000", "0.0500"]


def test_what_else_there_is_in_a_line(tmp_path):
    model = model_of("lrcn")
    assert repr(model) == "Model('lrcn', lrcn on motion-cnn, 2 labels: left, right)"
    video = numbered_video(tmp_path / "clip.mp4", 30, fps=25)
    found = model.explain(video, engine="keras")
    assert repr(found).startswith(f"Explanation({str(video)!r}: {found.label!r} {found.probability:.2f}; by ")
    assert f"heat maps {found.heat_NHW.shape[0]} x " in repr(found)
    ElementTree.fromstring(found._repr_html_())


def test_scores_that_are_not_numbers_are_an_error_and_no_prediction(tmp_path):
    model = model_of("single-frame")
    video = numbered_video(tmp_path / "clip.mp4", 30, fps=25)
    json.dumps(model.predict(video, engine="keras").to_json(), allow_nan=False)
    weights = model.network.get_weights()
    weights[-1][0] = np.nan
    model.network.set_weights(weights)
    with pytest.raises(KinemeError, match="single-frame: its scores are not numbers"):
        model.predict(video)
    for mode in ("exact", "carried"):
        with pytest.raises(KinemeError, match="single-frame: its scores are not numbers"):
            feed(model.stream(mode=mode), frames_of(8))
