"""What a clip holds at each of its instants, read back from the pictures, for every rate and container."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers_video import cut_file, numbered_video, read_number

from kineme.errors import UsageError, VideoError
from kineme.video.clips import read_clips, read_sampled_video, ticks
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

NTSC = Fraction(30_000, 1001)
VARIABLE = [float(time) for time in np.cumsum([0, *np.random.default_rng(5).uniform(0.01, 0.2, 59)]).round(3)]
B_FRAMES = {"g": "250", "bf": "3"}

# suffix, codec, rate (or the variable times), encoder options
SOURCES = {
    "15-mp4": ("mp4", "libx264", Fraction(15), {}),
    "25-mp4-b-frames": ("mp4", "libx264", Fraction(25), B_FRAMES),
    "29.97-mp4": ("mp4", "libx264", NTSC, B_FRAMES),
    "60-mp4": ("mp4", "libx264", Fraction(60), B_FRAMES),
    "variable-mp4": ("mp4", "libx264", VARIABLE, B_FRAMES),
    "variable-mkv": ("mkv", "libx264", VARIABLE, B_FRAMES),
    "25-mkv": ("mkv", "libx264", Fraction(25), B_FRAMES),
    "25-webm": ("webm", "libvpx-vp9", Fraction(25), {"deadline": "realtime", "cpu-used": "8"}),
    "29.97-avi": ("avi", "mpeg4", NTSC, {}),
    "25-avi-b-frames": ("avi", "mpeg4", Fraction(25), {"bf": "2"}),
    "25-avi-h264-b-frames": ("avi", "libx264", Fraction(25), B_FRAMES),
    "15-avi-mjpeg": ("avi", "mjpeg", Fraction(15), {"pixel_format": "yuvj420p"}),
    "25-ts": ("ts", "libx264", Fraction(25), B_FRAMES),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[float]]]:
    """Each source's file, and when each of its frames is shown."""
    folder = tmp_path_factory.mktemp("contract")
    made = {}
    for name, (suffix, codec, rate, given) in SOURCES.items():
        options = dict(given)
        how = {"codec": codec, "pixel_format": options.pop("pixel_format", "yuv420p"), "options": options}
        path = folder / f"{name}.{suffix}"
        if isinstance(rate, list):
            numbered_video(path, len(rate), times_s=rate, fps=10, **how)
            times = rate
        else:
            count = int(4 * rate) + 3
            numbered_video(path, count, fps=rate, **how)
            times = [float(number / rate) for number in range(count)]
        made[name] = path, times
    return made


def shown_at(times: list[float], instant: float) -> int:
    return max(number for number, time in enumerate(times) if number == 0 or time <= instant + 1e-6)


@pytest.mark.parametrize("name", SOURCES)
def test_all_frames_come_in_order_with_their_times(sources: dict[str, tuple[Path, list[float]]], name: str) -> None:
    path, times = sources[name]
    warnings: list[str] = []
    frames = list(read_frames(path, on_warning=warnings.append))
    assert [read_number(frame.pixels_HWC) for frame in frames] == list(range(len(times)))
    # Matroska rounds to the millisecond, an MPEG transport stream to 1/90000 s.
    np.testing.assert_allclose([frame.pts_s for frame in frames], times, atol=6e-4)
    np.testing.assert_allclose([frame.duration_s for frame in frames][:-1], np.diff(times), atol=1.1e-3)
    assert frames[-1].duration_s > 0
    assert not warnings


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("fps", [3.0, 8.0, 25.0])
def test_each_tick_shows_the_last_frame_not_after_it(
    sources: dict[str, tuple[Path, list[float]]], name: str, fps: float
) -> None:
    path, times = sources[name]
    if path.suffix in (".mkv", ".webm"):
        times = [round(time, 3) for time in times]
    spec = ClipSpec(frames=6, fps=fps, height=48, width=64)
    sampled = read_sampled_video(path, spec)
    assert sampled.times_s.tolist() == [tick * spec.step_s(0) for tick in range(len(sampled.times_s))]
    chosen = [read_number(frame) for frame in sampled.frames_NHWC]
    assert chosen == [shown_at(times, instant) for instant in sampled.times_s]
    assert len(chosen) == spec.tick_count(sampled.info.duration_s)


@pytest.mark.parametrize("name", SOURCES)
def test_a_spread_clip_covers_the_whole_video_at_even_steps(
    sources: dict[str, tuple[Path, list[float]]], name: str
) -> None:
    path, times = sources[name]
    spec = ClipSpec(frames=12, fps=None, height=48, width=64)
    sampled = read_sampled_video(path, spec)
    assert len(sampled.frames_NHWC) == 12
    np.testing.assert_allclose(np.diff(sampled.times_s), probe(path).duration_s / 12)
    if path.suffix in (".mkv", ".webm"):
        times = [round(time, 3) for time in times]
    assert [read_number(frame) for frame in sampled.frames_NHWC] == [shown_at(times, time) for time in sampled.times_s]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("fps", [8.0, None])
def test_clips_equal_windows_of_the_whole(
    sources: dict[str, tuple[Path, list[float]]], name: str, fps: float | None
) -> None:
    path, _ = sources[name]
    spec = ClipSpec(frames=7, fps=fps, height=32, width=40, fit="letterbox")
    sampled = read_sampled_video(path, spec)
    for stride in (None, 2, 9):
        starts = spec.window_starts(len(sampled.times_s), stride)
        clips = list(read_clips(path, spec, stride=stride))
        assert len(clips) == len(starts)
        for start, clip in zip(starts, clips, strict=True):
            window = spec.window(start, len(sampled.times_s))
            assert np.array_equal(clip.frames_THWC, sampled.frames_NHWC[window])
            assert np.array_equal(clip.times_s, sampled.times_s[window])


@pytest.mark.parametrize(("overlap", "starts"), [(0.5, [0, 3, 6, 9, 10]), (0.0, [0, 7, 10]), (0.8, [*range(11)])])
def test_clips_overlap_as_the_spec_says(
    sources: dict[str, tuple[Path, list[float]]], overlap: float, starts: list[int]
) -> None:
    path, _ = sources["25-mp4-b-frames"]
    spec = ClipSpec(frames=7, fps=17 / probe(path).duration_s, height=32, width=40, overlap=overlap)
    sampled = read_sampled_video(path, spec)
    assert len(sampled.times_s) == 17
    assert spec.window_starts(17) == starts
    assert [clip.times_s[0] for clip in read_clips(path, spec)] == [sampled.times_s[start] for start in starts]
    assert ClipSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("frames", "overlap", "stride"), [(20, 0.9, 2), (5, 0.8, 1), (10, 0.7, 3), (7, 0.5, 3), (1, 0, 1)]
)
def test_strides_are_not_shortened_by_rounded_shares(frames: int, overlap: float, stride: int) -> None:
    assert ClipSpec(frames=frames, overlap=overlap).default_stride == stride


def test_a_spec_that_says_nothing_of_an_overlap_is_one_of_half_a_clip() -> None:
    assert "overlap" not in ClipSpec().to_json(), "as documents always were"
    assert ClipSpec.from_json(ClipSpec().to_json()).overlap == 0.5
    for wrong in (1.0, -0.1, float("nan"), True, "half"):
        with pytest.raises(UsageError, match=r"overlap must be from 0 to 0\.95"):
            ClipSpec(overlap=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("fps", [8.0, None])
def test_finer_sampling_holds_the_coarse_one(
    sources: dict[str, tuple[Path, list[float]]], name: str, fps: float | None
) -> None:
    path, _ = sources[name]
    spec = ClipSpec(frames=7, fps=fps, height=32, width=40)
    coarse, fine = read_sampled_video(path, spec), read_sampled_video(path, spec, per_frame=2)
    assert np.array_equal(fine.frames_NHWC[::2], coarse.frames_NHWC)
    assert np.array_equal(fine.times_s[::2], coarse.times_s)


@pytest.mark.parametrize("name", SOURCES)
def test_a_part_of_a_video_has_the_frames_of_its_own_instants(
    sources: dict[str, tuple[Path, list[float]]], name: str
) -> None:
    path, times = sources[name]
    if path.suffix in (".mkv", ".webm"):
        times = [round(time, 3) for time in times]
    spec = ClipSpec(frames=4, fps=10.0, height=48, width=64)
    sampled = read_sampled_video(path, spec, start_s=1.23, end_s=2.5)
    np.testing.assert_allclose(sampled.times_s, 1.23 + np.arange(13) / 10)
    assert [read_number(frame) for frame in sampled.frames_NHWC] == [shown_at(times, time) for time in sampled.times_s]


@pytest.mark.parametrize("short", ["hold", "loop"])
def test_a_short_video_follows_the_policy(tmp_path: Path, short: str) -> None:
    path = numbered_video(tmp_path / "short.mp4", 10)  # 0.4 s: ticks at 0, 0.1, 0.2, 0.3
    spec = ClipSpec(frames=6, fps=10.0, height=48, width=64, short=short)  # type: ignore[arg-type]
    (clip,) = read_clips(path, spec)
    ends = {"hold": [7, 7], "loop": [0, 2]}[short]
    assert [read_number(frame) for frame in clip.frames_THWC] == [0, 2, 5, 7, *ends]


def test_a_short_video_can_be_refused(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "short.mp4", 10)
    spec = ClipSpec(frames=6, fps=10.0, height=48, width=64, short="refuse")
    with pytest.raises(VideoError, match=r"short\.mp4: is too short: about 0\.4 s, and a clip is 0\.6 s"):
        list(read_clips(path, spec))
    with pytest.raises(VideoError, match="too short"):
        read_sampled_video(path, spec)
    assert len(list(read_clips(numbered_video(tmp_path / "enough.mp4", 15), spec))) == 1


def test_a_part_outside_the_video_is_an_error(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "video.mp4", 25)
    with pytest.raises(VideoError, match=r"ends before 3\.00 s"):
        read_sampled_video(path, ClipSpec(), start_s=3.0)
    with pytest.raises(VideoError, match=r"nothing lies between 0\.80 s and 0\.50 s"):
        read_sampled_video(path, ClipSpec(), start_s=0.8, end_s=0.5)
    with pytest.raises(VideoError, match="nothing lies between"):
        read_sampled_video(path, ClipSpec(fps=None), start_s=3.0)


@pytest.mark.parametrize(("suffix", "sound"), [("mp4", "aac"), ("mkv", "libmp3lame"), ("ts", "aac"), ("avi", None)])
@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3"}])
def test_time_zero_is_where_the_container_begins(
    tmp_path: Path, suffix: str, sound: str | None, options: dict[str, str]
) -> None:
    late_s = 2.0 if sound else 0.0
    times = [late_s + number / 25 for number in range(50)] if sound else None
    path = numbered_video(tmp_path / f"late.{suffix}", 50, times_s=times, sound=sound, options=options)
    with av.open(str(path)) as container:
        begins_s = (container.start_time or 0) / 1e6
        first_s = min(frame.time for frame in container.decode(video=0)) - begins_s
    assert probe(path).duration_s == pytest.approx(late_s + 2.0, abs=0.05)
    if sound:
        assert next(read_frames(path)).pts_s == pytest.approx(first_s, abs=1e-6)
        assert first_s == pytest.approx(late_s, abs=0.09)
    sampled = read_sampled_video(path, ClipSpec(fps=5.0, height=48, width=64))
    late = round(late_s * 5)
    numbers = [read_number(frame) for frame in sampled.frames_NHWC]
    assert numbers[:late] == [0] * late  # what is shown first is shown until then
    shift = max(0, first_s - late_s) if sound else 0
    wanted = [max(0, int((tick / 5 - shift) * 25 + 1e-3)) for tick in range(10)]
    assert numbers[late : late + 10] == wanted


def shifted(path: Path, to: Path, seconds: float) -> Path:
    """A copy of the packets whose clock begins later."""
    with av.open(str(path)) as source, av.open(str(to), "w") as output:
        streams = {one.index: output.add_stream_from_template(one) for one in source.streams}
        for packet in source.demux():
            if packet.size:
                late = round(seconds / packet.time_base)
                packet.pts += late
                packet.dts = None if packet.dts is None else packet.dts + late
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    return to


@pytest.mark.parametrize("suffix", ["mkv", "webm", "nut", "ts", "mp4", "flv", "wmv"])
def test_a_clock_that_begins_late_is_no_damage(tmp_path: Path, suffix: str) -> None:
    codec = {"webm": "libvpx", "wmv": "wmv2"}.get(suffix, "libx264")
    sound = {"webm": None, "wmv": None}.get(suffix, "libmp3lame")
    options = {"bf": "0"} if suffix == "wmv" else {}
    whole = numbered_video(tmp_path / f"whole.{suffix}", 100, codec=codec, sound=sound, options=options)
    path = shifted(whole, tmp_path / f"late.{suffix}", 100.0)
    sampled, late = (read_sampled_video(one, ClipSpec(fps=5.0, height=48, width=64)) for one in (whole, path))
    assert late.warnings == sampled.warnings == ()
    assert late.info.duration_s == pytest.approx(sampled.info.duration_s, abs=0.05)
    numbers = [[read_number(frame) for frame in one.frames_NHWC[:20]] for one in (sampled, late)]
    assert numbers[1] == pytest.approx(numbers[0], abs=1)  # the delay of sound is rounded otherwise
    if suffix in ("mkv", "webm"):  # what is really cut short is still told
        (warning,) = read_sampled_video(cut_file(path, 0.5, tmp_path / f"cut.{suffix}"), ClipSpec()).warnings
        assert warning.kind == "truncated"


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mp4", "libx264", B_FRAMES),
        ("mp4", "libx264", {"g": "25", "bf": "3"}),
        ("mp4", "libx264", {"g": "25", "bf": "3", "x264-params": "open-gop=1"}),
        ("mkv", "libx264", {"g": "30", "bf": "2"}),
        ("avi", "libx264", {"g": "25", "bf": "2"}),
        ("avi", "mpeg4", {"g": "250", "bf": "2"}),
        ("avi", "mpeg4", {"g": "25"}),
        ("webm", "libvpx-vp9", {"g": "40", "deadline": "realtime", "cpu-used": "8"}),
        ("ts", "libx264", {"g": "25", "bf": "2"}),
        ("mp4", "libx264", {"intra-refresh": "1", "g": "25"}),
    ],
)
def test_entering_in_the_middle_equals_reading_from_the_start(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str]
) -> None:
    path = numbered_video(tmp_path / f"long.{suffix}", 300, codec=codec, options=options)
    whole = list(read_frames(path))
    for start_s in (4.0, 5.01, 8.48, 11.96):
        part = list(read_frames(path, start_s=start_s, end_s=start_s + 1.0))
        first = shown_at([frame.pts_s for frame in whole], start_s)
        assert part[0].pts_s == whole[first].pts_s
        for one, other in zip(part, whole[first:], strict=False):
            assert one.pts_s == other.pts_s
            assert np.array_equal(one.pixels_HWC, other.pixels_HWC)


def test_one_frame_is_converted_once_for_all_its_ticks(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "slow.mp4", 5, fps=2)
    arrays = [frame for _, frame in ticks(path, ClipSpec(fps=8.0, height=48, width=64))]
    assert len(arrays) == 20
    assert len({id(array) for array in arrays}) == 5
