"""Events reach their receivers: in order, none lost and none twice, whoever is away, hangs, or is killed meanwhile."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from helpers_receivers import broker, receiver, subscribed, until

from kineme.errors import KinemeError, UsageError
from kineme.files import BusyError
from kineme.triggers.alarm import Alarm, AlarmOptions
from kineme.triggers.command import Command
from kineme.triggers.delivery import Delivery
from kineme.triggers.outbox import Outbox
from kineme.triggers.webhook import Webhook

MODELS = {"model": ("fall", "wave")}


def event(number: int, kind: str = "enter") -> dict[str, object]:
    return {"id": f"{number:04}", "type": kind, "sensor": "fall", "label": "fall", "source": "camera"}


def delivery(folder, sender, notices=None) -> Delivery:
    return Delivery(
        Outbox(folder, sender.destination, "camera"), sender, (notices if notices is not None else []).append
    )


def ids(taken) -> list[str]:
    return [json.loads(body)["id"] for _, body in taken]


def test_a_webhook_is_signed_json_as_the_standard_asks(tmp_path):
    secret = base64.b64encode(b"a secret of the receiver").decode()
    with receiver() as hook:
        hook.come()
        one = delivery(tmp_path, Webhook(hook.url, f"whsec_{secret}"))
        one.put(event(1))
        ((headers, body),) = until(lambda: hook.taken)
        one.close()
    assert json.loads(body) == event(1)
    assert (headers["content-type"], headers["webhook-id"]) == ("application/json", "0001")
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"0001.{headers['webhook-timestamp']}.".encode() + body
    by_us = hmac.new(b"a secret of the receiver", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(by_us).decode()}"


def test_a_receiver_that_fails_hangs_and_drops_gets_every_event_once_and_in_order(tmp_path):
    notices: list[str] = []
    with receiver() as hook:
        hook.misbehave = [500, "hang", 204, "drop"]
        one = delivery(tmp_path, Webhook(hook.url, None, timeout_s=0.3), notices)
        began_s = time.monotonic()
        for number in range(6):
            one.put(event(number))
        assert time.monotonic() - began_s < 0.3  # whoever sends waits for nobody
        until(lambda: notices)  # it is away
        hook.come()
        until(lambda: len(hook.taken) == 6)
        one.close()
    assert ids(hook.taken) == [f"{number:04}" for number in range(6)]
    assert hook.came == 9
    assert f"{hook.url}: cannot be reached" in notices[0]
    assert "events wait until it is back" in notices[0]
    assert [": is back after " in line for line in notices].count(True) == 2


def test_what_is_refused_for_good_holds_up_nothing(tmp_path):
    notices: list[str] = []
    with receiver() as hook:
        hook.misbehave = [413]
        hook.come()
        one = delivery(tmp_path, Webhook(hook.url, None), notices)
        one.put(event(1))
        one.put(event(2))
        until(lambda: hook.taken)
        one.close()
    assert ids(hook.taken) == ["0002"]
    (line,) = notices
    assert "an event was refused and is given up (it answers 413" in line


SENDER = """
import sys
from pathlib import Path
import numpy as np
from kineme.triggers.alarm import Alarm, AlarmOptions
url, mqtt, folder, count = sys.argv[1:]
options = AlarmOptions(rules=("fall > 0.5 for 0s",), cooldown_s=0, webhooks=(url,), mqtt=mqtt, state=Path(folder))
alarm = Alarm(options, {"model": ("fall", "wave")}, "camera", lambda line: None)
follower = alarm.follow("model")
for number in range(int(count)):
    fall = 0.9 if number % 2 == 0 else 0.1
    for told in follower.push(2.0 * number, np.array([fall, 1 - fall]), None, 0.0) + follower.push(
        2.0 * number + 1.5, np.array([fall, 1 - fall]), None, 0.0
    ):
        print(told["id"], told["type"], flush=True)
print("done", flush=True)
sys.stdin.readline()
alarm.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no kill -9")
def test_nothing_is_lost_or_doubled_when_receivers_are_away_and_the_sender_is_killed(tmp_path):
    def run(count):
        mqtt = f"mqtt://127.0.0.1:{there.port}/home"
        return subprocess.Popen(
            [sys.executable, "-c", SENDER, hook.url, mqtt, str(tmp_path / "state"), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def kill(process):
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def told(process):
        lines = list(iter(process.stdout.readline, "done\n"))
        return [line.split() for line in lines]

    def heard_ids():
        return [json.loads(text)["id"] for topic, text, _ in heard if topic == "home/events"]

    with receiver() as hook, broker(tmp_path) as there, subscribed(there.port) as heard:
        hook.come()
        first = run(3)  # an enter, a leave, an enter
        made = told(first)
        until(lambda: len(hook.taken) == 3 and len(heard_ids()) == 3)
        kill(first)
        until(lambda: ("home/status", "offline", False) in heard)  # the last will
        hook.go()
        there.go()
        for _ in range(2):  # killed while nobody listens
            away = run(4)
            made += told(away)
            kill(away)
        there.come()
        hook.misbehave = ["drop", 503]
        hook.come()
        last = run(0)
        until(lambda: len(hook.taken) == len(made) and len(set(heard_ids())) == len(made), 30)
        last.communicate("\n", timeout=20)
        assert last.returncode == 0
    assert [kind for _, kind in made] == ["enter", "leave", "enter", *["enter", "leave"] * 4]
    assert ids(hook.taken) == [one for one, _ in made]
    assert list(dict.fromkeys(heard_ids())) == [one for one, _ in made]


def test_home_assistant_finds_a_sensor_for_each_rule(tmp_path):
    import numpy as np

    with broker(tmp_path) as there:
        options = AlarmOptions(
            rules=("* > 0.6 for 0s", "not any for 1h"),
            mqtt=f"mqtt://127.0.0.1:{there.port}/home/door",
            state=tmp_path / "state",
        )
        with Alarm(options, {"model": ("fall", "wave hands")}, "rtsp://me:secret@door/1", lambda line: None) as alarm:
            follower = alarm.follow("model")
            follower.push(0.0, np.array([0.9, 0.1]), None, 0.0)
            with subscribed(there.port) as heard:
                until(lambda: ("home/door/fall/state", "ON") in {one[:2] for one in heard})
                until(lambda: ("home/door/status", "online") in {one[:2] for one in heard})
                follower.interrupt(2.0)
                until(lambda: [one[:2] for one in heard if one[0] == "home/door/fall/state"][-1][1] == "OFF")
                there.go()
                there.come()
                until(lambda: [one[:2] for one in heard].count(("home/door/status", "online")) > 1)
        with subscribed(there.port) as kept:
            until(lambda: ("home/door/status", "offline", True) in kept)
    configs = {topic: json.loads(text) for topic, text, _ in kept if topic.startswith("homeassistant/")}
    assert sorted(one["name"] for one in configs.values()) == ["fall", "not any", "wave hands"]
    (fall,) = [one for one in configs.values() if one["name"] == "fall"]
    assert fall["state_topic"] == "home/door/fall/state"
    assert fall["availability_topic"] == "home/door/status"
    assert fall["device"]["name"] == "Kineme rtsp://me:***@door/1"
    assert all(set(topic.split("/")[3]) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for topic in configs)
    retained = {topic for topic, _, is_kept in kept if is_kept}
    assert {"home/door/fall/state", "home/door/fall/attributes", "home/door/status"} <= retained
    assert "home/door/events" not in retained


def test_a_program_gets_the_event_on_standard_input_and_no_shell_sees_its_arguments(tmp_path):
    out = tmp_path / "out"
    script = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + sys.stdin.read())"
    one = delivery(tmp_path, Command(f'"{sys.executable}" -c "{script}" "{out}" "$HOME;"'))
    one.put(event(1))
    one.put(event(2))
    one.close()
    lines = out.read_text().splitlines()
    assert [json.loads(line.removeprefix("$HOME;"))["id"] for line in lines] == ["0001", "0002"]


def test_a_program_that_fails_is_run_again(tmp_path):
    notices: list[str] = []
    out = tmp_path / "out"
    script = (
        f"import os, sys; seen = os.path.exists('{out}'); open('{out}', 'a').write('x'); sys.exit(0 if seen else 'no')"
    )
    one = delivery(tmp_path, Command(f'"{sys.executable}" -c "{script}"'), notices)
    one.put(event(1))
    until(lambda: len(notices) == 2)
    one.close()
    assert out.read_text() == "xx"
    assert "ended with 1: no; events wait" in notices[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"webhooks": ("ftp://x/",)}, "--webhook ftp://x/: give an address that begins with http"),
        ({"mqtt": "http://x/"}, "--mqtt http://x/: give an address such as mqtt://HOST/TOPIC"),
        ({"mqtt": "mqtt://me:secret@x/a/%23"}, r"--mqtt mqtt://me:\*\*\*@x/a/%23: a topic to publish to has no"),
        ({"commands": ("no-such-program --now",)}, "--run no-such-program --now: there is no such program"),
        ({"commands": ("'unclosed",)}, "--run 'unclosed: No closing quotation"),
        ({"rules": ("fell",)}, "--on fell: the model has no label 'fell'; the nearest is 'fall'"),
    ],
)
def test_what_cannot_be_told_is_wrong_usage_before_anything_is_watched(tmp_path, options, says):
    with pytest.raises(UsageError, match=says):
        Alarm(AlarmOptions(**{"rules": ("fall",), "state": tmp_path, **options}), MODELS, "camera", print)


def test_one_command_at_a_time_tells_a_receiver_of_a_source_and_nobody_else_reads_the_events(tmp_path):
    options = AlarmOptions(rules=("fall",), webhooks=("http://127.0.0.1:9/x",), state=tmp_path)
    with Alarm(options, MODELS, "camera", lambda line: None):
        with pytest.raises(BusyError, match="another command already reports camera to it"):
            Alarm(options, MODELS, "camera", print)
        with Alarm(options, MODELS, "another camera", print):
            pass
        files = [path for path in tmp_path.iterdir() if path.suffix == ".sqlite"]
        assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600] * 2 or os.name != "posix"
    with Alarm(options, MODELS, "camera", print):
        pass


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "state").write_text("a file")
    options = AlarmOptions(rules=("fall",), webhooks=("http://127.0.0.1:9/x",), state=tmp_path / "state")
    with pytest.raises(KinemeError, match="state"):
        Alarm(options, MODELS, "camera", print)
