"""Stretch, crop and letterbox as pure geometry, and on the pixels of awkward videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers_video import corners, encode, lay_mp4, numbered_frame, numbered_video, read_number, turn_mp4

from kineme.video.decode import read_frames
from kineme.video.geometry import ResizeGeometry, displayed_size, resize_geometry, source_part
from kineme.video.probe import probe
from kineme.video.spec import ResizeMode


@pytest.mark.parametrize(
    ("source", "target", "fit", "wanted"),
    [
        ((240, 320), (64, 64), "stretch", ResizeGeometry(64, 64)),
        ((240, 320), (64, 64), "crop", ResizeGeometry(64, 85, 0, -11)),
        ((320, 240), (64, 64), "crop", ResizeGeometry(85, 64, -11, 0)),
        ((240, 320), (64, 64), "letterbox", ResizeGeometry(48, 64, 8, 0)),
        ((320, 240), (64, 64), "letterbox", ResizeGeometry(64, 48, 0, 8)),
        ((240, 320), (120, 160), "crop", ResizeGeometry(120, 160)),
        ((240, 320), (120, 160), "letterbox", ResizeGeometry(120, 160)),
        ((1080, 1920), (224, 160), "letterbox", ResizeGeometry(90, 160, 67, 0)),
        ((1, 16384), (64, 64), "letterbox", ResizeGeometry(1, 64, 31, 0)),
        ((16384, 1), (64, 64), "letterbox", ResizeGeometry(64, 1, 0, 31)),
        ((7, 5), (3, 3), "letterbox", ResizeGeometry(3, 2, 0, 0)),
    ],
)
def test_placement(source: tuple[int, int], target: tuple[int, int], fit: str, wanted: ResizeGeometry) -> None:
    assert resize_geometry(source, target, fit) == wanted  # type: ignore[arg-type]


def test_crop_always_covers_and_letterbox_always_fits() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        source = tuple(int(side) for side in rng.integers(1, 3000, 2))
        height, width = (int(side) for side in rng.integers(1, 400, 2))
        crop = resize_geometry(source, (height, width), "crop")
        assert crop.top <= 0
        assert crop.left <= 0
        assert crop.height + crop.top >= height
        assert crop.width + crop.left >= width
        box = resize_geometry(source, (height, width), "letterbox")
        assert 0 <= box.top <= height - box.height
        assert 0 <= box.left <= width - box.width
        top, left, part_height, part_width = source_part(source, (height, width))
        assert 0 <= top <= source[0] - part_height
        assert 0 <= left <= source[1] - part_width


@pytest.mark.parametrize(
    ("aspect", "transposed", "wanted"),
    [
        (None, False, (576, 720)),
        (Fraction(16, 15), False, (576, 768)),
        (Fraction(16, 15), True, (768, 576)),
        (Fraction(2048, 2043), False, (576, 720)),  # a rounding of square
        (Fraction(1, 1000), False, (576, 720)),  # an error
        (Fraction(0), True, (720, 576)),
    ],
)
def test_displayed_size(aspect: Fraction | None, transposed: bool, wanted: tuple[int, int]) -> None:
    assert displayed_size(576, 720, aspect, transposed) == wanted


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_turns_the_picture_and_never_squashes_it(tmp_path: Path, rotation: int) -> None:
    path = turn_mp4(numbered_video(tmp_path / "phone.mp4", 5, height=96, width=160), rotation)
    info = probe(path)
    assert info.rotation == rotation
    assert (info.height, info.width) == ((160, 96) if rotation % 180 else (96, 160))
    frame = next(read_frames(path)).pixels_HWC
    assert frame.shape == (info.height, info.width, 3)
    assert corners(frame) == {0: "rgb-", 90: "br-g", 180: "-bgr", 270: "g-rb"}[rotation]
    upright = np.rot90(frame, rotation // 90)
    assert np.abs(upright.astype(int) - numbered_frame(0, 96, 160)).mean() < 6
    assert next(read_frames(path, size=(30, 50), fit="crop")).pixels_HWC.shape == (30, 50, 3)


def test_an_old_rotation_tag_is_honoured(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "old.mkv", 3, height=96, width=160, tags={"rotate": "90"})
    assert (probe(path).rotation, probe(path).height, probe(path).width) == (90, 160, 96)
    assert corners(next(read_frames(path)).pixels_HWC) == "br-g"
    path = numbered_video(tmp_path / "odd.mkv", 3, tags={"rotate": "sideways"})
    assert probe(path).rotation == 0


def test_letterbox_of_a_turned_video_has_its_bars_at_the_sides(tmp_path: Path) -> None:
    path = turn_mp4(numbered_video(tmp_path / "phone.mp4", 3, height=96, width=192), 90)
    frame = next(read_frames(path, size=(64, 64), fit="letterbox")).pixels_HWC
    assert frame[:, :16].max() == 0
    assert frame[:, 48:].max() == 0
    assert corners(np.ascontiguousarray(frame[:, 16:48])) == "br-g"


def test_crop_keeps_the_centre(tmp_path: Path) -> None:
    picture = np.zeros((60, 180, 3), np.uint8)
    picture[:, 60:120] = 200
    path = encode(tmp_path / "wide.mkv", [picture], codec="ffv1", pixel_format="bgr0")
    assert next(read_frames(path, size=(20, 20), fit="crop")).pixels_HWC.min() >= 199


@pytest.mark.parametrize("shape", [(8, 4000), (4000, 8)])
@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_extreme_shapes(tmp_path: Path, shape: tuple[int, int], fit: str) -> None:
    picture = np.full((*shape, 3), 50, np.uint8)
    picture[shape[0] // 2 - 4 : shape[0] // 2 + 4, shape[1] // 2 - 4 : shape[1] // 2 + 4] = 250
    path = encode(tmp_path / "long.mkv", [picture], codec="ffv1", pixel_format="bgr0")
    frame = next(read_frames(path, size=(32, 32), fit=fit)).pixels_HWC  # type: ignore[arg-type]
    assert frame.shape == (32, 32, 3)
    if fit == "crop":
        assert frame.min() >= 249


def test_pixels_that_are_not_square_are_widened(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "pal.mp4", 3, pixel_aspect=Fraction(4, 3))
    info = probe(path)
    assert (info.height, info.width) == (96, 171)
    frame = next(read_frames(path, size=(96, 96), fit="letterbox")).pixels_HWC
    rows = np.flatnonzero(frame.max(axis=(1, 2)) > 10)
    assert rows[0] == pytest.approx((96 - 54) / 2, abs=1)
    assert len(rows) == pytest.approx(54, abs=2)


@pytest.mark.parametrize("shape", [(75, 101), (1, 1), (2, 3)])
def test_odd_sizes(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = encode(tmp_path / "odd.mkv", [np.full((*shape, 3), 90, np.uint8)] * 3, codec="ffv1", pixel_format="yuv420p")
    assert (probe(path).height, probe(path).width) == shape
    frames = [frame.pixels_HWC for frame in read_frames(path)]
    assert [frame.shape for frame in frames] == [(*shape, 3)] * 3
    assert np.abs(frames[0].astype(int) - 90).max() <= 3


def test_shrinking_averages_and_does_not_alias(tmp_path: Path) -> None:
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    path = encode(tmp_path / "stripes.mkv", [stripes], codec="ffv1", pixel_format="bgr0")
    frame = next(read_frames(path, size=(16, 16))).pixels_HWC
    assert np.abs(frame.astype(int) - 127).max() <= 2


def test_number_survives_every_size(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "many.mp4", 4)
    for size in ((24, 24), (200, 100), (224, 398)):
        assert [read_number(frame.pixels_HWC) for frame in read_frames(path, size=size)] == [0, 1, 2, 3]


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_the_picture_has_the_asked_size_even_where_one_pixel_of_bar_is_left_over(
    tmp_path: Path, fit: ResizeMode
) -> None:
    numbered_video(tmp_path / "v.mp4", 2, height=256, width=340)
    for size in [(270, 360), (271, 360), (270, 358), (64, 84), (64, 86)]:
        assert next(read_frames(tmp_path / "v.mp4", size=size, fit=fit)).pixels_HWC.shape == (*size, 3)


ORIENTATIONS = {  # the corners as shown, where they are stored as "rgb-"
    "as it is": ((1, 0, 0, 1), "rgb-", 0, False),
    "turned 90": ((0, 1, -1, 0), "br-g", 90, False),
    "turned 180": ((-1, 0, 0, -1), "-bgr", 180, False),
    "turned 270": ((0, -1, 1, 0), "g-rb", 270, False),
    "mirrored": ((-1, 0, 0, 1), "gr-b", 0, True),
    "mirrored, 90": ((0, -1, -1, 0), "-gbr", 90, True),
    "mirrored, 180": ((1, 0, 0, -1), "b-rg", 180, True),
    "mirrored, 270": ((0, 1, 1, 0), "rbg-", 270, True),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_all_eight_orientations_are_shown_as_players_show_them(tmp_path: Path, name: str) -> None:
    matrix, wanted, rotation, is_mirrored = ORIENTATIONS[name]
    path = lay_mp4(numbered_video(tmp_path / "front.mp4", 3, height=96, width=160), *matrix)
    info = probe(path)
    assert (info.rotation, info.is_mirrored) == (rotation, is_mirrored)
    frame = next(read_frames(path)).pixels_HWC
    assert frame.shape == (info.height, info.width, 3) == ((160, 96, 3) if rotation % 180 else (96, 160, 3))
    assert corners(frame) == wanted
    for fit in ("crop", "letterbox"):
        assert corners(next(read_frames(path, size=frame.shape[:2], fit=fit)).pixels_HWC) == wanted  # type: ignore[arg-type]


def joined(
    path: Path,
    codec: str,
    pixel_format: str,
    shapes: list[tuple[int, int]],
    aspects: list[Fraction | None] | None = None,
) -> Path:
    """The packets of streams of different shapes, five frames each, one after the other in one file."""
    with av.open(str(path), "w") as output:
        out, count = None, 0
        for (height, width), aspect in zip(shapes, aspects or [None] * len(shapes), strict=True):
            pictures = (numbered_frame(number, height, width) for number in range(count, count + 5))
            options = {"bf": "0"} if codec == "libx264" else {"deadline": "realtime"}
            part = path.with_name("part.ts" if codec == "libx264" else "part.mkv")
            encode(part, pictures, codec=codec, pixel_format=pixel_format, options=options, pixel_aspect=aspect)
            with av.open(str(part)) as source:
                out = out or output.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = round(count / 25 / packet.time_base)
                        packet.stream = out
                        output.mux(packet)
                        count += 1
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [("avi", "mjpeg", "yuvj420p"), ("ts", "libx264", "yuv420p"), ("webm", "libvpx-vp9", "yuv420p")],
)
def test_frames_that_change_their_size_are_fitted_each_by_its_own_shape(
    tmp_path: Path, suffix: str, codec: str, pixel_format: str
) -> None:
    path = joined(tmp_path / f"film.{suffix}", codec, pixel_format, [(96, 160), (160, 96), (48, 48)])
    boxed = [frame.pixels_HWC for frame in read_frames(path, size=(64, 64), fit="letterbox")]
    assert len(boxed) == 15
    part, whole = slice(13, 51), slice(0, 64)
    for number, inner in enumerate([(part, whole), (whole, part), (whole, whole)]):
        for one, frame in enumerate(boxed[5 * number : 5 * number + 5]):
            assert corners(frame[inner]) == "rgb-"
            assert read_number(frame[inner]) == 5 * number + one
    assert boxed[0][:11].max() < 10
    assert boxed[5][:, :11].max() < 10
    # Where no size is asked for, that of the first frame, and none is squashed into it.
    frames = [frame.pixels_HWC for frame in read_frames(path)]
    assert {frame.shape for frame in frames} == {(96, 160, 3)}
    assert corners(frames[5][:, 51:109]) == "rgb-"
    assert corners(frames[12][:, 32:128]) == "rgb-"


def test_a_pixel_aspect_that_changes_on_the_way_is_followed(tmp_path: Path) -> None:
    aspects = [Fraction(1), Fraction(2), Fraction(1, 2)]
    path = joined(tmp_path / "film.ts", "libx264", "yuv420p", 3 * [(64, 64)], aspects)
    boxed = [frame.pixels_HWC for frame in read_frames(path, size=(64, 64), fit="letterbox")]
    part, whole = slice(16, 48), slice(0, 64)
    for number, inner in enumerate([(whole, whole), (part, whole), (whole, part)]):
        for frame in boxed[5 * number : 5 * number + 4]:  # the decoder is a frame ahead of the one that is shown
            assert corners(frame[inner]) == "rgb-"
    assert boxed[7][:14].max() < 20
    assert boxed[12][:, :14].max() < 20


def test_what_is_transparent_lies_on_black(tmp_path: Path) -> None:
    picture = np.full((32, 48, 4), (200, 100, 50, 255), np.uint8)
    picture[:, 16:32, 3] = 0
    picture[:, 32:, 3] = 128
    for name, codec, pixel_format in (
        ("a.mkv", "ffv1", "bgra"),
        ("a.avi", "png", "rgba"),
        ("b.mkv", "ffv1", "yuva444p"),
    ):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream(codec, rate=25, options={"auto-alt-ref": "0"} if "vpx" in codec else {})
            stream.width, stream.height, stream.pix_fmt = 48, 32, pixel_format
            for packet in stream.encode(
                av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format=pixel_format)
            ):
                container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
        pixels = next(read_frames(tmp_path / name)).pixels_HWC.astype(int)
        for column, wanted in ((8, (200, 100, 50)), (24, (0, 0, 0)), (40, (100, 50, 25))):
            assert np.abs(pixels[16, column] - wanted).max() <= (12 if "webm" in name else 3), name
