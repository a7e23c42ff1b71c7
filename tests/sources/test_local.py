"""Sources of ``kineme predict``: what each stands for, and what is said and left behind when one cannot be had."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import pytest
from helpers_dataset import kineme
from helpers_networks import SMALL, network_of
from helpers_server import serving
from helpers_video import numbered_video, read_number

import kineme as kineme_package
from kineme.cli.options import parse_seconds, parse_size
from kineme.errors import KinemeError, UsageError, VideoError
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.registry import make_approach
from kineme.sources.kinds import KINDS
from kineme.sources.local import for_each_video, local_videos
from kineme.sources.local_video import FetchOptions
from kineme.video.decode import read_frames
from kineme.video.probe import probe


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where downloads go; empty again after every test, whatever went wrong."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    left = [path for path in folder.rglob("*") if "__autograph" not in path.name and path.name != "__pycache__"]
    assert left == []  # TensorFlow keeps code that it made


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder of videos and pages, and the address it is served at."""
    folder = tmp_path_factory.mktemp("served")
    numbered_video(folder / "clip one.mp4", 50)
    (folder / "page.html").write_text(
        "<html><title>Three videos</title><body>"
        '<video src="/plain/clip%20one.mp4"></video>'
        '<video><source src="/plain/missing.mp4" type="video/mp4"></video>'
        '<video src="/plain/clip%20one.mp4?again"></video></body></html>'
    )
    (folder / "empty.html").write_text("<html><title>Words</title><p>No video here.</p></html>")
    with serving(folder) as address:
        items = "".join(
            f"<item><title>{name}</title><link>{address}/plain/{link}</link></item>"
            for name, link in (("first: a/b", "clip%20one.mp4"), ("gone", "missing.mp4"), ("last", "clip%20one.mp4?2"))
        )
        (folder / "feed.rss").write_text(f'<rss version="2.0"><channel><title>Feed</title>{items}</channel></rss>')
        yield address


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, network_of("lrcn"), ModelCard("lrcn", config_of(make_approach("lrcn")), SMALL, ("left", "right")))
    return path


def make_tree(folder: Path) -> Path:
    for name in ("b.mp4", "a.AVI", "notes.txt", "deep/er/c.mkv", ".hidden/d.mp4", "out/e.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def names(*sources: object, **options: object) -> list[str]:
    return [video.path.name for video in local_videos([str(one) for one in sources], **options)]  # type: ignore[arg-type]


def test_files_folders_and_patterns(tmp_path, monkeypatch):
    tree = make_tree(tmp_path / "tree")
    assert names(tree) == ["a.AVI", "b.mp4", "c.mkv", "e.mp4"]
    assert names(tree, leave_out=tree / "out") == ["a.AVI", "b.mp4", "c.mkv"]
    assert names(tree / "out", leave_out=tree / "out") == ["e.mp4"]
    assert names(tree / "b.mp4", tree / "a.AVI") == ["b.mp4", "a.AVI"]
    assert names(tree / "*") == ["a.AVI", "b.mp4"]
    assert names(tree / "**" / "*.mkv") == ["c.mkv"]
    (tree / "odd [1].mp4").write_bytes(b"x")
    assert names(tree / "odd [1].mp4") == ["odd [1].mp4"], "a name, not a pattern"
    monkeypatch.chdir(tree)
    (one,) = local_videos(["b.mp4"])
    assert (one.path, one.source, one.name, one.in_collection) == (tree / "b.mp4", "b.mp4", "b", False)
    assert all(video.in_collection for video in local_videos(["deep"]))


def test_a_folder_or_pattern_without_videos_is_one_line_and_the_rest_goes_on(tmp_path):
    tree = make_tree(tmp_path / "tree")
    (tmp_path / "empty").mkdir()
    errors: list[str] = []
    sources = [tmp_path / "empty", tree / "*.webm", tree / "b.mp4"]
    assert names(*sources, on_error=lambda name, error: errors.append(str(error))) == ["b.mp4"]
    assert "empty: holds no video" in errors[0]
    assert "*.webm: matches no video" in errors[1]
    with pytest.raises(KinemeError, match="holds no video"):
        names(tmp_path / "empty")


def test_what_nobody_foresaw_in_one_video_does_not_end_the_others(tmp_path):
    tree, errors = make_tree(tmp_path / "tree"), {}

    def work(video):
        if video.name == "a":
            raise ZeroDivisionError("by zero")
        return video.name

    told = for_each_video([tree], work, on_error=lambda name, error: errors.update({name: str(error)}))
    assert list(told) == ["b", "c", "e"]
    name = str(tree / "a.AVI")
    assert errors == {name: f"{name}: cannot be worked on (ZeroDivisionError: by zero)"}
    with pytest.raises(ZeroDivisionError):
        list(for_each_video([tree], work))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        *((live, "name it alone") for live in ("0", "/dev/video0", "rtsp://x/y", "udp://@:1234")),
        *((other, "addresses of this kind are not taken") for other in ("ftp://x/y.mp4", "file:///etc/passwd")),
    ],
)
def test_live_sources_and_other_addresses_are_refused_before_anything_is_done(source, says):
    with pytest.raises(UsageError, match=says) as error:
        names(source, on_error=lambda name, error: pytest.fail("not one bad source in many: wrong usage"))
    assert str(error.value).startswith(source)


def test_a_file_that_is_called_like_a_camera_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("0").write_bytes(b"x")
    assert names("0") == ["0"]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1:30", 90), ("1:02:03.5", 3723.5), ("0", 0)])
def test_times(text, seconds):
    assert parse_seconds("--start", text) == seconds


@pytest.mark.parametrize(("text", "size"), [("500M", 500 << 20), ("1.5g", 3 << 29), ("2GiB", 2 << 30), ("100", 100)])
def test_sizes(text, size):
    assert parse_size("--max-size", text) == size


def test_wrong_times_and_sizes_name_their_option():
    for text in ("-1", "abc", "1:", "1:2:3:4"):
        with pytest.raises(UsageError, match="--start"):
            parse_seconds("--start", text)
    for text in ("-5M", "big", "0", "5T"):
        with pytest.raises(UsageError, match="--max-size"):
            parse_size("--max-size", text)


def test_a_file_of_the_web(served, temporary):
    for how in ("plain", "slow"):
        url = f"{served}/{how}/clip%20one.mp4"
        for video in local_videos([url]):
            assert (video.source, video.name, video.in_collection) == (url, "clip one", False)
            assert probe(video.path).frame_count == 50
            assert video.path.is_relative_to(temporary)


@pytest.mark.parametrize(("page", "second"), [("page.html", "page.html#2"), ("feed.rss", "missing.mp4")])
def test_a_playlist_gives_its_videos_and_tells_of_those_that_are_gone(served, page, second):
    errors: list[str] = []
    found = []
    for video in local_videos([f"{served}/plain/{page}"], on_error=lambda name, error: errors.append(str(error))):
        found.append(video)
        assert probe(video.path).frame_count == 50
        assert len(list(video.path.parent.iterdir())) == 1, "the one before has been removed"
    assert len({video.source for video in found}) == 2
    assert all(video.in_collection and not {"/", ":"} & set(video.name) for video in found)
    assert len(errors) == 1
    assert errors[0].endswith(f"{second}: the server answers 404 Not Found")


@pytest.mark.parametrize(
    ("address", "options", "says"),
    [
        ("/plain/missing.mp4", {}, "the server answers 404 Not Found"),
        ("/half/clip%20one.mp4", {}, "the connection was lost during the download"),
        ("/silent/clip%20one.mp4", {"timeout_s": 0.3}, "the server was silent for 0.3 s"),
        ("/stalled/clip%20one.mp4", {"timeout_s": 0.3}, "the server was silent for 0.3 s"),
        ("/plain/clip%20one.mp4", {"max_bytes": 2048}, "is larger than 2 kB; --max-size"),
        ("/endless/clip%20one.mp4", {"max_bytes": 1 << 20}, "is larger than 1 MB; --max-size"),
        ("/plain/empty.html", {}, "no video is found there"),
    ],
)
def test_what_the_web_does_not_give_is_one_clear_line(served, temporary, address, options, says):
    with pytest.raises(KinemeError) as error:
        names(served + address, options=FetchOptions(**options))
    assert str(error.value).startswith(f"{served}{address}: {says}")
    assert "\n" not in str(error.value)
    assert list(temporary.iterdir()) == []


def test_nobody_listens(served):
    with pytest.raises(KinemeError, match=r"http://127.0.0.1:9/clip.mp4: cannot be reached \(.*refused\)"):
        names("http://127.0.0.1:9/clip.mp4")


def test_of_a_segmented_stream_the_smallest_variant_that_is_large_enough_is_fetched(tmp_path):
    master = ["#EXTM3U"]
    for height in (48, 96, 240):
        source = numbered_video(tmp_path / f"{height}.mp4", 50, height=height, width=height * 4 // 3)
        with av.open(str(source)) as incoming, av.open(str(tmp_path / f"{height}.m3u8"), "w", format="hls") as out:
            stream = out.add_stream_from_template(incoming.streams.video[0])
            for packet in incoming.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
        master += [f"#EXT-X-STREAM-INF:BANDWIDTH={height}000,RESOLUTION={height * 4 // 3}x{height}", f"{height}.m3u8"]
        playlist = tmp_path / f"{height}.m3u8"
        playlist.write_text(playlist.read_text().rstrip() + "\n")
    (tmp_path / "all.m3u8").write_text("\n".join(master) + "\n")
    with serving(tmp_path) as address:
        for video in local_videos([f"{address}/plain/all.m3u8"], FetchOptions(min_side=64)):
            assert probe(video.path).height == 96
            assert probe(video.path).frame_count == 50
        with pytest.raises(KinemeError, match="is larger than 2 kB"):
            names(f"{address}/plain/all.m3u8", options=FetchOptions(max_bytes=2048))


def test_a_download_is_removed_when_nobody_wants_more(served, temporary):
    videos = local_videos([f"{served}/plain/feed.rss"])
    assert next(videos).path.exists()
    videos.close()
    assert list(temporary.iterdir()) == []


def test_without_yt_dlp_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    with pytest.raises(KinemeError, match=r'need yt-dlp: pip install "kineme\[web\]"'):
        names("http://127.0.0.1:9/clip.mp4")


class _Stdin(io.TextIOWrapper):
    def isatty(self) -> bool:
        return False


def test_standard_input(tmp_path, monkeypatch):
    content = numbered_video(tmp_path / "clip.mp4", 20).read_bytes()
    monkeypatch.setattr(sys, "stdin", _Stdin(io.BytesIO(content)))
    for video in local_videos(["-"]):
        assert video.path.read_bytes() == content
        assert (video.source, video.name, video.in_collection) == ("-", "stdin", False)
    for given, says in ((b"", "nothing came"), (content, "larger than 1 kB")):
        monkeypatch.setattr(sys, "stdin", _Stdin(io.BytesIO(given)))
        with pytest.raises(KinemeError, match=f"^-: .*{says}"):
            names("-", options=FetchOptions(max_bytes=1024))


def test_a_part_has_the_frames_of_that_time(tmp_path):
    source = numbered_video(tmp_path / "clip.mp4", 100)
    for video in local_videos([str(source)], FetchOptions(start_s=1.0, end_s=2.0)):
        frames = list(read_frames(video.path))
        assert [read_number(frame.pixels_HWC) for frame in frames] == list(range(25, 50))
        assert [frame.pts_s for frame in frames] == pytest.approx([index / 25 for index in range(25)], abs=1e-4)
        assert video.source == str(source)
        whole = [frame.pixels_HWC.astype(int) for frame in read_frames(source, start_s=1.0, end_s=2.0)]
        assert max(abs(old - new.pixels_HWC).mean() for old, new in zip(whole, frames, strict=True)) < 2
    with pytest.raises(KinemeError, match=r"clip.mp4: is 4.0 s long, so it ends before --start 9"):
        names(source, options=FetchOptions(start_s=9))


@pytest.mark.parametrize(("start_s", "end_s"), [(5.0, 35.0), (0.5, 20.0), (10.0, None), (0.3, 0.7)])
def test_a_part_of_a_frame_that_is_held_is_as_long_as_asked_for(tmp_path, start_s, end_s):
    times = [number / 10 for number in range(10)] + [41 + number / 10 for number in range(10)]  # a screen that rests
    source = numbered_video(tmp_path / "held.mp4", 20, times_s=times, fps=10, options={"bf": "0"})
    for video in local_videos([str(source)], FetchOptions(start_s=start_s, end_s=end_s)):
        frames = list(read_frames(video.file))
        wanted_s = (42.0 if end_s is None else end_s) - start_s
        assert frames[-1].pts_s + frames[-1].duration_s == pytest.approx(wanted_s, abs=0.02)
        assert read_number(frames[0].pixels_HWC) == max(n for n, time in enumerate(times) if time <= start_s)


def test_predict_takes_everything_at_once_and_keeps_what_it_can(tmp_path, served, model):
    """One bad source in many: the others are done, and the exit code is 1."""
    videos, out = tmp_path / "videos", tmp_path / "videos" / "out"
    videos.mkdir()
    numbered_video(videos / "local.mp4", 30)
    (videos / "bad.mp4").write_bytes(b"no video")
    sources = [videos, f"{served}/plain/feed.rss", f"{served}/plain/empty.html"]
    done = kineme(
        *("predict", *sources, "--model", model, "--save", "csv,vtt,html", "--out", out, "--json"),
        TMPDIR=tempfile.gettempdir(),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "kineme: 3 of 6 could not be read; see the notes above"
    documents = json.loads(done.stdout)
    assert ["error" in one for one in documents] == [True, False, False, True, False, True]
    assert documents[2]["source"] == f"{served}/plain/clip%20one.mp4"
    saved = {path.name for path in out.iterdir()}
    for name in ("local", "first a b", "last"):
        assert {f"{name}.csv", f"{name}.vtt", f"{name}.html", f"{name}-video.mp4"} <= saved


def test_in_python_the_same_sources_are_taken(tmp_path, served, model):
    loaded = kineme_package.load(model)
    folder = tmp_path / "videos"
    folder.mkdir()
    numbered_video(folder / "local.mp4", 100)
    (folder / "bad.mp4").write_bytes(b"no video")
    errors, told = {}, []
    given = [folder, f"{served}/plain/clip%20one.mp4", f"{served}/plain/missing.mp4", folder / "none.mp4"]
    results = list(loaded.predict(given, on_error=lambda name, error: errors.update({name: str(error)})))
    assert [result.source for result in results] == [str(folder / "local.mp4"), given[1]]
    assert list(errors) == [str(folder / "bad.mp4"), given[2], str(given[3])]
    with pytest.raises(VideoError, match=r"bad\.mp4"):
        list(loaded.predict([folder]))

    one = loaded.predict(given[1])
    np.testing.assert_array_equal(one.probabilities_K, results[1].probabilities_K)
    part = loaded.predict(folder / "local.mp4", start_s=1.0, end_s=2.0, on_progress=told.append)
    assert part.duration_s == pytest.approx(1.0)
    assert part.source == str(folder / "local.mp4")
    assert told == sorted(told)
    assert 0 <= told[0] < 0.5 < told[-1] <= 1
    with pytest.raises(UsageError, match="videos: may stand for several videos; put it in a list"):
        loaded.predict(folder)
    with pytest.raises(UsageError, match=r"rtsp://x/y: a camera .* model\.watch"):
        list(loaded.predict(["rtsp://x/y"], on_error=lambda name, error: pytest.fail("wrong usage")))


def test_predict_is_a_filter(tmp_path, model):
    content = numbered_video(tmp_path / "clip.mp4", 50).read_bytes()
    line = [sys.executable, "-c", "from kineme.cli.main import main; main()", "predict", "-", "--model", str(model)]
    done = subprocess.run([*line, "--save", "csv", "--out", "-"], input=content, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines()[0] == "start_s,end_s,left,right"
    assert [path.name for path in tmp_path.iterdir() if path.name != "temporary"] == ["clip.mp4"]


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_in_a_download_leaves_nothing(served, temporary):
    fetch = "import sys; from kineme.sources.local import local_videos; list(local_videos(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", fetch, f"{served}/stalled/clip%20one.mp4"],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 60
        while not list(temporary.rglob("video.part")):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT


def test_the_help_shows_the_table_of_sources():
    done = kineme("predict", "--help")
    for example, meaning in KINDS:
        assert example in done.stdout
        assert meaning in done.stdout
