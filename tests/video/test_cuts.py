"""Cuts of edited videos: found in real files, no window or segment crosses one, and files, batch and page agree."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers_scenes import save, scene

import kineme
from kineme.prediction.windows import file_stride, open_scorer
from kineme.report.prediction_page import page_of
from kineme.scale.parts import cut_shots
from kineme.video.clips import ticks
from kineme.video.cuts import by_shot, number_shots
from kineme.video.spec import ClipSpec

FPS = 20
MODEL = Path(__file__).parents[1] / "compatibility" / "v0_1" / "lrcn.tflite"


def shot(seed: int, seconds: float = 3.0) -> list[np.ndarray]:
    """So many seconds of one scene, to and fro."""
    frames = list(scene(seed))
    frames += frames[::-1]
    return [frames[number % len(frames)] for number in range(round(seconds * FPS))]


def dissolve(first: list[np.ndarray], second: list[np.ndarray], seconds: float) -> list[np.ndarray]:
    count = round(seconds * FPS)
    shares = np.linspace(0, 1, count + 2)[1:-1]
    mixed = [
        ((1 - share) * one + share * other).astype(np.uint8)
        for share, one, other in zip(shares, first[-count:], second[:count], strict=True)
    ]
    return [*first[:-count], *mixed, *second[count:]]


def brighter(frames: list[np.ndarray], *places: int) -> list[np.ndarray]:
    return [
        (frame.astype(int) + 150 * (number in places)).clip(0, 255).astype(np.uint8)
        for number, frame in enumerate(frames)
    ]


def cuts_in(path: Path, fps: float = 8.0, **more: object) -> list[float]:
    found: list[float] = []
    spec = ClipSpec(**{"frames": 6, "fps": fps, "height": 64, "width": 64, **more})
    numbered = list(number_shots(ticks(path, spec), spec, found.append))
    assert [tick[0] for _, tick in numbered] == [tick[0] for tick in ticks(path, spec)]
    assert [shot for shot, _ in numbered] == sorted(shot for shot, _ in numbered)
    return found


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A cut at 3 s, a shot of half a second from 6 to 6.5 s, a flash at 8 s, and a dissolve from 9 to 9.5 s."""
    frames = [*shot(1), *shot(2), *shot(3, 0.5), *brighter(shot(4, 3.0), 30, 31)]
    return save(tmp_path_factory.mktemp("film") / "film.mp4", dissolve(frames, shot(5), 0.5))


@pytest.mark.parametrize("fps", [8.0, 20.0])
def test_cuts_and_dissolves_are_found_and_flashes_are_none(film, fps):
    assert cuts_in(film, fps) == pytest.approx([3.0, 6.0, 6.5, 9.25], abs=0.2)


def test_one_shot_has_no_cut_however_much_it_moves_or_flickers(tmp_path):
    assert cuts_in(save(tmp_path / "still.mp4", [shot(1)[0]] * 40)) == []
    assert cuts_in(save(tmp_path / "moving.mp4", shot(1))) == []
    flicker = brighter(shot(1), *range(10, 60, 7))
    assert cuts_in(save(tmp_path / "flicker.mp4", flicker), 20.0) == []
    assert cuts_in(save(tmp_path / "short.mp4", shot(1, 0.2))) == []
    lamp = [(frame * (0.25 if number < 60 else 1)).astype(np.uint8) for number, frame in enumerate(shot(1, 6.0))]
    assert cuts_in(save(tmp_path / "lamp.mp4", lamp)) == []


def test_clips_that_are_spread_or_may_not_be_short_are_not_cut(film):
    assert cuts_in(film, short="refuse") == []
    assert cuts_in(film, fps=None) == []


def test_no_window_and_no_segment_crosses_a_cut(film):
    model = kineme.load(MODEL)
    result = model.predict(film, engine="litert")
    assert result.cuts == pytest.approx((3.0, 6.0, 6.5, 9.25), abs=0.2)
    assert result.to_json()["cuts"] == [round(cut_s, 3) for cut_s in result.cuts]
    borders = [0.0, *result.cuts, result.duration_s]
    for start_s, end_s in [*result.window_times_W2.tolist(), *((one.start_s, one.end_s) for one in result.segments)]:
        assert any(a - 1e-6 <= start_s <= end_s <= b + 1e-6 for a, b in pairwise(borders))
    assert [one.start_s for one in result.segments[1:]] == [one.end_s for one in result.segments[:-1]]
    assert {one.start_s for one in result.segments} >= {0.0, *result.cuts}
    page = page_of(result, "film.mp4")
    assert page.count('class="cut"') == 4
    assert "its 4 cuts" in page
    assert result._repr_html_().count("cut at") == 4


def test_an_edited_video_is_explained_by_the_same_windows(film):
    found = kineme.load(MODEL).explain(film, engine="litert")
    assert len(found.attributions["occlusion"]) == len(found.times_N)


def test_a_shot_is_predicted_as_if_it_were_a_video_of_its_own(film):
    """But for frames at the border of two shots, which the codec mixes a little."""
    model = kineme.load(MODEL)
    spec = model.card.spec
    shots = [list(one) for one in by_shot(number_shots(ticks(film, spec), spec, lambda cut_s: None))]
    assert len(shots) == 5
    scorer, stride = open_scorer(model, "litert"), file_stride(model)
    whole = [logits_K for one in shots for _, logits_K in scorer.score(film, one, stride)]
    for part_bytes in (1, 100_000, 10**9):  # as kineme batch cuts it
        parts = [
            scorer.score(film, of_ticks[lead:], stride, of_ticks[:lead])
            for lead, of_ticks, _ in cut_shots(shots, spec, stride, part_bytes)
        ]
        np.testing.assert_allclose([logits_K for part in parts for _, logits_K in part], whole, atol=1e-5)
    assert [is_last for *_, is_last in cut_shots(shots, spec, stride)] == [*[False] * 4, True]
