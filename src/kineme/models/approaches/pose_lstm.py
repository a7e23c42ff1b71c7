"""Pose LSTM: an LSTM reads how bodies are held and how they move, frame by frame, and never sees a pixel.

The backbone turns each frame into joints, and those into posture, velocity and confidence: BlazePose those of one
person, MoveNet those of up to six people, with the relation between the two most important ones. Within a frame they
are fused by the LSTM's own weights; in time, fusion happens in its state. A frame in which nobody was found is skipped,
and the state waits.

Who of two people is called the first says nothing, and most actions are the same in a mirror. So behind MoveNet the
same LSTM reads the clip in each of these ways, and its outputs are averaged: the score does not depend on
which way it was, and every clip teaches all of them.

This is the privacy mode: such a model is trained on landmarks alone and never stores or sees pixels, faces, clothes
or the place.

Sources: recurrent networks over joints are Du, Wang and Wang, "Hierarchical Recurrent Neural Network for Skeleton Based
Action Recognition", CVPR 2015, here with one LSTM for the whole body; the landmarks are BlazePose's or MoveNet's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from kineme.errors import UsageError
from kineme.models.approach import Approach
from kineme.models.backbones.blazepose import BLAZEPOSE
from kineme.models.backbones.movenet import MOST_PEOPLE
from kineme.models.backbones.people_encoder import MOVENET
from kineme.models.backend import keras
from kineme.models.registry import find_backbone

if TYPE_CHECKING:
    from kineme.models.carry import Carry


@dataclass(frozen=True)
class PoseLSTM(Approach):
    """Options of the approach.

    Args:
        backbone: what gives the landmarks.
        units: size of the LSTM's state, 1 to 4096.
        dropout: share of the last state dropped while training, 0 to 0.9.
        people: whom it reads, where the backbone finds several people: the ``"one"`` who matters most; the ``"pair"``
            who matter most and their relation; or ``"all"`` six, each by the same weights, of whom the largest
            values count.
        mirror: whether a clip and its mirror image count alike, where the backbone finds several people; off where a
            label says left or right.
        pooling: classify from the ``"last"`` state, or from the ``"mean"`` of the states at all frames.

    Raises:
        UsageError: a value is out of its range.
    """

    name: ClassVar[str] = "pose-lstm"
    suited: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        MOVENET.name: {"people": "pair", "mirror": True, "pooling": "mean"}
    }

    backbone: str = BLAZEPOSE.name
    units: int = 64
    dropout: float = 0.5
    people: Literal["one", "pair", "all"] = "one"
    mirror: bool = False
    pooling: Literal["last", "mean"] = "last"

    @property
    def reads_others(self) -> bool:
        """See :attr:`Approach.reads_others`."""
        return self.people != "one"

    def for_labels(self, *, mirrored: bool) -> Self:
        """See :meth:`Approach.for_labels`: a clip counts like its mirror image where both have one label."""
        return self if mirrored else replace(self, mirror=False)

    def build_head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """features_BTD, whose rows are all zeros where nobody was found, to logits_BK.

        Raises:
            UsageError: the backbone gives maps instead of one vector a frame, or finds one person alone.
        """
        from kineme.models.layers import check_matrix, logits
        from kineme.models.people_layers import LargestOverPeople, MeanOverTime, MeanOverWays, NumbersInTurn

        if len(feature_shape) != 2:
            raise UsageError(
                f"{self.name} needs one vector a frame; the backbone {self.backbone!r} gives none: "
                f"use {BLAZEPOSE.name} or {MOVENET.name}"
            )
        layers = keras.layers
        features = keras.Input(feature_shape, name="features")
        x, ways = features, self._ways()
        if ways:
            x = NumbersInTurn(*ways, name="ways")(x)
        if self.people == "all":
            x = LargestOverPeople(self.units, MOST_PEOPLE, name="everybody")(x)
        check_matrix(x.shape[-1], 4 * self.units, "pose-lstm's LSTM")
        x = layers.Masking(name="skip_missing")(x)
        x = layers.LSTM(self.units, return_sequences=self.pooling == "mean", name="lstm")(x)
        if self.pooling == "mean":
            x = MeanOverTime(name="mean_over_time")(x)
        if ways:
            x = MeanOverWays(len(ways[0]), name="mean_over_ways")(x)
        x = layers.Dropout(self.dropout, name="dropout")(x)
        return keras.Model(features, logits(classes)(x), name="head")

    def step(self, network: Any, x: Any, carry: Carry) -> Any:
        """One step of the LSTM for each way of reading; where nobody was found, its state waits."""
        head = network.get_layer("head")
        lstm, ways = head.get_layer("lstm"), self._ways()
        rows = [x] if not ways else keras.ops.split(head.get_layer("ways")(keras.ops.expand_dims(x, 1)), len(ways[0]))
        states = []
        for number, row in enumerate(rows):
            if ways:
                row = keras.ops.squeeze(row, 1) if self.people != "all" else head.get_layer("everybody")(row)[:, 0]
            somebody = keras.ops.any(keras.ops.not_equal(row, 0.0), axis=-1, keepdims=True)
            name = f"{lstm.name}{number or ''}"
            h = carry.recurrent(lstm, row, self.units, where=somebody, name=name)
            states.append(carry.mean(h) if self.pooling == "mean" else h)
        return head.get_layer("logits")(sum(states[1:], start=states[0]) / len(states))

    def _ways(self) -> tuple[Any, Any] | None:
        """In which orders and with which signs the numbers of a row are read; None where they are read as they are.

        Raises:
            UsageError: the backbone finds one person alone.
        """
        layout = find_backbone(self.backbone).pose
        if layout is not None and layout.ways is not None:
            return layout.ways(self.people, self.mirror)
        if self.people != "one" or self.mirror:
            raise UsageError(
                f"{self.name}: people={self.people} and mirror={str(self.mirror).lower()} need a backbone that finds "
                f"several people, such as {MOVENET.name}, and not {self.backbone}"
            )
        return None
