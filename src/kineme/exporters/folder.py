"""Exporting a model to a folder that another engine runs: ONNX, OpenVINO, SavedModel, or LiteRT without Kineme.

The folder holds the clip model (uint8 frames of a clip to probabilities) and, where the approach keeps a state, the
step model (one frame and the states before it to probabilities and the states after it); ``kineme.json`` with labels
and spec, ``export.json`` with the names and shapes of all tensors and how well they agree with Keras, ``labels.txt``,
and ``README.md``, the model card. A model on joined backbones has the parts of each member (``i3d.clip``,
``movenet.clip``), and the model card says how their probabilities are joined.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.exporters.agreement import (
    TOLERANCE,
    Export,
    carried_logits,
    check_exportable,
    parts_to_export,
    ticks_to_compare,
)
from kineme.exporters.model_card import model_card
from kineme.files import cannot_write, sole_writer
from kineme.models import formats
from kineme.prediction.engines.select import open_engine
from kineme.prediction.featurizers import Tick, open_featurizer
from kineme.prediction.trained import TrainedModel
from kineme.version import __version__
from kineme.video.clips import cut_clips

CARD, EXPORT, LABELS, README = "kineme.json", "export.json", "labels.txt", "README.md"
FORMAT = 1

_SCORES = ("logits", "probabilities")
_LATENCY_S = 0.3  # spent on timing a part, unless one run takes longer
_MOST_RUNS = 100
_MOST_THREADS = 4


@dataclass(frozen=True)
class _Part:
    """The exported Keras model, with names for its inputs and outputs."""

    network: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def zeros(self) -> formats.Arrays:
        """An input of nothing: what the states are at the start."""
        return {
            name: np.zeros((1, *one.shape[1:]), one.dtype)
            for name, one in zip(self.inputs, self.network.inputs, strict=True)
        }

    def tensors(self) -> dict[str, list[dict[str, Any]]]:
        """Names, shapes and types, as they are written down."""
        return {
            side: [
                {"name": name, "shape": [1, *one.shape[1:]], "type": str(one.dtype)}
                for name, one in zip(names, every, strict=True)
            ]
            for side, names, every in (
                ("inputs", self.inputs, self.network.inputs),
                ("outputs", self.outputs, self.network.outputs),
            )
        }


def export_folder(
    model: TrainedModel, format_name: str, out: str | os.PathLike[str], *, check: str | os.PathLike[str] | None = None
) -> Export:
    """Write a model to a folder in a format that another engine runs.

    Its scores are compared with those of Keras on the frames of a video; they must agree within
    :data:`~kineme.exporters.agreement.TOLERANCE`.

    Args:
        model: a loaded model with its network.
        format_name: one of :data:`kineme.models.formats.FORMATS`.
        out: the folder; an earlier export in it is replaced, anything else is not.
        check: a video to compare on, at least as long as a clip; by default drawn people.

    Raises:
        UsageError: the folder is in use for something else, or the model is exported already.
        KinemeError: tools are missing, the format lacks an operation, the scores differ, or it cannot be written.
    """
    out, format_ = Path(out), formats.FORMATS[format_name]
    if out.suffix and out.suffix in (one.suffix for one in formats.FORMATS.values()):
        raise UsageError(f"{out}: --format {format_name} writes a folder; name one without {out.suffix}")
    formats.require(format_)
    check_exportable(model)
    ones = parts_to_export(model)
    to_compare = list(ticks_to_compare(ones.values(), check))
    with sole_writer(out), _replacing_folder(out) as folder:
        written: dict[str, dict[str, Any]] = {}
        for prefix, (one, of_ticks) in zip(ones, to_compare, strict=True):
            for name, part in _parts(one).items():
                entry = _write_part(folder, format_, one, prefix, name, part, of_ticks)
                written[f"{prefix}{name}"] = {"member": prefix.rstrip(".")} | entry if prefix else entry
        scale = max(1.0, *(one.pop("scale") for one in written.values()))
        differences = {name: one["difference"] for name, one in written.items()}
        frames = sum(len(of_ticks) for _, of_ticks in to_compare)
        found = Export(out, tuple(written), frames, differences, scale)
        found.refuse_difference(format_.engine)
        document = {
            "format": FORMAT,
            "kineme": __version__,
            "model": model.name,
            "engine": format_.name,
            "parts": written,
            "stride": model.stride,
            "answers_from_frame": model.card.ticks_before_answer,
            "frames_compared": frames,
            "scale": scale,
            "tolerance": TOLERANCE,
        }
        _write(folder / CARD, json.dumps(model.card.to_json(), indent=2, ensure_ascii=False))
        _write(folder / EXPORT, json.dumps(document, indent=2, ensure_ascii=False))
        _write(folder / LABELS, "\n".join(model.labels))
        _write(folder / README, model_card(model.card, document, format_))
    return found


def _write_part(
    folder: Path,
    format_: formats.Format,
    model: TrainedModel,
    prefix: str,
    name: str,
    part: _Part,
    of_ticks: list[Tick],
) -> dict[str, Any]:
    """Write a part and compare it with Keras; its entry in ``export.json``, with the ``scale`` of its scores beside."""
    path = folder / f"{prefix}{name}{format_.suffix}"
    texts = {"card": json.dumps(model.card.to_json(), ensure_ascii=False), "labels": json.dumps(model.labels)}
    formats.write(format_, part.network, part.inputs, part.outputs, path, texts)
    wanted, given = _both(model, name, part, format_.open(path, min(_MOST_THREADS, os.cpu_count() or 1)), of_ticks)
    scale = max(1.0, float(np.abs(wanted["logits"]).max()))
    return {
        "file": path.name,
        "bytes": _bytes(folder, f"{prefix}{name}"),
        **part.tensors(),
        "difference": max(
            float(np.abs(given["logits"] - wanted["logits"]).max()) / scale,
            float(np.abs(given["probabilities"] - wanted["probabilities"]).max()),
        ),
        "latency_ms": _latency_ms(format_.open(path, 1), part.zeros()),
        "scale": scale,
    }


def _parts(model: TrainedModel) -> dict[str, _Part]:
    """The clip model and, where a state can be carried, the step model; both end in calibrated probabilities."""
    from kineme.prediction.engines.steps import stream_part

    clip = "landmarks" if model.poses else "features" if model.external else "clip"
    parts = {"clip": _Part(_calibrated(model, model.network), (clip,), _SCORES)}
    if model.card.spec.fps is not None:  # else it is not for streams
        with suppress(UsageError):  # or keeps no state
            step = stream_part(model.card, model.network)
            states = [one.name for one in step.inputs[1:]]
            frame = "landmarks" if model.poses else "frame"
            after = (*_SCORES, *(f"next_{name}" for name in states))
            parts["step"] = _Part(_calibrated(model, step), (frame, *states), after)
    return parts


def _calibrated(model: TrainedModel, network: Any) -> Any:
    """The network with probabilities after its logits, and what else it gives after those."""
    from kineme.models.backend import keras

    inputs = [keras.Input(batch_shape=(1, *one.shape[1:]), dtype=one.dtype, name=one.name) for one in network.inputs]
    outputs = network(inputs if len(inputs) > 1 else inputs[0])
    scores, *rest = outputs if isinstance(outputs, list | tuple) else [outputs]
    logits = scores[:, : len(model.labels)]
    return keras.Model(inputs, [logits, keras.ops.softmax(logits / model.card.temperature), *rest])


def _both(
    model: TrainedModel, name: str, part: _Part, run: formats.Run, of_ticks: list[Tick]
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Scores of all windows, or after every frame, by Keras and by the written export."""
    engine = open_engine("keras", model)
    features = [pixels_HWC for _, pixels_HWC in of_ticks]
    if model.poses:
        features = open_featurizer(model, engine)(of_ticks)
    first = part.inputs[0]
    if name == "step":
        logits_NK = carried_logits(model, engine, of_ticks)
        rows, states = [], part.zeros()
        for feature in features:
            given = run(states | {first: feature[None]})
            states = {name.removeprefix("next_"): given[name] for name in given if name.startswith("next_")}
            rows.append(given)
    else:
        spec = model.card.spec
        timed = zip((time_s for time_s, _ in of_ticks), features, strict=True)
        cut = [clip.frames_THWC for clip in cut_clips("the frames compared", timed, spec)]
        clips = [(model.external.window(one) if model.external else one)[None] for one in cut]
        whole = engine.function("clip")
        logits_NK = np.concatenate([whole(clip)[0] for clip in clips])
        rows = [run({first: clip}) for clip in clips]
    logits_NK = logits_NK[:, : len(model.labels)]
    wanted: dict[str, NDArray[Any]] = {"logits": logits_NK, "probabilities": model.probabilities(logits_NK)}
    return wanted, {score: np.concatenate([row[score] for row in rows]) for score in _SCORES}


def _latency_ms(run: formats.Run, inputs: formats.Arrays) -> float:
    """Median milliseconds of a run on one thread."""
    run(inputs)
    taken: list[float] = []
    while not taken or (sum(taken) < _LATENCY_S and len(taken) < _MOST_RUNS):
        started = time.perf_counter()
        run(inputs)
        taken.append(time.perf_counter() - started)
    return round(1000 * float(np.median(taken)), 3)


def _bytes(folder: Path, part: str) -> int:
    """Of the files of a part: one, two, or a folder of them."""
    files = (file for top in folder.glob(f"{part}*") for file in (top, *top.rglob("*")))
    return sum(file.stat().st_size for file in files if file.is_file())


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")


@contextmanager
def _replacing_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside ``out`` that takes its place on success, and that of an earlier export in it."""
    if out.exists() and not (out.is_dir() and ((out / EXPORT).is_file() or not any(out.iterdir()))):
        raise UsageError(f"{out}: is there already and is no earlier export; choose another folder with --out")
    folder = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = out.with_name(f".{out.name}-{secrets.token_hex(4)}")
        folder.mkdir()
        yield folder
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
