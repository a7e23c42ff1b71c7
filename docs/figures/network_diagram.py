"""Draws a network from the layers of the built Keras model: change the model and the drawing changes.

A column is a layer with weights, or one that changes what time is; what follows it without weights (pooling,
normalisation, flattening) is named with it. Blocks are as high as their maps, on a square-root scale, and as many
planes deep as there are channels, on a logarithmic one. Beneath are the shape that comes out and the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from style import WIDTH, Theme

_WITH_WEIGHTS = ("Conv1D", "Conv2D", "Conv3D", "Dense", "LSTM", "FoldedConvLSTM2D", "ConvLSTM2D", "Bidirectional")
_SILENT = ("InputLayer", "Dropout", "Permute", "Rescaling")
_SIDE = 0.92  # inches: the height of a map of 64 pixels


@dataclass
class Column:
    """A layer, with those that follow it and have no weights.

    Args:
        title: what it does.
        kind: ``maps``, ``vector`` or ``recurrent``.
        then: what the layers after it do.
        shape: what comes out of the last of them, without the batch.
        weights: of all of them.
        per_frame: whether time is folded into the batch there.
    """

    title: str
    kind: str
    then: list[str] = field(default_factory=list)
    shape: tuple[int, ...] = ()
    weights: int = 0
    per_frame: bool = False


def layers_of(model: Any) -> list[Any]:
    """The layers in order, those of models inside it in their place."""
    found = []
    for layer in model.operations:  # layers, and sums and means that are written as such
        found += layers_of(layer) if hasattr(layer, "layers") and layer.layers else [layer]
    return found


def columns_of(model: Any) -> list[Column]:
    """What is drawn."""
    first = model.input.shape[1:]
    columns = [Column("frame" if len(first) == 3 else "clip", "maps", shape=tuple(first))]
    folded = False
    for layer in layers_of(model):
        kind = type(layer).__name__
        folded = (folded or kind == "MergeTimeIntoBatch") and kind != "SplitTimeFromBatch"
        if kind in _SILENT:
            continue
        shape = tuple(layer.output.shape[1:])
        last = columns[-1]
        if kind in _WITH_WEIGHTS or kind in ("FrameDifference", "Subtract", "SplitTimeFromBatch", "Masking"):
            columns.append(Column(_title(layer, kind), _kind_of(kind), shape=shape, per_frame=folded))
            last = columns[-1]
        elif said := _then(layer, kind):
            last.then.append(said)
        if kind not in ("Mean", "MergeTimeIntoBatch"):
            last.shape = shape
        last.weights += layer.count_params() if hasattr(layer, "count_params") else 0
    return columns


def network_diagram(theme: Theme, model: Any) -> Figure:
    """The whole drawing, in rows of up to six columns."""
    columns = columns_of(model)
    most = 5 if max(len(column.shape) for column in columns[1:]) == 4 else 6  # long shapes need room
    count = math.ceil(len(columns) / math.ceil(len(columns) / most))
    rows = [columns[start : start + count] for start in range(0, len(columns), count)]
    height = 2.62
    figure, axes = theme.canvas(WIDTH, height * len(rows))
    for number, row in enumerate(rows):
        _draw_row(theme, axes, row, count, height * (len(rows) - 1 - number), first=number == 0)
    return figure


def _draw_row(theme: Theme, axes: Any, row: list[Column], count: int, bottom: float, *, first: bool) -> None:
    pitch = WIDTH / count
    _shade(theme, axes, row, pitch, bottom)
    for place, column in enumerate(row):
        middle = (place + 0.5) * pitch
        left, right = _block(theme, axes, column, middle, bottom + 1.30)
        if place or not first:
            theme.arrow(axes, (middle - pitch / 2 - 0.12, bottom + 1.30), (left - 0.05, bottom + 1.30))
        if not column.title.startswith("dense"):
            end = middle + pitch / 2 - (0.0 if column is row[-1] else 0.12)
            axes.plot([right + 0.03, end], [bottom + 1.30] * 2, color=theme.faint, linewidth=1.1)
        colour = {"recurrent": theme.purple, "vector": theme.green}.get(column.kind, theme.blue)
        axes.text(
            middle, bottom + 2.50, column.title, ha="center", va="top", fontsize=9.5, fontweight="bold", color=colour
        )
        axes.text(middle, bottom + 2.30, "\n".join(column.then), ha="center", va="top", fontsize=8, color=theme.faint)
        shape = " × ".join(f"{side:,}" for side in column.shape)
        axes.text(middle, bottom + 0.58, shape, ha="center", va="top", fontsize=9)
        if column.weights:
            said = f"{column.weights:,} weights"
            axes.text(middle, bottom + 0.38, said, ha="center", va="top", fontsize=8, color=theme.faint)


def _shade(theme: Theme, axes: Any, row: list[Column], pitch: float, bottom: float) -> None:
    """A panel behind what sees one frame at a time."""
    places = [place for place, column in enumerate(row) if column.per_frame]
    if not places:
        return
    left, right = places[0] * pitch + 0.03, (places[-1] + 1) * pitch - 0.03
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom + 0.06),
            right - left,
            2.50,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=theme.panel,
            edgecolor="none",
            zorder=0,
        )
    )
    said = "each frame by itself"
    axes.text((left + right) / 2, bottom + 0.13, said, ha="center", fontsize=8, color=theme.faint, style="italic")


def _block(theme: Theme, axes: Any, column: Column, x: float, y: float) -> tuple[float, float]:
    """Draw what comes out; gives its left and right end."""
    shape = column.shape
    if len(shape) >= 3:
        height, width, channels = shape[-3:]
        high, wide = _SIDE * math.sqrt(height / 64), 0.62 * _SIDE * math.sqrt(width / 64)
        planes = max(2, min(6, round(math.log2(channels)))) if channels > 1 else 1
        step = 0.055
        colour = theme.purple if column.kind == "recurrent" else theme.blue
        left = x - (wide + step * (planes - 1)) / 2
        for plane in range(planes - 1, -1, -1):
            corner = (left + step * plane, y - high / 2 + step * plane - step * (planes - 1) / 2)
            axes.add_patch(Rectangle(corner, wide, high, facecolor=theme.page, edgecolor=colour, linewidth=1.1))
            axes.add_patch(Rectangle(corner, wide, high, facecolor=colour, alpha=0.16, linewidth=0))
        top = y + high / 2 + step * (planes - 1) / 2
        right = left + wide + step * (planes - 1)
    else:
        units = shape[-1]
        high = 0.22 + 0.07 * math.log2(max(2, units))
        wide = 0.13
        colour = theme.purple if column.kind == "recurrent" else theme.green
        repeats = 3 if len(shape) == 2 and shape[0] > 1 else 1
        left = x - (wide + 0.10 * (repeats - 1)) / 2
        for number in range(repeats - 1, -1, -1):
            corner = (left + 0.10 * number, y - high / 2 + 0.05 * number)
            axes.add_patch(Rectangle(corner, wide, high, facecolor=theme.page, edgecolor=colour, linewidth=1.1))
            axes.add_patch(Rectangle(corner, wide, high, facecolor=colour, alpha=0.28, linewidth=0))
        top, right = y + high / 2 + 0.05 * (repeats - 1), left + wide + 0.10 * (repeats - 1)
    if column.kind == "recurrent":
        _loop(theme, axes, x, top)
    return left, right


def _loop(theme: Theme, axes: Any, x: float, top: float) -> None:
    """An arrow that comes back: the state goes on to the next frame."""
    theme.arrow(
        axes,
        (x + 0.12, top + 0.02),
        (x - 0.12, top + 0.02),
        connectionstyle="arc3,rad=1.1",
        color=theme.purple,
        linewidth=1.4,
    )


def _kind_of(kind: str) -> str:
    if "LSTM" in kind or kind == "Bidirectional":
        return "recurrent"
    return "vector" if kind == "Dense" else "maps"


def _title(layer: Any, kind: str) -> str:
    if kind.startswith("Conv") and "LSTM" not in kind:
        return f"conv {'×'.join(str(side) for side in layer.kernel_size)}"
    if "ConvLSTM" in kind:
        return f"ConvLSTM {'×'.join(str(side) for side in layer.cell.kernel_size)}"
    return {
        "Dense": f"dense {getattr(layer, 'units', '')}",
        "LSTM": f"LSTM {getattr(layer, 'units', '')}",
        "FrameDifference": "changes",
        "Subtract": "less the mean",
        "SplitTimeFromBatch": "in order",
        "Masking": "skip missing",
        "Bidirectional": "both ways",
    }[kind]


def _then(layer: Any, kind: str) -> str:
    """What a layer without weights of its own does, in a word or two; nothing for what needs no telling."""
    if kind.startswith("MaxPooling"):
        size = layer.pool_size
        size = size if isinstance(size, tuple) else (size,)
        return "pool " + "×".join(str(side) for side in size)
    return {
        "BatchNormalization": "normalise",
        "ReLU": "",
        "Flatten": "flatten",
        "Reshape": "time beside colour" if len(layer.output.shape) == 4 else "",
        "GlobalAveragePooling1D": "mean over time",
        "GlobalAveragePooling2D": "mean over space",
        "GlobalAveragePooling3D": "mean over all",
        "GlobalMaxPooling1D": "max over time",
    }.get(kind, "")
