"""Joined backbones, such as ``i3d+movenet``: each has a head of its own, and their probabilities are averaged.

The members look at the same seconds of a video, each at its own pace and size. A member that has seen nobody in a
window answers with zeros, and is left out of the mean of that window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError
from kineme.models.approach import Approach
from kineme.models.backbone import Backbone
from kineme.video.spec import ClipSpec

_EXACT = 1e-6  # relative error of a rate that is written down


def join(members: Sequence[Backbone]) -> Backbone:
    """The record of several backbones.

    Raises:
        UsageError: one is not pretrained, or is given twice.
    """
    for one in members:
        if not one.is_pretrained:
            raise UsageError(f"backbones are joined where they are pretrained, and {one.name} is not")
        if one.external:
            raise UsageError(f"{one.name} runs outside Kineme's own networks and is not joined with others")
    names = [one.name for one in members]
    if len(set(names)) < len(names):
        raise UsageError(f"--backbone {'+'.join(names)}: a backbone is given twice")
    leader = members[_leader(members)]
    return Backbone(
        name="+".join(names),
        what="Several backbones, whose probabilities are averaged.",
        build=_no_single_network,
        sees=leader.sees,
        spec=leader.spec,
        values=leader.values,
        rate=leader.rate,
        members=tuple(members),
    )


def _no_single_network(spec: ClipSpec) -> Any:
    raise UsageError("joined backbones are no single network")


def leader_of(backbone: Backbone) -> int:
    """The number of the member whose windows are those of all: the first that sees whole clips, or else the first."""
    return _leader(backbone.members)


def _leader(members: Sequence[Backbone]) -> int:
    return next((number for number, one in enumerate(members) if not one.is_per_frame), 0)


def steps_of(backbone: Backbone, spec: ClipSpec) -> list[int]:
    """How many ticks of ``spec`` lie between two of each member, so that both cover the same seconds.

    It is the divisor of the frames of a window, and of those from one window to the next, in a file and in a stream,
    that brings a member nearest to the pace it is meant for; beside others that look at frames one by one, all share
    one pace.
    """
    leader = backbone.members[leader_of(backbone)]
    every = math.gcd(spec.frames, spec.default_stride, spec.stream_stride)
    found = []
    for one in backbone.members:
        wanted = (spec.fps or 0) / one.spec.fps if one.spec.fps and not leader.is_per_frame else 1.0
        divisors = [step for step in range(1, every + 1) if every % step == 0 and spec.frames // step > 3]
        nearest = min(divisors or [1], key=lambda step: abs(np.log(step / max(wanted, 1e-9))))
        found.append(1 if one is leader or spec.fps is None else nearest)
    return found


def member_specs(backbone: Backbone, spec: ClipSpec) -> list[ClipSpec]:
    """The clip of each member, where that of the joined model is ``spec``."""
    leader = backbone.members[leader_of(backbone)]
    specs = []
    for one, step in zip(backbone.members, steps_of(backbone, spec), strict=True):
        same = spec if one is leader else one.spec
        specs.append(
            replace(
                same,
                frames=spec.frames // step,
                fps=None if spec.fps is None else spec.fps / step,
                short=spec.short,
                region=spec.region,
                brightness=spec.brightness,
                overlap=spec.overlap,
            )
        )
    return specs


def steps_in(spec: ClipSpec, members: Sequence[ClipSpec]) -> list[int]:
    """How many ticks of ``spec`` lie between two of each member, where the clips of the members are given.

    Raises:
        ValueError: that is no whole number, or one of them spreads its frames over a video and another does not.
    """
    found = []
    for one in members:
        if (one.fps is None) != (spec.fps is None):
            raise ValueError("its members have a rate, or are spread over whole videos, all or none of them")
        ratio = (spec.fps or 1.0) / (one.fps or 1.0)
        found.append(round(ratio))
        if found[-1] < 1 or abs(ratio - found[-1]) > _EXACT * ratio:
            raise ValueError(f"a member of {one.fps:g} frames a second does not fit into {spec.fps:g}")
    return found


def member_approaches(approach: Approach, backbone: Backbone) -> list[Approach]:
    """The approach on each member.

    Raises:
        UsageError: its head is not linear.
    """
    if not approach.has_linear_head:
        raise UsageError(f"joined backbones take a linear head: late-fusion with head=linear, not {approach.name}")
    return [replace(approach, backbone=one.name) for one in backbone.members]


def mean_scores(scores_MNS: Sequence[NDArray[np.floating[Any]]], classes: int) -> NDArray[np.float32]:
    """Scores of members together: the logarithm of the mean of their probabilities, then the largest distances.

    An action far from its class for one member is unknown: on UT-Interaction the largest distance
    detects unknown ones better than the mean. A row of zeros is of a member that saw nobody, and is left out; where all
    are left out, the row is zeros.

    Args:
        scores_MNS: logits of so many classes, and perhaps distances to them.
        classes: K.
    """
    rows_MNS = np.stack([np.asarray(one, np.float64) for one in scores_MNS])
    rows_MNK, others_MNS = rows_MNS[:, :, :classes], rows_MNS[:, :, classes:]
    present_MN1 = (rows_MNS != 0).any(axis=2, keepdims=True)
    powers_MNK = np.exp(rows_MNK - rows_MNK.max(axis=2, keepdims=True))
    shares_MNK = powers_MNK / powers_MNK.sum(axis=2, keepdims=True)
    count_N1 = present_MN1.sum(axis=0)
    mean_NK = (shares_MNK * present_MN1).sum(axis=0) / np.maximum(count_N1, 1)
    logits_NK = np.where(count_N1 > 0, np.log(np.maximum(mean_NK, 1e-12)), 0.0)
    others_NS = np.where(count_N1 > 0, np.where(present_MN1, others_MNS, -np.inf).max(axis=0), 0.0)
    return np.concatenate([logits_NK, others_NS], axis=1).astype(np.float32)


class JoinedNetwork:
    """The networks of the members of a joined model, or the heads in them.

    Args:
        members: by the name of their backbone, in order.
        classes: K.
    """

    def __init__(self, members: dict[str, Any], classes: int) -> None:
        self.members, self.classes = members, classes

    @property
    def heads(self) -> JoinedNetwork:
        """The heads alone."""
        return JoinedNetwork({name: one.get_layer("head") for name, one in self.members.items()}, self.classes)

    @property
    def weights(self) -> list[Any]:
        """Of all members."""
        return [weight for network in self.members.values() for weight in network.weights]

    def count_params(self) -> int:
        """Of all members."""
        return sum(int(network.count_params()) for network in self.members.values())

    def get_weights(self) -> list[NDArray[Any]]:
        """Of all members."""
        return [values for network in self.members.values() for values in network.get_weights()]
