"""Whether an honest visitor of ``kineme serve`` is answered while many others do what they can to prevent it.

A server is started for the purpose, and everything goes to it, on 127.0.0.1, for as long as ``--seconds`` says. Idle
visitors send half a request and wait. Slow ones upload a kilobyte a second. Hostile ones go through what else there is:
large bodies where none belong, floods of headers, fields, guesses and pings, files of a thousand frames a second,
noise, readers that do not read, links and explanations of nothing. Whoever is cut off comes again. All have the same
address, which is the hardest case: the server cannot tell the honest visitor by it.

    python benchmarks/hostile_visitors.py --model RUN --video CLIP.mp4
    python benchmarks/hostile_visitors.py --model RUN --video CLIP.mp4 --idle 0 --slow 0 --hostile 0    for comparison
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import av
import numpy as np
import psutil

from kineme.files import write_json

HOST = "127.0.0.1"
FORM = 'multipart/form-data; boundary="X"'
MOST_BYTES = 8 << 20  # that one hostile request sends
MOST_WAIT_S = 10.0

Answer = tuple[int, bytes]


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model file or run folder")
    parser.add_argument("--video", type=Path, required=True, help="what the honest visitor sends")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--idle", type=int, default=256)
    parser.add_argument("--slow", type=int, default=64)
    parser.add_argument("--hostile", type=int, default=20)
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bomb = fast_video(Path(folder) / "bomb.mkv")
        command = [sys.executable, "-m", "kineme", "serve", options.model, "--port", "0", "--json"]
        command += ["--state", f"{folder}/state", "--rate", "100000"]
        environment = {**os.environ, "KINEME_TOKEN": "correct horse"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
            try:
                told = ""
                while not told.rstrip().endswith("}"):
                    assert server.stdout is not None
                    line = server.stdout.readline()
                    assert line, "the server did not start"
                    told += line
                port = int(json.loads(told)["address"].rpartition(":")[2])
                figures = asyncio.run(measure(port, server.pid, options, bomb.read_bytes()))
            finally:
                server.terminate()
    for name, value in figures.items():
        print(f"{name:>28}  {value}")
    if options.out:
        write_json(options.out, figures)


def fast_video(path: Path) -> Path:
    """Some 200,000 frames of 16 x 16 pixels, a thousand a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.width = stream.height = 16
        stream.gop_size = 600
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        for number in range(200_000):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


async def measure(port: int, pid: int, options: argparse.Namespace, bomb: bytes) -> dict[str, object]:
    """Let all come at once; gives what became of the honest ones."""
    visit = Visit(port, bomb)
    while (await visit.get("/readyz"))[0] != 200:
        await asyncio.sleep(0.2)
    end_s = time.monotonic() + options.seconds
    crowd = [idle] * options.idle + [slow] * options.slow
    deeds = itertools.islice(itertools.cycle(DEEDS), options.hostile)
    tasks = [asyncio.create_task(again(who, visit, end_s)) for who in (*crowd, *deeds)]
    await asyncio.sleep(min(3.0, options.seconds / 4))
    process, peak = psutil.Process(pid), 0
    answered: list[tuple[int, float, float]] = []
    content = options.video.read_bytes()
    while time.monotonic() < end_s:
        began_s = time.monotonic()
        status, body = await visit.upload(content, "honest.mp4")
        took_s = time.monotonic() - began_s
        if status == 202:
            job = json.loads(body)["id"]
            while json.loads((await visit.get(f"/v1/jobs/{job}"))[1])["state"] in ("waiting", "running"):
                await asyncio.sleep(0.1)
        answered.append((status, took_s, time.monotonic() - began_s))
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(1.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    times = sorted(took for _, took, _ in answered)
    return {
        "visitors": f"{options.idle} idle, {options.slow} slow, {options.hostile} hostile",
        "honest uploads": len(answered),
        "taken": sum(status == 202 for status, _, _ in answered),
        "taken within 10 s": sum(status == 202 and took <= MOST_WAIT_S for status, took, _ in answered),
        "median s until taken": round(times[len(times) // 2], 2),
        "most s until taken": round(times[-1], 2),
        "most s until the result": round(max(all_s for *_, all_s in answered), 2),
        "server's memory, MB": peak >> 20,
        "visits of the others": sum(visit.seen.values()),
        "how they ended": dict(visit.seen.most_common()),
    }


class Visit:
    """Requests by hand, so that nothing is done right by accident."""

    def __init__(self, port: int, bomb: bytes) -> None:
        self.port, self.bomb = port, bomb
        self.seen: Counter[str] = Counter()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        return await asyncio.open_connection(HOST, self.port)

    async def raw(self, content: bytes, *, patience_s: float = 30.0) -> Answer:
        """Send bytes as they are; the first of the answer."""
        reader, writer = await self.open()
        try:
            async with asyncio.timeout(patience_s):
                writer.write(content)
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line[16:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")]
                body = await reader.readexactly(int(length[0])) if length else b""
                return int(head.split()[1]), body
        finally:
            writer.close()

    async def get(self, path: str) -> Answer:
        """Ask for something."""
        return await self.raw(head("GET", path))

    async def post(self, path: str, kind: str, body: bytes) -> Answer:
        """Send a body of a known length."""
        return await self.raw(head("POST", path, f"Content-Type: {kind}", f"Content-Length: {len(body)}") + body)

    async def upload(self, content: bytes, name: str) -> Answer:
        """Send a file as a form."""
        return await self.post("/v1/predict", FORM, part(name) + content + b"\r\n--X--\r\n")


def head(method: str, path: str, *headers: str) -> bytes:
    """The head of a request that knows the token."""
    lines = (f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Authorization: Bearer correct horse", *headers)
    return "\r\n".join((*lines, "", "")).encode()


def part(name: str) -> bytes:
    """The beginning of a form that holds a file."""
    return f'--X\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()


async def again(who: Callable[[Visit], Awaitable[Answer | None]], visit: Visit, end_s: float) -> None:
    """Come again and again."""
    while time.monotonic() < end_s:
        try:
            answer = await who(visit)
            visit.seen[f"{answer[0]}" if answer else "closed"] += 1
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            visit.seen[type(error).__name__] += 1
        await asyncio.sleep(0.1)


async def idle(visit: Visit) -> None:
    """Half a request, and then nothing."""
    reader, writer = await visit.open()
    try:
        writer.write(b"GET / HTTP/1.1\r\n")
        await reader.read()
    finally:
        writer.close()


async def slow(visit: Visit) -> None:
    """An upload of a kilobyte a second."""
    reader, writer = await visit.open()
    try:
        writer.write(head("POST", "/v1/predict", f"Content-Type: {FORM}", "Content-Length: 100000000") + part("s.mp4"))
        while not reader.at_eof():
            writer.write(bytes(1000))
            await writer.drain()
            try:
                await asyncio.wait_for(reader.read(1000), 1.0)
            except TimeoutError:
                continue
            return
    finally:
        writer.close()


async def large_session(visit: Visit) -> Answer:
    """A large body without a length, where a word is expected."""
    blocks = b"%x\r\n%s\r\n" % (1 << 20, bytes(1 << 20)) * (MOST_BYTES >> 20)
    start = head("POST", "/v1/session", "Content-Type: application/json", "Transfer-Encoding: chunked")
    return await visit.raw(start + blocks + b"0\r\n\r\n")


async def large_upload(visit: Visit) -> Answer:
    """Noise, as large as may be sent here."""
    return await visit.upload(os.urandom(MOST_BYTES), "noise.mp4")


async def bomb(visit: Visit) -> Answer:
    """A file of very many frames."""
    return await visit.upload(visit.bomb, "bomb.mkv")


async def many_fields(visit: Visit) -> Answer:
    """A form of a thousand fields."""
    fields = b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' * 1000
    return await visit.post("/v1/predict", FORM, fields + b"--X--\r\n")


async def many_headers(visit: Visit) -> Answer:
    """A head of a megabyte."""
    return await visit.raw(head("GET", "/", *[f"X-{number}: {'x' * 1000}" for number in range(1000)]))


async def guess(visit: Visit) -> Answer:
    """A wrong session."""
    return await visit.raw(f"GET /v1/models HTTP/1.1\r\nHost: {HOST}\r\nCookie: kineme_session=1.2\r\n\r\n".encode())


async def garbage(visit: Visit) -> Answer:
    """No HTTP."""
    return await visit.raw(os.urandom(1000) + b"\r\n\r\n")


async def no_reader(visit: Visit) -> None:
    """Many requests at once, of whose answers nothing is read."""
    reader, writer = await visit.open()
    try:
        writer.transport.set_write_buffer_limits(0)
        reader._limit = 0  # type: ignore[attr-defined]  # stops reading
        async with asyncio.timeout(20):
            for _ in range(2000):
                writer.write(head("GET", "/static/page.js"))
                await writer.drain()
    finally:
        writer.transport.abort()


async def pings(visit: Visit) -> None:
    """A camera that sends nothing but pings."""
    reader, writer = await visit.open()
    try:
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = (
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        )
        writer.write(head("GET", "/v1/stream", *upgrade))
        await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(20):
            while not reader.at_eof():
                writer.write((b"\x89\x80" + bytes(4)) * 1000)  # masked and empty
                await writer.drain()
                await reader.read(1 << 16)
    finally:
        writer.close()


DEEDS = (large_session, large_upload, bomb, many_fields, many_headers, guess, garbage, no_reader, pings)

if __name__ == "__main__":
    main()
