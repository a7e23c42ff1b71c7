"""Files written by VideoWriter: colours, times, sound, and nothing left behind when it fails."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers_video import click_times, numbered_frame, numbered_video, read_number

from kineme.errors import KinemeError, UsageError
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.write import VideoWriter, exact_rate

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 60, 30)]


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"])
def test_flat_colours_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"colours{suffix}"
    with VideoWriter(path, width=64, height=48, fps=10) as writer:
        for colour in COLOURS:
            writer.write(np.broadcast_to(np.array(colour, np.uint8), (48, 64, 3)))
    frames = [frame.pixels_HWC for frame in read_frames(path)]
    assert len(frames) == len(COLOURS)
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame.astype(int) - colour).max() <= 5


def test_the_mp4_is_what_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with VideoWriter(path, width=65, height=47, fps=25) as writer:
        for number in range(5):
            writer.write(numbered_frame(number, 47, 65))
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it has arrived whole
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width, context.height) == (66, 48)
        assert (context.colorspace, context.color_range) == (1, 1)  # BT.709, limited
    assert [read_number(frame.pixels_HWC) for frame in read_frames(path)] == list(range(5))


@pytest.mark.parametrize("rate", [Fraction(15), Fraction(25), Fraction(30_000, 1001), Fraction(60), Fraction(12, 7)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_the_rate_is_kept_exactly(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    path = tmp_path / f"video{suffix}"
    with VideoWriter(path, width=64, height=48, fps=rate) as writer:
        for number in range(30):
            writer.write(numbered_frame(number, 48, 64))
    info = probe(path)
    assert float(info.fps) == pytest.approx(float(rate), rel=1e-4 if suffix == ".mkv" else 1e-12)
    assert info.duration_s == pytest.approx(float(30 / rate), abs=2e-3 if suffix == ".mkv" else 1e-9)


def test_a_rate_given_as_a_number_is_taken_for_the_exact_one() -> None:
    assert exact_rate(29.97) == Fraction(30_000, 1001)
    assert exact_rate(23.976) == Fraction(24_000, 1001)
    assert exact_rate(12.5) == Fraction(25, 2)
    assert exact_rate(30) == 30
    with pytest.raises(UsageError, match="fps must be between"):
        exact_rate(0.0)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_rate_is_kept(tmp_path: Path, suffix: str) -> None:
    times = np.cumsum([0, *np.random.default_rng(3).uniform(0.01, 0.3, 39)])
    path = tmp_path / f"variable{suffix}"
    with VideoWriter(path, width=64, height=48, fps=10) as writer:
        for number, time in enumerate(times):
            writer.write(numbered_frame(number, 48, 64), pts_s=float(time))
    frames = list(read_frames(path))
    assert [read_number(frame.pixels_HWC) for frame in frames] == list(range(40))
    np.testing.assert_allclose([frame.pts_s for frame in frames], times, atol=6e-4 if suffix == ".mkv" else 6e-6)
    assert frames[-1].duration_s == pytest.approx(0.1, abs=1e-3)


def write_at(path: Path, *times: float) -> None:
    with VideoWriter(path, width=64, height=48, fps=10) as writer:
        for time in times:
            writer.write(numbered_frame(0, 48, 64), pts_s=time)


def test_an_avi_cannot_hold_a_variable_rate(tmp_path: Path) -> None:
    path = tmp_path / "variable.avi"
    with pytest.raises(KinemeError, match=r"variable\.avi: AVI cannot hold a variable rate; write \.mp4 or \.mkv"):
        write_at(path, 0.0)
    assert list(tmp_path.iterdir()) == []


SOURCES = [("mp4", "libx264", "aac"), ("mkv", "libx264", "flac"), ("avi", "mpeg4", "libmp3lame"),
           ("mkv", "libx264", "pcm_s16le"), ("webm", "libvpx-vp9", "libopus")]  # fmt: skip


@pytest.mark.parametrize(("suffix", "codec", "sound"), SOURCES)
@pytest.mark.parametrize("target", [".mp4", ".mkv", ".webm", ".avi"])
def test_sound_is_kept_in_step(tmp_path: Path, suffix: str, codec: str, sound: str, target: str) -> None:
    options = {"deadline": "realtime", "cpu-used": "8"} if suffix == "webm" else {}
    source = numbered_video(
        tmp_path / f"source.{suffix}", 63, codec=codec, options=options, sound=sound, sound_rate=48_000
    )
    path = tmp_path / f"copy{target}"
    with VideoWriter(path, width=128, height=96, fps=25, sound_from=source) as writer:
        for frame in read_frames(source):
            writer.write(frame.pixels_HWC)
    np.testing.assert_allclose(click_times(path), [0, 1, 2], atol=0.04)
    assert len(list(read_frames(path))) == 63
    with av.open(str(path)) as container:
        length_s = container.duration / 1e6
    assert length_s == pytest.approx(2.52, abs=0.06)
    if (suffix, target) in (("mp4", ".mp4"), ("webm", ".webm"), ("avi", ".avi")):
        with av.open(str(source)) as a, av.open(str(path)) as b:
            first, second = ([bytes(packet) for packet in c.demux(audio=0) if packet.size] for c in (a, b))
        assert set(second) <= set(first)  # copied, not encoded again
        assert len(second) >= len(first) - 2


@pytest.mark.parametrize(("suffix", "sound"), [("mp4", "aac"), ("mkv", "pcm_s16le")])
@pytest.mark.parametrize("late_s", [0.5, 1.75])
def test_sound_stays_in_step_when_the_pictures_begin_later(
    tmp_path: Path, suffix: str, sound: str, late_s: float
) -> None:
    times = [late_s + number / 25 for number in range(60)]
    source = numbered_video(tmp_path / f"late.{suffix}", 60, times_s=times, sound=sound)
    path = tmp_path / "copy.mp4"
    with VideoWriter(path, width=128, height=96, fps=25, sound_from=source) as writer:
        for frame in read_frames(source):
            writer.write(frame.pixels_HWC, frame.pts_s)
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        begins_s = float(next(container.decode(video)).pts * video.time_base)
    assert begins_s == pytest.approx(late_s, abs=0.03)
    np.testing.assert_allclose(click_times(path), range(math.ceil(times[-1])), atol=0.04)


def tone_video(path: Path, hertz: float, seconds: int, **how: object) -> Path:
    """A numbered video with a tone all along."""
    return numbered_video(path, 25 * seconds, height=48, width=64, sound="aac", tone=hertz, **how)


def tone_at(path: Path, second: float) -> float:
    """The loudest frequency of half a second of sound."""
    with av.open(str(path)) as container:
        parts = [(frame.time, frame.sample_rate, frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    (rate,) = {rate for _, rate, _ in parts}
    samples = np.concatenate([part for time, _, part in parts if second <= time < second + 0.5])
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.mark.parametrize("out", ["copy.mp4", "copy.webm"])
def test_sound_follows_the_pictures_over_a_joint(tmp_path: Path, out: str) -> None:
    parts = [tone_video(tmp_path / f"{hertz}.ts", hertz, 3) for hertz in (440, 880, 1320)]
    source = tmp_path / "joined.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = list(read_frames(source))
    assert [read_number(frame.pixels_HWC) for frame in frames] == 3 * list(range(75))
    begins_s = frames[0].pts_s
    np.testing.assert_allclose([frame.pts_s - begins_s for frame in frames], np.arange(225) / 25, atol=0.001)
    assert probe(source).duration_s == pytest.approx(9 + begins_s, abs=0.01)
    with VideoWriter(tmp_path / out, width=64, height=48, fps=25, sound_from=source) as writer:
        for frame in frames:
            writer.write(frame.pixels_HWC, frame.pts_s)
    for second, hertz in ((0.5, 440), (2.2, 440), (3.4, 880), (5.2, 880), (6.4, 1320), (8.2, 1320)):
        assert tone_at(tmp_path / out, second) == pytest.approx(hertz, abs=20)


def test_a_clock_that_runs_over_its_33_bits_goes_on(tmp_path: Path) -> None:
    whole = tone_video(tmp_path / "whole.ts", 440, 4)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "wraps.ts"), "w") as output:
        streams = {one.index: output.add_stream_from_template(one) for one in source.streams}
        for packet in source.demux():
            if packet.size:
                late = round(((2**33 / 90_000) - 4) / packet.time_base)  # in the middle
                packet.pts, packet.dts = packet.pts + late, packet.dts + late
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    warnings: list[str] = []
    frames = list(read_frames(tmp_path / "wraps.ts", on_warning=warnings.append))
    begins_s = frames[0].pts_s
    assert warnings == []
    assert [read_number(frame.pixels_HWC) for frame in frames] == list(range(100))
    np.testing.assert_allclose([frame.pts_s - begins_s for frame in frames], np.arange(100) / 25, atol=0.001)
    assert probe(tmp_path / "wraps.ts").duration_s == pytest.approx(4 + begins_s, abs=0.01)


def test_the_last_frame_is_held_as_long_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "held.mp4"
    with VideoWriter(path, width=64, height=48, fps=25) as writer:
        for number, (time_s, lasts_s) in enumerate([(0.0, 0.04), (0.04, 5.0), (5.04, 20.0)]):
            writer.write(numbered_frame(number, 48, 64), time_s, duration_s=lasts_s)
    assert probe(path).duration_s == pytest.approx(25.04, abs=0.01)
    assert [frame.duration_s for frame in read_frames(path)] == pytest.approx([0.04, 5.0, 20.0], abs=0.01)


def test_without_sound_the_clock_begins_with_the_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "late.mp4"
    with VideoWriter(path, width=64, height=48, fps=25) as writer:
        for number in range(25):
            writer.write(numbered_frame(number, 48, 64), 2 + number / 25)
    assert [frame.pts_s for frame in read_frames(path)][:3] == pytest.approx([0, 2.04, 2.08], abs=0.001)


def test_a_source_without_sound_adds_none(tmp_path: Path) -> None:
    source = numbered_video(tmp_path / "silent.mp4", 5)
    path = tmp_path / "copy.mp4"
    with VideoWriter(path, width=128, height=96, fps=25, sound_from=source) as writer:
        writer.write(numbered_frame(0))
    assert not probe(path).has_audio


def test_an_error_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"old")

    def fail_midway() -> None:
        with VideoWriter(path, width=64, height=48, fps=25) as writer:
            writer.write(numbered_frame(0, 48, 64))
            raise FileNotFoundError("of something else")

    with pytest.raises(FileNotFoundError, match="of something else"):
        fail_midway()
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == [("video.mp4", b"old")]


def test_no_frame_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(KinemeError, match="no frame was written"),
        VideoWriter(tmp_path / "video.mp4", width=64, height=48, fps=25),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.mp4"):
        VideoWriter(tmp_path / "video.txt", width=64, height=48, fps=25)
    with pytest.raises(UsageError, match="no encoder nonsense"):
        VideoWriter(tmp_path / "video.mp4", width=64, height=48, fps=25, codec="nonsense")
    with VideoWriter(tmp_path / "video.mp4", width=64, height=48, fps=25) as writer:
        writer.write(numbered_frame(0, 48, 64))
        with pytest.raises(ValueError, match=r"uint8 of shape \(48, 64, 3\)"):
            writer.write(numbered_frame(0, 64, 48))
        with pytest.raises(ValueError, match="for all frames or for none"):
            writer.write(numbered_frame(0, 48, 64), pts_s=1.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(KinemeError, match="cannot be written"):
        write_at(tmp_path / "file" / "video.mp4", 0.0)


FILL_A_DISK = """
import sys, pathlib, subprocess
import numpy as np
from kineme.errors import KinemeError
from kineme.video.write import VideoWriter
folder = pathlib.Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], check=True)
rng = np.random.default_rng(0)
try:
    with VideoWriter(folder / f"video{sys.argv[2]}", width=320, height=240, fps=25) as writer:
        for _ in range(int(sys.argv[3])):
            writer.write(rng.integers(0, 256, (240, 320, 3), np.uint8))
except KinemeError as error:
    print(error)
print([item.name for item in folder.iterdir()])
"""


@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0,
    reason="needs Linux user namespaces to mount a small disk",
)
@pytest.mark.parametrize(("suffix", "frames"), [(".mp4", 40), (".mkv", 40), (".avi", 40)])
def test_a_full_disk_gives_one_line_and_leaves_nothing(tmp_path: Path, suffix: str, frames: int) -> None:
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", FILL_A_DISK, str(tmp_path), suffix, str(frames)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    line, left = done.stdout.splitlines()
    assert line == f"{tmp_path / ('video' + suffix)}: the disk is full; free some space or choose another folder"
    assert left == "[]"
