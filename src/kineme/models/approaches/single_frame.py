"""Single frame: each frame is classified alone, and the scores of a clip's frames are averaged.

Nothing is fused before the scores, so neither order nor motion can count: the baseline that tells whether time is
needed at all. While training, a clip shows one frame drawn at random, so what is learned is to classify a frame;
averaging comes after. It averages logits, which is the same as averaging log-probabilities (they differ by one
number a frame, common to all classes, and the softmax takes no notice of it): the frames count as independent
witnesses whose evidence adds up, just as the windows of a video do elsewhere in this package.

Source: the single-frame network of Karpathy et al., "Large-scale Video Classification with Convolutional Neural
Networks", CVPR 2014.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kineme.errors import UsageError


@dataclass(frozen=True)
class SingleFrame:
    """Options of the approach.

    Args:
        backbone: the per-frame network; from one that mixes frames (``i3d``) a "frame" is one of its time steps.
        dropout: share of a frame's features dropped while training, 0 to 0.9.

    Raises:
        UsageError: a value is out of its range.
    """

    backbone: str = "small-cnn"
    dropout: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.dropout <= 0.9:
            raise UsageError(f"single-frame: option dropout must be from 0 to 0.9, not {self.dropout}")

    def head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """features_BTD to logits_BK; any further axes of the features are flattened."""
        from kineme.models.backend import keras
        from kineme.models.layers import check_matrix, logits

        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        x = features
        if len(feature_shape) > 2:
            x = layers.Reshape((feature_shape[0], -1), name="flatten_frame")(x)
        check_matrix(x.shape[-1], classes, "single-frame's last layer")
        scores_BTK = logits(classes)(layers.Dropout(self.dropout, name="dropout")(x))
        return keras.Model(features, _average_layer()(scores_BTK), name="head")


def _average_layer() -> Any:
    """A layer from scores_BTK to logits_BK: the mean over frames, or, while training, the scores of one of them."""
    from kineme.models.backend import keras

    class FrameAverage(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(dtype="float32", name="average")
            self.seed_generator = keras.random.SeedGenerator()

        def call(self, scores_BTK: Any, training: bool = False) -> Any:
            if not training:
                return keras.ops.mean(scores_BTK, axis=1)
            frames = scores_BTK.shape[1]
            drawn_BT = keras.random.uniform(keras.ops.shape(scores_BTK)[:2], seed=self.seed_generator)
            shown_BT = keras.ops.one_hot(keras.ops.argmax(drawn_BT, axis=1), frames)
            return keras.ops.einsum("bt,btk->bk", shown_BT, scores_BTK)

    return FrameAverage()
