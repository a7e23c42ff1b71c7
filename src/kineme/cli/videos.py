"""How ``kineme predict`` goes through videos."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineme.cli import interrupt
from kineme.cli.output import (
    PEOPLE_COLUMNS,
    best,
    people_rows,
    print_json,
    print_table,
    print_text,
    print_timeline,
    tell,
    warn,
)
from kineme.errors import KinemeError, UsageError
from kineme.sources.local import for_each_video
from kineme.sources.local_video import FetchOptions, LocalVideo

if TYPE_CHECKING:
    from kineme.model import Model
    from kineme.prediction.result import Prediction, Segment


def predict_videos(
    model: Model,
    sources: list[str],
    options: FetchOptions,
    *,
    engine: str,
    people: bool,
    formats: tuple[str, ...],
    out: Path | None,
    top: int,
    json: bool,
) -> None:
    """Predict every video that the sources stand for, save and print.

    Raises:
        KinemeError: the only video cannot be used, or some of several could not.
    """
    from kineme.people.detector import require_detector
    from kineme.prediction.predict import predict_file
    from kineme.prediction.windows import open_scorer
    from kineme.report.save import save_prediction
    from kineme.report.tables import TEXTS

    open_scorer(model, engine)  # a fault of it is reported before a source is fetched
    if people:
        require_detector()
    documents: list[Any] = []
    failed, is_one = 0, False

    def on_error(name: str, error: KinemeError) -> None:
        nonlocal failed
        interrupt.check()
        if sources == [name]:
            raise error
        warn([str(error)])
        documents.append({"source": name, "error": str(error)})
        failed += 1

    def one(video: LocalVideo) -> Prediction:
        nonlocal is_one
        interrupt.check()
        is_one = len(sources) == 1 and not video.in_collection
        if out is None and not is_one:
            raise UsageError("--out -: standard output takes the result of one video")
        notes: list[str] = []
        result = predict_file(model, video.file, engine, people=people)
        if out is None:
            print_text(TEXTS[formats[0]](result))
        else:
            written = save_prediction(result, formats, out, model, notes.append, video=video.file, name=video.name)
            tell(*(f"wrote {path}" for path in written))
        warn(f"{video.source}: {line}" for line in dict.fromkeys((*result.warnings, *notes)))
        documents.append(result.to_json(top))
        return result

    rows: list[list[object]] = []
    segments: tuple[Segment, ...] = ()
    of_people: list[list[object]] = []
    try:
        with (
            interrupt.continues_by(lambda: _to_continue(len(rows), out if formats else None)),
            closing(for_each_video(sources, one, options, leave_out=out, on_error=on_error)) as results,
        ):
            for result in results:
                took = f"{result.timing['seconds']:.2f} s"
                rows.append([result.source, f"{result.duration_s:.1f} s", best(result, top), took])
                segments = result.segments
                of_people += people_rows(result)
    finally:  # also of what was done before Ctrl-C
        if json and documents:
            print_json(documents[0] if is_one else documents)
        elif rows and not json and out is not None:
            print_table(["video", "length", "action", "took"], rows)
            if is_one and len(segments) > 1:
                print_timeline(segments)
            if of_people:
                print_table(PEOPLE_COLUMNS, of_people, "Actions of each person")
    if failed:
        raise KinemeError(f"{failed} of {len(documents)} could not be read; see the notes above")


def _to_continue(finished: int, out: Path | None) -> str:
    if not finished:
        return "no video is finished; rerun the command to start again"
    videos = "1 video is finished" if finished == 1 else f"{finished} videos are finished"
    files = f", saved in {out}" if out else ""
    return f"{videos}{files}; rerun the command with the others, or use kineme batch, which resumes by itself"
