"""The page in a real browser: upload, progress, timeline, reload, keyboard, phone; token; and a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_browser import browser
from helpers_people import need_movenet, people_video
from helpers_serving import SPEC, server, write_model, write_video

from kineme.report.person_colours import colour_of


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A browser whose camera shows 1.2 s of dark, then 1.2 s of bright, and so on."""
    film = tmp_path_factory.mktemp("camera") / "film.y4m"
    luma, chroma = np.ones(160 * 120, np.uint8), np.full(160 * 60, 128, np.uint8).tobytes()
    frames = [b"FRAME\n" + (luma * (20 if number < 12 else 235)).tobytes() + chroma for number in range(24)]
    film.write_bytes(b"YUV4MPEG2 W160 H120 F10:1 Ip A1:1 C420jpeg\n" + b"".join(frames))
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with browser(tmp_path_factory.mktemp("browser"), *camera, f"--use-file-for-fake-video-capture={film}") as opened:
        yield opened


WATCH_PROGRESS = """
window.said = new Set();
new MutationObserver(() => said.add(document.querySelector("#working-left").textContent))
  .observe(document.querySelector("#working"), { subtree: true, childList: true });
"""
LOWEST_BUTTON = """
Math.min(...[...document.querySelectorAll("button, .downloads a, select")]
  .filter((one) => one.offsetParent).map((one) => one.offsetHeight))
"""


def visible(selector: str) -> str:
    return f"!document.querySelector('{selector}').closest('[hidden]')"


def text(page, selector: str) -> str:
    return page.run(f"document.querySelector('{selector}').textContent")


def upload(page, path: Path) -> None:
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    field = page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=field, files=[str(path)])


def test_a_video_is_sent_watched_and_looked_at(page, served, tmp_path):
    home, before = served.address + "/", served.left_on_disk()
    page.go(home)
    page.wait_for(visible("#choose"))
    assert "it classifies 90 % of cases correctly" in text(page, "#says").replace("\u00a0", " ")
    assert page.run("[...document.querySelectorAll('#labels li')].map(one => one.textContent)") == ["dark", "bright"]
    page.run(WATCH_PROGRESS)
    upload(page, write_video(tmp_path / "my clip.mp4", seconds=28, size=300))
    page.wait_for(visible("#result"), 30)
    assert any(line.startswith(("recognising", "drawing")) for line in page.run("[...said]"))
    assert text(page, "#result-name") == "dark, then bright"
    parts = page.run("[...document.querySelectorAll('#timeline button')].map(one => one.textContent)")
    assert parts == ["dark", "bright"]

    page.wait_for("document.querySelector('#video').readyState >= 2")
    page.click("#timeline", 0.75)
    page.wait_for("Math.abs(document.querySelector('#video').currentTime - 21) < 0.3")
    assert text(page, "#part") == "bright"
    assert page.run("document.querySelector('#bars li .name').textContent") == "bright"
    assert page.run("parseFloat(document.querySelector('#playhead').style.left)") == pytest.approx(75, abs=2)
    page.press("ArrowLeft")
    page.press("Enter")
    page.wait_for("document.querySelector('#video').currentTime < 0.1")
    assert text(page, "#part") == "dark"
    page.press("l")
    page.wait_for("Math.abs(document.querySelector('#video').currentTime - 1) < 0.1")

    links = page.run(
        "[...document.querySelectorAll('#downloads a')].map(one => [one.download, one.getAttribute('href')])"
    )
    assert [name for name, _ in links] == [f"my clip.{kind}" for kind in ("mp4", "json", "csv", "vtt", "srt")]
    assert all(served.ask(href).status == 200 for _, href in links)

    # The address tells of the job: another visit shows it again, on a phone in the dark too.
    job = page.run("location.hash")
    page.call("Page.navigate", url="about:blank")
    page.go(home, job, width=360, height=780, dark=True)
    page.wait_for(visible("#result"))
    assert text(page, "#result-name") == "dark, then bright"
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run(LOWEST_BUTTON) >= 44  # pixels, for fingers
    assert page.complaints(home) == []
    page.wait_for("document.querySelector('#video').readyState >= 2")
    page.click("#forget")
    page.wait_for(visible("#choose"))
    assert served.left_on_disk() == before


def test_a_model_of_single_persons_has_a_band_for_each(page, tmp_path):
    need_movenet()
    model = write_model(tmp_path / "persons.tflite", region="person")
    film = people_video(tmp_path / "two.mp4", [lambda s: 0.02, lambda s: 0.62 if s >= 0.5 else None], 2.5)
    with server(model, tmp_path / "state") as running:
        page.go(running.address + "/")
        page.wait_for(visible("#choose"))
        upload(page, film)
        page.wait_for(visible("#result"), 60)
        names = page.run("[...document.querySelectorAll('#result .whose')].map(one => one.textContent)")
        assert names == ["The video as a whole", "Person 1", "Person 2"]
        drawn = page.run("[...document.querySelectorAll('#people .person')].map(one => one.style.background)")
        assert drawn == [f"rgb{colour_of(number)}" for number in (1, 2)], "as in the annotated video"
        page.run("document.querySelectorAll('#people .timeline')[1].firstChild.click()")
        page.wait_for("document.querySelector('#video').currentTime >= 0.4")
        rows = page.run("[...document.querySelectorAll('#parts tr')].map(one => one.lastChild.textContent)")
        assert set(rows) == {"", "1", "2"}
        found = page.run("fetch(document.querySelector('a[download$=json]').href).then(one => one.json())")
        assert [one["id"] for one in found["people"]] == [1, 2]


def test_a_result_is_explained(page, served, tmp_path):
    home, before = served.address + "/", served.left_on_disk()
    page.go(home)
    page.wait_for(visible("#choose"))
    upload(page, write_video(tmp_path / "clip.mp4", seconds=8))
    page.wait_for(visible("#result"), 30)
    assert "exported: it can say which frames decided, but not where" in text(page, "#why-note")
    page.run("document.querySelector('#why-label').value = 'bright'; document.querySelector('#why').focus()")
    page.press("Enter")
    page.wait_for(visible("#why-result"), 30)
    assert text(page, "#why-said").startswith("bright, ")
    assert page.run("document.querySelectorAll('#strip-lines polyline').length") == 1
    page.wait_for("document.querySelector('#why-picture').naturalWidth == 1680")

    playhead = "parseFloat(document.querySelector('#strip-head').style.left)"
    page.wait_for("document.querySelector('#video').readyState >= 2")
    page.click("#strip", 0.5)
    page.wait_for("Math.abs(document.querySelector('#video').currentTime - 4) < 0.1")
    assert page.run(playhead) == pytest.approx(50, abs=2)
    page.run("document.querySelector('#strip').focus()")
    page.press("ArrowRight")
    page.wait_for("Math.abs(document.querySelector('#video').currentTime - 4.5) < 0.1")
    assert page.run("document.querySelector('#strip').getAttribute('aria-valuetext')") == "0:04.5"
    page.run("document.querySelector('#why-spans button').click()")
    page.wait_for("document.querySelector('#video').currentTime < 4.1")  # where it becomes bright
    height = page.run("document.querySelector('#video').videoHeight")
    page.run("document.querySelector('#why-video').focus()")
    page.press("Enter")
    page.wait_for(f"document.querySelector('#video').videoHeight == {height + 48}")  # with the strip below
    page.wait_for("Math.abs(document.querySelector('#video').currentTime - 4) < 0.3")  # at the same moment

    job = page.run("location.hash")
    page.call("Page.navigate", url="about:blank")
    page.go(home, job, width=360, height=780, dark=True)
    page.wait_for(visible("#why-result"))
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run(LOWEST_BUTTON) >= 44
    assert page.complaints(home) == []
    page.click("#forget")
    page.wait_for(visible("#choose"))
    assert served.left_on_disk() == before


def test_what_is_no_video_is_said_and_another_can_be_chosen(page, served, tmp_path):
    (tmp_path / "note.mp4").write_text("no video" * 100)
    page.go(served.address + "/")
    page.wait_for(visible("#choose"))
    upload(page, tmp_path / "note.mp4")
    page.wait_for(visible("#notice"))
    assert text(page, "#notice") == "note.mp4: is not a video that can be read"
    assert page.run(visible("#choose"))


def test_the_live_label_follows_the_camera(page, served):
    home = served.address + "/"
    page.go(home, width=390, height=844)
    page.wait_for(visible("#camera-start"))
    page.click("#camera-start")
    for label in ("dark", "bright", "dark"):
        page.wait_for(f"document.querySelector('#live-label').textContent === '{label}'", 20)
    assert " ms late" in text(page, "#delay")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.press("Enter")  # the button to stop has the focus
    page.wait_for(visible("#choose"))
    assert page.complaints(home) == []


def test_the_page_asks_for_the_token(page, model, tmp_path):
    with server(model, tmp_path / "state", KINEME_TOKEN="correct horse") as running:
        page.go(running.address + "/")
        page.wait_for(visible("#door"))
        for word, then in (("wrong horse", "#notice"), ("correct horse", "#choose")):
            page.run("document.querySelector('#token').value = ''; document.querySelector('#token').focus()")
            page.call("Input.insertText", text=word)
            page.press("Enter")
            page.wait_for(visible(then))
        assert page.run("document.querySelector('#notice').hidden")
        assert f"{SPEC.frames} frames" in text(page, "#facts")
