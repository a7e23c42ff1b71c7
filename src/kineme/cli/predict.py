"""``kineme predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def predict(
    source: Annotated[list[str], typer.Argument(help="Video files.")],
    model: Annotated[
        str, typer.Option(help="Model file, the run folder that holds it, or a pretrained model: it names 400 actions.")
    ] = "i3d-kinetics400",
    save: Annotated[str | None, typer.Option(help="What to write: video, json, or both as video,json.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is saved.")] = Path("predictions"),
    top: Annotated[int, typer.Option(min=1, help="How many labels to show.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON: an object, or a list for several.")] = False,
) -> None:
    """Recognise the action in videos."""
    from kineme import api
    from kineme.cli.models import fetch
    from kineme.cli.output import percent, print_json, print_table, warn
    from kineme.errors import KinemeError
    from kineme.models import weights
    from kineme.prediction.pretrained import KINETICS
    from kineme.report.save import parse_formats, save_prediction

    formats = parse_formats(save)
    if model == KINETICS and not Path(model).exists() and weights.find(model) is None:
        fetch(model)
    loaded = api.load(model)
    rows, documents, failed = [], [], 0
    for one in source:
        try:
            result = loaded.predict(one)
            notes = list(result.warnings)
            written = save_prediction(result, formats, out, loaded, notes.append)
            warn(f"{one}: {line}" for line in dict.fromkeys(notes))
            for path in written:
                print(f"wrote {path}", file=sys.stderr)
        except KinemeError as error:
            if len(source) == 1:
                raise
            warn([str(error)])
            documents.append({"source": one, "error": str(error)})
            failed += 1
            continue
        documents.append(result.to_json(top))
        best = "   ".join(f"{label} {percent(value)}" for label, value in result.top[:top])
        rows.append([one, f"{result.duration_s:.1f} s", best, f"{result.timing['seconds']:.2f} s"])
    if json:
        print_json(documents if len(source) > 1 else documents[0])
    elif rows:
        print_table(["video", "length", "action", "took"], rows)
    if failed:
        raise KinemeError(f"{failed} of {len(source)} could not be read; see the notes above")
