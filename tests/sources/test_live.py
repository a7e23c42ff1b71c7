"""Cameras and live streams, from real servers on loopback: cuts, silence, time stamps that jump, slow models."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from helpers_live import Encoder, gstreamer_rtsp, motion_jpeg, rtsp, udp_sender
from helpers_server import serving
from helpers_stream import model_of
from helpers_video import numbered_video

from kineme.errors import UsageError, VideoError
from kineme.sources.kinds import is_live
from kineme.sources.local import local_videos
from kineme.video.live import file_name, without_password
from kineme.video.reader import ArrivalClock
from kineme.video.spec import ClipSpec

QUICK = ClipSpec(frames=6, fps=16.0, height=64, width=64)
FAST = {"engine": "keras", "timeout_s": 1.0, "retry_s": 20.0}


@pytest.fixture(scope="module")
def model():
    return model_of("lrcn", QUICK, backbone="small-cnn")


def until(events, wanted, seconds=15.0):
    """The events up to the first that is ``wanted``."""
    came = []
    end_s = time.monotonic() + seconds
    for event in events:
        came.append(event)
        if wanted(event):
            return came
        assert time.monotonic() < end_s, [one.notices for one in came if one.notices]
    raise AssertionError("it ended")


def answered(event):
    return event.probabilities_K is not None


def check_times(came):
    times = [event.time_s for event in came if event.frame]
    assert all(later > earlier for earlier, later in pairwise(times))
    return times


@pytest.mark.parametrize("server", [motion_jpeg, rtsp], ids=["Motion JPEG", "RTSP"])
def test_a_stream_that_is_cut_is_opened_again_and_says_so(model, server):
    with server() as live:
        events = model.watch(live.url, **FAST)
        came = until(events, answered)
        assert came[-1].frame.pixels().shape == (96, 128, 3)
        live.cut()
        came += until(events, lambda event: event.notices)
        assert f"{live.url}: disconnected" in came[-1].notices[0]
        live.come_back()
        came += until(events, lambda event: event.notices)
        assert f"{live.url}: is back after" in came[-1].notices[0]
        came += (after := until(events, answered))
        assert not answered(after[0])  # the window does not span the gap
        assert live.clients >= 2
        events.close()
        check_times(came)
        assert sum(len(event.notices) for event in came) == 2


def test_rtsp_comes_over_udp_from_a_server_that_cannot_do_else(model):
    with rtsp(over_tcp=False) as live:
        until(model.watch(live.url, **FAST), answered)


def test_rtsp_of_gstreamers_server_is_watched(model):
    with gstreamer_rtsp() as url:
        stop = threading.Event()
        events = model.watch(url, stop=stop, **FAST)
        came = until(events, answered)
        assert came[-1].frame.pixels().shape == (240, 320, 3)
        assert came[-1].latency_s < 1
        stop.set()
        assert len(list(events)) == 1


def test_mpeg_ts_over_udp_goes_on_when_its_sender_begins_anew(model):
    with udp_sender(restarts_s=0.9) as (url, sent):
        came = list(model.watch(url, max_seconds=1.7, **FAST))
        assert sent.restarts  # its time stamps are those of the beginning again
        times = check_times(came)
        assert max(np.diff(times)) < 1
        assert abs(times[-1] - 1.7) < 0.5
        assert not any(event.notices for event in came)
        assert answered(came[-1])
        ended = [segment for event in came for segment in event.finished_segments]
        assert ended[-1].end_s == pytest.approx(times[-1])
        assert came[-1].frame is None


def test_the_newest_frame_wins_where_the_model_is_slow():
    spec = ClipSpec(frames=8, fps=25.0, height=320, width=320)  # a window takes some 0.15 s, and 25 are due a second
    slow = model_of("convlstm", spec, units=64)
    with motion_jpeg(25) as live:
        came = list(slow.watch(live.url, stride=1, max_seconds=1.4, **FAST))
    seen = [event for event in came if event.frame]
    assert len(seen) + seen[-1].dropped == pytest.approx(35, abs=10)
    assert seen[-1].dropped > 0
    assert max(event.latency_s for event in seen) < 1.5
    assert seen[-1].fps == pytest.approx(25, rel=0.2)
    assert all(later.dropped >= earlier.dropped for earlier, later in pairwise(seen))


def test_a_silent_stream_is_told_of_and_given_up_after_the_time_that_was_asked_for(model):
    with motion_jpeg(frames=20) as live:
        events = model.watch(live.url, engine="keras", timeout_s=0.5, retry_s=0.3)
        came = until(events, lambda event: event.notices)
        live.cut()
        with pytest.raises(VideoError, match=r"disconnected, and could not be reached again for 0\.3 s") as error:
            came.extend(events)
        assert error.value.path == live.url
        (notice,) = [line for event in came for line in event.notices]
        assert "nothing came for 0.5 s" in notice
        silent = [event.latency_s for event in came if event.frame is None]
        assert silent == sorted(silent)
        assert silent[-1] > 0.7
        assert came[-1].finished_segments


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("/dev/video97", "/dev/video97: there is no such camera"),
        ("rtsp://127.0.0.1:9/x", "cannot be reached"),
        ("tcp://me:secret@127.0.0.1:9", r"tcp://me:\*\*\*@127.0.0.1:9: cannot be reached"),
    ],
)
def test_what_cannot_be_opened_is_one_line_at_once(model, source, says):
    with pytest.raises(VideoError, match=says) as error:
        list(model.watch(source, **FAST))
    assert "\n" not in str(error.value)


def test_a_password_is_asked_for_used_and_never_shown(model):
    with motion_jpeg(password="secret") as live:
        assert not is_live(live.url)
        with pytest.raises(VideoError, match="user name and password"):
            list(model.watch(live.url, **FAST))
        known = live.url.replace("://", "://me:secret@")
        assert is_live(known)
        (*_, last) = until(model.watch(known, **FAST), lambda event: event.frame)
        assert "secret" not in repr(last)
    assert without_password(known) == live.url.replace("://", "://me:***@")
    assert without_password("rtsp://host/a:b@c") == "rtsp://host/a:b@c"


def test_an_address_is_live_if_its_server_never_comes_to_an_end(tmp_path):
    numbered_video(tmp_path / "clip.mp4", 3)
    media = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n"
    (tmp_path / "live.m3u8").write_text(media)
    (tmp_path / "ended.m3u8").write_text(f"{media}#EXT-X-ENDLIST\n")
    for name in ("live", "ended"):
        (tmp_path / f"{name}-all.m3u8").write_text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{name}.m3u8\n")
    with serving(tmp_path) as url, motion_jpeg() as live:
        assert is_live(live.url)
        assert [name for name in ("live", "ended", "live-all", "ended-all") if is_live(f"{url}/plain/{name}.m3u8")] == [
            "live",
            "live-all",
        ]
        assert not is_live(f"{url}/plain/clip.mp4")
        assert not is_live(f"{url}/plain/missing")
    assert not is_live(live.url)  # nobody there


def test_a_live_source_is_not_one_among_several():
    assert all(map(is_live, ("0", "/dev/video3", "rtsp://x/y", "udp://@:1234", "srt://x:1", "video=Camera")))
    with pytest.raises(UsageError, match="0: a camera or live stream has no end; name it alone"):
        list(local_videos(["clip.mp4", "0"]))


def test_what_was_asked_for_wrongly_is_told_before_anything_is_opened(model):
    with pytest.raises(UsageError, match="no mode 'slow'"):
        model.watch("rtsp://127.0.0.1:9/x", mode="slow")


def clock_of(stamps, *, begins_s=100.0, believed=True):
    """Times of frames with (pts, arrival) each."""
    clock = ArrivalClock(begins_s, believed=believed)
    return clock, [clock.stamp(SimpleNamespace(pts=pts, time_base=1), now_s) for pts, now_s in stamps]


def test_times_are_those_of_the_stream_where_they_can_be_believed():
    # As they were taken, though the network holds two back.
    clock, times = clock_of([(7.0, 1.0), (7.1, 1.1), (7.2, 1.6), (7.3, 1.65), (7.4, 1.7)])
    np.testing.assert_allclose(times, [100.0, 100.1, 100.2, 100.3, 100.4])
    assert clock.late_s == pytest.approx(0.3)
    # Missing, set back, far ahead: then as they come.
    _, times = clock_of([(7.0, 1.0), (None, 1.1), (3.0, 1.2), (3.1, 1.4), (0.5, 1.5), (500.0, 1.6), (500.1, 1.7)])
    np.testing.assert_allclose(times, [100.0, 100.1, 100.2, 100.3, 100.4, 100.5, 100.6])
    _, times = clock_of([(7.0, 1.0), (7.0, 1.5), (7.0, 1.9)], believed=False)
    np.testing.assert_allclose(times, [100.0, 100.5, 100.9])


def test_frames_that_come_in_one_piece_wait_until_they_are_due():
    clock, _ = clock_of([(7.0, 1.0), (7.1, 1.1)])

    def early_s(pts, now_s):
        return clock.early_s(SimpleNamespace(pts=pts, time_base=1), now_s)

    assert early_s(7.5, 1.2) == pytest.approx(0.3)
    assert early_s(7.5, 1.6) == 0  # it is late already
    assert early_s(99.0, 1.2) == early_s(3.0, 1.2) == 0  # nonsense


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_time_stamps_of_another_rate_are_given_up(rate):
    clock, times = clock_of([(number * rate, float(number)) for number in range(60)])
    assert clock.gave_up
    assert np.all(np.diff(times) > 0)
    np.testing.assert_allclose(np.diff(times)[-10:], 1.0)  # as they come
    assert clock.late_s == pytest.approx(0.0)


def test_files_about_a_live_source_have_names_that_any_system_takes():
    assert file_name("0") == "camera-0"
    assert file_name("/dev/video2") == "camera-video2"
    assert file_name("rtsp://me:secret@cam.local:554/front/1?x=1") == "cam.local-front-1"
    assert file_name("udp://@:1234") == "stream"


def test_encoder_is_what_cameras_send():
    """A test of the helper: without key frames in between nobody could join late."""
    import io

    import av

    file = io.BytesIO()
    encoder = Encoder(file, "mpegts", 25)
    for number in range(30):
        encoder.write(number, 25)
    encoder.close()
    with av.open(io.BytesIO(file.getvalue())) as container:
        assert sum(frame.key_frame for frame in container.decode(video=0)) >= 2
