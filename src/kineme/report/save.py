"""Saving predictions: one file for each format asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kineme.errors import UsageError
from kineme.files import write_json
from kineme.prediction.result import Prediction

FORMATS = ("video", "json")


def parse_formats(text: str | None) -> tuple[str, ...]:
    """``"video,json"`` as names.

    Raises:
        UsageError: a format that is not there.
    """
    formats = tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"--save {name}: there is no such format; choose from {', '.join(FORMATS)}")
    return formats


def save_prediction(
    result: Prediction,
    formats: tuple[str, ...],
    folder: Path,
    on_warning: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write a prediction as ``folder/NAME.mp4`` (the video with bars drawn in) and ``folder/NAME.json``.

    A name that is taken by the result of another source gets a number; a result of the same source is replaced.

    Raises:
        KinemeError: a file cannot be written.
    """
    if not formats:
        return []
    stem = _free_stem(result, folder)
    written = []
    if "video" in formats:
        from kineme.report.annotate import annotate_video

        written.append(folder / f"{stem}.mp4")
        annotate_video(result.source, written[-1], result.probabilities_at, result.labels, on_warning=on_warning)
    written.append(folder / f"{stem}.json")  # always: it also says which source a name stands for
    write_json(written[-1], result.to_json(top=len(result.labels)))
    return written if "json" in formats else written[:-1]


def _free_stem(result: Prediction, folder: Path) -> str:
    import json

    stem, number = Path(result.source).stem, 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        try:
            taken_by = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["source"]
        except (OSError, ValueError, KeyError, TypeError):
            taken_by = None
        overwrites_source = (folder / f"{name}.mp4").resolve() == Path(result.source).resolve()
        if taken_by in (None, result.source) and not overwrites_source:
            return name
        number += 1
