"""The one style of every picture in the documentation, and how a picture is saved for light and for dark pages.

A picture is a function that takes a theme and gives a Matplotlib figure. It is drawn twice::

    from style import Theme, save

    def bars(theme: Theme) -> Figure:
        figure, axes = theme.subplots(6.0, 3.0)
        axes.bar(["a", "b"], [1, 2], color=theme.blue)
        return figure

    save(bars, "bars", folder)

writes ``bars-light.svg`` and ``bars-dark.svg`` with transparent backgrounds. A page shows the one that suits the
reader's screen; the alternative text is required, the text beneath is not::

    ```{picture} bars
    :alt: Two bars; the second is twice as high as the first.

    What the reader should see in it.
    ```

Backgrounds are transparent; what must stand on something stands on ``theme.panel``. Frames of videos are the same on
both, so a picture of nothing but frames is saved once, as ``NAME.png`` or ``NAME.gif``, and included the same way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

FONT_SIZE = 10.0  # points; a figure as wide as the text, 7.2 inches, shows it at the size of a caption
WIDTH = 7.2  # inches of the column of text


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours for one kind of page.

    Args:
        name: ``"light"`` or ``"dark"``.
        page: the page's own background; for outlines that must look like gaps.
        ink: text and axes.
        faint: text and lines of second rank.
        line: grids and borders.
        panel: a background a little off the page's.
        blue: the first of eight colours for things; people with any kind of colour vision tell the first four apart.
        orange: the second, and so on.
        green: see above.
        purple: see above.
        red: see above.
        teal: see above.
        yellow: see above.
        grey: see above.
    """

    name: str
    page: str
    ink: str
    faint: str
    line: str
    panel: str
    blue: str
    orange: str
    green: str
    purple: str
    red: str
    teal: str
    yellow: str
    grey: str

    @property
    def cycle(self) -> list[str]:
        """The colours of things, in the order to use them."""
        return [self.blue, self.orange, self.green, self.purple, self.red, self.teal, self.yellow, self.grey]

    @property
    def heat(self) -> LinearSegmentedColormap:
        """Nothing to much: from the panel's colour to orange."""
        return LinearSegmentedColormap.from_list(f"heat-{self.name}", [self.panel, self.yellow, self.orange, self.red])

    @property
    def balance(self) -> LinearSegmentedColormap:
        """Less than zero, zero, more: blue, the panel's colour, orange."""
        return LinearSegmentedColormap.from_list(f"balance-{self.name}", [self.blue, self.panel, self.orange])

    def subplots(self, width: float = WIDTH, height: float = 3.0, rows: int = 1, columns: int = 1, **more: Any) -> Any:
        """A figure and its axes, as ``pyplot.subplots`` without pyplot; inches."""
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, **more)

    def canvas(self, width: float, height: float) -> Any:
        """A figure and axes to draw a diagram on: no frame, one unit an inch, the origin at the lower left."""
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, width), ylim=(0, height))
        axes.axis("off")
        return figure, axes

    def box(
        self, axes: Any, x: float, y: float, width: float, height: float, text: str, *, colour: str = "", **more: Any
    ) -> None:
        """A rounded box with text in the middle; ``x`` and ``y`` are its lower left corner."""
        edge = colour or self.line
        axes.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=self.panel,
                edgecolor=edge,
                linewidth=1.2,
            )
        )
        axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", **more)

    def arrow(self, axes: Any, start: tuple[float, float], end: tuple[float, float], **more: Any) -> None:
        """An arrow; ``connectionstyle="arc3,rad=0.2"`` bends it."""
        wanted = {"color": self.faint, "linewidth": 1.1, "arrowstyle": "-|>", "mutation_scale": 9, **more}
        axes.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **wanted))

    def settings(self) -> dict[str, Any]:
        """Matplotlib's settings for this theme."""
        return {
            "axes.axisbelow": True,
            "axes.edgecolor": self.faint,
            "axes.facecolor": "none",
            "axes.grid": False,
            "axes.labelcolor": self.ink,
            "axes.labelsize": FONT_SIZE,
            "axes.prop_cycle": mpl.cycler(color=self.cycle),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlecolor": self.ink,
            "axes.titlelocation": "left",
            "axes.titlesize": FONT_SIZE + 1,
            "figure.facecolor": "none",
            "font.family": "DejaVu Sans",  # comes with Matplotlib, so pictures are the same everywhere
            "font.size": FONT_SIZE,
            "grid.color": self.line,
            "grid.linewidth": 0.6,
            "legend.facecolor": self.panel,
            "legend.edgecolor": self.line,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "savefig.facecolor": "none",
            "savefig.transparent": True,
            "svg.fonttype": "path",
            "svg.hashsalt": "kineme",  # the same picture gives the same file
            "text.color": self.ink,
            "xtick.color": self.faint,
            "xtick.labelcolor": self.ink,
            "xtick.labelsize": FONT_SIZE - 1,
            "ytick.color": self.faint,
            "ytick.labelcolor": self.ink,
            "ytick.labelsize": FONT_SIZE - 1,
        }

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Matplotlib draws in this theme within the block."""
        with mpl.rc_context(self.settings()):
            yield


LIGHT = Theme(
    name="light",
    page="#ffffff",
    ink="#1f2730",
    faint="#5d6874",
    line="#c9d0d7",
    panel="#f2f4f6",
    blue="#2368b0",
    orange="#c4600c",
    green="#1d8657",
    purple="#7a4db3",
    red="#c0304b",
    teal="#0d7c8c",
    yellow="#a07900",
    grey="#5f6b76",
)
DARK = Theme(
    name="dark",
    page="#131416",
    ink="#e4e8eb",
    faint="#a0abb6",
    line="#48525c",
    panel="#22282e",
    blue="#6fb1f4",
    orange="#f4a24e",
    green="#5ac896",
    purple="#ba9cf0",
    red="#f27d90",
    teal="#50c3d1",
    yellow="#e0be4c",
    grey="#a7b1bb",
)
THEMES = (LIGHT, DARK)


def save(make: Callable[[Theme], Figure], name: str, folder: Path, *, suffix: str = "svg", dpi: int = 160) -> None:
    """Draw a picture for light and for dark pages.

    Args:
        make: draws it in a theme.
        name: of the picture; the files are ``NAME-light.SUFFIX`` and ``NAME-dark.SUFFIX``.
        folder: where they go; made if need be.
        suffix: ``svg``, or ``png`` for what is mostly pixels.
        dpi: pixels an inch of what is pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        with theme.active():
            figure = make(theme)
            metadata = {"Date": None} if suffix == "svg" else None
            figure.savefig(folder / f"{name}-{theme.name}.{suffix}", dpi=dpi, metadata=metadata)
