"""Streams: the clip of a file at any frame rate, the answers of windows, gaps, seeks, and what cannot be carried."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_networks import SMALL, network_of
from helpers_stream import STEP_S, by_whole_clips, feed, frames_of, model_of
from helpers_video import encode, numbered_video

from kineme.errors import UsageError
from kineme.model import Model
from kineme.models.model_file import ModelCard, config_of
from kineme.models.network import build_network
from kineme.models.registry import make_approach
from kineme.prediction.stream_ticks import Sizer
from kineme.video.decode import Decoder, read_frames
from kineme.video.spec import ClipSpec


def play(stream, path):
    """Push a file's decoded frames; the answer after each, by its tick in tenths of a microsecond."""
    answers = {}
    with Decoder(path) as decoder:
        convert = decoder.converter(size=(SMALL.height, SMALL.width), fit=SMALL.fit)
        for pts_s, duration_s, frame, is_last in decoder.iter_frames():
            for now in (
                stream.push(frame, pts_s, convert=convert),
                stream.advance_to(pts_s + duration_s) if is_last else None,
            ):
                if now is not None:
                    answers[round(stream.prediction_time_s, 7)] = now
    return answers


def check_equal(answers, times_W2, of_windows_WK):
    """Each answer is that of the window which ends at its tick; sums of float32 may be in another order."""
    of_windows = dict(zip(times_W2[:, 1].round(7).tolist(), of_windows_WK, strict=True))
    assert set(answers) <= set(of_windows)
    np.testing.assert_allclose(list(answers.values()), [of_windows[tick] for tick in answers], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "fps"),
    [
        ("lrcn", {}, 6),
        ("lrcn", {}, 15),
        ("lrcn", {}, 25),
        ("lrcn", {}, 60),
        ("lrcn", {"backbone": "small-cnn"}, 25),
        ("single-frame", {}, 30),
        ("late-fusion", {"backbone": "motion-cnn"}, 60),
    ],
)
def test_exact_gives_what_the_whole_network_says_of_each_window(tmp_path, name, options, fps):
    path = numbered_video(tmp_path / "clip.mp4", 2 * fps, fps=fps)
    model = model_of(name, **options)
    times_W2, windows_WK = by_whole_clips(model, path)
    answers = play(model.stream(engine="keras"), path)
    check_equal(answers, times_W2, windows_WK)
    assert len(answers) == len(times_W2) or fps == 6  # where a frame may be on the screen for two
    assert np.ptp(np.log(windows_WK[:, 0] / windows_WK[:, 1])) > 0.001  # there is something to tell apart


def test_frames_one_at_a_time_through_efficientnet_are_those_of_batches_but_for_rounding(tmp_path):
    spec = ClipSpec(frames=6, height=64, width=64)
    path = numbered_video(tmp_path / "clip.mp4", 60, fps=25)
    approach = make_approach("lrcn", {"backbone": "efficientnet-lite0"})
    card = ModelCard("lrcn", config_of(approach), spec, ("left", "right"))
    model = Model(build_network(approach, spec, 2, pretrained=True), card, "lrcn", stride=1)
    times_W2, windows_WK = by_whole_clips(model, path)
    answers = play(model.stream(engine="keras"), path)
    assert len(answers) == len(times_W2) == 15
    np.testing.assert_allclose(list(answers.values()), windows_WK, atol=1e-5)
    assert np.ptp(windows_WK[:, 0]) > 0.001


def test_exact_is_equal_across_gaps_and_uneven_times(tmp_path):
    times_s = [0.0, 0.03, 0.5, 0.51, 0.55, 1.4, 1.41, 1.42, 1.43, 4.0, 4.04, 4.3, 4.5]  # one gap is longer than a clip
    path = numbered_video(tmp_path / "gaps.mkv", len(times_s), times_s=times_s)
    model = model_of("lrcn")
    times_W2, windows_WK = by_whole_clips(model, path)
    answers = play(model.stream(engine="keras"), path)
    check_equal(answers, times_W2, windows_WK)
    assert len(answers) >= 4


def test_frames_as_arrays_of_any_size_are_nearly_those_of_the_file(tmp_path):
    rng = np.random.default_rng(1)
    coarse = rng.integers(60, 200, (40, 6, 8, 3)).astype(np.uint8)
    path = encode(tmp_path / "clip.mp4", np.repeat(np.repeat(coarse, 20, axis=1), 20, axis=2), options={"crf": "18"})
    model = model_of("lrcn", backbone="small-cnn")
    stream = model.stream(engine="keras")
    answer = [stream.push(frame.pixels_HWC, frame.pts_s) for frame in read_frames(path)][-1]
    from_file = play(model.stream(engine="keras"), path)
    newest = max(time_s for time_s in from_file if time_s <= stream.prediction_time_s)
    np.testing.assert_allclose(answer, from_file[newest], atol=0.01)

    sizer = Sizer(SMALL)
    of_arrays = np.stack([sizer(frame.pixels_HWC) for frame in read_frames(path)]).astype(int)
    of_file = np.stack([frame.pixels_HWC for frame in read_frames(path, size=(SMALL.height, SMALL.width))])
    difference = np.abs(of_arrays - of_file)
    assert difference.mean() < 3  # RGB was made before the frame was made smaller, and not while it was
    assert np.quantile(difference, 0.99) <= 20


def test_arrays_of_the_models_size_are_taken_as_they_are_and_may_be_overwritten():
    model = model_of("lrcn")
    frames = frames_of(14)
    buffer, stream, answers = np.empty_like(frames[0]), model.stream(engine="keras"), []
    for number, frame in enumerate(frames):  # at 20 frames a second: most are held until it is known whether they count
        buffer[:] = frame
        answers.append(stream.push(buffer, number / 20))
        buffer[:] = 7
    shown = [int(tick * STEP_S * 20 + 1e-6) for tick in range(6)]
    expected = model.probabilities(model.network.predict_on_batch(frames[shown][None]))[0]
    assert answers[-2] is None
    np.testing.assert_allclose(answers[-1], expected, atol=1e-5)  # of 0.625 s, with the frame of 0.65 s
    assert stream.prediction_time_s == 0.625
    np.testing.assert_allclose(stream.advance_to(0.7), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lrcn", {}),
        ("lrcn", {"pooling": "mean", "backbone": "small-cnn"}),
        ("lrcn", {"pooling": "max", "diff_lag": 3, "projection": 8, "backbone": "small-cnn"}),
        ("lrcn", {"diff_lag": 1, "backbone": "small-cnn"}),
        ("lrcn", {"diff_lag": 50}),
        ("single-frame", {}),
        ("late-fusion", {"merge": "mean"}),
        ("late-fusion", {"merge": "attention"}),
        ("convlstm", {}),
        ("convlstm", {"backbone": "motion-cnn"}),
    ],
)
def test_carried_equals_exact_at_the_first_full_window_and_goes_on(name, options):
    model = model_of(name, **options)
    frames = frames_of(3 * SMALL.frames)
    carried, exact = model.stream(mode="carried", engine="keras"), model.stream(engine="keras", stride=1)
    for tick, frame in enumerate(frames[: SMALL.frames]):
        answers = carried.push(frame, tick * STEP_S), exact.push(frame, tick * STEP_S)
    np.testing.assert_allclose(*answers, atol=1e-5)
    later = [stream.push(frame, 0.75 + n * STEP_S) for n, frame in enumerate(frames[6:]) for stream in (carried, exact)]
    assert np.isfinite(later).all()
    drift = np.abs(np.array(later[::2]) - later[1::2]).max()
    assert drift < 1e-5 if name in ("single-frame", "late-fusion") else drift > 1e-5  # where nothing older is held


def test_a_carried_state_waits_while_nobody_is_there():
    """On landmarks, through the network's own step: a tracker would need a film of a person."""
    from kineme.prediction.engines.keras import KerasFunction
    from kineme.prediction.engines.steps import step_part

    spec = ClipSpec(frames=6, height=224, width=224)
    network = network_of("pose-lstm", spec)
    approach = make_approach("pose-lstm", {})
    card = ModelCard("pose-lstm", config_of(approach), spec, ("left", "right"))
    rows_TD = np.random.default_rng(0).normal(size=(6, 166)).astype(np.float32)
    rows_TD[[0, 3, 5]] = 0
    step = KerasFunction(step_part(card, network))
    states = [np.zeros(shape, np.float32) for shape in step.input_shapes[1:]]
    for row_D in rows_TD:
        logits_BK, *states = step(row_D[None], *states)
    np.testing.assert_allclose(logits_BK, network.predict_on_batch(rows_TD[None]), atol=1e-6)


@pytest.mark.parametrize("mode", ["exact", "carried"])
def test_going_back_in_time_and_reset_begin_anew(mode):
    model = model_of("lrcn")
    frames = frames_of(20)
    fresh = feed(model.stream(mode=mode, engine="keras"), frames[9:])
    stream = model.stream(mode=mode, engine="keras")
    feed(stream, frames[:9], 100.0)
    np.testing.assert_array_equal(feed(stream, frames[9:], 3.0), fresh)
    assert stream.prediction_time_s == 3.0 + 10 * STEP_S
    stream.reset()
    assert stream.prediction_time_s is None
    np.testing.assert_array_equal(feed(stream, frames[9:], 500.0), fresh)


def test_a_little_back_in_time_is_jitter():
    model = model_of("lrcn")
    frames = frames_of(10)
    plain, jittery = model.stream(engine="keras"), model.stream(engine="keras")
    feed(plain, frames)
    for tick, frame in enumerate(frames):
        answer = jittery.push(frame, tick * STEP_S)
        jittery.push(frame, tick * STEP_S - 0.05)
    np.testing.assert_array_equal(answer, plain.push(frames[-1], 9 * STEP_S))


def test_nothing_is_answered_before_there_is_a_window_and_nothing_new_between_ticks():
    model = model_of("lrcn")
    stream = model.stream(engine="keras")
    frames = frames_of(8)
    assert all(stream.push(frame, tick * STEP_S) is None for tick, frame in enumerate(frames[:5]))
    first = stream.push(frames[5], 5 * STEP_S)
    assert first is not None
    assert stream.push(frames[6], 5.5 * STEP_S) is first
    assert stream.push(frames[6], 6 * STEP_S) is not first
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


def test_networks_that_see_whole_clips_slide_with_a_stride(tmp_path):
    path = numbered_video(tmp_path / "clip.mp4", 60, fps=25)
    model = model_of("slow-fusion", stride=3)
    times_W2, windows_WK = by_whole_clips(model, path)
    stream = model.stream(engine="keras")
    answers = play(stream, path)
    assert stream.stride == 3
    check_equal(answers, times_W2, windows_WK)
    assert len(answers) >= 3
    assert len(play(model.stream(stride=1, engine="keras"), path)) > 2 * len(answers)


@pytest.mark.parametrize(
    ("name", "options", "how", "says"),
    [
        ("slow-fusion", {}, {"mode": "carried"}, "slow-fusion keeps no state to carry"),
        ("late-fusion", {}, {"mode": "carried"}, "merge=concat.*use mode='exact'"),
        ("lrcn", {"bidirectional": True}, {"mode": "carried"}, "reads clips backwards"),
        ("lrcn", {}, {"mode": "fast"}, "choose one of exact, carried"),
        ("lrcn", {}, {"engine": "gpu"}, "choose one of auto, keras, litert"),
        ("lrcn", {}, {"stride": 0}, "must be 1 or more"),
        ("lrcn", {}, {"mode": "carried", "stride": 2}, "stride is for mode 'exact'"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(name, options, how, says):
    with pytest.raises(UsageError, match=says) as error:
        model_of(name, **options).stream(**how)
    assert "\n" not in str(error.value)


def test_a_model_of_whole_videos_and_wrong_frames_are_refused():
    with pytest.raises(UsageError, match="train with --fps"):
        model_of("lrcn", ClipSpec(frames=6, fps=None)).stream()
    stream = model_of("lrcn").stream(engine="keras")
    with pytest.raises(UsageError, match=r"uint8 array of shape \(H, W, 3\), not float32"):
        stream.push(np.zeros((64, 64, 3), np.float32), 0.0)
    with pytest.raises(UsageError, match="not uint8"):
        stream.push(np.zeros((64, 64), np.uint8), 0.0)
    with pytest.raises(UsageError, match="must be a number of seconds, not nan"):
        stream.push(np.zeros((64, 64, 3), np.uint8), float("nan"))
