"""The cost of running a model, measured in a fresh process, in which nothing else takes memory or time."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from kineme.errors import KinemeError
from kineme.memory import peak_mb
from kineme.subprocesses import call_in_process

_SECONDS = 1.5  # of repetition
_FEWEST = 3


def profile_in_subprocess(model: Path, video: str) -> dict[str, Any]:
    """:func:`measure` in a process of its own.

    Raises:
        KinemeError: the process failed.
    """
    try:
        document: dict[str, Any] = call_in_process("kineme.training.profiling:measure", str(model), video)
    except KinemeError as error:
        raise KinemeError(f"{model}: could not be timed ({error})") from error
    return document


def measure(model: str | os.PathLike[str], video: str | os.PathLike[str]) -> dict[str, Any]:
    """Time a model on one clip, from decoded frames to the answer.

    Args:
        model: a model file.
        video: where the clip is taken from.

    Returns:
        ``ms_per_frame``: median time of a clip by its number of frames; ``parameters``; ``memory_mb``: most resident
        memory of the process, Python and the backend included (None where the system does not tell); ``model_mb``:
        size of the file.
    """
    from kineme.people.region import region_clips
    from kineme.prediction.trained import TrainedModel
    from kineme.prediction.windows import score_clip

    loaded = TrainedModel.from_file(model)
    members = loaded.members or (loaded,)
    clips = [next(region_clips(video, one.card.spec)) for one in members]

    def look() -> None:
        for one, clip in zip(members, clips, strict=True):
            score_clip(one, clip, "keras")

    seconds: list[float] = []
    started = time.perf_counter()
    look()  # compiles
    while len(seconds) < _FEWEST or time.perf_counter() - started < _SECONDS:
        begun = time.perf_counter()
        look()
        seconds.append(time.perf_counter() - begun)
    return {
        "ms_per_frame": round(1000 * float(np.median(seconds)) / loaded.card.spec.frames, 3),
        "parameters": int(loaded.network.count_params()),
        "memory_mb": peak_mb(),
        "model_mb": round(Path(model).stat().st_size / 1e6, 1),
    }
