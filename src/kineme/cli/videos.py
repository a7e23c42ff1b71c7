"""How ``kineme predict`` goes through videos."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kineme.cli.output import best, print_json, print_table, warn
from kineme.errors import KinemeError, UsageError
from kineme.sources.local import FetchOptions, LocalVideo, local_videos

if TYPE_CHECKING:
    from kineme.model import Model


def predict_videos(
    model: Model,
    sources: list[str],
    options: FetchOptions,
    *,
    engine: str,
    formats: tuple[str, ...],
    out: Path | None,
    top: int,
    json: bool,
) -> None:
    """Predict every video that the sources stand for, save and print.

    Args:
        model: the one that predicts.
        sources: as on the command line.
        options: how they are fetched.
        engine: that runs the model.
        formats: what to save.
        out: where to; None is standard output.
        top: how many labels to show.
        json: whether to print one document at the end.

    Raises:
        KinemeError: the only video cannot be used, or some of several could not.
    """
    from kineme.report.save import save_prediction
    from kineme.report.tables import TEXTS

    rows, documents, failed, alone = [], [], 0, False

    def on_error(name: str, error: KinemeError) -> None:
        nonlocal failed
        warn([str(error)])
        documents.append({"source": name, "error": str(error)})
        failed += 1

    def one(video: LocalVideo) -> None:
        notes: list[str] = []
        result = model.predict(video.path, engine=engine)
        told = tuple(video.in_words(line) for line in result.warnings)
        result = replace(result, source=video.source, warnings=told)
        if out is None:
            print(TEXTS[formats[0]](result), end="")
        else:
            written = save_prediction(result, formats, out, model, notes.append, video=video.path, name=video.name)
            for path in written:
                print(f"wrote {path}", file=sys.stderr)
        lines = dict.fromkeys(video.in_words(line) for line in (*result.warnings, *notes))
        warn(f"{video.source}: {line}" for line in lines)
        documents.append(result.to_json(top))
        took = f"{result.timing['seconds']:.2f} s"
        rows.append([video.source, f"{result.duration_s:.1f} s", best(result, top), took])

    with closing(local_videos(sources, options, leave_out=out, on_error=on_error)) as videos:
        for video in videos:
            alone = video.alone
            if out is None and not alone:
                raise UsageError("--out -: standard output takes the result of one video")
            try:
                with video.named():
                    one(video)
            except KinemeError as error:
                if alone:
                    raise
                on_error(video.source, error)
    if json:
        print_json(documents[0] if alone else documents)
    elif rows and out is not None:
        print_table(["video", "length", "action", "took"], rows)
    if failed:
        raise KinemeError(f"{failed} of {len(documents)} could not be read; see the notes above")
