"""Exporting a model: compile its parts, put them in one file, and let it out only if it says what Keras says."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.files import atomic_write, sole_writer
from kineme.models.litert import compiled
from kineme.prediction import exported
from kineme.prediction.engine import PartName
from kineme.prediction.engines.select import open_engine
from kineme.prediction.featurizers import Tick, open_featurizer
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import WindowScorer
from kineme.video.clips import ticks

TOLERANCE = 1e-4  # of the scale of the scores

_FRAMES = 200  # that are compared, where a window does not take seconds
_DRAWN_S = 25  # a drawn video is hardly shorter


@dataclass(frozen=True)
class Export:
    """What was written, and how well it agrees with the network it is from.

    Args:
        path: the file.
        parts: its signatures.
        frames: that were compared.
        differences: the largest difference of a score as a share of their scale, in windows of a file and, where
            there is a step, in a state carried through all frames.
        scale: the largest score, or 1 if that is more.

    Example:
        >>> written = model.export(out="model.tflite")
        >>> max(written.differences.values()) < 1e-4
        True
    """

    path: Path
    parts: tuple[str, ...]
    frames: int
    differences: dict[str, float]
    scale: float


def export_litert(
    model: TrainedModel, out: str | os.PathLike[str], *, check: str | os.PathLike[str] | None = None
) -> Export:
    """Write a model as one ``.tflite`` file that predicts where neither Keras nor TensorFlow is installed.

    Its scores are compared with those of Keras on the frames of a video; they must agree within :data:`TOLERANCE`.

    Args:
        model: a loaded model with its network.
        out: should end in ``.tflite``.
        check: a video to compare on, at least as long as a clip; by default drawn people.

    Raises:
        UsageError: the name ends otherwise, or the model is exported already.
        KinemeError: LiteRT lacks an operation of the network, the scores differ, or the file cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() != exported.SUFFIX:
        raise UsageError(f"{out}: the name of a LiteRT model must end in {exported.SUFFIX}")
    if model.exported:
        raise UsageError(f"{model.path}: is exported already")
    of_ticks = ticks_to_compare(model, check)
    parts = _parts(model)
    content = compiled(parts)
    with sole_writer(out), atomic_write(out) as temporary:
        exported.write(temporary, content, tuple(parts), model.card, model.name, model.stride)
        again = TrainedModel.from_file(temporary)
        found = Export(out, tuple(parts), len(of_ticks), *_differences(model, again, of_ticks))
        worst = max(found.differences.values())
        if not worst <= TOLERANCE:
            raise KinemeError(
                f"{out}: not written: LiteRT's scores differ from those of Keras by {worst:.1e} of their scale, "
                f"more than {TOLERANCE:.0e}"
            )
    return found


def _parts(model: TrainedModel) -> dict[str, Any]:
    """The parts that a file and a stream need, as Keras models."""
    from kineme.prediction.engines.steps import part_of

    wanted: list[PartName] = ["window"] if model.card.is_per_frame else ["clip"]
    parts: dict[str, Any] = {part: part_of(part, model.network, model.card) for part in wanted}
    if model.card.spec.fps is not None:  # else it is not for streams
        with suppress(UsageError):  # or keeps no state
            parts["step"] = part_of("step", model.network, model.card)
    if not model.poses and ("window" in parts or "step" in parts):
        parts["frame"] = part_of("frame", model.network, model.card)
    return parts


def ticks_to_compare(model: TrainedModel, check: str | os.PathLike[str] | None) -> list[Tick]:
    """The frames to compare on, at the model's ticks: of a video, or of people drawn for this."""
    spec = model.card.spec
    most = max(_FRAMES, spec.frames)
    if check is not None:
        return list(itertools.islice(ticks(check, spec), most))
    from drawn_people.make import make_dataset

    with tempfile.TemporaryDirectory(prefix="kineme-") as folder:
        needed_s = most / (spec.fps or most)
        videos = math.ceil(needed_s / _DRAWN_S)
        make_dataset(folder, clips=1, people=videos, untrimmed=videos, workers=1)
        found: list[Tick] = []
        for video in sorted(Path(folder, "untrimmed").glob("*.mp4")):
            found += [(len(found) + number, frame) for number, (_, frame) in enumerate(ticks(video, spec))]
    return [(number * spec.step_s(1.0), frame) for number, (_, frame) in enumerate(found[:most])]


def _differences(model: TrainedModel, again: TrainedModel, of_ticks: list[Tick]) -> tuple[dict[str, float], float]:
    """Largest differences as shares of the scale of the scores, and that scale."""
    engines = open_engine("keras", model), open_engine("litert", again)
    stride = max(1, model.card.spec.frames // 2)
    both = [
        np.array([logits_K for _, logits_K in WindowScorer(one, engine).score("the frames compared", of_ticks, stride)])
        for one, engine in zip((model, again), engines, strict=True)
    ]
    differences = {"windows": both}
    if "step" in (again.exported.parts if again.exported else ()):
        differences["carried"] = [
            carried_logits(one, engine, of_ticks) for one, engine in zip((model, again), engines, strict=True)
        ]
    scale = max(1.0, float(np.abs(both[0]).max()))
    return {name: float(np.abs(a - b).max()) / scale for name, (a, b) in differences.items()}, scale


def carried_logits(model: TrainedModel, engine: Any, of_ticks: Iterable[Tick]) -> NDArray[np.float32]:
    """Logits_NK of a state that is carried through all frames."""
    step, featurizer = engine.function("step"), open_featurizer(model, engine)
    states = [np.zeros(shape, np.float32) for shape in step.input_shapes[1:]]
    rows = []
    for tick in of_ticks:
        (feature,) = featurizer([tick])
        logits_BK, *states = step(feature[None], *states)
        rows.append(logits_BK[0])
    return np.array(rows)
