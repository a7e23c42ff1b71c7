"""A prediction as a page: the video, a timeline to click on, and how likely each label is in the course of time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from kineme.files import atomic_write, write_text
from kineme.prediction.result import Prediction, Segment
from kineme.progress import track
from kineme.report.person_colours import colour_of, in_hex
from kineme.report.template import render
from kineme.text import clock
from kineme.video.container import PathLike

_CURVES = 6  # as many colours as the eye keeps apart
_IN_WORDS = 4  # parts that fit into a sentence
_PLAYS_IN_MP4, _PLAYS_IN_WEBM = {"h264", "av1"}, {"vp8", "vp9", "av1"}
_PLAYABLE_PIXELS = {"yuv420p", "yuvj420p"}
_UNPLAYABLE_PROFILE = "4:4:4"  # of H.264; lossless video has it too


def write_page(
    path: Path, result: Prediction, video: PathLike, on_warning: Callable[[str], None] | None = None
) -> list[Path]:
    """Write the page, and beside it the video as ``STEM-video.mp4`` (or ``.webm``) in a form that browsers play.

    A page is no use without its video, so this is a copy: the two can be moved together.

    Args:
        path: of the page.
        result: what to show.
        video: the file it was made from.
        on_warning: called with one line about damage, or of sound that cannot be kept.

    Returns:
        The page and the video.

    Raises:
        VideoError: the video cannot be read.
        KinemeError: a file cannot be written.
    """
    beside = _playable_copy(video, path.with_name(f"{path.stem}-video"), on_warning)
    write_text(path, page_of(result, beside.name))
    return [path, beside]


def page_of(result: Prediction, video_name: str) -> str:
    """The page as HTML, for a video that lies beside it."""
    people, windows_WK = result.people or (), result.window_probabilities_WK
    times = _time_of_labels([*result.actions, *(one for person in people for one in person.actions)])
    peaks_K = windows_WK.max(axis=0)
    ranked = sorted(range(len(result.labels)), key=lambda k: (-times.get(result.labels[k], 0.0), -peaks_K[k]))
    shown = ranked[:_CURVES]
    colours = {result.labels[k]: number for number, k in enumerate(shown)}
    middles_W = result.window_times_W2.mean(axis=1).clip(0, result.duration_s)
    curves_CW = result.window_probabilities_WK.T[shown]
    return render(
        "prediction.html.j2",
        title=Path(result.source).name or result.source,
        subtitle=f"Recognised by {result.model}.",
        headline=_headline(result),
        caveats=result.warnings,
        interval_method=None,
        result=result,
        video_name=video_name,
        video_address=quote(video_name),
        segments=_rows(result.segments, colours),
        people=[(person, _rows(person.segments, colours)) for person in people],
        person_colours={person.id: in_hex(colour_of(person.id)) for person in people},
        of_whom=[("", _rows(result.segments, colours)), *((one.id, _rows(one.segments, colours)) for one in people)],
        curves=[
            (result.labels[k], number, _points(result, middles_W, result.window_probabilities_WK[:, k]))
            for number, k in enumerate(shown)
        ],
        left_out=len(result.labels) - len(shown),
        marks=_marks(result.duration_s),
        length=clock(result.duration_s, 1),
        data={
            "duration": result.duration_s,
            "middles": np.round(middles_W, 3).tolist(),
            "curves": np.round(curves_CW, 4).tolist(),
        },
    )


def _rows(segments: Sequence[Segment], colours: dict[str, int]) -> list[tuple[Segment, int | str, str, str]]:
    """Each segment with its colour, its beginning and its end in words."""
    return [
        (
            one,
            "background" if one.is_background else colours.get(one.label, "other"),
            clock(one.start_s, 1),
            clock(one.end_s, 1),
        )
        for one in segments
    ]


def _headline(result: Prediction) -> str:
    label, probability = result.top[0]
    likeliest, segments = f"{label}, {probability:.0%}".replace("%", " %"), _across_cuts(result.segments)
    actions = [one for one in segments if not one.is_background]
    if not actions:
        return f"No known action (if any, {likeliest})"
    if len(segments) == 1:
        return likeliest
    if len(actions) <= _IN_WORDS:
        return ", then ".join(one.label for one in actions)
    times = _time_of_labels(actions)
    longest = max(times, key=lambda label: times[label])
    share = f"{times[longest] / result.duration_s:.0%}".replace("%", " %")
    if len(times) == 1:
        return f"{len(actions)} parts, all {longest}, {share} of the time"
    return f"{len(actions)} parts, {len(times)} labels; the longest is {longest}, {share} of the time"


def _across_cuts(segments: Sequence[Segment]) -> list[Segment]:
    """The same, where parts of one label that touch are one."""
    found: list[Segment] = []
    for one in segments:
        if found and (found[-1].label, found[-1].end_s) == (one.label, one.start_s):
            found[-1] = replace(found[-1], end_s=one.end_s)
        else:
            found.append(one)
    return found


def _time_of_labels(actions: Sequence[Segment]) -> dict[str, float]:
    """Seconds that the segments of each label last together."""
    times: dict[str, float] = {}
    for one in actions:
        times[one.label] = times.get(one.label, 0.0) + one.end_s - one.start_s
    return times


def _points(result: Prediction, middles_W: Any, probabilities_W: Any) -> str:
    """The curve of a label as points of an SVG that is 1000 wide and 100 high."""
    scale = 1000 / max(result.duration_s, 1e-6)
    times = [0.0, *(middles_W * scale).tolist(), 1000.0]
    heights = [float(probabilities_W[0]), *probabilities_W.tolist(), float(probabilities_W[-1])]
    return " ".join(f"{x:.1f},{100 - 100 * y:.1f}" for x, y in zip(times, heights, strict=True))


def _marks(duration_s: float) -> list[tuple[float, str]]:
    """Places (share of the width) and names of round times below the curves."""
    steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next((one for one in steps if duration_s / one <= 6), steps[-1])
    # The last mark would run into the end of the axis.
    return [
        (time / duration_s, clock(time, 0 if time == int(time) else 1))
        for time in np.arange(0, duration_s * 0.97, step).tolist()
    ]


def _playable_copy(video: PathLike, stem: Path, on_warning: Callable[[str], None] | None) -> Path:
    """The video in a form that every browser plays: as it is where that is one, else encoded anew."""
    suffix = _playable_as(video)
    out = stem.with_name(stem.name + (suffix or ".mp4"))
    if suffix:
        with atomic_write(out) as temporary:
            shutil.copyfile(video, temporary)
    else:
        _encode(video, out, on_warning)
    return out


def _playable_as(video: PathLike) -> str | None:
    """The suffix under which browsers play the file as it is, or None."""
    from kineme.video.container import open_container, video_stream
    from kineme.video.probe import probe

    info = probe(video)
    with open_container(video) as container:
        names = container.format.name.split(",")
        start = container.start_time
        profile = video_stream(container, video).profile or ""
    if info.pixel_format not in _PLAYABLE_PIXELS or _UNPLAYABLE_PROFILE in profile or start:
        return None  # where the file's clock does not begin at zero, browsers differ on what time it is
    if "mp4" in names and info.codec in _PLAYS_IN_MP4:
        return ".mp4"
    return ".webm" if "webm" in names and info.codec in _PLAYS_IN_WEBM else None


def _encode(video: PathLike, out: Path, on_warning: Callable[[str], None] | None) -> None:
    from kineme.video.decode import read_frames
    from kineme.video.probe import probe
    from kineme.video.write import VideoWriter

    info = probe(video)
    options = {"g": str(max(1, round(float(info.fps))))}  # a key frame each second: clicks on the timeline are quick
    writer = VideoWriter(
        out,
        width=info.width,
        height=info.height,
        fps=info.fps,
        sound_from=video,
        options=options,
        on_warning=on_warning,
    )
    with writer:
        for frame in track(read_frames(video, on_warning=on_warning), f"encoding {out.name}", info.frame_count):
            writer.write(frame.pixels_HWC, pts_s=frame.pts_s, duration_s=frame.duration_s)
