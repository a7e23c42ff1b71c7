"""Of the formats that a site offers, which one is fetched."""

from __future__ import annotations

import pytest

from kineme.sources.links import choose_format


def form(name: str, side: int | None, size: int | None = None, **more: object) -> dict[str, object]:
    found = {"format_id": name, "protocol": "https", "vcodec": "avc1", "acodec": "none", "filesize": size}
    return {**found, **({"width": side * 16 // 9, "height": side} if side else {}), **more}


SITE = [
    form("storyboard", 90, protocol="mhtml", vcodec="none"),
    form("sound", None, 10, vcodec="none", acodec="mp4a"),
    form("rtmp", 240, 1, protocol="rtmp"),
    form("locked", 240, 1, has_drm=True),
    form("144", 144, 100),
    form("240 av1", 240, 150, vcodec="av01"),
    form("240", 240, 200),
    form("360 with sound", 360, 400, acodec="mp4a"),
    form("1080", 1080, 900),
]


@pytest.mark.parametrize(
    ("formats", "min_side", "with_sound", "chosen"),
    [
        (SITE, 64, False, "144"),
        (SITE, 224, False, "240 av1"),
        (SITE, 241, False, "360 with sound"),
        (SITE, 64, True, "360 with sound"),
        (SITE, 1080, False, "1080"),
        (SITE, 2160, False, "1080"),
        (SITE[:5], 224, False, "144"),
        ([SITE[4], form("unknown", None)], 224, False, "unknown"),
        ([form("unknown", None), SITE[-1]], 224, False, "1080"),
        ([form("upright", None, width=240, height=426), SITE[-1]], 240, False, "upright"),
        (SITE[:4], 64, False, None),
    ],
)
def test_the_smallest_format_that_is_large_enough(formats, min_side, with_sound, chosen):
    found = choose_format(formats, min_side, with_sound=with_sound)
    assert (found and found["format_id"]) == chosen
