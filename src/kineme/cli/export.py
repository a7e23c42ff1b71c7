"""``kineme export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kineme.cli import options
from kineme.cli.output import print_json, say


def export(
    model: Annotated[str, typer.Argument(help="Model file, or the run folder that holds it.")],
    format_: Annotated[str, typer.Option("--format", help="litert, onnx, openvino or savedmodel.")] = "litert",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A file ending in .tflite, for kineme predict (the default for litert), or a folder for any program.",
        ),
    ] = None,
    check: Annotated[
        str | None, typer.Option(metavar="VIDEO", help="Compare with Keras on this video; by default on drawn people.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write a model for other engines: LiteRT, ONNX, OpenVINO.

    Nothing is written unless its scores agree with those of Keras on some 200 frames.
    """
    from kineme import api
    from kineme.exporters.agreement import TOLERANCE

    found = api.export(model, format_, out, check=check)
    files = [found.path] if found.path.is_file() else [file for file in found.path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    if json:
        print_json(
            {
                "path": str(found.path),
                "bytes": size,
                "parts": list(found.parts),
                "frames_compared": found.frames,
                "differences": found.differences,
                "scale": found.scale,
                "tolerance": TOLERANCE,
            }
        )
        return
    say(f"wrote {found.path}: {size / 1e6:.1f} MB with the parts {', '.join(found.parts)}")
    shown = ", ".join(f"{name} {value:.1e}" for name, value in found.differences.items())
    say(
        f"its scores agree with those of Keras over {found.frames} frames: they differ by {shown} of their scale, "
        f"{found.scale:.1f}; the tolerance is {TOLERANCE:.0e}"
    )
