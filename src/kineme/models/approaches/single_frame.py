"""Single frame: each frame is classified alone, and the scores of a clip's frames are averaged.

Nothing is fused before the scores, so neither order nor motion can count: the baseline that tells whether time is
needed at all. While training, a clip shows one frame drawn at random, so the network learns to classify a frame;
averaging comes after. It averages logits, which is the same as averaging log-probabilities (they differ by one
number a frame, common to all classes, and the softmax takes no notice of it): the frames count as independent
witnesses whose evidence adds up, just as the windows of a video do elsewhere in this package.

With ``head=linear`` the last layer is solved to its optimum behind frozen features (:mod:`kineme.training.linear`), on
the mean of each clip's frames: a linear layer gives the same for the mean as for the frames, averaged. With
``head=prior`` that layer ignores the features: it always answers the frequencies of the classes in training. The
default approach keeps such a model if no candidate was right more often.

Source: the single-frame network of Karpathy et al., "Large-scale Video Classification with Convolutional Neural
Networks", CVPR 2014.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kineme.models.approach import Approach
from kineme.models.backbones.small_cnn import SMALL_CNN
from kineme.models.backend import keras

if TYPE_CHECKING:
    from kineme.models.carry import Carry


@dataclass(frozen=True)
class SingleFrame(Approach):
    """Options of the approach.

    Args:
        backbone: the per-frame network; from one that mixes frames (``i3d``) a "frame" is one of its time steps.
        head: ``"trained"`` by epochs; ``"linear"``: solved; or ``"prior"``: the frequencies of the classes.
        dropout: share of a frame's features dropped while training by epochs, 0 to 0.9.

    Raises:
        UsageError: a value is out of its range.
    """

    name: ClassVar[str] = "single-frame"

    backbone: str = SMALL_CNN.name
    head: Literal["trained", "linear", "prior"] = "trained"
    dropout: float = 0.25

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """features_BTD to logits_BK; any further axes of the features are flattened."""
        from kineme.models.layers import FrameAverage, check_matrix, logits
        from kineme.models.linear_head import build_linear_head
        from kineme.models.registry import find_backbone

        if self.has_linear_head:
            return build_linear_head(feature_shape, classes, find_backbone(self.backbone), with_deviation=False)
        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        x = features
        if len(feature_shape) > 2:
            x = layers.Reshape((feature_shape[0], -1), name="flatten_frame")(x)
        check_matrix(x.shape[-1], classes, "single-frame's last layer")
        scores_BTK = logits(classes)(layers.Dropout(self.dropout, name="dropout")(x))
        return keras.Model(features, FrameAverage(name="average")(scores_BTK), name="head")

    @property
    def has_linear_head(self) -> bool:
        """Whether it is asked for, or one that looks at no feature."""
        return self.head != "trained"

    @property
    def looks_at_features(self) -> bool:
        """Not where it only answers the frequencies of the classes."""
        return self.head != "prior"

    @property
    def uses_order(self) -> bool:
        """Never: frames are classified one by one."""
        return False

    def step(self, network: Any, x: Any, carry: Carry) -> Any:
        """The mean of the scores of the newest T frames."""
        from kineme.models.linear_head import scores_of

        head = network.get_layer("head")
        frame = carry.flat(x)
        if self.has_linear_head:
            return scores_of(head, carry.mean(head.get_layer("standardize")(frame)))
        return carry.mean(head.get_layer("logits")(frame))
