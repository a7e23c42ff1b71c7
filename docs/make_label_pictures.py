"""Makes the pictures of docs/howto/label.md in Chromium: python docs/make_label_pictures.py http://127.0.0.1:PORT.

The address is that of a running ``kineme label`` on a folder whose first video is labelled and whose last one has
proposals.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from helpers_browser import Page, browser

IMAGES = Path(__file__).parent / "images"


def main(address: str) -> None:
    """Photograph the page with labels, and with proposals."""
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as page:
        page.go(address + "/", width=1280, height=1080)
        page.wait_for("document.querySelector('#videos li')")
        _open(page, "#videos li:first-child button")
        page.press("n")
        _save(page, "label.png", (0, 0, 1280, 1080))
        _open(page, "#videos li:last-child button")
        page.press("p")
        page.press("y")
        page.wait_for("document.querySelector('#lanes button:not(.proposal)')")
        page.press("p")
        page.run("document.querySelector('#play').scrollIntoView({block: 'start'})")
        top = page.run("document.querySelector('#play').getBoundingClientRect().top")
        _save(page, "label-proposals.png", (310, max(0, int(top) - 10), 1280, int(top) + 470))
        page.press("z")


def _open(page: Page, button: str) -> None:
    page.run(f"document.querySelector({button!r}).click()")
    page.wait_for(f"document.querySelector({button!r}).hasAttribute('aria-current')")
    page.wait_for("document.querySelector('#video').readyState >= 2")


def _save(page: Page, name: str, box: tuple[int, int, int, int]) -> None:
    page.wait_for("!document.querySelector('#video').seeking")
    path = IMAGES / name
    page.picture(path)
    Image.open(path).crop(box).convert("P", palette=Image.Palette.ADAPTIVE).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
