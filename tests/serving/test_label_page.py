"""``kineme label`` in a real browser: keys, crashes, two pages, many and large videos, proposals, and the camera."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import pytest
from helpers_browser import browser
from helpers_dataset import make_videos
from helpers_labelling import Labeller, free_port, labelling, post, table, text, visible
from helpers_serving import write_video
from helpers_video import encode, numbered_video

from kineme.dataset.scan import scan
from kineme.video.frame_times import frame_times
from kineme.video.probe import probe

pytest.importorskip("fastapi", reason="the extra serve is not installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A browser whose camera shows pictures that brighten."""
    film = tmp_path_factory.mktemp("camera") / "film.y4m"
    luma, chroma = np.ones(160 * 120, np.uint8), np.full(160 * 60, 128, np.uint8).tobytes()
    frames = [b"FRAME\n" + (luma * (30 + 8 * number)).tobytes() + chroma for number in range(24)]
    film.write_bytes(b"YUV4MPEG2 W160 H120 F20:1 Ip A1:1 C420jpeg\n" + b"".join(frames))
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with browser(tmp_path_factory.mktemp("browser"), *camera, f"--use-file-for-fake-video-capture={film}") as opened:
        yield opened


def test_three_long_videos_labelled_by_keys_outlive_a_reload_and_a_killed_server(page, tmp_path):
    for name in ("anna.mp4", "ben.mp4", "carl.mp4"):
        numbered_video(tmp_path / name, 300, fps=10)
    port, hand = free_port(), Labeller(page)
    with labelling(tmp_path, port=port) as server:
        page.go(server.address + "/")
        page.wait_for("document.querySelectorAll('#videos li').length === 3")
        hand.press("v")
        hand.opened("anna.mp4")
        hand.type_class("jump")
        hand.type_class("sit down")
        hand.press("ArrowRight", times=5)
        hand.press("1", " ")
        hand.press("ArrowRight", times=9)
        hand.press(" ")
        hand.saved(1)
        hand.press("l", "l", "2", " ", "l")  # the second class begins, and beside it the first
        hand.shift("1")
        hand.press("l", " ")
        hand.shift("1")
        hand.saved(3)
        hand.press("z")
        hand.saved(2)
        hand.shift("Z")
        hand.saved(3)
        hand.press("g")
        page.call("Input.insertText", text="Anna")
        hand.press("Enter", "x")
        page.wait_for("document.querySelector('#done').checked")
        hand.press("v")
        hand.opened("ben.mp4")
        hand.press("2", " ", "l", " ")
        hand.saved(1)
        page.run("window.old = true")
        page.call("Page.reload")
        page.wait_for("!window.old && document.readyState === 'complete'")
        hand.opened("ben.mp4")
        hand.saved(1)
        hand.press("l", "l", "l", "1", " ", "l")  # begun, and now the server dies
        server.process.kill()
        server.process.wait()
        hand.press(" ")
        page.wait_for("document.querySelector('#notice').textContent.startsWith('The server cannot be reached')")
    with labelling(tmp_path, port=port) as server:
        hand.saved(2)
        hand.press("v")
        hand.opened("carl.mp4")
        hand.press("1", " ", "l", " ")
        hand.saved(1)
        hand.press("b", "ArrowRight", "ArrowRight", ",", "l", ".")
        page.wait_for("document.querySelector('#selected').textContent.includes('0:00.20 to 0:01.30')")
        hand.press("ArrowLeft", times=4)
        hand.press("s")
        hand.saved(2)
        hand.press("Delete")
        hand.saved(1)
        assert all("ERR_CONNECTION" in one for one in page.complaints(server.address))
    assert table(tmp_path) == [
        ("anna.mp4", "0.5", "1.5", "jump", "Anna", "yes"),
        ("anna.mp4", "3.4", "5.5", "sit down", "Anna", "yes"),
        ("anna.mp4", "4.4", "5.5", "jump", "Anna", "yes"),
        ("ben.mp4", "0", "1.1", "sit down", "ben.mp4", ""),
        ("ben.mp4", "3", "4.1", "jump", "ben.mp4", ""),
        ("carl.mp4", "0.8", "1.3", "jump", "carl.mp4", ""),
    ]
    assert len(scan(tmp_path / "labels.csv")) == 6


def test_two_open_pages_do_not_overwrite_each_other(page, tmp_path):
    numbered_video(tmp_path / "anna.mp4", 50, fps=10)
    hand = Labeller(page)
    with labelling(tmp_path) as server:
        page.go(server.address + "/")
        page.wait_for("document.querySelectorAll('#videos li').length === 1")
        hand.press("v")
        hand.opened("anna.mp4")
        hand.type_class("jump")
        video = server.ask("/v1/label").json["videos"][0]["id"]
        theirs = {"id": "other-page", "start_s": 2.0, "end_s": 3.0, "label": "run"}
        assert post(server, f"/videos/{video}", {"revision": 0, "change": {"put": [theirs]}})[0] == 200
        hand.press(" ", "l", " ")
        page.wait_for("document.querySelector('#notice').textContent.startsWith('another page has changed this video')")
        hand.saved(1)
        hand.press("j", " ", "l", " ")
        hand.saved(2)
        assert page.run("document.querySelector('#notice').hidden")
        status, said = post(server, f"/videos/{video}", {"revision": 1, "change": {"remove": ["other-page"]}})
        assert (status, said["error"]["code"]) == (409, "stale")
    assert [row[1:4] for row in table(tmp_path)] == [("0", "1.1", "jump"), ("2", "3", "run")]


def test_many_long_large_and_unplayable_videos(page, tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "films"
    folder.mkdir()
    small = numbered_video(folder / "film0000.mp4", 5)
    for number in range(1, 1000):
        os.link(small, folder / f"film{number:04}.mp4")
    frame = np.zeros((48, 64, 3), np.uint8)
    encode(
        folder / "hour.mp4", (frame + np.uint8(n % 200) for n in range(3600)), fps=1, options={"preset": "ultrafast"}
    )
    encode(folder / "large.mp4", (np.zeros((2160, 3840, 3), np.uint8) for _ in range(3)), fps=Fraction(10))
    numbered_video(folder / "old.avi", 20, fps=10, codec="mpeg4")
    hand = Labeller(page)
    with labelling(folder) as server:
        page.go(server.address + "/", width=820, height=1180)
        page.wait_for("document.querySelectorAll('#videos li').length === 1003")
        page.run("document.querySelector('#filter').value = 'hour'")
        page.run("document.querySelector('#filter').dispatchEvent(new Event('input'))")
        assert page.run("document.querySelectorAll('#videos li').length") == 1
        page.click("#videos button")
        hand.opened("hour.mp4")
        hand.type_class("rest")
        page.click("#timeline", 0.5)
        hand.press("+", "+", "+", " ", "ArrowRight", "ArrowRight", " ")
        hand.saved(1)
        assert page.run("document.querySelector('#lanes button').getBoundingClientRect().width") > 3
        for name, says in (
            ("large", "has 3840 × 2160 pixels"),
            ("old", "do not play this video (mpeg4): a copy is made"),
        ):
            page.run(f"document.querySelector('#filter').value = {name!r}")
            page.run("document.querySelector('#filter').dispatchEvent(new Event('input'))")
            page.run("window.said = ''")
            page.run(
                "new MutationObserver(() => { said += document.querySelector('#copy-text').textContent; })"
                ".observe(document.querySelector('#copy-text'), {childList: true})"
            )
            page.click("#videos button")
            hand.opened(name + (".mp4" if name == "large" else ".avi"))
            assert says in page.run("said")
        hand.press("ArrowRight", times=3)
        hand.press(" ", "l", " ")
        hand.saved(1)
        assert "ERR" not in str(page.complaints(server.address))
    assert table(folder) == [
        ("hour.mp4", "1800", "1803", "rest", "hour.mp4"),
        ("old.avi", "0.3", "1.4", "rest", "old.avi"),
    ]
    (copy,) = (tmp_path / "cache" / "label-copies").iterdir()
    assert frame_times(copy).tolist() == pytest.approx(frame_times(folder / "old.avi").tolist())


def test_a_model_proposes_and_its_labels_are_accepted_corrected_and_rejected_by_one_key_each(page, model, tmp_path):
    write_video(tmp_path / "a.mp4", seconds=6)
    write_video(tmp_path / "b.mp4", seconds=6)
    write_video(tmp_path / "c.mp4", seconds=6)
    hand = Labeller(page)
    with labelling(tmp_path, "--model", str(model)) as server:
        page.go(server.address + "/")
        page.wait_for("document.querySelectorAll('#videos li').length === 3")
        page.click("#show-train")
        page.wait_for("!document.querySelector('#propose').disabled")
        page.click("#propose")
        page.wait_for("document.querySelector('#propose-state').textContent === '3 of 3 videos looked at'", 30)
        page.click("#show-label")
        page.click("#videos button")
        hand.opened("a.mp4")
        assert page.run("document.querySelectorAll('#lanes .proposal').length") == 2
        hand.type_class("night")
        hand.type_class("day")
        hand.press("2")  # of the proposal that is shown
        hand.saved(1)
        hand.press("p", "r")
        page.wait_for("!document.querySelector('#lanes .proposal')")
        hand.press("v")
        hand.opened("b.mp4")
        hand.press("p", "y")
        hand.saved(1)
        hand.shift("Y")
        hand.saved(2)
        page.click("#show-train")
        page.click("#unseen")
        page.wait_for("document.querySelector('#propose-state').textContent === '2 proposals taken'")
        page.click("#show-label")
        hand.press("v")
        hand.opened("c.mp4")
        hand.press("n", "y")
        page.wait_for("document.querySelector('#selected').textContent.includes('from a model, confirmed')")
        page.click("#show-train")
        page.click("#camera-start")
        page.wait_for("['dark', 'bright'].includes(document.querySelector('#live-label').textContent)", 60)
        page.click("#camera-stop")
    rows = table(tmp_path)
    assert [row[0] for row in rows] == ["a.mp4", "b.mp4", "b.mp4", "c.mp4", "c.mp4"]
    assert [row[3] for row in rows][1:] == ["dark", "bright"] * 2
    assert rows[0][3] == "day"
    assert sorted(row[5] for row in rows) == ["model", *["model+person"] * 4]


@pytest.mark.slow
def test_clips_of_the_camera_have_their_length_and_group_and_train(page, tmp_path):
    folder, films = tmp_path / "new", make_videos(tmp_path / "films", people=4)
    with labelling(folder, "--camera", "--approach", "single-frame") as server:
        page.go(server.address + "/")
        page.wait_for(visible("#record-form"))
        wishes = {"class": "to-left", "person": "Anna", "session": "monday", "count": "1", "seconds": "1"}
        for field, value in wishes.items():
            page.run(f"document.querySelector('#record-{field}').value = {value!r}")
        page.click("#record-form button.main")
        page.wait_for("document.querySelectorAll('#recorded li').length === 1", 40)
        assert text(page, "#notice") == ""
        (clip,) = (folder / "recordings" / "Anna-monday").iterdir()
        assert probe(clip).duration_s == pytest.approx(1.0, abs=1 / 20)
        length = f"{probe(clip).duration_s:.4g}"
        assert table(folder) == [("recordings/Anna-monday/to-left-001.mp4", "0", length, "to-left", "Anna", "yes")]

        page.click("#show-train")
        page.click("#train")
        page.wait_for("document.querySelector('#train-state').textContent.includes('have one class only')", 120)
        for film in sorted(films.rglob("*.mp4")):
            person, label = film.stem.split("_")[:2]
            about = f"label={label}&person={person}&seconds=0.8"
            answer = server.ask(f"/v1/label/recordings?{about}", "POST", film.read_bytes())
            assert (answer.status, answer.json["duration_s"]) == (200, 0.8)
        for seconds, body, says in ((9, film.read_bytes(), "not 9 s; record it again"), (1, b"no video", "")):
            refused = server.ask(f"/v1/label/recordings?label=x&person=Ben&seconds={seconds}", "POST", body)
            assert refused.status == 422
            assert says in refused.json["error"]["message"]
        assert not list((folder / ".kineme-label" / "recorded").iterdir())

        page.click("#train")
        page.wait_for("!document.querySelector('#train-report').hidden", 300)
        assert "of cases correctly" in text(page, "#train-state").replace("\u00a0", " ")
        report = server.ask(page.run("document.querySelector('#train-report').getAttribute('href')"))
        assert report.status == 200
        assert "sandbox" in report.headers["Content-Security-Policy"]
        page.wait_for("!document.querySelector('#propose').disabled")
    rows = scan(folder / "labels.csv").rows
    assert sorted(set(rows["group"])) == ["Anna", "person01", "person02", "person03", "person04"]
