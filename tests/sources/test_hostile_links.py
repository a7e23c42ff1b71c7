"""Links whose server means no good: pages without end, lists that name themselves, formats that want a program."""

from __future__ import annotations

import gzip
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kineme.errors import KinemeError
from kineme.sources.local import local_videos
from kineme.video.live import sends_live

pytest.importorskip("yt_dlp")

LOOP = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nloop.m3u8\n"
ENCRYPTED = (
    b'#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="key"\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n'
)
MOST = 48 << 20  # that the endless page sends


class _Site(BaseHTTPRequestHandler):
    asked: list[str]
    sent: int

    def do_GET(self) -> None:
        site = type(self)
        site.asked.append(self.path)
        self.send_response(200)
        kind = "application/vnd.apple.mpegurl" if "m3u8" in self.path else "text/html"
        self.send_header("Content-Type", kind)
        if self.path == "/bomb":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            if self.path == "/endless":
                while site.sent < MOST:
                    self.wfile.write(b"<p>" + b"x" * (1 << 20))
                    site.sent += 1 << 20
            self.wfile.write({"/loop.m3u8": LOOP, "/key.m3u8": ENCRYPTED, "/bomb": BOMB}.get(self.path, b""))
        except OSError:
            pass  # whoever asked has had enough

    do_HEAD = do_GET

    def log_message(self, *words: object) -> None:
        pass


BOMB = gzip.compress(b"<html>" + bytes(MOST), 9)


@pytest.fixture
def site():
    class Site(_Site):
        asked: list[str] = []  # noqa: RUF012
        sent = 0

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    Site.address = f"http://127.0.0.1:{server.server_port}"
    yield Site
    server.shutdown()
    server.server_close()
    thread.join()


def refusal(url: str) -> str:
    with pytest.raises(KinemeError) as refused:
        list(local_videos([url]))
    return str(refused.value)


@pytest.mark.parametrize("page", ["endless", "bomb"])
def test_a_page_is_read_up_to_a_limit(site, page):
    if page == "bomb":
        pytest.importorskip("requests", reason="without it yt-dlp unpacks a page before anybody can count")
    assert "leads to a page of more than 32 MB" in refusal(f"{site.address}/{page}")


def test_a_playlist_that_names_itself_is_asked_for_a_few_times(site):
    assert not sends_live(f"{site.address}/loop.m3u8")
    assert refusal(f"{site.address}/loop.m3u8").startswith(f"{site.address}/loop.m3u8: ")
    assert len(site.asked) <= 10


@pytest.mark.skipif(os.name != "posix", reason="a program is put on the path")
def test_no_program_is_started_for_a_link(site, tmp_path, monkeypatch):
    for name in ("ffmpeg", "ffprobe"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\necho ffmpeg version 8.0\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert refusal(f"{site.address}/key.m3u8")
    assert not (tmp_path / "started").exists()
    assert "/a.ts" not in site.asked
