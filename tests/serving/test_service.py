"""The REST service: a real server, real uploads, and what becomes of jobs when processes die."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import struct
import sys
import textwrap
import time

import numpy as np
import pytest
from helpers_dataset import kineme
from helpers_serving import server
from PIL import Image

from kineme import serving
from kineme.serving.store import JobStore
from kineme.video.probe import probe


def test_a_video_becomes_a_job_and_its_results(served, clip, tmp_path):
    before = served.left_on_disk()
    sent = served.send(clip, "my clip.mp4", model="light")
    assert sent.status == 202
    job = sent.json
    assert (job["state"], job["name"], job["model"]) == ("waiting", "my clip.mp4", "light")
    assert sent.headers["Location"] == f"/v1/jobs/{job['id']}"

    events = served.ask(f"/v1/jobs/{job['id']}/events")  # until it is over
    assert events.headers["Content-Type"].startswith("text/event-stream")
    told = [json.loads(line[6:]) for line in events.body.decode().splitlines() if line.startswith("data: ")]
    assert told[-1]["state"] == "done"
    assert told[-1]["error"] is None

    done = served.wait(job["id"])
    assert set(done["results"]) == {"json", "csv", "srt", "vtt", "mp4", "curves"}
    results = {kind: served.ask(path) for kind, path in done["results"].items()}
    found = results["json"].json
    assert [one["label"] for one in found["segments"]] == ["dark", "bright"]
    assert found["segments"][0]["end_s"] == pytest.approx(2.0, abs=0.3)
    assert found["source"] == "my clip.mp4"
    assert results["csv"].body.startswith(b"start_s,end_s,dark,bright\n")
    assert results["vtt"].body.startswith(b"WEBVTT")
    assert "my%20clip.csv" in results["csv"].headers["Content-Disposition"]
    (tmp_path / "annotated.mp4").write_bytes(results["mp4"].body)
    info = probe(tmp_path / "annotated.mp4")
    assert (info.width, info.height, info.codec) == (96, 96, "h264")
    part = served.ask(done["results"]["mp4"], Range="bytes=0-9")
    assert (part.status, len(part.body)) == (206, 10)  # browsers jump by asking for parts
    curves = results["curves"].json
    assert len(curves["middles"]) == len(curves["probabilities"][0])

    assert set(served.left_on_disk()) - set(before) == {job["id"]}
    assert served.ask(f"/v1/jobs/{job['id']}", "DELETE").status == 204
    assert served.ask(f"/v1/jobs/{job['id']}").json["error"]["code"] == "no_job"
    assert served.left_on_disk() == before


def test_a_result_is_explained_by_a_job_of_its_own(served, clip, tmp_path):
    before = served.left_on_disk()
    done = served.wait(served.send(clip, "my clip.mp4").json["id"])
    path = f"/v1/jobs/{done['id']}/explain"
    sent = served.ask(path, "POST", json.dumps({"label": "bright"}).encode(), Content_Type="application/json")
    assert (sent.status, sent.json["explains"]) == (202, done["id"])
    explained = served.wait(sent.json["id"], seconds=60)
    assert explained["error"] is None
    assert set(explained["results"]) == {"json", "png", "mp4"}
    found = served.ask(explained["results"]["json"]).json
    assert (found["label"], found["source"], set(found["strips"])) == ("bright", "my clip.mp4", {"occlusion"})
    assert "an exported model has no gradients" in found["warnings"][0]
    assert Image.open(io.BytesIO(served.ask(explained["results"]["png"]).body)).format == "PNG"
    (tmp_path / "explained.mp4").write_bytes(served.ask(explained["results"]["mp4"]).body)
    assert probe(tmp_path / "explained.mp4").height == 96 + 48  # the strip is below the picture
    assert served.ask(f"/v1/jobs/{done['id']}").json["explanations"] == [explained["id"]]

    for body, code in ((b'{"label": "sun"}', "no_label"), (b'{"label": 5}', "invalid"), (b"[]", "invalid")):
        refused = served.ask(path, "POST", body, Content_Type="application/json")
        assert (refused.status, refused.json["error"]["code"]) == (422, code)
    assert served.ask(f"/v1/jobs/{explained['id']}/explain", "POST").json["error"]["code"] == "not_done"
    assert served.ask(f"/v1/jobs/{explained['id']}/results/csv").status == 404
    assert served.ask(f"/v1/jobs/{'0' * 32}/explain", "POST").status == 404
    (served.state / "jobs" / done["id"] / "video").unlink()
    assert served.ask(path, "POST").json["error"]["code"] == "no_video"
    assert served.ask(f"/v1/jobs/{done['id']}", "DELETE").status == 204
    assert served.ask(f"/v1/jobs/{explained['id']}").status == 404  # it went with what it explains
    assert served.left_on_disk() == before


def test_a_state_folder_of_the_first_release_can_be_used(tmp_path):
    (tmp_path / "jobs").mkdir()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as old:
        old.execute(
            "CREATE TABLE jobs (id TEXT PRIMARY KEY, model TEXT NOT NULL, name TEXT NOT NULL, url TEXT, state TEXT NOT "
            "NULL, created_s REAL NOT NULL, started_s REAL, finished_s REAL, attempts INTEGER NOT NULL DEFAULT 0, "
            "code TEXT, message TEXT)"
        )
        old.execute("INSERT INTO jobs (id, model, name, state, created_s) VALUES ('a', 'm', 'a.mp4', 'waiting', 1)")
    old.close()
    store = JobStore(tmp_path)
    assert (store.get("a").of, store.explanations("a")) == (None, [])
    assert store.add(store.new_id(), "m", "a.mp4", None, of="a", label="wave", most_waiting=5)
    assert len(store.explanations("a")) == 1
    store.close()


def test_models_are_described_honestly(served):
    said = served.ask("/v1/models").json
    (one,) = said["models"]
    assert one["labels"] == ["dark", "bright"]
    assert one["accuracy"] == {"top1": 0.9, "interval": [0.8, 0.975], "videos": 40, "groups": 8, "leaky": False}
    assert "95 % interval" in one["says"].replace("\u00a0", " ")
    assert one["trained_on"] == "a data set of its owner (fingerprint 0123456789ab)"
    assert one["explains"] == "when"  # it is exported
    assert said["limits"]["max_bytes"] == 2 << 20


def test_the_service_describes_itself_and_is_counted(served):
    described = served.ask("/openapi.json").json
    assert set(described["paths"]) == {
        "/v1/predict",
        "/v1/jobs/{job_id}",
        "/v1/jobs/{job_id}/events",
        "/v1/jobs/{job_id}/explain",
        "/v1/jobs/{job_id}/results/{kind}",
        "/v1/models",
        "/v1/session",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert described["components"]["schemas"]["Job"]["properties"]["name"]["examples"] == ["clip.mp4"]
    link = described["paths"]["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert link["schema"]["required"] == ["url"]
    wrong = served.ask("/v1/jobs/" + "0" * 32, "PUT")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "DELETE, GET")
    counted = served.ask("/metrics").body.decode()
    assert "kineme_jobs_waiting 0.0" in counted
    assert 'kineme_requests_total{method="GET",path="/readyz",status="200"}' in counted


def test_the_client_in_the_documentation_works(served, clip, tmp_path, monkeypatch, capsys):
    pytest.importorskip("requests")
    (tmp_path / "clip.mp4").write_bytes(clip)
    monkeypatch.chdir(tmp_path)
    example = serving.__doc__.split("::\n\n", 1)[1].split("\n\nHow it hangs", 1)[0]
    code = textwrap.dedent(example).replace("http://127.0.0.1:8765", served.address).replace("my-model", "light")
    exec(compile(code, "client", "exec"), {})
    assert "'label': 'bright'" in capsys.readouterr().out


def picture(level: int, *, size: int = 64) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), level, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def test_a_camera_is_followed_with_a_state_of_its_own(served):
    client = pytest.importorskip("websockets.sync.client")
    address = served.address.replace("http", "ws") + "/v1/stream"
    with client.connect(address) as dark, client.connect(f"{address}?model=light") as bright:
        assert json.loads(dark.recv())["labels"] == json.loads(bright.recv())["labels"] == ["dark", "bright"]
        for number in range(8):  # 8 a second, taken in turns
            for socket, level in ((dark, 5), (bright, 250)):
                socket.send(struct.pack("<d", 1000.0 + 125 * number) + picture(level))
                said = json.loads(socket.recv())
                assert said["time_ms"] == 1000 + 125 * number
                assert said["answered"] == number + 1
                if said["top"]:
                    assert said["top"][0]["label"] == ("dark" if level == 5 else "bright")
        assert said["top"]
        bright.send(struct.pack("<d", 3000.0) + b"no picture")
        assert json.loads(bright.recv())["error"]["code"] == "bad_picture"
    for sent in (b"short", struct.pack("<d", float("nan")) + picture(5), struct.pack("<d", 0) + picture(5, size=3000)):
        with client.connect(address) as socket:
            socket.recv()
            socket.send(sent)
            assert json.loads(socket.recv())["error"]["code"] == "bad_picture"


@pytest.fixture(scope="module")
def fragile(model, tmp_path_factory):
    """A server with a short queue and little patience."""
    with server(model, tmp_path_factory.mktemp("state"), "--queue", "1", "--time-limit", "4") as running:
        yield running


def frozen_worker(running) -> int:
    """Stop the process that predicts, so that a job takes as long as we like."""
    worker = running.worker()
    os.kill(worker, signal.SIGSTOP)
    return worker


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are found through /proc")
def test_a_full_queue_says_when_to_come_back_and_a_dead_worker_costs_one_job(fragile, clip):
    first = fragile.send(clip).json["id"]
    assert fragile.wait(first)["state"] == "done"
    worker = frozen_worker(fragile)
    running = fragile.send(clip).json["id"]
    fragile.wait_until(running, "running")
    waiting = fragile.send(clip).json["id"]
    refused = fragile.send(clip)
    assert (refused.status, refused.json["error"]["code"]) == (429, "queue_full")
    assert int(refused.headers["Retry-After"]) >= 1
    assert fragile.ask(f"/v1/jobs/{running}/results/json").json["error"]["code"] == "not_done"
    os.kill(worker, signal.SIGKILL)
    over = fragile.wait(running)
    assert (over["state"], over["error"]["code"]) == ("failed", "crashed")
    assert fragile.wait(waiting)["state"] == "done"
    assert sorted(fragile.left_on_disk()) == sorted([first, running, waiting])

    frozen_worker(fragile)  # the new one
    endless = fragile.send(clip).json["id"]
    fragile.wait_until(endless, "running")
    over = fragile.wait(endless)
    assert (over["state"], over["error"]["code"]) == ("failed", "time_limit")
    assert fragile.wait(fragile.send(clip).json["id"])["state"] == "done"

    frozen_worker(fragile)
    unwanted = fragile.send(clip).json["id"]
    fragile.wait_until(unwanted, "running")
    assert fragile.ask(f"/v1/jobs/{unwanted}", "DELETE").status == 204
    assert fragile.ask(f"/v1/jobs/{unwanted}").status == 404
    assert fragile.wait(fragile.send(clip).json["id"])["state"] == "done"
    assert unwanted not in fragile.left_on_disk()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are found through /proc")
def test_jobs_outlive_a_server_that_is_killed(model, clip, tmp_path):
    with server(model, tmp_path / "state") as one:
        done = one.send(clip).json["id"]
        one.wait(done)
        worker = frozen_worker(one)
        running = one.send(clip).json["id"]
        one.wait_until(running, "running")
        waiting = one.send(clip).json["id"]
        second = kineme("serve", model, "--port", "0", "--state", tmp_path / "state")
        assert second.returncode == 1
        assert "another kineme serve uses this folder; choose one with --state" in second.stderr
        one.process.kill()
        one.process.wait()
        os.kill(worker, signal.SIGCONT)
        (tmp_path / "state" / "jobs" / "left-over").mkdir()
    with server(model, tmp_path / "state") as two:
        assert two.ask(f"/v1/jobs/{done}/results/json").json["segments"]
        assert two.wait(running)["state"] == two.wait(waiting)["state"] == "done"
        assert two.left_on_disk() == sorted([done, running, waiting])
    end = time.monotonic() + 10
    while os.path.exists(f"/proc/{worker}"):  # noqa: PTH110
        assert time.monotonic() < end, "the worker of the killed server lives on"
        time.sleep(0.1)


def test_old_jobs_and_what_took_the_server_down_twice(tmp_path):
    store = JobStore(tmp_path)
    for name in ("a.mp4", "b.mp4"):
        assert store.add(store.new_id(), "m", name, None, most_waiting=2)
    assert not store.add(store.new_id(), "m", "c.mp4", None, most_waiting=2)
    first = store.take()
    store.close()
    store = JobStore(tmp_path)
    assert store.get(first.id).state == "waiting"
    assert store.take().id == first.id
    store.close()
    store = JobStore(tmp_path)
    assert store.get(first.id).code == "interrupted"
    second = store.take()
    (store.folder_of(second.id) / "video").write_bytes(b"sent")
    (store.folder_of(second.id) / "annotated.mp4").write_bytes(b"drawn")
    store.finish(second.id, {"json": "{}"})
    assert sorted(path.name for path in store.folder_of(second.id).iterdir()) == ["annotated.mp4", "video"]
    assert store.remove_older(60) == []
    assert set(store.remove_older(0)) == {first.id, second.id}
    assert list((tmp_path / "jobs").iterdir()) == []
    assert store.result(second.id, "json") is None
    store.close()
