"""Saving predictions: one file for each format asked for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.files import BusyError, sole_writer, write_text
from kineme.models.poses import PoseEncoder
from kineme.prediction.result import Prediction
from kineme.prediction.trained import TrainedModel
from kineme.report.tables import TEXTS, write_parquet
from kineme.text import file_stem
from kineme.video.container import PathLike

FORMATS = ("video", *TEXTS, "html", "parquet")
WITH_SOUND = {"video", "html"}  # these play
_ENDINGS = (".mp4", ".html", "-video.mp4", "-video.webm", ".parquet", *(f".{name}" for name in TEXTS))


def parse_formats(text: str | None, known: tuple[str, ...] = FORMATS) -> tuple[str, ...]:
    """``"video,json"`` as names, each one of ``known``.

    Raises:
        UsageError: a format that is not there.
    """
    formats = tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
    for name in formats:
        if name not in known:
            raise UsageError(f"--save {name}: there is no such format; choose from {', '.join(known)}")
    return formats


def check_pipe(formats: tuple[str, ...]) -> None:
    """Whether ``--out -`` makes sense.

    Raises:
        UsageError: not exactly one format, or one that is no text.
    """
    if len(formats) != 1 or formats[0] not in TEXTS:
        raise UsageError(f"--out -: standard output takes one of --save {', '.join(TEXTS)}")


def save_prediction(
    result: Prediction,
    formats: tuple[str, ...],
    folder: Path,
    model: TrainedModel,
    on_warning: Callable[[str], None] | None = None,
    *,
    video: PathLike | None = None,
    name: str | None = None,
) -> list[Path]:
    """Write a prediction as ``folder/NAME.mp4`` (the video with bars drawn in), ``folder/NAME.json`` and so on.

    A name that is taken by the result of another source gets a number; a result of the same source is replaced.

    Args:
        result: what to write.
        formats: some of ``FORMATS``.
        folder: where to.
        model: that made it.
        on_warning: called with one line about what could not be kept.
        video: the file it was made from, where that is not ``result.source``.
        name: of the files, without suffix; by default that of ``result.source``.

    Returns:
        The files that were asked for.

    Raises:
        KinemeError: a file cannot be written.
    """
    if not formats:
        return []
    video = video or Path(result.source)
    with claimed_name(folder, name or Path(result.source).stem, _ENDINGS, result.source) as stem:
        written = []
        if "video" in formats:
            from kineme.report.annotate import annotate_video

            written.append(folder / f"{stem}.mp4")
            annotate_video(
                video,
                written[-1],
                result.probabilities_at,
                result.labels,
                result.segments,
                decorate=skeletons(model.poses) if model.poses else None,
                people=result.people or (),
                title=result.note or None,
                on_warning=on_warning,
            )
        if "html" in formats:
            from kineme.report.prediction_page import write_page

            written += write_page(folder / f"{stem}.html", result, video, on_warning)
        if "parquet" in formats:
            written.append(folder / f"{stem}.parquet")
            write_parquet(written[-1], result)
        for text in TEXTS:
            if text in formats and text != "json":
                written.append(folder / f"{stem}.{text}")
                write_text(written[-1], TEXTS[text](result))
        document = folder / f"{stem}.json"  # always: it also says which source a name stands for
        write_text(document, TEXTS["json"](result))
        return [*written, document] if "json" in formats else written


def skeletons(encoder: PoseEncoder) -> Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]:
    """Draws the people whom a model on landmarks followed, at the full rate of the video."""
    from kineme.report.skeleton import draw_skeleton

    finder = encoder.finder()

    def draw(frame_HWC: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
        drawn_HWC = frame_HWC
        for pose in finder.find(frame_HWC, time_s):
            drawn_HWC = draw_skeleton(drawn_HWC, pose)
        return drawn_HWC

    return draw


@contextmanager
def claimed_name(
    folder: Path, name: str, endings: tuple[str, ...], source: str | None = None, **more: str
) -> Iterator[str]:
    """A file name that is free, or that holds an earlier result of the same source; nobody else gets it meanwhile.

    Args:
        folder: where the files are.
        name: that is wanted; it is cleaned, and a number is added where it is taken.
        endings: of the files that take a name.
        source: as the JSON document beside them must name it; None takes no name of an earlier result.
        more: what else the document must say.
    """
    stem = file_stem(name)
    for number in itertools.count(1):
        name = stem if number == 1 else f"{stem}-{number}"
        with ExitStack() as stack:
            try:
                stack.enter_context(sole_writer(folder / name))
            except BusyError:
                continue
            taken = any((folder / f"{name}{ending}").exists() for ending in endings)
            if not taken or (source is not None and _says(folder / f"{name}.json", {"source": source, **more})):
                yield name
                return


def _says(document: Path, ours: dict[str, str]) -> bool:
    """Whether a JSON document is one of ours, with these values."""
    try:
        said = json.loads(document.read_text(encoding="utf-8"))
        return all(said[key] == value for key, value in ours.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False
