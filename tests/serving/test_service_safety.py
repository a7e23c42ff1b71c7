"""What the service refuses: hostile uploads, foreign pages, strangers, and links that lead inside."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers_fuzz import make_seeds, mutate
from helpers_people import need_movenet, people_video
from helpers_serving import form, server, write_model, write_video

from kineme.errors import VideoError
from kineme.models import weights
from kineme.serving.check_video import check_video
from kineme.serving.links import is_public
from kineme.serving.upload import display_name
from kineme.video.container import NamedFile
from kineme.video.probe import probe

PLAYLISTS = {
    "list.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd.mp4\n#EXT-X-ENDLIST\n",
    "list.ffconcat": b"ffconcat version 1.0\nfile 'clip.mp4'\n",
    "list.mpd": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
    "list.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}
INSIDE = (
    *("http://127.0.0.2/a.mp4", "http://127.1.1.1/", "http://2130706434/", "http://0x7f000002/", "http://0177.0.0.2/"),
    *("http://127.0.2/", "http://[::1]/", "http://[::ffff:127.0.0.2]/", "http://[::ffff:7f00:2]/", "http://0/"),
    *("http://0.0.0.0/", "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://169.254.169.254/"),
    *("http://100.64.0.1/", "http://[fe80::1]/", "http://[fc00::1]/", "http://[::]/", "http://[2002:7f00:1::]/"),
    *("http://[64:ff9b::7f00:1]/", "http://224.0.0.1/", "http://255.255.255.255/", "http://localhost.invalid/"),
    *("file:///etc/passwd", "ftp://127.0.0.1/a.mp4", "gopher://127.0.0.1/", "//127.0.0.1/", "concat:a|b", "a.mp4", ""),
    *(
        "http://user:word@127.0.0.1/a.mp4",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/\r\nHost: x",
        "http://[",
        "http://",
    ),
    "rtsp://127.0.0.1/",
)


def test_hostile_uploads_are_refused_and_leave_nothing(served, clip, tmp_path):
    before = served.left_on_disk()
    contents = {"empty.mp4": b"", "noise.mp4": bytes(range(256)) * 40, "zero.mp4": bytes(5000), **PLAYLISTS}
    contents |= {"text.mp4": b"no video\n" * 99, "page.mp4": b"<html><script>alert(1)</script>", "half.mp4": clip[:200]}
    for name, content in contents.items():
        answer = served.send(content, name)
        assert (answer.status, answer.json["error"]["code"]) == (422, "bad_video"), name
        assert str(served.state) not in answer.body.decode()
        assert "Traceback" not in answer.body.decode()
    seeds = make_seeds(tmp_path / "seeds")
    for case in range(18):
        answer = served.send(mutate(seeds, case, tmp_path).read_bytes(), "case.mp4")
        assert answer.status in (202, 422), case
        if answer.status == 202:  # damaged, but most of it can be read
            served.wait(answer.json["id"])
            assert served.ask(f"/v1/jobs/{answer.json['id']}", "DELETE").status == 204
    assert served.left_on_disk() == before
    assert served.ask("/healthz").status == 200


def test_the_people_of_an_upload_leave_nothing_behind(tmp_path):
    need_movenet()
    film = people_video(tmp_path / "two.mp4", [lambda s: 0.02, lambda s: 0.62], 2.0)
    model, cache = write_model(tmp_path / "persons.tflite", region="person"), tmp_path / "cache"
    (cache / "weights").mkdir(parents=True)
    weights_file = weights.require("movenet")["movenet.tflite"]
    (cache / "weights" / weights_file.name).symlink_to(weights_file)
    with server(model, tmp_path / "state", KINEME_CACHE=str(cache)) as running:
        job = running.send(film.read_bytes()).json["id"]
        assert running.wait(job)["state"] == "done"
        assert len(running.ask(f"/v1/jobs/{job}/results/json").json["people"]) == 2
        assert not (cache / "people").exists()
        assert list(running.state.rglob("*.people")) == []


def test_lists_of_further_files_are_not_followed(clip, tmp_path):
    (tmp_path / "secret.mp4").write_bytes(clip)
    (tmp_path / "video").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    assert probe(tmp_path / "video").width == 96  # FFmpeg does follow it
    with pytest.raises(VideoError, match="is not a video that can be read"):
        check_video(
            NamedFile(str(tmp_path / "video"), "list"),
            {"max_bytes": 1 << 20, "max_duration_s": 60, "max_pixels": 1e6, "max_frames": 999},
        )


def test_bodies_that_are_no_upload_are_refused(served, clip):
    body, kind = form(clip)
    cases = [
        (b"", None, 415, "unsupported"),
        (clip, "video/mp4", 415, "unsupported"),
        (body, "multipart/form-data", 415, "unsupported"),
        (body, "multipart/form-data; boundary=other", 400, "bad_form"),
        (body[:-40], kind, 400, "cut_off"),
        (b"--x\r\n" + b"A: b\r\n" * 5000, "multipart/form-data; boundary=x", 400, "bad_form"),
        (b"--x\r\nA: " + b"b" * 9000, "multipart/form-data; boundary=x", 400, "bad_form"),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 422, "invalid"),
        (b"{", "application/json", 400, "bad_json"),
        (b"[" * 30000, "application/json", 400, "bad_json"),
        (b"[]", "application/json", 422, "invalid"),
        (b'{"url": 5}', "application/json", 422, "invalid"),
        (b'"' + b"x" * 90000, "application/json", 413, "too_large"),
    ]
    before = served.left_on_disk()
    for content, kind_of, status, code in cases:
        headers = {"Content_Type": kind_of} if kind_of else {"Content_Type": ""}
        answer = served.ask("/v1/predict", "POST", content, **headers)
        assert (answer.status, answer.json["error"]["code"]) == (status, code), (content[:40], kind_of, answer.json)
    assert served.send(clip, model="other").json["error"]["code"] == "no_model"
    assert served.left_on_disk() == before


def test_limits_hold_for_size_length_and_pixels(served, tmp_path):
    before = served.left_on_disk()
    large = served.send(bytes(24 << 20))  # more than any buffer on the way: the answer must wait for its sender
    assert (large.status, large.json["error"]["code"]) == (413, "too_large")
    assert "2 MB" in large.json["error"]["message"]
    long = served.send(write_video(tmp_path / "long.mp4", seconds=31).read_bytes())
    assert (long.status, long.json["error"]["code"]) == (422, "too_long")
    wide = served.send(write_video(tmp_path / "wide.mp4", size=320).read_bytes())
    assert (wide.status, wide.json["error"]["code"]) == (422, "too_many_pixels")
    # Without a length told in advance the limit counts what comes; a client that goes half-way leaves nothing.
    head, kind = form(b"")
    start = (
        b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Type: " + kind.encode()
    )
    opening = head.split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    block = b"%x\r\n%s\r\n" % (1 << 19, bytes(1 << 19))
    answered = raw(served, start + b"\r\n\r\n" + b"%x\r\n%s\r\n" % (len(opening), opening) + 6 * block)
    assert b" 413 " in answered.split(b"\r\n")[0]
    raw(served, start + b"\r\n\r\n" + b"%x\r\n%s\r\n" % (len(opening), opening) + block, read=False)
    end = time.monotonic() + 10
    while served.left_on_disk() != before:
        assert time.monotonic() < end
        time.sleep(0.05)


def raw(served, content: bytes, *, read: bool = True) -> bytes:
    host, _, port = served.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        with suppress(OSError):  # it may be refused before all is sent
            connection.sendall(content)
        return connection.recv(4096) if read else b""


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\clip.mp4", "clip.mp4"),
        ("..", "video"),
        ("a\r\nSet-Cookie: b.mp4", "a Set-Cookie: b.mp4"),
        ("\u202egpj.mp4", "gpj.mp4"),
        ("x" * 500, "x" * 120),
        (".hidden", "hidden"),
        ("", "video"),
    ],
)
def test_names_are_for_people_only(sent, shown):
    assert display_name(sent) == shown


def test_a_name_is_never_a_path(served, clip):
    job = served.send(clip, "../../../../tmp/escape.mp4").json
    assert job["name"] == "escape.mp4"
    done = served.wait(job["id"])
    for path in ("../../jobs.sqlite", "..%2f..%2fjobs.sqlite", "json%00", "py"):
        assert served.ask(f"/v1/jobs/{job['id']}/results/{path}").status in (404, 422)
    assert served.ask("/v1/jobs/..%2f..").status in (404, 422)
    assert served.ask("/static/..%2fapp.py").status == 404
    assert served.ask(done["results"]["json"]).status == 200


def test_pages_of_other_sites_are_kept_out(served, clip):
    assert served.ask("/healthz", Host="evil.example").json["error"]["code"] == "wrong_host"
    assert served.ask("/healthz", Host=f"localhost:{served.address.rpartition(':')[2]}").status == 200
    assert served.send(clip, Origin="http://evil.example").json["error"]["code"] == "wrong_origin"
    assert served.send(clip, Origin="null").json["error"]["code"] == "wrong_origin"
    job = served.send(clip, Origin=served.address)
    assert job.status == 202
    for path in ("/", "/healthz", "/v1/nothing", f"/v1/jobs/{job.json['id']}"):
        headers = served.ask(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    served.wait(job.json["id"])
    hand = b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    hand += b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    assert b" 403 " in raw(served, hand + b"Origin: http://evil.example\r\n\r\n").split(b"\r\n")[0]
    assert b" 101 " in raw(served, hand + b"\r\n").split(b"\r\n")[0]


def test_strangers_are_kept_out_and_many_requests_slowed_down(model, tmp_path):
    options = ("--rate", "3", "--max-size", "1M")
    with server(model, tmp_path / "state", *options, KINEME_TOKEN="correct horse") as running:
        assert running.ask("/").status == running.ask("/static/page.js").status == running.ask("/healthz").status == 200
        for path in ("/v1/models", "/metrics", "/openapi.json", "/v1/jobs/" + "0" * 32):
            answer = running.ask(path)
            assert (answer.status, answer.json["error"]["code"]) == (401, "no_token")
        assert running.ask("/v1/models", Authorization="Bearer wrong").status == 401
        assert running.ask("/v1/models", Authorization="Bearer correct horse").status == 200
        wrong = running.ask("/v1/session", "POST", b'{"token": "wrong"}', Content_Type="application/json")
        assert wrong.status == 401
        right = running.ask("/v1/session", "POST", b'{"token": "correct horse"}', Content_Type="application/json")
        cookie = right.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "horse" not in cookie
        assert running.ask("/v1/models", Cookie=cookie.split(";")[0]).status == 200
        assert running.ask("/v1/models", Cookie="kineme_session=0").status == 401
        assert running.link("http://127.0.0.1/").status == 401
        shown = {"Authorization": "Bearer correct horse"}
        assert running.ask("/v1/models", **shown).json["limits"]["links"] is False
        off = running.link("https://example.org/clip.mp4", **shown)
        assert (off.status, off.json["error"]["code"]) == (403, "links_off")
        answers = [running.send(b"none", **shown) for _ in range(3)]
        assert [one.status for one in answers] == [422, 422, 429]
        assert running.left_on_disk() == []
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 20
        for _ in range(9):
            last = running.ask("/v1/session", "POST", b'{"token": "guess"}', Content_Type="application/json")
        assert last.status == 429


class _Redirecting(BaseHTTPRequestHandler):
    """``/clip.mp4`` is a video; ``/to/X`` leads to the address X."""

    clip = b""

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(self.clip)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.clip)

    do_HEAD = do_GET

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def web(clip):
    """A web server on 127.0.0.1, the only address of this machine that links may lead to here."""
    _Redirecting.clip = clip
    site = ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{site.server_port}"
    site.shutdown()
    site.server_close()
    thread.join()


def test_links_lead_to_public_addresses_only(served, web):
    pytest.importorskip("yt_dlp")
    for url in INSIDE:
        answer = served.link(url)
        assert (answer.status, answer.json["error"]["code"]) == (422, "link_refused"), url
    done = served.wait(served.link(f"{web}/clip.mp4").json["id"])
    assert done["state"] == "done", done
    assert served.ask(done["results"]["json"]).json["source"] == f"{web}/clip.mp4"
    for target in (
        "http://127.0.0.2:1/a.mp4",
        "http://10.0.0.1/a.mp4",
        "http://2130706434:1/a.mp4",
        "file:///etc/passwd",
    ):
        over = served.wait(served.link(f"{web}/to/{target}").json["id"])
        assert over["state"] == "failed"
        assert over["error"]["code"] in ("link_refused", "failed"), over
        if target.startswith("http"):
            assert over["error"]["code"] == "link_refused", over


def test_names_that_resolve_inside_are_refused_whatever_they_are_called(monkeypatch):
    from kineme.serving.links import LinkError, check_link

    answers = [[(2, 1, 6, "", ("8.8.8.8", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers[0])
    with pytest.raises(LinkError, match="public"):
        check_link("http://both.example/a.mp4")
    answers[0] = answers[0][:1]
    check_link("http://public.example/a.mp4")
    assert is_public("2606:4700::1")
    assert not is_public("fe80::1%eth0")
    assert is_public("10.1.2.3", ["10.1.0.0/16"])
    assert not is_public("10.2.2.3", ["10.1.0.0/16"])
