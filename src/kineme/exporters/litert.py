"""Exporting a model: compile its parts, put them in one file, and let it out only if it says what Keras says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from kineme.errors import UsageError
from kineme.exporters.agreement import Export, carried_logits, check_exportable, parts_to_export, ticks_to_compare
from kineme.files import atomic_write, sole_writer
from kineme.models.litert import compiled
from kineme.prediction import exported
from kineme.prediction.engine import PartName
from kineme.prediction.engines.select import open_engine
from kineme.prediction.featurizers import Tick
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import WindowScorer


def export_litert(
    model: TrainedModel, out: str | os.PathLike[str], *, check: str | os.PathLike[str] | None = None
) -> Export:
    """Write a model as one ``.tflite`` file that predicts where neither Keras nor TensorFlow is installed.

    Its scores are compared with those of Keras on the frames of a video; they must agree within
    :data:`~kineme.exporters.agreement.TOLERANCE`.

    Args:
        model: a loaded model with its network.
        out: should end in ``.tflite``.
        check: a video to compare on, at least as long as a clip; by default drawn people.

    Raises:
        UsageError: the name ends otherwise, or the model is exported already, or is of another library.
        KinemeError: LiteRT lacks an operation of the network, the scores differ, or the file cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() != exported.SUFFIX:
        raise UsageError(f"{out}: the name of a LiteRT model must end in {exported.SUFFIX}")
    check_exportable(model)
    parts = {f"{prefix}{name}": part for prefix, one in parts_to_export(model).items() for name, part in _parts(one)}
    content = compiled(parts)
    with sole_writer(out), atomic_write(out) as temporary:
        exported.write(temporary, content, tuple(parts), model.card, model.name, model.stride)
        again = TrainedModel.from_file(temporary)
        found = _compare(model, again, out, check)
        found.refuse_difference("LiteRT")
    return found


def _parts(model: TrainedModel) -> Iterable[tuple[str, Any]]:
    """The parts that a file and a stream need, as Keras models."""
    from kineme.prediction.engines.steps import part_of

    wanted: list[PartName] = ["window"] if model.card.is_per_frame else ["clip"]
    parts: dict[str, Any] = {part: part_of(part, model.network, model.card) for part in wanted}
    if model.card.spec.fps is not None:  # else it is not for streams
        with suppress(UsageError):  # or keeps no state
            parts["step"] = part_of("step", model.network, model.card)
    if not model.poses and ("window" in parts or "step" in parts):
        parts["frame"] = part_of("frame", model.network, model.card)
    return parts.items()


def _compare(model: TrainedModel, again: TrainedModel, out: Path, check: str | os.PathLike[str] | None) -> Export:
    """How far the scores are from those of the model; of joined backbones, those of each member."""
    assert again.exported
    differences: dict[str, float] = {}
    frames, scale = 0, 1.0
    ones, others = parts_to_export(model), parts_to_export(again)
    for prefix, (one, of_ticks) in zip(ones, ticks_to_compare(ones.values(), check), strict=True):
        found, its_scale = _differences(one, others[prefix], of_ticks)
        differences |= {f"{prefix}{name}": value for name, value in found.items()}
        frames, scale = frames + len(of_ticks), max(scale, its_scale)
    return Export(out, again.exported.parts, frames, differences, scale)


def _differences(model: TrainedModel, again: TrainedModel, of_ticks: list[Tick]) -> tuple[dict[str, float], float]:
    """Largest differences as shares of the scale of the scores, and that scale."""
    engines = open_engine("keras", model), open_engine("litert", again)
    both = [
        np.array([logits_K for _, logits_K in WindowScorer(one, engine).score("the frames compared", of_ticks)])
        for one, engine in zip((model, again), engines, strict=True)
    ]
    differences = {"windows": both}
    if "step" in (again.exported.parts if again.exported else ()):
        differences["carried"] = [
            carried_logits(one, engine, of_ticks) for one, engine in zip((model, again), engines, strict=True)
        ]
    scale = max(1.0, float(np.abs(both[0]).max()))
    return {name: float(np.abs(a - b).max()) / scale for name, (a, b) in differences.items()}, scale
