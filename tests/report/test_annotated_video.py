"""The annotated video: sound, size, number and times of frames are those of the source; the drawing is right."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kineme.dataset.labels import BACKGROUND
from kineme.errors import UsageError, VideoError
from kineme.prediction.result import Segment
from kineme.report.annotate import annotate_video
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.write import VideoWriter

CLIPS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "real-clips"
LABELS = ["first half", "second half"]
BLUE = np.array((0, 114, 178))


def real(name: str) -> Path:
    if not (CLIPS / name).exists():
        pytest.skip(f"the clip {name} is not beside the repository")
    return CLIPS / name


def always(time_s: float) -> np.ndarray:
    return np.array([0.9, 0.1])


def frame_times(path: Path) -> list[float]:
    return [frame.pts_s for frame in read_frames(path, size=(8, 8))]


def small_video(path: Path, times: list[float] | None = None) -> Path:
    with VideoWriter(path, width=160, height=120, fps=25) as writer:
        for index in range(50):
            frame = np.full((120, 160, 3), 100 + index, np.uint8)
            writer.write(frame) if times is None else writer.write(frame, pts_s=times[index])
    return path


@pytest.mark.parametrize("name", ["abseiling.mp4", "juggling_soccer_ball.avi"])
def test_a_real_clip_keeps_its_sound_size_rate_and_frames(tmp_path: Path, name: str) -> None:
    source, out = real(name), tmp_path / "out.mp4"

    annotate_video(source, out, always, LABELS)

    before, after = probe(source), probe(out)
    assert after.fps == before.fps
    assert (after.width, after.height) == (before.width, before.height)
    assert after.frame_count == before.frame_count
    assert after.duration_s == pytest.approx(before.duration_s, abs=0.001)
    assert after.has_audio == before.has_audio
    assert frame_times(out) == pytest.approx(frame_times(source), abs=1e-4)


def test_the_sound_is_that_of_the_source(tmp_path: Path) -> None:
    source, out = real("abseiling.mp4"), tmp_path / "out.mp4"

    annotate_video(source, out, always, LABELS)

    def samples(path: Path) -> np.ndarray:
        with av.open(str(path)) as container:
            return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])

    before, after = samples(source), samples(out)
    shared = min(len(before), len(after))
    assert shared > 0.98 * len(before)
    assert np.corrcoef(before[:shared], after[:shared])[0, 1] > 0.95


def test_a_variable_rate_keeps_the_time_of_every_frame(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([1 / 60, 1 / 30, 0.11], 50)).tolist()
    times = [time - times[0] for time in times]
    source, out = small_video(tmp_path / "vfr.mp4", times), tmp_path / "out.mp4"

    annotate_video(source, out, always, LABELS)

    assert frame_times(source) == pytest.approx(times, abs=1e-3), "the source itself has a variable rate"
    assert frame_times(out) == pytest.approx(frame_times(source), abs=1e-4)


@pytest.mark.parametrize("rate", [Fraction(15), Fraction(30000, 1001), Fraction(60)])
def test_constant_rates_stay_exact(tmp_path: Path, rate: Fraction) -> None:
    with VideoWriter(tmp_path / "in.mp4", width=64, height=48, fps=rate) as writer:
        for _ in range(30):
            writer.write(np.full((48, 64, 3), 90, np.uint8))

    annotate_video(tmp_path / "in.mp4", tmp_path / "out.mp4", always, LABELS)

    assert probe(tmp_path / "out.mp4").fps == rate


def test_each_frame_shows_what_is_likely_at_its_time(tmp_path: Path) -> None:
    source, out = small_video(tmp_path / "in.mp4"), tmp_path / "out.mp4"

    annotate_video(source, out, lambda time: np.array([0.25, 0.75]) if time < 1 else np.array([0.0, 1.0]), LABELS)

    def blue_share(pixels_HWC: np.ndarray) -> float:
        near = (np.abs(pixels_HWC[:60].astype(int) - BLUE) < 30).all(axis=2)
        return near.any(axis=0).mean()

    shares = [blue_share(frame.pixels_HWC) for frame in read_frames(out)]
    assert max(shares[:25]) < 0.8 * min(shares[25:])


def test_the_strip_appears_only_where_the_label_changes(tmp_path: Path) -> None:
    source = small_video(tmp_path / "in.mp4")
    annotate_video(source, tmp_path / "still.mp4", always, LABELS)
    changes = [Segment(0.0, 1.0, LABELS[0], 0.9), Segment(1.0, 2.0, LABELS[1], 0.9)]
    annotate_video(source, tmp_path / "changes.mp4", always, LABELS, changes)

    def lower_edge_spread(path: Path) -> float:
        frame = next(read_frames(path))
        return float(frame.pixels_HWC[-20:].std())

    assert lower_edge_spread(tmp_path / "still.mp4") < 3
    assert lower_edge_spread(tmp_path / "changes.mp4") > 10


def test_nothing_is_said_where_it_is_background(tmp_path: Path) -> None:
    source, out = small_video(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    annotate_video(source, out, always, LABELS, [Segment(0.0, 1.0, BACKGROUND, 0.9), Segment(1.0, 2.0, LABELS[0], 0.9)])
    spreads = [float(frame.pixels_HWC[:60].std()) for frame in read_frames(out)]
    assert max(spreads[:25]) < 3 < 10 < min(spreads[25:])


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    source = small_video(tmp_path / "in.mp4")
    content = source.read_bytes()

    with pytest.raises(UsageError, match=r"in\.mp4"):
        annotate_video(source, tmp_path / "." / "in.mp4", always, LABELS)
    assert source.read_bytes() == content


def test_a_file_that_is_no_video_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("not a video")

    with pytest.raises(VideoError, match=r"notes\.mp4"):
        annotate_video(tmp_path / "notes.mp4", tmp_path / "out.mp4", always, LABELS)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.mp4"]
