"""Whole test videos as two bands of segments each, the true ones above the predicted ones, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.patches import Patch

from kineme.report.drawing import INK, STYLE, new_figure, to_svg
from kineme.text import one_line

MOST_VIDEOS = 12
_MOST_COLOURS = 10  # of matplotlib's qualitative palette; more labels than that share colours, so they are written too


def timelines(videos: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> str:
    """Draw the first of some videos.

    Args:
        videos: the ``timelines`` of ``segments`` in ``metrics.json``.
        labels: the classes.
    """
    shown = videos[:MOST_VIDEOS]
    palette = matplotlib.colormaps["tab10"]
    colours = {label: palette(number % _MOST_COLOURS) for number, label in enumerate(labels)}
    with matplotlib.rc_context(STYLE):
        figure, axes = new_figure(9.2, 0.8 + 0.42 * len(shown))
        for row, video in enumerate(shown):
            for kind, offset in (("true", 0.0), ("predicted", 0.38)):
                for one in video[kind]:
                    left, width = one["start_s"], one["end_s"] - one["start_s"]
                    axes.barh(
                        row + offset,
                        width,
                        0.34,
                        left=left,
                        color=colours.get(one["label"], INK),
                        align="edge",
                        alpha=1.0 if kind == "true" else 0.6,
                    )
                    if len(labels) > _MOST_COLOURS:
                        axes.text(
                            left + width / 2, row + offset + 0.17, one_line(one["label"], 12), ha="center", va="center"
                        )
            axes.plot([video["duration_s"]] * 2, [row, row + 0.72], color=INK, linewidth=1)
        axes.set_yticks(
            [row + 0.36 for row in range(len(shown))], [one_line(video["name"].split("/")[-1], 28) for video in shown]
        )
        axes.set_ylim(len(shown), -0.15)
        axes.set_xlim(left=0)
        axes.set_xlabel("seconds; above: ground truth, below: prediction")
        if len(labels) <= _MOST_COLOURS:
            handles = [Patch(color=colours[label], label=one_line(label, 24)) for label in labels]
            figure.legend(handles=handles, loc="outside upper center", ncols=min(6, len(labels)))
        return to_svg(figure)
