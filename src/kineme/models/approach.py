"""What an approach says of itself: its network, and all that only it knows and everybody else asks.

An approach is a frozen dataclass in a file of its own under ``approaches/``; its fields are its options. The class
attributes and methods here have defaults that suit most approaches.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kineme.errors import UsageError
from kineme.models.backend import keras
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.models.backbone import Backbone
    from kineme.models.carry import Carry

FEWEST_PLACES = 7  # on a side of the maps where an explanation cuts a network


@dataclass(frozen=True)
class Approach:
    """One way to classify a clip.

    Args:
        backbone: name of the network under it.

    Attributes:
        name: what users call it.
        ranges: smallest and largest value of each option that is a number.
        suited: options that suit it on a backbone, by its name, as found on UT-Interaction.
        renamed: older names of options, which are still accepted, and those they have now.
        clips_per_second: that it learns from when trained from scratch, of 20 frames of 64 x 64, on two cores.
        bytes_per_pixel: of memory for a pixel of a clip in training from scratch.
    """

    backbone: str

    name: ClassVar[str]
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"units": (1, 4096), "dropout": (0, 0.9)}
    suited: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    renamed: ClassVar[Mapping[str, str]] = {}
    clips_per_second: ClassVar[float] = 100.0
    bytes_per_pixel: ClassVar[float] = 200.0

    def __post_init__(self) -> None:
        for option, (lowest, highest) in self.ranges.items():
            value = getattr(self, option, lowest)
            if not lowest <= value <= highest:
                raise UsageError(f"{self.name}: option {option} must be from {lowest} to {highest}, not {value}")

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """A Keras model from the backbone's features, (B, T, ...), to float32 logits_BK.

        Raises:
            UsageError: the approach cannot take such features.
        """
        raise NotImplementedError

    def build(self, backbone: Any, spec: ClipSpec, classes: int) -> Any:
        """The whole network. An approach that works inside a backbone rewires it here, as a copy with the same weights.

        Args:
            backbone: a Keras model from clips to features, (B, T, ...); its weights are those to begin with.
            spec: what a clip is.
            classes: K.

        Returns:
            A Keras model from clips to logits_BK, with layers ``backbone`` and ``head`` that are models too.
        """
        clips = keras.Input(backbone.input.shape[1:], dtype=backbone.input.dtype, name="clips")
        head = self.build_head(tuple(backbone.output.shape[1:]), classes)
        return keras.Model(clips, head(backbone(clips)), name="network")

    def step(self, network: Any, x: Any, carry: Carry) -> Any:
        """Logits (1, K) after one more frame, with the state carried from earlier frames.

        After T frames they must be those of the window.

        Args:
            network: the whole network, for its layers.
            x: the frame's features, (1, ...); for an approach inside a backbone, what that gives its frame network.
            carry: holds the states.

        Raises:
            UsageError: with these options there is no state to carry.
        """
        raise UsageError(f"{self.name} keeps no state to carry from frame to frame: use mode='exact'")

    @classmethod
    def suited_to(cls, backbone: Backbone, given: Collection[str] = ()) -> Mapping[str, Any]:
        """Options that suit it on a backbone, beside those that are given."""
        return cls.suited.get(backbone.name, {})

    @property
    def has_linear_head(self) -> bool:
        """Whether its head is solved (:mod:`kineme.training.linear`) where the backbone is frozen."""
        return False

    @property
    def looks_at_features(self) -> bool:
        """Whether it sees the video at all."""
        return True

    @property
    def reads_others(self) -> bool:
        """Whether its scores of a person depend on the other people in the video."""
        return False

    def for_labels(self, *, mirrored: bool) -> Self:
        """The approach for some labels.

        Args:
            mirrored: whether a mirrored clip keeps its label: none says left or right.
        """
        return self

    @property
    def uses_order(self) -> bool:
        """Whether the order of a clip's features can change its logits."""
        return True

    @property
    def is_inside_backbone(self) -> bool:
        """Whether it changes the backbone, whose features are then its own and cannot be computed before training."""
        return type(self).build is not Approach.build

    def is_per_frame(self, backbone: Backbone) -> bool:
        """Whether a window costs no more than its newest frame, since the features of the others are kept."""
        return backbone.is_per_frame and not self.is_inside_backbone

    def ticks_before_answer(self, spec: ClipSpec, backbone: Backbone) -> int:
        """How many frames a carried state must have read before its logits mean anything."""
        return 1

    def explained_maps(self, head: Any) -> Any:
        """The tensor at which an explanation cuts the head, where the backbone gives maps (B, T, H, W, C)."""
        return last_maps(head)

    @property
    def explains_change(self) -> bool:
        """Whether those maps count by how far they are from their mean over the clip."""
        return False


def last_maps(network: Any) -> Any:
    """The output of the last layer whose maps have places enough for a heat map, or the input."""
    chosen = network.input
    for layer in network.layers:
        shape = layer.output.shape
        if len(shape) == len(network.input.shape) and min(shape[-3:-1]) >= FEWEST_PLACES:
            chosen = layer.output
    return chosen
