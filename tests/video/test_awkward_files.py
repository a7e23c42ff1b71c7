"""Broken, odd and real files: used as far as they can be, and said; or one clear line."""

from __future__ import annotations

import pickle
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.reformatter import ColorTrc
from helpers_video import (
    cut_file,
    encode,
    numbered_frame,
    numbered_video,
    read_number,
    scramble,
    sound_only,
    stretch_header,
)

from kineme.errors import VideoError
from kineme.video.clips import read_clips, read_sampled_video
from kineme.video.container import NamedFile
from kineme.video.decode import read_frames
from kineme.video.probe import probe
from kineme.video.spec import ClipSpec

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SPEC = ClipSpec(frames=8, height=48, width=64)


def noisy_video(path: Path, codec: str, count: int = 60) -> Path:
    """Noise makes every packet large, so that damage hits several of them."""
    rng = np.random.default_rng(1)
    frames = (
        (numbered_frame(number, 192, 256) // 2 + rng.integers(0, 60, (192, 256, 3))).astype(np.uint8)
        for number in range(count)
    )
    movflags = "+faststart" if path.suffix == ".mp4" else ""
    options = {"deadline": "realtime", "cpu-used": "8"} if codec.startswith("libvpx") else {"bf": "2", "g": "20"}
    options |= {"b": "4M"} if codec == "mpeg4" else {}
    return encode(path, frames, codec=codec, options=options, movflags=movflags)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.mp4", None, "no such file"),
        ("empty.mp4", b"", "is empty (0 bytes)"),
        ("text.mp4", b"not a video at all\n" * 50, "is not a video that can be read"),
        ("noise.avi", np.random.default_rng(0).bytes(4000), "is not a video that can be read"),
        ("riff.avi", b"RIFF\x00\x10\x00\x00AVI LIST", "is not a video that can be read"),
    ],
)
def test_what_is_no_video_is_told_in_one_line(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    for use in (probe, lambda path: list(read_frames(path)), lambda path: list(read_clips(path, SPEC))):
        with pytest.raises(VideoError) as caught:
            use(path)
        assert caught.value.reason == reason
        assert str(caught.value) == f"{path}: {reason}"


def test_a_folder_sound_and_a_picture_are_not_videos(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="is a folder, not a video file"):
        probe(tmp_path)
    with pytest.raises(VideoError, match="holds no video stream, only sound"):
        probe(sound_only(tmp_path / "speech.mp4"))
    png = encode(tmp_path / "one.avi", [numbered_frame(1)], codec="png", pixel_format="rgb24")
    with av.open(str(png)) as container:
        picture = bytes(next(container.demux(video=0)))
    (tmp_path / "picture.mp4").write_bytes(picture)
    with pytest.raises(VideoError, match="is a still picture or text, not a video"):
        probe(tmp_path / "picture.mp4")


def test_an_absurd_size_is_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "huge.mkv", [np.zeros((2, 20_000, 3), np.uint8)], codec="ffv1", pixel_format="bgr0")
    with pytest.raises(VideoError, match="20000 x 2; more than 16384 a side"):
        probe(path)


def test_a_video_without_a_decodable_frame_is_an_error(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "ruined.mp4", 30, movflags="+faststart")
    data = path.read_bytes()
    at = data.index(b"mdat") + 4
    path.write_bytes(data[:at] + bytes(len(data) - at))
    for use in (probe, lambda path: read_sampled_video(path, SPEC)):
        with pytest.raises(VideoError, match="none of its frames can be decoded"):
            use(path)


def test_an_mp4_cut_before_its_index_says_so(tmp_path: Path) -> None:
    cut = cut_file(numbered_video(tmp_path / "whole.mp4", 30), 0.9, tmp_path / "cut.mp4")
    with pytest.raises(VideoError, match=r"cut short or damaged: the index of the MP4 file \(moov\) is missing"):
        probe(cut)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"), ("avi", "libx264"), ("webm", "libvpx-vp9")],
)
def test_of_a_truncated_file_the_beginning_is_used_and_that_is_said(tmp_path: Path, suffix: str, codec: str) -> None:
    whole = noisy_video(tmp_path / f"whole.{suffix}", codec)
    cut = cut_file(whole, 0.5, tmp_path / f"cut.{suffix}")
    warnings: list[str] = []
    frames = list(read_frames(cut, on_warning=warnings.append))
    assert 10 < len(frames) < 50
    end_s = frames[-1].pts_s + frames[-1].duration_s
    (warning,) = warnings
    used = f"the first {len(frames)} frames are used"
    assert warning.startswith(f"damaged after {end_s:.1f} s (its header says 2.4 s); {used}")
    assert probe(cut).duration_s == pytest.approx(end_s, abs=0.13)

    sampled = read_sampled_video(cut, SPEC)
    assert sampled.warnings == tuple(warnings)
    assert len(sampled.times_s) == SPEC.tick_count(end_s)
    again: list[str] = []
    assert len(list(read_clips(cut, SPEC, on_warning=again.append))) == len(SPEC.window_starts(len(sampled.times_s)))
    assert again == warnings
    whole_frames = [frame.pixels_HWC for frame in read_frames(whole, end_s=0.5)]
    assert all(np.array_equal(a.pixels_HWC, b) for a, b in zip(frames, whole_frames, strict=False))


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "libx264")])
def test_damage_in_the_middle_is_survived_and_said(tmp_path: Path, suffix: str, codec: str) -> None:
    path = scramble(noisy_video(tmp_path / f"hurt.{suffix}", codec), 0.4, 0.43)
    warnings: list[str] = []
    frames = list(read_frames(path, on_warning=warnings.append))
    assert len(frames) > 40
    assert all(one.pts_s < other.pts_s for one, other in pairwise(frames))
    (warning,) = warnings
    assert warning.startswith("damaged")
    assert warning.endswith("used")


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4")])
@pytest.mark.parametrize("fps", [8.0, None])
def test_a_header_that_overstates_the_length_changes_nothing(
    tmp_path: Path, suffix: str, codec: str, fps: float | None
) -> None:
    spec = ClipSpec(frames=8, fps=fps, height=48, width=64)
    path = numbered_video(tmp_path / f"video.{suffix}", 50, codec=codec)
    right = read_sampled_video(path, spec)
    stretch_header(path, 5)
    if suffix != "mp4":  # FFmpeg sees through an MP4's header itself
        with av.open(str(path)) as container:
            assert container.duration > 9_000_000
    wrong = read_sampled_video(path, spec)
    assert np.array_equal(wrong.frames_NHWC, right.frames_NHWC)
    assert np.array_equal(wrong.times_s, right.times_s)
    assert probe(path).duration_s == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("libx264", "yuv420p", "mp4"),
        ("libx264", "yuv422p", "mp4"),
        ("libx264", "yuv444p10le", "mkv"),
        ("libx264", "gray", "mkv"),
        ("ffv1", "gray", "mkv"),
        ("ffv1", "gray10le", "mkv"),
        ("ffv1", "bgr0", "mkv"),
        ("ffv1", "yuva420p", "mkv"),
        ("png", "rgb24", "avi"),
        ("rawvideo", "bgr24", "avi"),
        ("mjpeg", "yuvj420p", "avi"),
        ("gif", "rgb8", "gif"),
    ],
)
def test_every_pixel_format_gives_the_same_picture(tmp_path: Path, codec: str, pixel_format: str, suffix: str) -> None:
    path = numbered_video(tmp_path / f"video.{suffix}", 6, codec=codec, pixel_format=pixel_format)
    frames = [frame.pixels_HWC for frame in read_frames(path)]
    assert [read_number(frame) for frame in frames] == list(range(6))
    wanted = numbered_frame(5).astype(int)
    if pixel_format.startswith("gray"):
        assert (frames[5].max(axis=2) == frames[5].min(axis=2)).all()
    else:
        inner = (slice(4, 20), slice(4, 28))  # inside the red cell, away from the edges
        coarse = 64 if suffix == "gif" else 12
        assert np.abs(frames[5][inner].astype(int) - wanted[inner]).max() <= coarse
    white, black = frames[5][12, 48].astype(int), frames[5][12, 80].astype(int)  # bits 1 and 0 of 5
    grain = 70 if suffix == "gif" else 20
    assert np.abs(white - 235).max() <= grain
    assert np.abs(black - 20).max() <= grain


def test_a_palette_gives_its_colours(tmp_path: Path) -> None:
    palette = np.zeros((256, 4), np.uint8)
    palette[1] = (255, 200, 100, 50)  # ARGB
    indices = np.ones((32, 48), np.uint8)
    path = tmp_path / "palette.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "pal8"
        frame = av.VideoFrame.from_ndarray((indices, palette), format="pal8")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert probe(path).pixel_format == "pal8"
    with av.open(str(path)) as container:
        direct = next(container.decode(video=0)).to_image().convert("RGB")
    assert np.array_equal(next(read_frames(path)).pixels_HWC, np.asarray(direct))


def test_the_rate_is_never_rounded(tmp_path: Path) -> None:
    ntsc = Fraction(30_000, 1001)
    for suffix, codec in (("mp4", "libx264"), ("avi", "mpeg4"), ("mkv", "libx264")):
        assert probe(numbered_video(tmp_path / f"a.{suffix}", 30, fps=ntsc, codec=codec)).fps == ntsc
    info = probe(numbered_video(tmp_path / "v.mp4", 21, times_s=[0.1 * n if n < 11 else n - 9.0 for n in range(21)]))
    assert float(info.fps) == pytest.approx(21 / info.duration_s, rel=0.1)


def test_facts_of_a_plain_video(tmp_path: Path) -> None:
    info = probe(numbered_video(tmp_path / "plain.mp4", 50, sound="aac"))
    assert (info.width, info.height, info.fps, info.frame_count) == (128, 96, 25, 50)
    assert (info.codec, info.pixel_format, info.rotation, info.has_audio) == ("h264", "yuv420p", 0, True)
    assert info.duration_s == 2.0


def test_sound_longer_than_the_pictures_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "long_sound.mkv"
    files = numbered_video(tmp_path / "a.mkv", 25), sound_only(tmp_path / "b.mka", seconds=4.0)
    with av.open(str(files[0])) as pictures, av.open(str(files[1])) as sound, av.open(str(path), "w") as both:
        video = both.add_stream_from_template(pictures.streams.video[0])
        audio = both.add_stream_from_template(sound.streams.audio[0])
        for source, target in ((pictures, video), (sound, audio)):
            for packet in source.demux():
                if packet.size:
                    packet.stream = target
                    both.mux(packet)
    warnings: list[str] = []
    assert len(list(read_frames(path, on_warning=warnings.append))) == 25
    assert not warnings
    assert probe(path).duration_s == pytest.approx(1.0, abs=0.01)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the data beside the repository (../shared/data) are not there")
def test_real_files_are_read_whole() -> None:
    paths = sorted((SHARED / "real-clips").glob("*.*")) + sorted((SHARED / "ut-interaction").glob("*/*.avi"))[::12]
    assert len(paths) > 10
    for path in paths:
        info = probe(path)
        sampled = read_sampled_video(path, SPEC)
        assert not sampled.warnings
        assert info.frame_count is not None
        assert len(sampled.times_s) == pytest.approx(info.duration_s * 8, abs=1.5)
        assert sampled.frames_NHWC.std() > 5
    # Some of these are AVIs with packed B-frames whose stamps are in no order; see timestamps.py.
    for path in paths[-2:]:
        stamps = [frame.pts_s for frame in read_frames(path, size=(8, 8))]
        np.testing.assert_allclose(np.diff(stamps), float(1 / probe(path).fps))


def test_errors_and_warnings_say_what_kind_they_are(tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "video.mp4", 30)
    kinds = {
        "missing": tmp_path / "missing.mp4",
        "empty": tmp_path / "empty.mp4",
        "not-a-video": tmp_path,
        "sound-only": sound_only(tmp_path / "speech.mp4"),
        "truncated": cut_file(video, 0.9, tmp_path / "cut.mp4"),
    }
    kinds["empty"].touch()
    for kind, path in kinds.items():
        with pytest.raises(VideoError) as caught:
            probe(path)
        assert caught.value.kind == kind
    with pytest.raises(VideoError) as caught:
        read_sampled_video(video, SPEC, start_s=9.0)
    assert caught.value.kind == "no-such-part"
    again = pickle.loads(pickle.dumps(caught.value))  # as a worker's error travels
    assert (str(again), again.path, again.kind) == (str(caught.value), str(video), "no-such-part")
    whole = noisy_video(tmp_path / "whole.mkv", "libx264")
    (warning,) = read_sampled_video(cut_file(whole, 0.5, tmp_path / "cut.mkv"), SPEC).warnings
    assert warning.kind == "truncated"


def test_a_file_is_called_by_the_name_that_it_was_given(tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "temporary.mp4", 10)
    assert probe(NamedFile(str(video), "https://site/clip")).frame_count == 10
    video.write_bytes(b"")
    for use in (probe, lambda path: list(read_frames(path)), lambda path: list(read_clips(path, SPEC))):
        with pytest.raises(VideoError, match=r"^https://site/clip: is empty"):
            use(NamedFile(str(video), "https://site/clip"))


def several(path: Path, *parts: tuple[Path, bool]) -> Path:
    """The video streams of several files in one; the second of each pair says whether it is the default."""
    with av.open(str(path), "w") as output:
        for part, is_default in parts:
            with av.open(str(part)) as source:
                out = output.add_stream_from_template(source.streams.video[0])
                out.disposition = Disposition.default if is_default else Disposition(0)
        for number, (part, _) in enumerate(parts):
            with av.open(str(part)) as source:
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = output.streams[number]
                        output.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    ("film_is_default", "other", "other_is_default"),
    [
        (True, "preview", False),
        (True, "larger", False),
        (False, "preview", False),
        (True, "preview", True),
        (False, "still", False),
        (False, "still", True),
        (True, "still", True),
    ],
)
def test_of_several_video_streams_the_film_is_read(
    tmp_path: Path, suffix: str, film_is_default: bool, other: str, other_is_default: bool
) -> None:
    if suffix == "ts":  # which knows no default: the larger one is the best
        film_is_default = other_is_default = False
        other = "preview" if other == "larger" else other
    if suffix == "mp4" and other == "preview" and not film_is_default:
        film_is_default = True  # without any, FFmpeg writes the first one as the default
    film = numbered_video(tmp_path / f"film.{suffix}", 50, height=96, width=128, options={"bf": "0"})
    size, count = {"preview": ((48, 64), 50), "larger": ((192, 256), 50), "still": ((192, 256), 1)}[other]
    beside = numbered_video(tmp_path / f"beside.{suffix}", count, height=size[0], width=size[1], options={"bf": "0"})
    for name, parts in (
        ("first", [(beside, other_is_default), (film, film_is_default)]),
        ("last", [(film, film_is_default), (beside, other_is_default)]),
    ):
        path = several(tmp_path / f"{name}.{suffix}", *parts)
        info = probe(path)
        assert (info.height, info.width, info.frame_count) == (96, 128, 50)
        assert [read_number(frame.pixels_HWC) for frame in read_frames(path)] == list(range(50))


@pytest.mark.parametrize(
    ("curve", "name"), [(ColorTrc.SMPTE2084, "PQ"), (ColorTrc.ARIB_STD_B67, "HLG"), (ColorTrc.BT709, None)]
)
@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("webm", "libvpx-vp9")])
def test_hdr_is_not_tone_mapped_and_that_is_said(
    tmp_path: Path, suffix: str, codec: str, curve: ColorTrc, name: str | None
) -> None:
    path = tmp_path / f"v.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le" if codec == "libx264" else "yuv420p"
        stream.codec_context.color_trc = curve
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number, 48, 64), format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.color_trc, frame.pts, frame.time_base = curve, number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    warnings = read_sampled_video(path, SPEC).warnings
    assert [one.kind for one in warnings] == (["colour"] if name else [])
    assert not name or f"HDR ({name})" in warnings[0]


def test_interlaced_frames_are_told(tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "v.mp4", 30, options={"x264-params": "interlaced=1"})
    (warning,) = read_sampled_video(video, SPEC).warnings
    assert warning.kind == "interlaced"


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [("apng", "apng", "rgb24"), ("gif", "gif", "rgb8"), ("avif", "libsvtav1", "yuv420p")],
)
def test_animated_pictures_are_videos(tmp_path: Path, suffix: str, codec: str, pixel_format: str) -> None:
    path = numbered_video(tmp_path / f"v.{suffix}", 20, fps=10, codec=codec, pixel_format=pixel_format)
    assert [read_number(frame.pixels_HWC) for frame in read_frames(path)] == list(range(20))
    assert probe(path).duration_s == pytest.approx(2.0, abs=0.11)


def test_an_animated_webp_ends_in_one_clear_line(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "v.webp", 5, codec="libwebp_anim", pixel_format="bgra")
    with pytest.raises(VideoError, match="is an animated WebP, which FFmpeg cannot decode; convert it to GIF or MP4"):
        probe(path)
    still = numbered_video(tmp_path / "s.webp", 1, codec="libwebp", pixel_format="bgra")
    with pytest.raises(VideoError, match="is a still picture or text, not a video"):
        probe(still)
