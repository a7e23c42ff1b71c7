"""How often a model can look at a live stream on this machine."""

from __future__ import annotations

import time
from typing import Any

from kineme.errors import KinemeError
from kineme.models.model_file import ModelCard
from kineme.prediction.stream import Stream
from kineme.prediction.trained import TrainedModel
from kineme.video.decode import Frame, read_frames

_ENOUGH_S = 1.0
_MOST_LOOKS = 50
_MOST_BYTES = 64_000_000


def looks_per_second(network: Any, card: ModelCard, video: str) -> float | None:
    """Answers a second of a stream of this model, as fast as it can.

    The time to the first answer, in which networks are compiled, does not count.

    Args:
        network: the trained Keras model.
        card: all else of the model.
        video: whose first frames are streamed, again and again where they are few.

    Returns:
        The rate; None where the model has no stream, or the video cannot be read.
    """
    if card.spec.fps is None:
        return None
    times: list[float] = []
    try:
        frames = _first_frames(video)
        with Stream(TrainedModel(network, card, card.approach), stride=1) as stream:
            offset_s = last_s = 0.0
            while len(times) <= _MOST_LOOKS and (len(times) < 2 or times[-1] - times[0] < _ENOUGH_S):
                before = stream.prediction_time_s
                for frame in frames:
                    last_s = offset_s + frame.pts_s
                    stream.push(frame.pixels_HWC, last_s)
                    if stream.prediction_time_s != before:
                        before = stream.prediction_time_s
                        times.append(time.perf_counter())
                        if len(times) > _MOST_LOOKS or (len(times) > 1 and times[-1] - times[0] >= _ENOUGH_S):
                            break
                offset_s = last_s + 1 / card.spec.fps
    except KinemeError:
        return None
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None


def _first_frames(video: str) -> list[Frame]:
    """Of a video, as many as are kept in memory."""
    found: list[Frame] = []
    for frame in read_frames(video):
        found.append(frame)
        if len(found) * frame.pixels_HWC.nbytes > _MOST_BYTES:
            break
    return found
