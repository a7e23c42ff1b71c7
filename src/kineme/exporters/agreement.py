"""Whether an export says what Keras says: both score the same frames, and what differs is not let out."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.people.region import region_ticks
from kineme.prediction.engine import Engine
from kineme.prediction.featurizers import Tick, open_featurizer
from kineme.prediction.trained import TrainedModel

TOLERANCE = 1e-4  # of the scale of the scores

_FRAMES = 200  # that are compared, where a window does not take seconds
_DRAWN_S = 25  # a drawn video is hardly shorter


@dataclass(frozen=True)
class Export:
    """An exported model, and how well its scores agree with those of the original network.

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

    def refuse_difference(self, engine: str) -> None:
        """Raise KinemeError where the scores of the engine differ from those of Keras."""
        worst = max(self.differences.values())
        if not worst <= TOLERANCE:
            raise KinemeError(
                f"{self.path}: not written: {engine}'s scores differ from those of Keras by {worst:.1e} of their "
                f"scale, more than {TOLERANCE:.0e}"
            )


def ticks_to_compare(model: TrainedModel, check: str | os.PathLike[str] | None) -> list[Tick]:
    """The frames to compare on, at the model's ticks: of a video, or of people drawn for this."""
    spec = model.card.spec
    most = max(_FRAMES, spec.frames)
    if check is not None:
        return list(itertools.islice(region_ticks(check, spec), most))
    from drawn_people.make import make_dataset

    with tempfile.TemporaryDirectory(prefix="kineme-") as folder:
        needed_s = most / (spec.fps or most)
        videos = math.ceil(needed_s / _DRAWN_S)
        make_dataset(folder, clips=1, people=videos, untrimmed=videos, workers=1)
        found: list[Tick] = []
        for video in sorted(Path(folder, "untrimmed").glob("*.mp4")):
            found += [(len(found) + number, frame) for number, (_, frame) in enumerate(region_ticks(video, spec))]
    return [(number * spec.step_s(1.0), frame) for number, (_, frame) in enumerate(found[:most])]


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
