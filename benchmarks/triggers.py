"""Does whoever asked hear of what happens: in time, once, whatever breaks, and for hours? Of people not in training.

The demo's model (LRCN from scratch, six actions of drawn people) watches untrimmed videos of other people, looped as
Motion JPEG on loopback by ``kineme predict --on '*'``, which tells a webhook and an MQTT broker. Three parts:

- ``live``: an action counts as told where an event of its label begins within 1 s of the true start, by the clock on
  the wall; the mark is 90 %. No event may come twice.
- ``outage``: the receiver is away for 60 s, and the sender is killed and started again meanwhile. What the sender has
  printed must all have arrived in the end, each id once.
- ``memory``: an hour of stream time, as fast as the model is, through the same rules, outboxes and receivers, and a
  buffer of packets for clips; the resident memory of its last half may grow by 5 MB.

    python benchmarks/triggers.py --out benchmarks/results/triggers.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import queue
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil
from pairs import record

from drawn_people.make import make_dataset
from kineme import api
from kineme.demo import ACTIONS, CLIPS, EPOCHS, PEOPLE, read_segments
from kineme.files import write_json
from kineme.prediction.result import Segment
from kineme.training.options import TrainOptions
from kineme.triggers.alarm import Alarm, AlarmOptions
from kineme.video.clips import ticks
from kineme.video.spec import ClipSpec

FPS, RULE, WITHIN_S = 25, "*", 1.0
MARK, MOST_GROWTH = 0.9, 5 << 20


@dataclass(frozen=True)
class Scene:
    """What is looped.

    Args:
        jpegs: a frame each.
        true: what happens when, in seconds from the first.
        videos: the files.
    """

    jpegs: list[bytes]
    true: list[Segment]
    videos: list[Path]

    @property
    def seconds(self) -> float:
        """How long a turn is."""
        return len(self.jpegs) / FPS


def main() -> None:
    parser = argparse.ArgumentParser(description="Events of triggers: in time, once, whatever breaks, and for hours.")
    parser.add_argument("--work", type=Path, help="folder for videos and model, used again (default: a temporary one)")
    parser.add_argument("--minutes", type=float, default=6.0, help="of the live part (default 6)")
    parser.add_argument("--hours", type=float, default=1.0, help="of stream time of the memory part (default 1)")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kineme-triggers-") as temporary:
        work = arguments.work or Path(temporary)
        model, scene = prepare(work)
        result = record(
            "av",
            "numpy",
            "paho-mqtt",
            live=live(Path(temporary), model, scene, arguments.minutes * 60),
            outage=outage(Path(temporary), model, scene),
            memory=memory(Path(temporary), model, scene, arguments.hours),
        )
    for part in ("live", "outage", "memory"):
        print(part, json.dumps(result[part]))
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if all(result[part]["met"] for part in ("live", "outage", "memory")) else 1)


def prepare(work: Path) -> tuple[Path, Scene]:
    run = work / "run"
    if not (run / "model.safetensors").exists():
        table = make_dataset(work / "videos", clips=CLIPS, people=PEOPLE, actions=ACTIONS, untrimmed=0, seed=0)
        api.train(table, run, approach="lrcn", options=TrainOptions(epochs=EPOCHS, seed=0), overwrite=True)
    long = make_dataset(work / "long", clips=1, people=6, actions=ACTIONS, untrimmed=6, seed=201).parent
    segments = read_segments(long / "untrimmed" / "segments.csv")
    jpegs: list[bytes] = []
    true: list[Segment] = []
    spec = ClipSpec(frames=2, fps=float(FPS), height=240, width=320)
    for path, parts in segments.items():
        begin_s = len(jpegs) / FPS
        true += [Segment(one.start_s + begin_s, one.end_s + begin_s, one.label, 1.0) for one in parts]
        jpegs += [cv2.imencode(".jpg", frame_HWC[..., ::-1])[1].tobytes() for _, frame_HWC in ticks(path, spec)]
    return run, Scene(jpegs, true, [Path(path) for path in segments])


# The three parts


def live(work: Path, run: Path, scene: Scene, seconds: float) -> dict[str, Any]:
    with camera(scene) as (url, begun), webhook() as hook, broker(work) as port, heard_at(port) as heard:
        hook.come()
        with watching(run, url, hook.url, f"mqtt://127.0.0.1:{port}/home", work) as sender:
            time.sleep(seconds)
            resident = psutil.Process(sender.pid).memory_info().rss
            sender.terminate()
            sender.communicate(timeout=60)
        wait_until(lambda: len({one["id"] for one in hook.events}) == len({one["id"] for one in heard}), 10)
    enters = [one for one in hook.events if one["type"] == "enter"]
    happened = truths(scene, begun[0], time.time())
    happened = [one for one in happened if one[0] + 3 < begun[0] + seconds]  # the last may not have been certain yet
    differences = []
    for start_s, label in happened:
        near = [wall(one["start"]) - start_s for one in enters if one["label"] == label]
        differences.append(min(near, key=abs, default=float("inf")))
    told = sum(abs(one) <= WITHIN_S for one in differences)
    twice = len(hook.events) - len({one["id"] for one in hook.events})
    doubled = sum(
        count > 1 for count in Counter(nearest(happened, one, scene.seconds) for one in enters if one["label"]).values()
    )
    return {
        "met": bool(happened) and told >= MARK * len(happened) and not twice and not doubled,
        "minutes": round(seconds / 60, 1),
        "actions": len(happened),
        "told_within_1_s": told,
        "share": round(told / max(1, len(happened)), 3),
        "median_difference_s": round(float(np.median([one for one in differences if abs(one) <= 5] or [np.nan])), 2),
        "false_alarms": len(enters) - sum(abs(one) <= WITHIN_S for one in differences),
        "events": len(hook.events),
        "same_id_twice": twice,
        "one_action_told_twice": doubled,
        "same_events_by_mqtt": {one["id"] for one in heard} == {one["id"] for one in hook.events},
        "resident_mb": resident >> 20,
    }


def outage(work: Path, run: Path, scene: Scene) -> dict[str, Any]:
    printed: list[str] = []
    with camera(scene) as (url, _), webhook() as hook, broker(work) as port:
        mqtt = f"mqtt://127.0.0.1:{port}/outage"
        for seconds in (20, 20):  # killed, and killed again; nobody listens
            with watching(run, url, hook.url, mqtt, work) as sender:
                time.sleep(seconds)
                sender.kill()
                printed += sender.communicate()[0].splitlines()
        with watching(run, url, hook.url, mqtt, work) as sender:
            time.sleep(25)  # away for more than 60 s by now
            hook.come()
            time.sleep(35)  # the sender asks every 30 s at most
            sender.terminate()
            printed += sender.communicate(timeout=60)[0].splitlines()
    ids = [one["id"] for one in hook.events]
    wanted = sum(" begins " in line for line in printed)
    arrived = sum(one["type"] == "enter" for one in hook.events)
    order = [one["start"] for one in hook.events if one["type"] == "enter"]
    return {
        "met": bool(wanted) and arrived >= wanted and len(set(ids)) == len(ids),
        "printed": wanted,
        "arrived": arrived,
        "ids_twice": len(ids) - len(set(ids)),
        "in_order": order == sorted(order),
    }


def memory(work: Path, run: Path, scene: Scene, hours: float) -> dict[str, Any]:
    model = api.load(run)
    half_s = (model.card.spec.frames - 1) / 2 * model.card.spec.step_s(0.0)
    measured: list[int] = []
    with webhook() as hook, broker(work) as port:
        hook.come()
        options = AlarmOptions(
            rules=(RULE,),
            webhooks=(hook.url,),
            mqtt=f"mqtt://127.0.0.1:{port}/hour",
            clip_s=(5.0, 5.0),
            clips=work / "clips",
            state=work / "state",
        )
        began_s = time.monotonic()
        with Alarm(options, {model.name: model.labels}, "an hour", print) as alarm, model.stream() as stream:
            follower = alarm.follow(model.name)
            assert alarm.packets is not None
            offset_s, told = 0.0, 0
            process = psutil.Process()
            for connection, path in enumerate(itertools.cycle(scene.videos)):
                if offset_s > hours * 3600:
                    break
                with av.open(str(path)) as container:
                    for packet in container.demux(video=0):
                        alarm.packets.add(packet, packet.stream, connection, time.monotonic())
                for time_s, frame_HWC in ticks(path, model.card.spec):
                    probabilities_K = stream.push(frame_HWC, offset_s + time_s)
                    if probabilities_K is not None and stream.prediction_time_s is not None:
                        score = model.open_set_score(stream.logits_K[None])
                        told += len(
                            follower.push(
                                stream.prediction_time_s - half_s,
                                probabilities_K,
                                None if score is None else float(score[0]),
                                time.monotonic() - offset_s - time_s,
                            )
                        )
                offset_s += time_s + model.card.spec.step_s(0.0)
                measured.append(process.memory_info().rss)
        took_s = time.monotonic() - began_s
    last = measured[len(measured) // 2 :]
    growth = int(np.median(last[-len(last) // 4 :]) - np.median(last[: len(last) // 4 + 1]))
    return {
        "met": growth <= MOST_GROWTH and told > 0,
        "stream_hours": round(offset_s / 3600, 2),
        "took_s": round(took_s),
        "events": told,
        "resident_mb": measured[-1] >> 20,
        "growth_of_last_half_mb": round(growth / (1 << 20), 1),
    }


def truths(scene: Scene, begun_s: float, until_s: float) -> list[tuple[float, str]]:
    """When each action truly began, by the clock on the wall, and its label."""
    found = []
    for turn in itertools.count():
        start_s = begun_s + turn * scene.seconds
        if start_s > until_s:
            return found
        found += [(start_s + one.start_s, one.label) for one in scene.true if start_s + one.start_s < until_s]
    return found


def nearest(happened: list[tuple[float, str]], event: dict[str, Any], far_s: float) -> Any:
    """The action that an event may be about; the event itself, where there is none."""
    near = [one for one in happened if one[1] == event["label"] and abs(one[0] - wall(event["start"])) <= WITHIN_S]
    return near[0] if near else event["id"]


def wall(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# Servers


@contextmanager
def camera(scene: Scene) -> Iterator[tuple[str, list[float]]]:
    """Motion JPEG of a scene, over and over; gives the address, and when the first frame of each client was sent."""
    begun: list[float] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=x\r\n\r\n")
            began_s = time.monotonic()
            first_s = time.time()
            with suppress(OSError):
                for number, jpeg in enumerate(itertools.cycle(scene.jpegs)):
                    time.sleep(max(0.0, began_s + number / FPS - time.monotonic()))
                    head = b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                    self.request.sendall(head + jpeg + b"\r\n")
                    if number == FPS:  # whoever only asks what is there has gone by now
                        begun.append(first_s)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/video", begun
        server.shutdown()


class Hook:
    """A webhook's receiver, which is away until it comes."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.server: ThreadingHTTPServer | None = None

    def come(self) -> None:
        """Listen from now on."""
        events = self.events

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Type"] == "application/json":
                    events.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@contextmanager
def webhook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    if hook.server:
        hook.server.shutdown()


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    program, port = shutil.which("mosquitto") or "/usr/sbin/mosquitto", free_port()
    with subprocess.Popen([program, "-p", str(port)], stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: listens(port), 10)
        yield port
        process.terminate()


@contextmanager
def heard_at(port: int) -> Iterator[list[dict[str, Any]]]:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    heard: list[dict[str, Any]] = []
    ready: queue.Queue[bool] = queue.Queue()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: client.subscribe("home/events", 1)
    client.on_subscribe = lambda *_: ready.put(True)
    client.on_message = lambda _, __, message: heard.append(json.loads(message.payload))
    client.connect("127.0.0.1", port)
    client.loop_start()
    ready.get(timeout=10)
    yield heard
    client.loop_stop()


@contextmanager
def watching(run: Path, url: str, hook: str, mqtt: str, work: Path) -> Iterator[subprocess.Popen[str]]:
    command = [
        *(sys.executable, "-m", "kineme", "predict", url, "--model", str(run), "--engine", "litert"),
        *("--on", RULE, "--webhook", hook, "--mqtt", mqtt, "--out", str(work / "out")),
    ]
    environment = {**os.environ, "XDG_DATA_HOME": str(work / "data"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as one:
        yield one


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(true: Any, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while not true() and time.monotonic() < end_s:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
