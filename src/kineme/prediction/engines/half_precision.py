"""Whole clips in bfloat16: features by OpenVINO, and the layers after them as the table of engines says."""

from __future__ import annotations

import numpy as np

from kineme.models.encoder import WindowEncoder
from kineme.models.half_precision import clip_features, compile_backbone
from kineme.prediction.engine import Array, Engine
from kineme.prediction.trained import TrainedModel


class HalfPrecisionClips:
    """The network of a model on a backbone that sees clips, whose features are made in bfloat16.

    Args:
        model: whose card says that it was trained on such features.
        engine: runs the layers after them, in float32.
    """

    def __init__(self, model: TrainedModel, engine: Engine) -> None:
        spec = model.card.spec
        self.input_shapes: list[tuple[int, ...]] = [(1, spec.frames, spec.height, spec.width, 3)]
        self._features = clip_features(f"{model.fingerprint}-features", lambda: _compiled(model))
        self._head = engine.function("window")

    def __call__(self, *arrays: Array) -> list[Array]:
        """See :class:`kineme.prediction.engine.Function`."""
        (clips_BTHWC,) = arrays
        return self._head(np.stack([self._features(frames_THWC) for frames_THWC in clips_BTHWC]))


def _compiled(model: TrainedModel) -> bytes:
    """As training has compiled it, if that was here; kept for the model too, which may then run without Keras."""
    encoder = model.encoder
    if isinstance(encoder, WindowEncoder) and encoder.compile:
        return encoder.compile()
    return compile_backbone(model.network.get_layer("backbone"))  # published, with its own labels
