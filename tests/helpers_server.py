"""A file server on loopback that answers well, badly, slowly or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

_TYPES = {
    ".mp4": "video/mp4",
    ".html": "text/html",
    ".rss": "application/rss+xml",
    ".txt": "text/plain",
    ".m3u8": "application/vnd.apple.mpegurl",
}


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve ``folder``; gives the address.

    What is asked for decides how the file is sent: ``/plain/NAME`` as it is, ``/slow/NAME`` in pieces with pauses,
    ``/silent/NAME`` not at all, ``/half/NAME`` the first half and then the connection is closed, ``/stalled/NAME``
    the first half and then nothing, ``/refused/NAME`` the first half, and 403 to whoever asks for the rest,
    ``/endless/NAME`` again and again without telling a length. ``/echo/NAME`` is the cookies of who asks.
    """
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, how, name = unquote(self.path.split("?")[0]).split("/", 2)
            path = folder / name
            if how == "echo":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(self.headers.get("Cookie", "none").encode())
                return
            if not path.is_file():
                self.send_error(404)
                return
            if how == "silent":
                over.wait(30)
                return
            content = path.read_bytes()
            begin = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
            if begin and how == "refused":
                self.send_error(403)
                return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Type", _TYPES.get(path.suffix, "application/octet-stream"))
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            if how != "endless":
                self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            try:
                if how in ("half", "stalled", "refused"):
                    self.wfile.write(content[begin : len(content) // 2])
                    over.wait(30 if how == "stalled" else 0)
                elif how == "slow":
                    for at in range(begin, len(content), len(content) // 5 + 1):
                        self.wfile.write(content[at : at + len(content) // 5 + 1])
                        time.sleep(0.1)
                elif how == "endless":
                    while not over.is_set():
                        self.wfile.write(content)
                else:
                    self.wfile.write(content[begin:])
            except OSError:
                pass  # whoever asked has gone

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
