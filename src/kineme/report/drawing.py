"""How every figure of the reports is drawn: SVG text that follows the reader's light or dark setting.

Figures are drawn by matplotlib with a few fixed colours. Afterwards each is replaced by a CSS variable that the SVG
itself defines, once for light and once for dark, so one picture serves both. Text stays text: the browser's fonts
draw it, in any script. Blue and orange are of Okabe and Ito's set, which colour-blind readers tell apart.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

# Each colour as it is drawn, and what it becomes on a light and on a dark page.
INK, MUTED, GRID, BLUE, ORANGE = "#1b1d21", "#5d6470", "#dde1e7", "#0072b2", "#d55e00"
_DARK = {INK: "#e9ecf1", MUTED: "#a3abb8", GRID: "#353b45", BLUE: "#4fb0e8", ORANGE: "#f59a4b"}

STYLE: dict[Any, Any] = {  # of matplotlib, for ``rc_context``
    "svg.fonttype": "none",
    "svg.hashsalt": "kineme",
    "text.parse_math": False,  # a label may hold "$"
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of so many inches with one pair of axes."""
    figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def percents() -> PercentFormatter:
    """Names the ticks of an axis of shares: 0.4 becomes "40 %"."""
    return PercentFormatter(1.0, decimals=0, symbol="\u00a0%")


def settle(figure: Figure) -> None:
    """Lay the figure out, so that places in it are known in points."""
    with _unknown_letters_allowed():
        figure.draw_without_rendering()


def to_svg(figure: Figure) -> str:
    """The figure as a deterministic SVG document whose colours follow the reader's setting."""
    buffer = io.StringIO()
    with _unknown_letters_allowed():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    light, dark = [], []
    for place, (colour, at_night) in enumerate(_DARK.items()):
        text = re.sub(rf"(fill|stroke): {colour}", rf"\1: var(--c{place})", text)
        light.append(f"--c{place}:{colour}")
        dark.append(f"--c{place}:{at_night}")
    style = (
        f"<style>:root{{{';'.join(light)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{';'.join(dark)}}}}}</style>"
    )
    text = re.sub(
        r"(font-family: )'DejaVu Sans'[^;\"]*", r"\1system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", text
    )
    return re.sub(r"(<svg [^>]*>)", lambda found: found[1] + style, text, count=1)


@contextmanager
def _unknown_letters_allowed() -> Iterator[None]:
    """No warnings of letters that matplotlib's font lacks: the browser draws the text, not this font."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield
