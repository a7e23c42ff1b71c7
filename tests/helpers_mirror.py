"""A mirror on loopback that serves ranges as real ones do, and breaks off when told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


@dataclass
class Mirror:
    """What the mirror does and has been asked.

    Args:
        url: its address.
        folder: what it serves.
        cuts: after how many bytes of the answer the next connections break off, one each.
        ranges: whether it gives parts of files.
        tag: begins the ETag; another one means another version of the file.
        tells_length: whether it sends a Content-Length.
        pause_s: after each 64 KiB.
        codes: HTTP errors that the next requests get, one each.
        asked: (path, Range header or "") of each request so far.
    """

    url: str
    folder: Path
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    tag: str = "v1"
    tells_length: bool = True
    pause_s: float = 0.0
    codes: list[int] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def mirror(folder: Path) -> Iterator[Mirror]:
    """Serve ``folder`` on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = unquote(self.path).lstrip("/"), self.headers.get("Range", "")
            here.asked.append((name, wanted))
            if here.codes:
                self.send_error(here.codes.pop(0))
                return
            path = folder / name
            if not path.is_file():
                self.send_error(404)
                return
            content, tag = path.read_bytes(), f'"{here.tag}-{name}"'
            begin = 0
            if wanted and here.ranges and self.headers.get("If-Range") == tag:
                begin = int(wanted.removeprefix("bytes=").split("-")[0])
                if begin >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.end_headers()
                    return
            self.send_response(206 if begin else 200)
            self.send_header("ETag", tag)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            if here.tells_length:
                self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            end = min(len(content), begin + here.cuts.pop(0)) if here.cuts else len(content)
            try:
                for at in range(begin, end, 1 << 16):
                    self.wfile.write(content[at : min(end, at + (1 << 16))])
                    time.sleep(here.pause_s)
            except OSError:
                pass  # whoever asked has gone

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here = Mirror(f"http://127.0.0.1:{server.server_port}", folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
