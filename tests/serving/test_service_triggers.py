"""``kineme serve --on``: events of the cameras that visitors show."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
from helpers_receivers import receiver, until
from helpers_serving import server
from PIL import Image


def test_events_of_a_visitors_camera_come_by_webhook(model, tmp_path):
    client = pytest.importorskip("websockets.sync.client")
    with receiver() as hook:
        hook.come()
        options = ("--on", "bright > 0.6 for 0.2s", "--webhook", hook.url)
        with server(model, tmp_path / "state", *options) as running:
            with client.connect(running.address.replace("http", "ws") + "/v1/stream") as camera:
                camera.recv()
                for number in range(16):
                    file = io.BytesIO()
                    Image.fromarray(np.full((64, 64, 3), 250, np.uint8)).save(file, "JPEG")
                    camera.send(struct.pack("<d", 125.0 * number) + file.getvalue())
                    camera.recv()
            until(lambda: len(hook.taken) == 2)
    assert list((tmp_path / "state" / "triggers").glob("*.sqlite"))  # all that a server writes is in its folder
    begun, ended = (json.loads(body) for _, body in hook.taken)
    assert (begun["type"], begun["label"], begun["source"]) == ("enter", "bright", "camera 1")
    assert (ended["type"], ended["of"]) == ("leave", begun["id"])  # the visitor has gone
