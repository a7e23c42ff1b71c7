"""Saving predictions: one file for each format asked for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.files import write_json
from kineme.models.encoder import PoseEncoder
from kineme.prediction.model import Model
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
    model: Model,
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
        annotate_video(
            result.source,
            written[-1],
            result.probabilities_at,
            result.labels,
            decorate=_skeletons(model.encoder) if isinstance(model.encoder, PoseEncoder) else None,
            on_warning=on_warning,
        )
    written.append(folder / f"{stem}.json")  # always: it also says which source a name stands for
    write_json(written[-1], result.to_json(top=len(result.labels)))
    return written if "json" in formats else written[:-1]


def _skeletons(encoder: PoseEncoder) -> Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]:
    """Draws the person that a model on landmarks followed, at the full rate of the video."""
    from kineme.models.backbones.blazepose import PoseTracker
    from kineme.report.skeleton import draw_skeleton

    tracker = PoseTracker(encoder.files)
    return lambda frame_HWC, time_s: draw_skeleton(frame_HWC, tracker(frame_HWC, time_s))


def _free_stem(result: Prediction, folder: Path) -> str:
    """A file name that is free, or that holds an earlier result of the same source."""
    stem = Path(result.source).stem
    for number in itertools.count(1):
        name = stem if number == 1 else f"{stem}-{number}"
        document = folder / f"{name}.json"
        if not document.exists() and not (folder / f"{name}.mp4").exists():
            return name
        try:
            if json.loads(document.read_text(encoding="utf-8"))["source"] == result.source:
                return name
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not a result of ours: leave it alone
    raise AssertionError("unreachable")
