"""Whether an export says what Keras says: both score the same frames, and what differs is not let out."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.models.hub.published import AsPublished
from kineme.people.region import region_ticks
from kineme.prediction.engine import Engine
from kineme.prediction.exported import prefix_of
from kineme.prediction.featurizers import Tick, open_featurizer
from kineme.prediction.trained import TrainedModel

TOLERANCE = 1e-4  # of the scale of the scores

_FRAMES = 200  # that are compared
_CLIPS = 4  # where features come from another library, a clip takes seconds, and the head alone is exported
_DRAWN_S = 25  # a drawn video is hardly shorter


@dataclass(frozen=True)
class Export:
    """An exported model, and how well its scores agree with those of the original network.

    Args:
        path: the file.
        parts: its signatures.
        frames: that were compared; of joined backbones, those of all members.
        differences: the largest difference of a score as a share of their scale, in windows of a file and, where
            there is a step, in a state carried through all frames; of joined backbones, those of each member.
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

    def refuse_difference(self, engine: str) -> None:
        """Raise KinemeError where the scores of the engine differ from those of Keras."""
        worst = max(self.differences.values())
        if not worst <= TOLERANCE:
            raise KinemeError(
                f"{self.path}: not written: {engine}'s scores differ from those of Keras by {worst:.1e} of their "
                f"scale, more than {TOLERANCE:.0e}"
            )


def check_exportable(model: TrainedModel) -> None:
    """Raise UsageError where a model is exported already, or its network belongs to another library."""
    if model.exported:
        raise UsageError(f"{model.path}: is exported already")
    if isinstance(model.card.architecture, AsPublished):
        raise UsageError(f"{model.name}: runs in its own library; only models trained on it can be exported")


def parts_to_export(model: TrainedModel) -> dict[str, TrainedModel]:
    """The model, or each member of joined backbones, by the prefix of its names in an export."""
    return {prefix_of(one.card): one for one in model.members} if model.members else {"": model}


def ticks_to_compare(
    models: Iterable[TrainedModel], check: str | os.PathLike[str] | None
) -> Iterator[tuple[TrainedModel, list[Tick]]]:
    """Each model with the frames to compare on, at its ticks: of a video, or of people drawn for this."""
    if check is not None:
        for model in models:
            yield model, list(itertools.islice(region_ticks(check, model.card.spec), _frames_of(model)))
        return
    from drawn_people.make import make_dataset

    models = list(models)
    counts = [_frames_of(model) for model in models]
    needed_s = max(count / (one.card.spec.fps or count) for one, count in zip(models, counts, strict=True))
    with tempfile.TemporaryDirectory(prefix="kineme-") as folder:
        videos = math.ceil(needed_s / _DRAWN_S)
        make_dataset(folder, clips=1, people=videos, untrimmed=videos, workers=1)
        paths = sorted(Path(folder, "untrimmed").glob("*.mp4"))
        for model, count in zip(models, counts, strict=True):
            spec = model.card.spec
            frames = (frame for path in paths for _, frame in region_ticks(path, spec))
            of_ticks = enumerate(itertools.islice(frames, count))
            yield model, [(number * spec.step_s(1.0), frame) for number, frame in of_ticks]


def _frames_of(model: TrainedModel) -> int:
    """How many frames are compared, at least those of a clip."""
    clip = model.card.spec.frames
    return max(clip, min(_FRAMES, _CLIPS * clip) if model.external else _FRAMES)


def carried_logits(model: TrainedModel, engine: Engine, of_ticks: Iterable[Tick]) -> NDArray[np.float32]:
    """Logits_NK of a state that is carried through all frames."""
    step, featurizer = engine.function("step"), open_featurizer(model, engine)
    states = [np.zeros(shape, np.float32) for shape in step.input_shapes[1:]]
    rows = []
    for tick in of_ticks:
        (feature,) = featurizer([tick])
        logits_BK, *states = step(feature[None], *states)
        rows.append(logits_BK[0])
    return np.array(rows)
