"""A running ``kineme label``, and what a person does on its page."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers_browser import Page
from helpers_serving import Server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def labelling(folder: Path, *options: str, port: int = 0) -> Iterator[Server]:
    """Run ``kineme label`` until the end of the block."""
    command = [sys.executable, "-m", "kineme", "label", str(folder), "--no-browser", "--json", "--port", str(port)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        told = ""
        while not told.rstrip().endswith("}"):
            line = process.stdout.readline()
            assert line, "the server did not start"
            told += line
        try:
            yield Server(json.loads(told)["address"], process, folder)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(15)
                finally:
                    process.kill()


def post(server: Server, path: str, body: Any) -> Any:
    """Send JSON; status and document of the answer."""
    answer = server.ask(f"/v1/label{path}", "POST", json.dumps(body).encode(), Content_Type="application/json")
    return answer.status, answer.json


def table(folder: Path) -> list[tuple[str, ...]]:
    """The rows of ``labels.csv`` without their names."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in list(csv.reader(file))[1:]]


class Labeller:
    """Somebody who labels by keys alone, and counts them."""

    def __init__(self, page: Page) -> None:
        self.page, self.keys = page, 0

    def press(self, *keys: str, times: int = 1) -> None:
        for key in keys * times:
            self.page.press(key)
            self.keys += 1

    def shift(self, key: str) -> None:
        """A key together with Shift."""
        about = {"key": key, "code": f"Digit{key}" if key.isdigit() else f"Key{key}", "modifiers": 8}
        self.page.call("Input.dispatchKeyEvent", type="keyDown", windowsVirtualKeyCode=ord(key), **about)
        self.page.call("Input.dispatchKeyEvent", type="keyUp", windowsVirtualKeyCode=ord(key), **about)
        self.keys += 1

    def type_class(self, name: str) -> None:
        self.press("t")
        self.page.call("Input.insertText", text=name)
        self.press("Enter")

    def saved(self, segments: int) -> None:
        """Wait until so many segments of the video are saved."""
        self.page.wait_for(f"document.querySelectorAll('#lanes button:not(.proposal)').length === {segments}")
        self.page.wait_for("document.querySelector('#saved').textContent === 'All saved'")

    def opened(self, name: str) -> None:
        """Wait until a video can be looked at."""
        self.page.wait_for(f"document.querySelector('#video-name').textContent === {name!r}")
        self.page.wait_for("document.querySelector('#video').readyState >= 2")


def visible(selector: str) -> str:
    return f"!document.querySelector('{selector}').closest('[hidden]')"


def text(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector('{selector}').textContent"))
