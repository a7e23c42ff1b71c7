"""A site of the tests' own: an extractor that yt-dlp loads as a plugin, for pages of a server on loopback."""

from __future__ import annotations

from pathlib import Path

PLUGIN = """
from yt_dlp.extractor.common import ExtractorError, InfoExtractor
from yt_dlp.utils import GeoRestrictedError, UserNotLive

ERRORS = {
    "robot": "Sign in to confirm you\\u2019re not a bot. Use --cookies-from-browser or --cookies",
    "robot-plain": "Sign in to confirm that you're not a bot",
    "age": "Sign in to confirm your age. This video may be inappropriate for some users",
    "age-word": "This video is age-restricted",
    "age-check": "The site asks for an age verification",
    "members": "This video is available to this channel's members on level: Friends",
    "members-only": "Members-only content",
    "members-join": "Join this channel to get access to members-only content like this video",
    "private": "Private video. Sign in if you've been granted access to this video",
    "private-is": "This video is private",
    "premiere": "Premieres in 2 hours",
    "soon": "This live event will begin in a few moments.",
    "shortly": "The broadcast will begin shortly",
    "sign-in": "This video is only available for registered users",
    "log-in": "You need to log in to see this",
    "login-required": "Login required",
    "please": "Please sign in",
    "odd": "The moon is in the wrong place",
}


class DrawnSiteIE(InfoExtractor):
    _VALID_URL = r"(?P<base>https?://127[.]0[.]0[.]1:[0-9]+)/site/(?P<id>[a-z-]+)"

    def _real_extract(self, url):
        base, name = self._match_valid_url(url).group("base", "id")
        video = {"id": name, "title": name}

        def fmt(number, **more):
            return {"format_id": str(number), "ext": "mp4", **more}

        storyboard = fmt("sb", url=f"{base}/plain/h264.mp4", vcodec="none", acodec="none", width=9000, height=9000)
        if name in ERRORS:
            if name == "odd":
                self.report_warning("the tide is high")
            raise ExtractorError(ERRORS[name], expected=True)
        if name == "country":
            raise GeoRestrictedError("The uploader has not made this video available in your country", countries=["IS"])
        if name == "not-live":
            raise UserNotLive(video_id=name)
        if name == "upcoming":
            return {**video, "live_status": "is_upcoming", "formats": [fmt(1, url=f"{base}/plain/h264.mp4")]}
        if name == "storyboards":
            return {**video, "formats": [storyboard, {**storyboard, "format_id": "sb1"}]}
        if name == "sound":
            return {**video, "formats": [fmt(1, url=f"{base}/plain/h264.mp4", vcodec="none", acodec="aac")]}
        if name == "drm":
            return {**video, "formats": [fmt(1, url=f"{base}/plain/h264.mp4", vcodec="avc1", has_drm=True)]}
        if name == "no-address":
            return {**video, "formats": [fmt(1, url="", vcodec="avc1"), fmt(2, url=None, vcodec="vp9")]}
        if name == "refused":
            return {**video, "formats": [fmt(1, url=f"{base}/refused/h264.mp4", vcodec="avc1", acodec="none")]}
        if name == "list":
            entries = [self.url_result(f"{base}/site/{one}", DrawnSiteIE) for one in ("mix", "private", "mix-sound")]
            return self.playlist_result(entries, name, name)
        if name.startswith("mix"):
            return {**video, "formats": [
                storyboard,
                fmt(1, url=f"{base}/plain/av1.mp4", vcodec="av01.0.00M.08", acodec="none", width=64, height=64, tbr=90),
                fmt(2, url=f"{base}/plain/vp9.webm", vcodec="vp9", acodec="none", width=64, height=64, tbr=50),
                fmt(3, url=f"{base}/plain/h264.mp4", vcodec="avc1", acodec="aac", width=128, height=128, tbr=70),
                fmt(4, url="", vcodec="avc1", acodec="aac", width=64, height=64, tbr=1),
                fmt(5, url=f"{base}/plain/none.m4a", vcodec="none", acodec="aac", tbr=1),
            ]}
        if name == "cookies":
            said = self._download_webpage(f"{base}/echo/cookies", name)
            raise ExtractorError(f"the cookies were <{said.strip()}>", expected=True)
        raise ExtractorError("there is no such page", expected=True)
"""


def write_plugin(folder: Path) -> str:
    """Write the plugin; gives the folder that must be on Python's path."""
    module = folder / "yt_dlp_plugins" / "extractor" / "drawn_site.py"
    module.parent.mkdir(parents=True)
    module.write_text(PLUGIN, encoding="utf-8")
    return str(folder)
