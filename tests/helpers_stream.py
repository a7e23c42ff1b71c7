"""Models and frames for tests of streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from helpers_networks import SMALL, moving_squares, network_of
from numpy.typing import NDArray

from kineme.model import Model
from kineme.models.backend import keras
from kineme.models.model_file import ModelCard, config_of
from kineme.models.registry import make_approach
from kineme.models.scoring import score_clips
from kineme.prediction.stream import Stream
from kineme.video.clips import read_clips
from kineme.video.decode import Decoder
from kineme.video.spec import ClipSpec

STEP_S = 1 / 8


def model_of(name: str, spec: ClipSpec = SMALL, stride: int | None = 1, **options: Any) -> Model:
    """A model whose weights are drawn so that its answers differ from clip to clip."""
    approach = make_approach(name, options)
    card = ModelCard(approach=name, config=config_of(approach), spec=spec, labels=("left", "right"))
    keras.utils.set_random_seed(2)
    network = network_of(name, spec, **options)
    rng = np.random.default_rng(5)
    network.set_weights([weight + rng.normal(scale=0.1, size=weight.shape) for weight in network.get_weights()])
    return Model(network, card, name, stride=stride)


def frames_of(count: int, seed: int = 3) -> NDArray[np.uint8]:
    """Frames_NHWC of a square that goes to and fro."""
    return np.concatenate(list(moving_squares(-(-count // SMALL.frames), SMALL, seed)[0]))[:count]


def feed(stream: Stream, frames: NDArray[np.uint8], start_s: float = 0.0) -> NDArray[np.float64]:
    """Push one frame a tick; the answers that there were."""
    answers = [stream.push(frame, start_s + tick * STEP_S) for tick, frame in enumerate(frames)]
    return np.array([one for one in answers if one is not None])


def stream_file(stream: Stream, path: Path, spec: ClipSpec) -> NDArray[np.float64]:
    """The answers of a stream of models on ``spec`` to a file's frames, one for each tick that had one."""
    answers: dict[float, NDArray[np.float64]] = {}
    with Decoder(path) as decoder:
        convert = decoder.converter(size=(spec.height, spec.width), fit=spec.fit)
        for pts_s, duration_s, frame, _ in decoder.iter_frames():
            for now in (stream.push(frame, pts_s, convert=convert), stream.advance_to(pts_s + duration_s - 0.01)):
                if now is not None and stream.prediction_time_s is not None:
                    answers[stream.prediction_time_s] = now
    return np.stack(list(answers.values()))


def by_whole_clips(model: Model, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last instant, and probabilities_WK, of the windows of a file, by the whole network on whole clips."""
    clips = list(read_clips(path, model.card.spec, stride=model.stride))
    logits_WK = score_clips(model.network, (clip.frames_THWC for clip in clips))
    return np.array([(clip.times_s[0], clip.times_s[-1]) for clip in clips]), model.probabilities(logits_WK)
