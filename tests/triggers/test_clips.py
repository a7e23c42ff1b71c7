"""Clips of events: cut from the packets of real live streams, as they came."""

from __future__ import annotations

import email
import json
import re
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from helpers_dataset import kineme
from helpers_live import motion_jpeg, rtsp
from helpers_receivers import receiver

from kineme.cli.main import main
from kineme.triggers.alarm import Alarm, AlarmOptions
from kineme.triggers.clip import PacketBuffer
from kineme.video.reader import LiveReader

MODEL = Path(__file__).parents[1] / "compatibility" / "v0_1" / "lrcn.tflite"


def watched(url, buffer, seconds):
    """Read a source for some seconds; gives when it ended."""
    packets = []

    def keep(packet, stream, connection, received_s):
        packets.append(bytes(packet))
        buffer.add(packet, stream, connection, received_s)

    with LiveReader(url, size=(64, 64), fit="stretch", on_packet=keep) as reader:
        while not (update := reader.poll(1.0)).frame:
            pass
        end_s = update.frame.received_s + seconds
        while time.monotonic() < end_s:
            reader.poll(0.1)
    return end_s, packets


@pytest.mark.parametrize("server", [motion_jpeg, rtsp], ids=["Motion JPEG", "RTSP"])
def test_a_clip_shows_the_seconds_that_were_asked_for(tmp_path, server):
    buffer = PacketBuffer(10)
    with server() as live:
        end_s, packets = watched(live.url, buffer, 2.0)
    assert buffer.save(tmp_path / "clip.mp4", end_s - 1.2, end_s - 0.2)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        times = [float(frame.pts * frame.time_base) for frame in container.decode(stream)]
    assert times == sorted(set(times))
    assert 0.9 < times[-1] - times[0] < 1.7  # from the key frame before, half a second at most
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    if server is rtsp:  # its packets are those of the camera, not encoded anew
        with av.open(str(tmp_path / "clip.mp4")) as container:
            sizes = [packet.size for packet in container.demux(video=0) if packet.size]
        assert set(sizes[:-1]) <= {len(one) + extra for one in packets for extra in range(-8, 9)}


def test_only_so_much_is_kept_and_nothing_of_a_connection_that_has_gone(tmp_path):
    buffer = PacketBuffer(0.5)
    assert not buffer.save(tmp_path / "nothing.mp4", 0, time.monotonic())
    with rtsp() as live:
        end_s, packets = watched(live.url, buffer, 2.5)
    assert 0 < buffer.bytes_kept < sum(map(len, packets)) * 0.7
    with av.open(str(MODEL.parent / "clip.mp4")) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            buffer.add(packet, stream, 7, end_s)
    assert buffer.save(tmp_path / "clip.mp4", end_s - 99, end_s + 1)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.streams.video[0].codec_context.height != 96  # of the file, not of the stream


def test_events_of_a_stream_come_by_webhook_with_their_clips(tmp_path):
    with receiver() as hook, rtsp() as live:
        hook.come()
        run = kineme(
            *("predict", live.url, "--model", MODEL, "--engine", "litert", "--out", tmp_path / "out"),
            *("--on", "* > 0.1 for 0.2s", "--webhook", hook.url, "--clip", "1,0.5", "--max-seconds", "3"),
            XDG_DATA_HOME=str(tmp_path / "data"),
        )
    assert run.returncode == 0, run.stderr
    begun = re.findall(r"(\S+) begins \(\d+ %\)", run.stdout)
    assert begun
    assert sorted(begun) == sorted(re.findall(r"(\S+) ends", run.stdout))
    events = [json.loads(body) for headers, body in hook.taken if headers["content-type"] == "application/json"]
    assert [one["label"] for one in events if one["type"] == "enter"] == begun
    entered = {one["id"]: one for one in events if one["type"] == "enter"}
    left = [one for one in events if one["type"] == "leave"]
    assert {one["of"]: one["start"] for one in left} == {key: one["start"] for key, one in entered.items()}
    assert all(one["source"] == live.url and 0 < one["confidence"] <= 1 for one in events)
    clips = [one for one in hook.taken if one[0]["content-type"].startswith("multipart/form-data")]
    assert len(clips) == len(begun)
    for headers, body in clips:
        parts = email.message_from_bytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body)
        about, clip = parts.get_payload()
        document = json.loads(about.get_payload(decode=True))
        assert (document["type"], document["of"] in entered) == ("clip", True)
        assert clip.get_payload(decode=True) == Path(document["clip"]).read_bytes()
        with av.open(document["clip"]) as container:
            seconds = sum(1 for _ in container.decode(video=0)) / 25
        wanted_s = min(1.0, document["start_s"]) + 0.5  # there is no more before it where the stream has just begun
        assert wanted_s - 0.1 < seconds < wanted_s + 0.6  # from the key frame before


def test_a_clip_that_cannot_be_cut_is_told_of(tmp_path):
    notices: list[str] = []
    options = AlarmOptions(rules=("wave for 0s",), clip_s=(1.0, 0.0), clips=tmp_path, state=tmp_path)
    with Alarm(options, {"model": ("fall", "wave")}, "rtsp://door/1", notices.append) as alarm:
        alarm.follow("model").push(0.0, np.array([0.1, 0.9]), None, time.monotonic())
    (line,) = notices
    assert re.fullmatch(r"door-1-\d{8}-\d{6}-wave-\w{6}\.mp4: no clip is saved: .* no longer kept", line)


def test_with_json_events_are_told_all_the_same_and_nothing_else_is_printed(tmp_path, monkeypatch, capsys):
    script = tmp_path / "take.py"
    script.write_text(f"import sys; open({str(tmp_path / 'told')!r}, 'a').write(sys.stdin.read())")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    arguments = ["--model", str(MODEL), "--engine", "litert", "--max-seconds", "1.5", "--json"]
    with motion_jpeg() as live:
        arguments += ["--on", "any > 0.1 for 0.1s", "--run", f'"{sys.executable}" "{script}"']
        monkeypatch.setattr(sys, "argv", ["kineme", "predict", live.url, *arguments])
        with pytest.raises(SystemExit) as end:
            main()
    assert not end.value.code
    assert json.loads(capsys.readouterr().out)["source"] == live.url
    told = [json.loads(line)["type"] for line in (tmp_path / "told").read_text().splitlines()]
    assert told == ["enter", "leave"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["0", "--webhook", "http://x/"], 2, "--webhook is for --on, which says when"),
        (["0", "--on", "wave", "--clip", "5"], 2, "--clip 5: give seconds before and after, such as 5,5"),
        (["0", "--on", "wave", "--clip", "5,500"], 2, "at most 60 seconds before"),
        (["clip.mp4", "--on", "wave"], 2, "--on is for a camera or live stream, but clip.mp4 is neither"),
        (["rtsp://127.0.0.1:9/x", "--on", "wafe > 0.8"], 2, "has no label 'wafe'; the nearest is 'wave'"),
    ],
)
def test_wrong_usage_is_a_line(monkeypatch, capsys, arguments, code, says):
    monkeypatch.setattr(sys, "argv", ["kineme", "predict", *arguments, "--model", str(MODEL), "--engine", "litert"])
    with pytest.raises(SystemExit) as end:
        main()
    error = " ".join(capsys.readouterr().err.split())
    assert (end.value.code, says in error) == (code, True), error
