"""The timeline of an explanation: how much each instant spoke for the label, and which instants decided.

It is drawn once, on matplotlib axes; the picture has it below its frames, and the video as a band with a playhead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kineme.prediction.explain.explain import Explanation
from kineme.report.drawing import BLUE, GRID, ORANGE, STYLE

_DPI = 100
_PLAYHEAD = (255, 255, 255)


@dataclass(frozen=True)
class StripTheme:
    """Colours of the lines by method, of the spans that decided, and of the base line."""

    lines: dict[str, str]
    decided: str
    opacity: float  # of the spans
    base: str


ON_WHITE = StripTheme({"occlusion": BLUE, "gradient": ORANGE}, BLUE, 0.14, GRID)
ON_DARK = StripTheme({"occlusion": "#409cff", "gradient": "#ff9f1c"}, "#409cff", 0.4, "#2c3440")


def draw_strip(axes: Any, found: Explanation, theme: StripTheme, labels: dict[str, str]) -> None:
    """Draw on ``axes``: x is the time in seconds, y the share of the largest value; ``labels`` name the methods."""
    middles_N = (found.times_N + found.ends) / 2
    for span in found.salient_spans:
        axes.axvspan(
            span.start_s, span.end_s, color=theme.decided, alpha=0.14 if theme is ON_WHITE else 0.4, linewidth=0
        )
    axes.axhline(0, color=theme.base, linewidth=0.8)
    for method in reversed(found.attributions):
        share_N, colour = found.share(method), theme.lines[method]
        axes.plot(middles_N, share_N, linewidth=1.6, color=colour, label=labels[method])
        if method == found.method:
            axes.fill_between(middles_N, 0, np.maximum(share_N, 0), color=colour, alpha=0.35, linewidth=0)
    lowest = min(0.0, *(float(found.share(method).min()) for method in found.attributions))
    axes.set(xlim=(0, max(found.prediction.duration_s, 1e-3)), ylim=(lowest - 0.05, 1.06))


class StripBand:
    """The strip as pixels, with a playhead.

    Args:
        found: the curve to draw.
        width: of the band, in pixels.
        height: in pixels, at least 24.
    """

    def __init__(self, found: Explanation, width: int, height: int) -> None:
        self.height = height
        self._duration_s = max(found.prediction.duration_s, 1e-6)
        text = max(9, round(0.17 * height))  # pixels
        edge, head = text // 2, round(1.7 * text)
        self._left, self._length = edge, width - 2 * edge
        self._top, self._bottom = head, height - max(2, text // 3)
        with rc_context({**STYLE, "font.size": 72 * text / _DPI}):
            figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="#0e1116")
            box = (edge / width, 1 - self._bottom / height, self._length / width, (self._bottom - head) / height)
            axes = figure.add_axes(box, facecolor="#161b22")
            draw_strip(axes, found, ON_DARK, {"occlusion": "held still", "gradient": "gradient"})
            axes.set(ylim=(0, 1.06))
            axes.set_axis_off()
            middle = 1 - 0.5 * head / height
            figure.text(box[0], middle, "these frames decided", color="white", va="center", fontweight="bold")
            figure.legend(
                loc="center right",
                bbox_to_anchor=(1, middle),
                ncols=2,
                labelcolor="white",
                borderaxespad=0,
                handlelength=1.2,
                columnspacing=1,
            )
            canvas: Any = FigureCanvasAgg(figure)
            canvas.draw()
            self._base = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])

    def __call__(self, time_s: float) -> NDArray[np.uint8]:
        """The band, RGB uint8 (height, width, 3), with the playhead at a time in seconds."""
        drawn = self._base.copy()
        half = max(1, self.height // 50)
        at = self._left + round(min(max(time_s / self._duration_s, 0.0), 1.0) * (self._length - 1))
        at = min(max(at, half), drawn.shape[1] - half)
        drawn[self._top - 2 : self._bottom + 2, at - half : at + half] = _PLAYHEAD
        return drawn
