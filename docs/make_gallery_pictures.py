"""Makes the pictures of pages in docs/start/gallery.md in Chromium, from the files of docs/start/ten-minutes.md.

make docs && python docs/make_gallery_pictures.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from helpers_browser import Page, browser

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
FILES = DOCS / "_generated" / "work" / "start" / "ten-minutes"
PAGES = {  # picture, page, height in pixels
    "report.png": ("runs/first/report.html", 900),
    "check.png": ("my-videos-check.html", 900),
    "timeline-page.png": ("results/new.html", 1000),
}


def main() -> None:
    """Photograph each page."""
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as page:
        for name, (path, height) in PAGES.items():
            page.go(FILES / path, width=1100, height=height)
            _show_a_frame(page)
            page.picture(IMAGES / name)
            Image.open(IMAGES / name).convert("RGB").save(IMAGES / name, optimize=True)


def _show_a_frame(page: Page) -> None:
    """Where the page has a video, show its fourth second instead of a black frame."""
    page.run(
        "(async video => { if (video) { video.currentTime = 4;"
        " await new Promise(done => { video.onseeked = done; setTimeout(done, 3000); }); } })"
        "(document.querySelector('video'))"
    )


if __name__ == "__main__":
    main()
