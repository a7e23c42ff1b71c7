"""Receivers of events on loopback that can go away and come back: an HTTP server that misbehaves, and mosquitto."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until something is true; gives it."""
    end_s = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end_s, "it never came to that"
        time.sleep(0.02)
    return found


class Receiver:
    """An HTTP server on a fixed port that is away to begin with.

    Attributes:
        taken: headers and body of each request that was answered with 204, in order.
        misbehave: what the next requests get instead: ``"hang"``, ``"drop"`` or a status.
        came: of all requests.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/events"
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.misbehave: list[str | int] = []
        self.came = 0
        self._server: ThreadingHTTPServer | None = None

    def come(self) -> None:
        outer, self._over = self, threading.Event()
        over = self._over

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.came += 1
                how = outer.misbehave.pop(0) if outer.misbehave else 204
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if how == "hang":
                    over.wait(20)
                    return
                if how == "drop":
                    return
                if how == 204:
                    outer.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(int(how))
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def go(self) -> None:
        if self._server:
            self._over.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None


@contextmanager
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    try:
        yield one
    finally:
        one.go()


class Broker:
    """mosquitto on a fixed port; what is retained is kept while it is away."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nuser root\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def come(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        until(self._listens)

    def go(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    if not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()):
        pytest.skip("mosquitto is not installed")
    one = Broker(folder)
    one.come()
    try:
        yield one
    finally:
        one.go()


@contextmanager
def subscribed(port: int) -> Iterator[list[tuple[str, str, bool]]]:
    """All that a broker tells: topic, text, and whether it was retained."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    heard: list[tuple[str, str, bool]] = []
    ready = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, "listener", clean_session=False)
    client.reconnect_delay_set(1, 1)
    client.on_connect = lambda *_: client.subscribe("#", 1)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda _, __, message: heard.append((message.topic, message.payload.decode(), message.retain))
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(10)
    try:
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()
