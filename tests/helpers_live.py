"""Live servers on loopback that can be cut and brought back: Motion JPEG over HTTP, RTSP, and a sender over UDP.

They show a square that moves to the left for a second and then to the right, and so on.
"""

from __future__ import annotations

import select
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

HEIGHT, WIDTH = 96, 128


def picture(time_s: float) -> NDArray[np.uint8]:
    """The frame at an instant."""
    along = time_s % 1
    left = int((WIDTH - 40) * (along if int(time_s) % 2 else 1 - along))
    frame = np.random.default_rng(0).integers(0, 90, (HEIGHT, WIDTH, 3), np.uint8)
    frame[30:70, left : left + 40] = 225
    return frame


class Encoder:
    """H.264 as cameras send it, in a container of any format, written packet by packet."""

    def __init__(self, file: Any, container: str, fps: int, **options: str) -> None:
        self._container = av.open(file, "w", format=container, options=options)
        how = {"tune": "zerolatency", "preset": "ultrafast", "g": str(fps // 2), "repeat-headers": "1"}
        self._stream = self._container.add_stream(
            "libx264", rate=fps, options={"x264-params": "repeat-headers=1"} | how
        )
        self._stream.width, self._stream.height, self._stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"

    def write(self, number: int, fps: int) -> None:
        frame = av.VideoFrame.from_ndarray(picture(number / fps), format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, fps)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        with suppress(Exception):
            self._container.close()


class Server:
    """A server on a fixed port of loopback.

    Args:
        handle: talks to one client, given its connection and an event that is set when it should end.
        address: of the stream, with the port left out.
    """

    def __init__(self, handle: Callable[[socket.socket, threading.Event], None], address: str) -> None:
        self._handle = handle
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = address.format(f"127.0.0.1:{self.port}")
        self.clients = 0
        self.come_back()

    def come_back(self) -> None:
        outer, self._over = self, threading.Event()
        over = self._over

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer.clients += 1
                with suppress(OSError, av.error.FFmpegError):
                    outer._handle(self.request, over)

        class TCP(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = TCP(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Break every connection off and take no new ones."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.cut()


@contextmanager
def motion_jpeg(
    fps: int = 25,
    *,
    frames: int | None = None,
    password: str = "",
    turns_s: float = 1e9,
    shows: Callable[[float], NDArray[np.uint8]] = picture,
) -> Iterator[Server]:
    """Motion JPEG over HTTP.

    After ``frames`` it falls silent. A password is that of the user ``me``. After ``turns_s`` the picture is turned.
    What is shown at each instant is ``shows``.
    """
    import base64

    wanted = b"Basic " + base64.b64encode(f"me:{password}".encode())

    def handle(client: socket.socket, over: threading.Event) -> None:
        request = client.recv(65536)
        if password and wanted not in request:
            client.sendall(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n')
            return
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=x\r\n\r\n")
        began = time.monotonic()
        number = 0
        while not over.wait(max(0.0, began + number / fps - time.monotonic())):
            if number != frames:
                frame_HWC = shows(number / fps)
                frame_HWC = np.rot90(frame_HWC) if number / fps >= turns_s else frame_HWC
                jpeg = cv2.imencode(".jpg", np.ascontiguousarray(frame_HWC[..., ::-1]))[1].tobytes()
                head = b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                client.sendall(head + jpeg + b"\r\n")
                number += 1
            elif over.wait(0.1):
                return

    with _running(Server(handle, "http://{}/video")) as server:
        yield server


@contextmanager
def rtsp(fps: int = 25, *, over_tcp: bool = True, key_frames_s: float = 0.5) -> Iterator[Server]:
    """H.264 by RTP, controlled by RTSP (RFC 2326): within the same connection, or over UDP only."""

    def handle(client: socket.socket, over: threading.Event) -> None:
        stream = client.makefile("rb")
        target: Callable[[bytes], object] | None = None
        playing = False
        while not playing:
            lines = list(iter(lambda: stream.readline().strip().decode(), ""))
            if not lines:
                return
            method, url = lines[0].split()[:2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            answer, more, body = "200 OK", "", ""
            if method == "OPTIONS":
                more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                body = (
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\n"
                    "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track\r\n"
                )
                more = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif method == "SETUP" and ("TCP" in headers["transport"]) != over_tcp:
                answer = "461 Unsupported transport"
            elif method == "SETUP":
                more = f"Transport: {headers['transport']}\r\nSession: 1\r\n"
                target = _to_tcp(client) if over_tcp else _to_udp(headers["transport"])
            elif method == "PLAY":
                more, playing = "Session: 1\r\n", True
            client.sendall(f"RTSP/1.0 {answer}\r\nCSeq: {headers['cseq']}\r\n{more}\r\n{body}".encode())
        assert target is not None
        encoder = Encoder(_Packets(target), "rtp", fps, packetsize="1200")
        began = time.monotonic()
        number = 0
        while not over.wait(max(0.0, began + number / fps - time.monotonic())):
            request = client.recv(65536) if select.select([client], [], [], 0)[0] else None
            if request is not None and (not request or b"TEARDOWN" in request):
                break
            encoder.write(number, fps)
            number += 1
        client.shutdown(socket.SHUT_RDWR)

    with _running(Server(handle, "rtsp://{}/live")) as server:
        yield server


class _Packets:
    """A file that passes on what is written, RTP packet by RTP packet."""

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send

    def write(self, data: bytes) -> int:
        self._send(bytes(data))
        return len(data)


def _is_control(packet: bytes) -> bool:
    return packet[1] == 200  # a sender's report


def _to_tcp(client: socket.socket) -> Callable[[bytes], object]:
    return lambda packet: client.sendall(b"$%c" % _is_control(packet) + len(packet).to_bytes(2, "big") + packet)


def _to_udp(transport: str) -> Callable[[bytes], object]:
    port = int(transport.partition("client_port=")[2].partition("-")[0])
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return lambda packet: out.sendto(packet, ("127.0.0.1", port + _is_control(packet)))


@dataclass
class Sent:
    """What a sender has done.

    Args:
        restarts: how often it began anew, with its time stamps from zero.
    """

    restarts: int = 0


@contextmanager
def udp_sender(fps: int = 25, *, restarts_s: float = 1e9) -> Iterator[tuple[str, Sent]]:
    """MPEG-TS over UDP, sent by PyAV; gives the address to listen at."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    over, sent = threading.Event(), Sent()

    def send() -> None:
        while not over.is_set():
            encoder = Encoder(f"udp://127.0.0.1:{port}?pkt_size=1316", "mpegts", fps)
            began = time.monotonic()
            number = 0
            while number < restarts_s * fps and not over.wait(max(0.0, began + number / fps - time.monotonic())):
                encoder.write(number, fps)
                number += 1
            encoder.close()
            sent.restarts += 1

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield f"udp://127.0.0.1:{port}", sent
    finally:
        over.set()
        thread.join()


_GSTREAMER = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! rtph264pay name=pay0 pt=96 )"
)
factory.set_shared(True)
server.get_mount_points().add_factory("/test", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@contextmanager
def gstreamer_rtsp() -> Iterator[str]:
    """GStreamer's RTSP server, which Debian has as ``gir1.2-gst-rtsp-server-1.0``; skips the test without it."""
    python = "/usr/bin/python3"
    try:
        process = subprocess.Popen(
            [python, "-c", _GSTREAMER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    except FileNotFoundError:
        pytest.skip(f"GStreamer's RTSP server is tried by {python}, which is not there")
    with process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            port = process.stdout.readline().strip()
            if not port:
                reason = process.stderr.read().strip().splitlines()[-1:]
                pytest.skip(f"GStreamer's RTSP server is not installed: {' '.join(reason)}")
            yield f"rtsp://127.0.0.1:{port}/test"
        finally:
            process.kill()
