"""``kineme benchmark``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kineme.cli import options
from kineme.cli.output import print_json, print_table, say
from kineme.text import percent

if TYPE_CHECKING:
    from kineme.benchmark import BenchmarkDocument


_STAGES = {
    "backbone": "backbone, a frame the model sees",
    "head": "head, a window",
    "network": "whole network, a window",
}


def benchmark(
    model: Annotated[str, typer.Argument(help="Model file, exported or not, its run folder, or i3d-kinetics400.")],
    video: Annotated[str | None, typer.Option(help="Measure on this video; by default on drawn people.")] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Measure only this engine; repeatable.  [default: all that are installed]")
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure how fast a model is on this machine.

    Stage by stage, for files and streams, on each engine.

    Run it while nothing else runs. It takes about half a minute.
    """
    from kineme.benchmark import benchmark

    document = benchmark(model, video, engines=engine)
    if json:
        print_json(document)
    else:
        _print(document)


def _print(document: BenchmarkDocument) -> None:
    """The table and the conclusion."""
    video, clip, limits, stages = document["video"], document["clip"], document["limits"], document["stages_ms"]
    engines = {name: one for name, one in document["engines"].items() if "error" not in one}
    drawn = "drawn people (--video measures on yours)" if video["drawn"] else video["path"]
    on = document["backbone"] or "frames"
    say(
        f"{document['model']} ({document['approach']} on {on}), {clip['frames']} frames of "
        f"{clip['width']} x {clip['height']}, on {video['seconds_used']:g} s of {drawn}, "
        f"{video['width']} x {video['height']}, {video['fps']:g} frames a second, {video['codec']}"
    )

    def ms(value: float | None) -> str:
        if value is None:
            return "–"
        return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"

    def stream(one: dict[str, Any], mode: str) -> str:
        found = one["streams"][mode]
        return f"{ms(found['ms_a_frame'])}, {found['frames_per_s']:,.0f}/s" if "ms_a_frame" in found else "–"

    rows = [
        ("decode a frame of the video", lambda one: ms(stages["decode"])),
        (f"resize one to {clip['width']} x {clip['height']}", lambda one: ms(stages["resize"])),
        *(
            (f"{member}{', ' if member else ''}{label}", lambda one, name=name: ms(one["ms"].get(name)))
            for member in document["members"] or [""]
            for stage, label in _STAGES.items()
            for name in (f"{member} {stage}".strip(),)
        ),
        ("step of a carried state", lambda one: ms(one["ms"].get("step"))),
        ("draw on a frame, if saved", lambda one: ms(stages["draw"])),
        ("a file: frames of it a second", lambda one: f"{one['file']['frames_per_s']:,.0f}"),
        ("  times real time", lambda one: f"{one['file']['times_real_time']:.3g}"),
        ("  times decoding all of it, alone", lambda one: f"{one['times_decoding_alone']:.2g}"),
        ("a stream, exact: a frame", lambda one: stream(one, "exact")),
        ("a stream, carried: a frame", lambda one: stream(one, "carried")),
        ("arithmetic of the network", lambda one: f"{one['gflops']:.3g} GFLOP/s" if "gflops" in one else "–"),
        ("  share of the matrix rate", lambda one: percent(one.get("share_of_matrix_rate"))),
        ("from start to the first prediction", lambda one: f"{one['open_s']:.1f} s"),
        ("most memory", lambda one: f"{one['memory_mb']:,} MB" if one["memory_mb"] else "–"),
    ]
    shown = [[label, *map(cell, engines.values())] for label, cell in rows]
    print_table(["", *engines], [row for row in shown if set(row[1:]) != {"–"}])
    for name, one in document["engines"].items():
        if "error" in one:
            say(f"- {name}: {one['error']}")
    say(
        f"limits of this machine: {limits['matrix_gflops']:g} GFLOP/s in matrix products, "
        f"{limits['decode_fps']:,} frames a second in decoding this video"
    )
    say(document["sentence"])
