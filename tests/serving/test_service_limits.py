"""The limits of the service: what one visitor may take from the others, in size and in time."""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
import socket
import sqlite3
import struct
import threading
from contextlib import suppress

import av
import numpy as np
import pytest
from helpers_server import serving
from helpers_serving import form, server
from PIL import Image

from kineme.serving.check_video import LimitError, check_video
from kineme.serving.places import Places
from kineme.serving.problem import ServiceError
from kineme.serving.store import JobStore
from kineme.serving.visitors import Rate, visitor_at
from kineme.video.container import NamedFile

FILES = 300  # that the guarded server may have open: 70 connections
HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def guarded(model, tmp_path_factory):
    """A server with a token, whom others reach, with few connections and one camera."""
    options = ("--host", "0.0.0.0", "--streams", "1", "--max-size", "1M")
    state = tmp_path_factory.mktemp("state")
    with server(model, state, *options, open_files=FILES, KINEME_TOKEN="correct horse") as running:
        running.address = running.address.replace("0.0.0.0", "127.0.0.1")
        yield running


def connect(running) -> socket.socket:
    host, _, port = running.address.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server ended it; that is a reset where it had not read all that was sent."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def fast_video(path, count: int):
    """Tiny frames, a thousand a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.width = stream.height = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        for number in range(count):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_half_requests_do_not_shut_others_out(guarded):
    waiting = []
    try:
        for _ in range(100):
            waiting.append(connect(guarded))
            waiting[-1].sendall(HEAD)  # and no end
        assert guarded.ask("/healthz").status == 200
        assert is_closed(waiting[0])  # the oldest gave way
        waiting[-1].sendall(b"\r\n")
        assert waiting[-1].recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        for one in waiting:
            one.close()


def test_a_word_is_not_expected_to_be_a_megabyte(guarded):
    start = b"POST /v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    told = guarded.raw(start + b"Content-Length: 2000000\r\n\r\n" + b" " * 2_000_000)
    chunked = guarded.raw(
        start + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n%s\r\n" % bytes(1 << 16) * 40 + b"0\r\n\r\n"
    )
    for answer in (told, chunked):
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"the body is larger than 64 kB" in answer


def test_what_is_no_request_is_answered(guarded):
    for content in (b"\x16\x03\x01 hello\r\n\r\n", HEAD + b"X-Long: " + b"x" * 300_000 + b"\r\n\r\n"):
        answer = guarded.raw(content)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"its head is too large" in answer


def test_refusals_come_though_nothing_of_the_body_was_read(guarded, served):
    body, kind = form(bytes(12 << 20))
    assert guarded.ask("/v1/predict", "POST", body, Content_Type=kind).json["error"]["code"] == "no_token"
    there = served.ask("/v1/predict", "POST", body, Content_Type=kind, Origin="http://evil.example")
    assert there.json["error"]["code"] == "wrong_origin"


def test_guesses_are_counted_on_every_road(guarded):
    def ask(source: str, *headers: str, path: str = "/v1/models") -> int:
        lines = (f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, "", "")
        return int(guarded.raw("\r\n".join(lines).encode(), source=source).split()[1])

    shown = guarded.ask("/v1/session", "POST", b'{"token": "correct horse"}', Content_Type="application/json")
    cookie = f"Cookie: {shown.headers['Set-Cookie'].split(';')[0]}"
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    upgrade += ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",)
    roads = {
        "127.0.0.11": ("Authorization: Bearer guess",),
        "127.0.0.12": ("Cookie: kineme_session=9999999999.0123456789abcdef",),
        "127.0.0.13": ("Authorization: Bearer guess", *upgrade),
    }
    for source, headers in roads.items():
        path = "/v1/stream" if "websocket" in str(headers) else "/v1/models"
        assert [ask(source, *headers, path=path) for _ in range(12)] == [401] * 10 + [429] * 2
    assert ask("127.0.0.11", "Authorization: Bearer correct horse") == 429  # a guess is not looked at any more
    assert ask("127.0.0.11", cookie) == 200  # but who is in stays in
    assert ask("127.0.0.14", "Authorization: Bearer correct horse") == 200


def test_a_visitor_is_a_household():
    assert visitor_at("2001:db8:1:2:3::4") == visitor_at("2001:db8:1:2:ffff::1") != visitor_at("2001:db8:1:3::4")
    assert visitor_at("::ffff:10.0.0.1") == visitor_at("10.0.0.1") != visitor_at("10.0.0.2")
    rate = Rate(2, for_all=3)
    for visitor in ("a", "a", "b"):
        rate.take(visitor)
    for visitor in ("a", "c"):  # one had its part; all had theirs
        with pytest.raises(ServiceError, match="more than"):
            rate.take(visitor)


def test_a_slow_upload_gives_way_and_a_fast_one_does_not():
    async def upload(places: Places, visitor: str, count: int, began: list) -> None:
        async with places.take(visitor) as place:
            place.began_s -= 10
            place.count = count
            began.append(place)
            await asyncio.Event().wait()

    async def main() -> None:
        places, began = Places(3, 2, 3600.0), []
        speeds = {"slow": 1000, "fast": 10 << 20, "slower": 100}
        tasks = {name: asyncio.create_task(upload(places, name, count, began)) for name, count in speeds.items()}
        while len(began) < 3:
            await asyncio.sleep(0)
        async with places.take("new"):
            with pytest.raises(ServiceError, match="too slowly"):
                await tasks["slower"]
            assert not tasks["slow"].done()
            assert not tasks["fast"].done()
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    asyncio.run(main())


def test_very_many_frames_are_refused_whether_the_file_counts_them_or_not(served, tmp_path):
    before = served.left_on_disk()
    for name in ("fast.mp4", "fast.mkv"):
        answer = served.send(fast_video(tmp_path / name, 7300).read_bytes(), name)
        assert (answer.status, answer.json["error"]["code"]) == (422, "too_many_frames")
        assert answer.json["error"]["message"] == f"{name}: has more than 7,200 frames"
    assert served.left_on_disk() == before
    limits = {"max_bytes": 1 << 20, "max_duration_s": 60, "max_pixels": 9999, "max_frames": 9999}
    with pytest.raises(LimitError) as later:  # so that others go first
        check_video(NamedFile(str(tmp_path / "fast.mkv"), "fast.mkv"), limits, cpu_s=0)
    assert later.value.code == "not_yet"


def test_forms_and_ranges_and_names_have_limits(served, clip):
    fields = b"".join(b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' for _ in range(1000))
    answer = served.ask("/v1/predict", "POST", fields + b"--X--\r\n", Content_Type="multipart/form-data; boundary=X")
    assert (answer.status, answer.json["error"]["code"]) == (413, "too_large")
    wrong = served.send(clip, model="\x1b]0;mine\x07other")
    assert wrong.json["error"]["message"] == "]0;mine other: there is no such model; /v1/models lists them"
    done = served.wait(served.send(clip, "\x1b[2Jclip.mp4").json["id"])
    assert done["name"] == "[2Jclip.mp4"
    whole = served.ask(done["results"]["mp4"])
    many = served.ask(done["results"]["mp4"], Range="bytes=" + ",".join(f"{at}-{at}" for at in range(0, 999, 3)))
    assert (many.status, len(many.body)) == (200, len(whole.body))


def test_a_server_that_never_answers_a_link_keeps_no_video_waiting(served, clip, tmp_path):
    pytest.importorskip("yt_dlp")
    (tmp_path / "clip.mp4").write_bytes(clip)
    with serving(tmp_path) as site:
        asleep = served.link(f"{site}/silent/clip.mp4").json["id"]
        served.wait_until(asleep, "running")
        assert served.wait(served.send(clip).json["id"])["state"] == "done"
        assert served.ask(f"/v1/jobs/{asleep}").json["state"] == "running"
        assert served.ask(f"/v1/jobs/{asleep}", "DELETE").status == 204


def test_a_camera_has_limits(guarded, served):
    client = pytest.importorskip("websockets.sync.client")
    closed = pytest.importorskip("websockets.exceptions").ConnectionClosed
    address = "/v1/stream"
    bearer = {"Authorization": "Bearer correct horse"}
    with client.connect(guarded.address.replace("http", "ws") + address, additional_headers=bearer) as first:
        assert json.loads(first.recv())["ready"]
        with client.connect(guarded.address.replace("http", "ws") + address, additional_headers=bearer) as second:
            assert json.loads(second.recv())["error"]["code"] == "too_many_streams"
    scans = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(scans, "JPEG")
    picture = struct.pack("<d", 0.0) + scans.getvalue()

    def end_of(sends) -> tuple[dict, int]:
        """The last that the server says, and the code that it closes with."""
        with client.connect(served.address.replace("http", "ws") + address) as one:
            answers = [json.loads(one.recv())]

            def listen() -> None:
                with suppress(closed):
                    while True:
                        answers.append(json.loads(one.recv()))

            listening = threading.Thread(target=listen)
            listening.start()
            with suppress(closed):
                sends(one)
            listening.join(20)
            return answers[-1], one.close_code

    assert "scans" in end_of(lambda one: one.send(picture + b"\xff\xda" * 40))[0]["error"]["message"]
    assert end_of(lambda one: [one.pong(b"") for _ in range(1000)])[1] == 1008  # nobody asked
    last, code = end_of(lambda one: [one.send(picture) for _ in range(20_000)])
    assert (last["error"]["code"], code) == ("too_many", 1008)


def test_what_is_kept_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        JobStore(tmp_path / "new").close()
        (tmp_path / "old" / "jobs").mkdir(parents=True, mode=0o777)
        (tmp_path / "old" / "jobs.sqlite").touch(0o666)
        JobStore(tmp_path / "old").close()
        (tmp_path / "mine").mkdir(mode=0o755)
        JobStore(tmp_path / "mine").close()
        assert os.umask(0) == 0  # which belongs to the process
    finally:
        os.umask(before)
    for name in ("new", "old"):
        for path in (tmp_path / name, *(tmp_path / name).rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o755  # a folder that others made for more than this
    assert (tmp_path / "mine" / "jobs.sqlite").stat().st_mode & 0o077 == 0


def test_a_full_disk_can_be_emptied(tmp_path):
    store = JobStore(tmp_path)
    job = store.new_id()
    (store.folder_of(job) / "video").write_bytes(bytes(5000))
    assert store.add(job, "m", "a.mp4", None, most_waiting=5)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # nothing can be written any more, by anybody
    try:
        with pytest.raises(sqlite3.OperationalError):
            store.remove(job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not store.folder_of(job).exists()
    assert store.remove(job)
    store.close()


def test_one_visitor_has_a_part_of_the_queue_and_what_each_keeps_is_counted(tmp_path):
    store = JobStore(tmp_path)

    def add(visitor: str) -> bool:
        job = store.new_id()
        (store.folder_of(job) / "video").write_bytes(bytes(1000))
        return store.add(job, "m", "a.mp4", None, visitor=visitor, most_waiting=3, most_each=2)

    assert [add("a"), add("a"), add("a"), add("b"), add("c")] == [True, True, False, True, False]
    assert store.waiting("a") == (3, 2)
    assert store.bytes_kept("b") == (3000, 1000)
    first, second, third = (store.take() for _ in range(3))
    assert len({first.id, second.id, third.id}) == 3
    store.finish(second.id, {"json": "12345"})
    assert store.bytes_kept("b") == (3005, 1005)  # who came last had the second turn
    store.close()
