"""Why yt-dlp could not fetch a video, in sentences of our own, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

from kineme.sources.javascript import javascript_support

COOKIES = "pass the cookies of a browser that is signed in: --cookies FILE or --cookies-from-browser NAME"

ROBOT = (
    f"the site wants a sign-in to confirm that no robot asks, as it often does for addresses of data centres: {COOKIES}"
)
AGE = f"the video is for adults, and the site wants a sign-in: {COOKIES}"
MEMBERS = f"the video is for members of its channel only: if you are one, {COOKIES}"
PRIVATE = f"the video is private: if your account may see it, {COOKIES}"
SIGN_IN = f"the site shows the video only to those who are signed in: {COOKIES}"
COUNTRY = "the video is not available in the country that this computer's address belongs to"
NOT_STARTED = "is live and has not started yet; try again when it has ended"
NOT_LIVE = "is not live now, and there is no video"
PROTECTED = "offers no pictures that can be fetched, only sound or protected video"
BUSY = f"the server answers 429 Too Many Requests: wait an hour; if it stays so, {COOKIES}"
BROKE_OFF = "the connection was lost during the download"
NO_COOKIES = (
    "the cookies of the browser cannot be read: close the browser, or export them to a file and pass --cookies FILE"
)

# yt-dlp has exceptions for few of the reasons of sites; the others are told apart by the sites' own words, which it
# passes on. The first row that matches counts; where none does, yt-dlp's text is shown.
SAID_BY_SITES: tuple[tuple[str, str], ...] = (
    (r"confirm (that )?you.{1,3}re not a bot", ROBOT),
    (r"confirm your age|age[- ]restricted|age[- ]verification", AGE),
    (r"members?[- ]only|join this channel|this channel's members", MEMBERS),
    (r"video is private|private video", PRIVATE),
    (r"premieres? in|live event will begin|will begin (in|shortly)", NOT_STARTED),
    (r"for registered users|log ?in required|sign in|log in to", SIGN_IN),
    (r"DRM protected", PROTECTED),
)
_NO_FORMAT = r"No video formats found|Requested format is not available"
_HALF = r"more expected"
_SILENT = r"timed out"


def update_advice() -> str:
    """That yt-dlp should be updated first, with its version and age."""
    from yt_dlp.version import __version__ as version

    age = ""
    try:
        year, month, day = (int(part) for part in version.split(".")[:3])
        age = f", {(datetime.now(UTC).date() - date(year, month, day)).days} days old"
    except ValueError:  # a version of somebody's own
        pass
    return f'sites change often: update yt-dlp first (here: {version}{age}): pip install -U "yt-dlp[default,deno]"'


def no_video(only_pictures: bool) -> str:
    """That a page was read, but offers nothing to fetch, with the likeliest cure.

    Args:
        only_pictures: whether preview pictures ("storyboards") are offered.
    """
    what = "offers only preview pictures, no video" if only_pictures else "offers no video that can be fetched"
    return f"{what}; {javascript_support().problem or update_advice()}"


def reason(error: Exception, asked: str | None, timeout_s: float, warnings: Sequence[str] = ()) -> str:
    """Why yt-dlp failed.

    Args:
        error: as yt-dlp raised it.
        asked: the address of the video or page. If another address is refused, yt-dlp found it on that page; the
            page's own player is not refused.
        timeout_s: how long the server could be silent.
        warnings: of yt-dlp.
    """
    from yt_dlp.cookies import CookieLoadError
    from yt_dlp.networking.exceptions import HTTPError, TransportError
    from yt_dlp.utils import GeoRestrictedError, UnsupportedError, UserNotLive

    by_class: dict[type[Exception], str] = {
        GeoRestrictedError: COUNTRY,
        UserNotLive: NOT_LIVE,
        CookieLoadError: NO_COOKIES,
        UnsupportedError: "no video is found there",
    }
    causes = list(_causes(error))
    for cause in causes:
        for kind, sentence in by_class.items():
            if isinstance(cause, kind):
                return sentence
    text = _plain(str(error))
    for pattern, sentence in SAID_BY_SITES:
        if re.search(pattern, text, re.IGNORECASE):
            return sentence
    if re.search(_NO_FORMAT, text):
        return no_video(only_pictures=False)
    if re.search(_HALF, text):
        return BROKE_OFF
    if re.search(_SILENT, text):
        return f"the server was silent for {timeout_s:g} s"
    for cause in causes:
        if isinstance(cause, HTTPError):
            return _refused(cause.status, cause.reason, by_other=cause.response.url != asked)
        if isinstance(cause, TransportError):
            return f"cannot be reached ({str(cause.msg or cause).rpartition(': ')[2].rstrip(')')})"
    said = re.sub(r"^\s*ERROR:\s*(\[[^\]]+\] (\S+: )?)?|[;.]? ?[Pp]lease report this issue.*|\(caused by .*", "", text)
    line = " ".join(said.split())[:300] or "yt-dlp could not fetch it"
    return f"{line} (yt-dlp warned: {' '.join(_plain(warnings[-1]).split())[:200]})" if warnings else line


def _refused(status: int, answer: str, *, by_other: bool) -> str:
    if status == 429:
        return BUSY
    said = f"{status} {answer}".rstrip()
    if status == 403 and by_other:
        return f"the video's host answers {said}; {javascript_support().problem or update_advice()}"
    return f"the server answers {said}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that lie within it: yt-dlp makes new ones of those that it met."""
    while error is not None:
        yield error
        error = getattr(error, "cause", None) or (getattr(error, "exc_info", None) or (None, None))[1]


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)
