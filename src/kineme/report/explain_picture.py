"""One wide picture of an explanation: the decisive frames with their heat maps, above the timelines."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from kineme.files import atomic_write
from kineme.prediction.explain.explain import SALIENT_SHARE, Explanation
from kineme.report.drawing import INK, MUTED, STYLE
from kineme.report.explain_drawing import Drawer
from kineme.report.explain_strip import ON_WHITE, draw_strip
from kineme.text import clock, one_line
from kineme.video.decode import read_frames
from kineme.video.probe import probe

Frame = NDArray[np.uint8]

_FRAMES = 6
_WIDTH, _DPI = 14.0, 120  # inches, and pixels of each
_STRIP = 1.7  # inches high


def explain_picture(
    found: Explanation, source: str | os.PathLike[str], out: str | os.PathLike[str], drawer: Drawer
) -> None:
    """Write the picture as PNG, about 1,700 pixels wide.

    Args:
        found: the explanation.
        source: the video that is explained, as a file.
        out: where to.
        drawer: draws on the frames.

    Raises:
        VideoError: ``source`` cannot be used.
        KinemeError: ``out`` cannot be written.
    """
    times = deciding_times(found, _FRAMES)
    frames = [drawer(frame, time_s, alone=True) for time_s, frame in zip(times, frames_at(source, times), strict=True)]
    info = probe(source)
    aspect = min(max(info.height / info.width, 0.4), 1.8)
    across = max(_FRAMES, len(frames))  # few frames are no larger than many
    frames_high = _WIDTH * 0.94 / across * aspect
    height = 1.05 + frames_high + 0.45 + _STRIP + 0.75
    from matplotlib import rc_context

    with rc_context({**STYLE, "font.size": 11}):
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
        figure.text(0.03, 1 - 0.38 / height, _title(found), fontsize=19, fontweight="bold", color=INK, va="center")
        figure.text(0.03, 1 - 0.76 / height, _subtitle(found), fontsize=11, color=MUTED, va="center")
        strip = figure.add_axes((0.05, 0.75 / height, 0.92, _STRIP / height))
        _draw_strip(strip, found)
        bottom = (0.75 + _STRIP + 0.45) / height
        gap = 0.006
        width = (0.94 - (across - 1) * gap) / across
        left = 0.5 - (len(frames) * (width + gap) - gap) / 2
        for number, (time_s, frame) in enumerate(zip(times, frames, strict=True)):
            box = (left + number * (width + gap), bottom, width, frames_high / height)
            _draw_frame(figure, strip, box, frame, time_s)
        FigureCanvasAgg(figure)
        with atomic_write(out) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


def deciding_times(found: Explanation, count: int) -> list[float]:
    """Up to ``count`` instants, in seconds, of frames that decided: as many of each span as it spoke for the label."""
    positive_N = np.where(found.is_salient, found.attributions[found.method], 0.0)
    if not positive_N.any():
        positive_N = np.ones(len(found.times_N))
    summed_N = np.cumsum(positive_N) / positive_N.sum()
    chosen = np.unique(np.searchsorted(summed_N, (np.arange(count) + 0.5) / count))
    return [float(found.times_N[number]) for number in chosen]


def frames_at(source: str | os.PathLike[str], times_s: list[float]) -> list[Frame]:
    """The frames that are shown at some times, in order, of their full size."""
    found: list[Frame] = []
    last: Frame | None = None
    for frame in read_frames(source):
        while len(found) < len(times_s) and frame.pts_s > times_s[len(found)] + 1e-6:
            found.append(frame.pixels_HWC if last is None else last)
        if len(found) == len(times_s):
            return found
        last = frame.pixels_HWC
    assert last is not None
    return [*found, *[last] * (len(times_s) - len(found))]


def _title(found: Explanation) -> str:
    return f"{one_line(found.label, 60)}  {100 * found.probability:.1f} %"


def _subtitle(found: Explanation) -> str:
    spans = found.salient_spans
    told = [f"{clock(one.start_s, 1)} to {clock(one.end_s, 1)}" for one in spans[:4]]
    when = ", ".join(told) + (" …" if len(spans) > 4 else "")
    decided = f"decided by {when}" if spans else "no frame supported it"
    return one_line(f"{os.path.basename(found.source)}, by {found.prediction.model}; {decided}", 150)  # noqa: PTH119


def _draw_frame(
    figure: Figure, strip: Any, box: tuple[float, float, float, float], frame: Frame, time_s: float
) -> None:
    """A frame, its time, and a line to its place on the strip."""
    axes = figure.add_axes(box)
    pixels = round(box[2] * _WIDTH * _DPI)
    scale = pixels / frame.shape[1]
    shrunk = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    axes.imshow(cv2.resize(frame, (pixels, max(1, round(frame.shape[0] * scale))), interpolation=shrunk), aspect="auto")
    axes.set(xticks=[], yticks=[])
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)
    axes.text(0.5, -0.02, clock(time_s, 1), transform=axes.transAxes, ha="center", va="top", fontsize=11, color=INK)
    line = ConnectionPatch(
        xyA=(time_s, 1.0),
        coordsA=strip.get_xaxis_transform(),
        xyB=(box[0] + box[2] / 2, box[1] - 0.27 / figure.get_size_inches()[1]),
        coordsB=figure.transFigure,
        color=MUTED,
        linewidth=0.8,
    )
    figure.add_artist(line)


def _draw_strip(axes: Any, found: Explanation) -> None:
    over = "the heat map" if found.joints_NL is None else "the joints"
    labels = {
        "occlusion": "frozen frames: loss of evidence",
        "gradient": f"gradient: sum over {over}",
    }
    draw_strip(axes, found, ON_WHITE, labels)
    axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time_s, _: clock(time_s, 0 if time_s == int(time_s) else 1)))
    axes.tick_params(labelsize=9.5)
    shaded = f"{SALIENT_SHARE:.0%}".replace("%", " %")
    axes.set_xlabel(f"time in the video; shaded: at least {shaded} of the largest value", fontsize=10, loc="left")
    axes.legend(loc="upper right", bbox_to_anchor=(1.0, -0.14), borderaxespad=0, fontsize=10, ncols=2)
