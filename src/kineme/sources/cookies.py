"""The cookies that a user lends yt-dlp: from a file, or out of a browser."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from kineme.errors import UsageError
from kineme.sources.local_video import FetchOptions

_MOST_BYTES = 8 << 20


def check_cookies(options: FetchOptions) -> None:
    """Look at what the options say, before anything is fetched.

    Raises:
        UsageError: the file cannot be read or is no cookies.txt, or no such browser is known.
    """
    cookie_settings(options)


def cookie_settings(options: FetchOptions) -> dict[str, Any]:
    """yt-dlp's settings for the cookies; empty without cookies.

    Raises:
        UsageError: as :func:`check_cookies`.
    """
    settings: dict[str, Any] = {}
    if options.cookies is not None:
        # As text: given a name, yt-dlp passes over a file that it cannot read, and writes to one that it can.
        settings["cookiefile"] = io.StringIO(_cookies_txt(Path(options.cookies)))
    if options.cookies_from_browser is not None:
        settings["cookiesfrombrowser"] = _browser(options.cookies_from_browser)
    return settings


def _cookies_txt(path: Path) -> str:
    """The text of a file in Netscape's format: a comment that says so, or seven columns between tabs."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"--cookies {path}: is too large for a file of cookies")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--cookies {path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--cookies {path}: is no text; give a cookies.txt in Netscape's format") from error
    rows = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows += [line for line in text.splitlines() if line.startswith("#HttpOnly_")]
    if not rows or any(line.count("\t") != 6 for line in rows):
        raise UsageError(f"--cookies {path}: is no cookies.txt in Netscape's format (seven columns between tabs)")
    first = "# Netscape HTTP Cookie File\n"  # without which yt-dlp takes none
    return text if text.startswith(("# Netscape HTTP", "# HTTP Cookie")) else first + text


def _browser(given: str) -> tuple[str, str | None, None, None]:
    """Name and profile of ``NAME[:PROFILE]``."""
    name, _, profile = given.partition(":")
    try:
        from yt_dlp.cookies import SUPPORTED_BROWSERS
    except ImportError:  # the link itself will say that it is missing
        return name, profile or None, None, None
    if name.lower() not in SUPPORTED_BROWSERS:
        raise UsageError(f"--cookies-from-browser {given}: give one of {', '.join(sorted(SUPPORTED_BROWSERS))}")
    return name.lower(), profile or None, None, None
