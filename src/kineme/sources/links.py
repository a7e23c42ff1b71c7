"""Videos from URLs, downloaded by yt-dlp into a temporary folder: plain files, YouTube and other sites, playlists."""

from __future__ import annotations

import re
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError, VideoError
from kineme.progress import Advance, progress
from kineme.sources.cookies import cookie_settings
from kineme.sources.javascript import RUNTIMES
from kineme.sources.link_errors import NOT_STARTED, PROTECTED, no_video, reason
from kineme.sources.local_video import FailedVideo, FetchOptions, LocalVideo, local_file
from kineme.text import file_size

_FETCHED_HERE = {"http", "https", "m3u8_native", "m3u8", "http_dash_segments"}  # by yt-dlp itself, without a program
_COLLECTIONS = ("playlist", "multi_video")
_FILE = "video"
_MOST_PAGE_BYTES = 32 << 20  # of a page, playlist or document, unpacked
_MOST_WARNINGS = 8
_MOST_PAGES = 500  # until something of the video comes


def fetch_videos(url: str, options: FetchOptions) -> Generator[LocalVideo | FailedVideo, None, None]:
    """Yield the video, or each video of the playlist, that ``url`` leads to. Each is removed before the next.

    Args:
        url: http or https.
        options: how to fetch.

    Raises:
        KinemeError: yt-dlp is not installed, the server does not give the video, or it is too large.
    """
    try:
        import yt_dlp
        from yt_dlp.utils import YoutubeDLError
    except ImportError as error:
        raise VideoError(url, 'video URLs need yt-dlp: pip install "kineme[web]"', "unavailable") from error

    with tempfile.TemporaryDirectory(prefix="kineme-") as folder:
        meter = _Meter(url, options.max_bytes)
        listener = _Listener()
        with _bounded(yt_dlp.YoutubeDL, meter)(_settings(Path(folder), options, meter, listener)) as site:

            def ask(source: str, request: Callable[..., dict[str, Any] | None], what: Any, download: bool) -> Any:
                listener.warnings.clear()
                try:
                    return request(what, download=download) or {}
                except YoutubeDLError as error:
                    asked = what if isinstance(what, str) else what.get("original_url") or what.get("url")
                    why = reason(error, asked, options.timeout_s, listener.warnings)
                    raise VideoError(source, why, "unavailable") from error
                except RecursionError as error:
                    raise VideoError(source, "leads to itself, so no video is found there", "unavailable") from error
                finally:
                    meter.close()

            # Entries of a playlist stay addresses here, so that the first is predicted before the last is looked up.
            found = ask(url, site.extract_info, url, False)
            collection = found.get("_type") in _COLLECTIONS
            entries = _entries(found)
            if not entries:
                raise VideoError(url, "no video is found there", "unavailable")
            for number, entry in enumerate(entries, start=1):
                meter.source = source = _address(entry, url, number) if collection else url
                try:
                    _refuse_live(entry, source)
                    info = ask(source, site.process_ie_result, entry, True)
                    path = Path(folder, _FILE)
                    if not path.is_file():
                        raise VideoError(source, "nothing was fetched; it may be a playlist itself", "unavailable")
                except KinemeError as error:
                    if not collection:
                        raise
                    yield FailedVideo(source, error)
                else:
                    yield local_file(path, source, _file_name(info), in_collection=collection)
                for left in Path(folder).iterdir():
                    left.unlink()


def _bounded(downloader: type[Any], meter: _Meter) -> type[Any]:
    """yt-dlp's downloader, with limits on memory and on the number of requests before a first answer."""

    class Bounded(downloader):  # type: ignore[misc]
        def urlopen(self, request: Any) -> Any:
            meter.count_page()
            response = super().urlopen(request)
            read = response.read

            def read_some(amount: int | None = None) -> bytes:
                if amount is not None and amount >= 0:
                    return bytes(read(amount))
                content = bytearray()
                while block := read(1 << 16):
                    content += block
                    meter.check_page(len(content))
                return bytes(content)

            response.read = read_some
            return response

    return Bounded


def choose_format(
    formats: Sequence[Mapping[str, Any]], min_side: int, *, with_sound: bool = False
) -> Mapping[str, Any] | None:
    """The smallest of a video's formats whose shorter side is at least ``min_side`` pixels.

    Where all are smaller, the largest of them; a format of unknown size goes before those. Among equals the one with
    fewer bytes is taken. Formats with DRM, without pictures, or that need another program are left out.

    Args:
        formats: yt-dlp's documents.
        min_side: pixels.
        with_sound: formats with sound go before those without.

    Returns:
        One of ``formats``, or None where none can be used.
    """

    def rank(one: Mapping[str, Any]) -> tuple[float, ...]:
        silent = with_sound and one.get("acodec") == "none"
        sides = [one[side] for side in ("width", "height") if one.get(side)]
        side = min(sides, default=0)
        fits = (1, 0) if not side else (0, side) if side >= min_side else (2, -side)
        size = one.get("filesize") or one.get("filesize_approx")
        return (silent, *fits, size or float("inf"), one.get("tbr") or float("inf"))

    usable = [
        one
        for one in formats
        if one.get("vcodec") != "none"
        and not one.get("has_drm")
        and set(str(one.get("protocol")).split("+")) <= _FETCHED_HERE
    ]
    return min(usable, key=rank, default=None)


class _Meter:
    """Shows the progress of downloads and stops one that grows too large."""

    def __init__(self, source: str, max_bytes: int) -> None:
        self.source, self._max_bytes = source, max_bytes
        self._shown = ExitStack()
        self._advance: Advance | None = None
        self._done = self._pages = 0

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Told by yt-dlp of every block."""
        total = event.get("total_bytes") or event.get("total_bytes_estimate") or 0
        done = int(event.get("downloaded_bytes") or 0)
        self.check(max(done, event.get("total_bytes") or 0))
        if self._advance is None:
            label = f"fetching {self.source}, kB"
            self._advance = self._shown.enter_context(progress(label, int(total) // 1024 or None))
        if done // 1024 > self._done:
            self._pages = 0
            self._advance(done // 1024 - self._done)
            self._done = done // 1024

    def check(self, count: float) -> None:
        """Raise KinemeError where ``count`` bytes are too many."""
        if count > self._max_bytes:
            limit = file_size(self._max_bytes)
            raise VideoError(self.source, f"is larger than {limit}; --max-size sets the limit", "too-large")

    def check_page(self, count: int) -> None:
        """Raise KinemeError where ``count`` bytes are too many for a page."""
        if count > _MOST_PAGE_BYTES:
            raise VideoError(self.source, f"leads to a page of more than {file_size(_MOST_PAGE_BYTES)}", "unavailable")

    def count_page(self) -> None:
        """Count a request; raise KinemeError where there were many and nothing of the video has come."""
        self._pages += 1
        if self._pages > _MOST_PAGES:
            raise VideoError(self.source, "leads from page to page, and to no video", "unavailable")

    def close(self) -> None:
        """End the progress of one download."""
        self._shown.close()
        self._advance, self._done = None, 0


class _Listener:
    """Keeps yt-dlp quiet, and its last warnings: where fetching fails, they may say why. Its errors are raised."""

    def __init__(self) -> None:
        self.warnings: deque[str] = deque(maxlen=_MOST_WARNINGS)

    def debug(self, message: str) -> None:
        pass

    info = error = debug

    def warning(self, message: str, *, once: bool = False) -> None:
        self.warnings.append(message)


def _settings(folder: Path, options: FetchOptions, meter: _Meter, listener: _Listener) -> dict[str, Any]:
    def select(context: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        chosen = choose_format(context["formats"], options.min_side, with_sound=options.with_sound)
        if chosen is None:
            is_pictures = all(one.get("vcodec") == one.get("acodec") == "none" for one in context["formats"])
            raise VideoError(meter.source, no_video(only_pictures=True) if is_pictures else PROTECTED, "unavailable")
        meter.check(chosen.get("filesize") or 0)
        return [chosen]

    return {
        "format": select,
        "extract_flat": "in_playlist",
        "noplaylist": True,  # of an address that names both a video and the playlist it is in, the video is meant
        "paths": {"home": str(folder)},
        "outtmpl": _FILE,
        "progress_hooks": [meter],
        "logger": listener,
        **cookie_settings(options),
        "js_runtimes": {name: {} for name in RUNTIMES},
        "remote_components": (),  # no code is fetched
        # Scripts of strangers run without a compiler, which is safer and takes the memory that serve grants.
        "extractor_args": {"youtube-ejs": {"jitless": ["true"]}},
        "quiet": True,
        "noprogress": True,
        "cachedir": False,
        "fixup": "never",  # needs a program
        # yt-dlp hands some formats to the program ffmpeg, whose connections and output nobody watches.
        "ffmpeg_location": str(folder / "no-ffmpeg"),
        "hls_prefer_native": True,
        "skip_unavailable_fragments": False,  # a video with holes is an error
        "socket_timeout": options.timeout_s,
        "retries": 1,
        "fragment_retries": 1,
        "extractor_retries": 1,
    }


def _entries(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The videos of a result, those of collections within it too."""
    if found.get("_type") not in _COLLECTIONS:
        return [dict(found)] if found else []
    return [video for entry in found.get("entries") or () if entry for video in _entries(entry)]


def _refuse_live(entry: Mapping[str, Any], source: str) -> None:
    if entry.get("live_status") == "is_upcoming":
        raise VideoError(source, NOT_STARTED, "unavailable")
    if entry.get("is_live") or entry.get("live_status") == "is_live":
        raise VideoError(source, "is live; from this site only videos that have ended can be fetched", "unavailable")


def _address(entry: Mapping[str, Any], playlist: str, number: int) -> str:
    """A lasting address of a playlist's video; where its page is the playlist's, its place there."""
    page = entry.get("webpage_url") or entry.get("original_url") or entry.get("url")
    return str(page) if page and page != playlist else f"{playlist}#{number}"


def _file_name(info: Mapping[str, Any]) -> str:
    """The title as the name of a file on any system."""
    kept = re.sub(r"[^\w .,()+-]+", " ", str(info.get("title") or info.get("id") or _FILE))
    short = " ".join(kept.split()).encode()[:80].decode(errors="ignore")
    return short.strip(" .") or _FILE
