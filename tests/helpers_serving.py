"""A server in a process of its own with a tiny real model, and what asks it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kineme.video.spec import ClipSpec, Region
from kineme.video.write import VideoWriter

SPEC = ClipSpec(frames=2, fps=8.0, height=64, width=64)
PROVENANCE = {
    "data": "sha256:0123456789abcdef",
    "split": {"test": 0.25, "validation": 0.2, "leaky": False},
    "test": {"n": 40, "groups": 8, "top1": 0.9, "top1_interval": [0.8, 0.975], "macro_f1": 0.9},
}


def write_model(path: Path, region: Region = "frame") -> Path:
    """An exported model that tells dark frames from bright ones: made, not trained, and surely right."""
    from helpers_networks import network_of

    from kineme.exporters.litert import export_litert
    from kineme.model import Model
    from kineme.models.model_file import ModelCard, config_of
    from kineme.models.registry import make_approach

    network = network_of("single-frame", SPEC)
    *_, kernel, bias = network.trainable_weights
    kernel.assign(np.stack([-np.ones(kernel.shape[0]), np.ones(kernel.shape[0])], axis=1))
    grey = np.full((1, SPEC.frames, SPEC.height, SPEC.width, 3), 110, np.uint8)
    bias.assign([0.0, 0.0])
    reached = float(np.asarray(network(grey))[0, 1])
    kernel.assign(kernel * (8 / reached))
    bias.assign([8.0, -8.0])
    card = ModelCard(
        "single-frame",
        config_of(make_approach("single-frame")),
        replace(SPEC, region=region),
        ("dark", "bright"),
        provenance=PROVENANCE,
    )
    check = write_video(path.with_name("check.mp4"))
    export_litert(Model(network, card, "light"), path, check=check)
    return path


def write_video(path: Path, *, seconds: float = 4.0, size: int = 96) -> Path:
    """Dark for the first half, bright for the second."""
    count = int(seconds * 10)
    noise = np.random.default_rng(0).integers(0, 30, (size, size, 3), np.uint8)
    with VideoWriter(path, width=size, height=size, fps=10) as writer:
        for number in range(count):
            writer.write(noise + np.uint8(0 if number < count / 2 else 220))
    return path


@dataclass
class Answer:
    """What a server says."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """A running ``kineme serve``."""

    address: str
    process: subprocess.Popen[str]
    state: Path

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """One request; errors of HTTP are answers too."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.address + path, body, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def raw(self, content: bytes, *, source: str = "127.0.0.1") -> bytes:
        """Send bytes as they are from an address of this machine; all that comes until the server closes."""
        host, _, port = self.address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), 20, (source, 0)) as connection:
            connection.sendall(content)
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))

    def send(self, content: bytes, name: str = "clip.mp4", *, model: str = "", **headers: str) -> Answer:
        """Upload a video as browsers and curl do."""
        body, kind = form(content, name, model)
        return self.ask("/v1/predict", "POST", body, Content_Type=kind, **headers)

    def link(self, url: str, **headers: str) -> Answer:
        """Ask for a video by its URL."""
        body = json.dumps({"url": url}).encode()
        return self.ask("/v1/predict", "POST", body, Content_Type="application/json", **headers)

    def wait(self, job: str, *, seconds: float = 30) -> dict[str, Any]:
        """The job's document once it is over."""
        end = time.monotonic() + seconds
        while (document := self.ask(f"/v1/jobs/{job}").json)["state"] in ("waiting", "running"):
            assert time.monotonic() < end, document
            time.sleep(0.05)
        return document

    def wait_until(self, job: str, state: str) -> None:
        """Wait until a job is waiting, running..."""
        end = time.monotonic() + 30
        while (document := self.ask(f"/v1/jobs/{job}").json)["state"] != state:
            assert time.monotonic() < end, document
            time.sleep(0.02)

    def left_on_disk(self) -> list[str]:
        """Folders of jobs."""
        return sorted(path.name for path in (self.state / "jobs").iterdir())

    def worker(self, role: str = "work") -> int:
        """The process that the server has started for a role."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        children = [pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        (found,) = [
            pid for pid in children if Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").endswith(f":{role}\0")
        ]
        return int(found)


def form(content: bytes, name: str = "clip.mp4", model: str = "") -> tuple[bytes, str]:
    """A multipart body and its type."""
    boundary = uuid.uuid4().hex
    parts = [("file", f'; filename="{name}"', content), *([("model", "", model.encode())] if model else [])]
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{more}\r\n\r\n'.encode() + value + b"\r\n"
        for field, more, value in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@contextmanager
def server(
    model: Path, state: Path, *options: str, open_files: int | None = None, **environment: str
) -> Iterator[Server]:
    """Run ``kineme serve`` until the end of the block, and wait until its models are loaded."""
    limit = f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, ({open_files},) * 2); " if open_files else ""
    command = [sys.executable, "-c", f"{limit}from kineme.cli.main import main; main()", "serve", str(model)]
    with subprocess.Popen(
        [*command, "--port", "0", "--state", str(state), "--json", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            assert process.stdout is not None
            told = ""
            while not told.rstrip().endswith("}"):
                line = process.stdout.readline()
                assert line, "the server did not start"
                told += line
            running = Server(json.loads(told)["address"], process, state)
            end = time.monotonic() + 60
            while running.ask("/readyz").status != 200:
                assert time.monotonic() < end
                time.sleep(0.05)
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(15)
                finally:
                    process.kill()
