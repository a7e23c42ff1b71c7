"""The encoder of a frozen backbone, with the tracker that one which finds several people needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kineme.models.approach import Approach
from kineme.models.encoder import Encoder
from kineme.models.half_precision import Arithmetic
from kineme.models.network import frozen_encoder
from kineme.models.poses import PoseEncoder
from kineme.people.tracker import VERSION, Tracker


def open_encoder(network: Any, approach: Approach, *, arithmetic: Arithmetic | None = None) -> Encoder | None:
    """As :func:`kineme.models.network.frozen_encoder`, whose poses are of people who are tracked."""
    encoder = frozen_encoder(network, approach, arithmetic=arithmetic)
    if not isinstance(encoder, PoseEncoder):
        return encoder
    return replace(encoder, make_tracker=Tracker, key=f"{encoder.key}:{VERSION}" if encoder.tracks else encoder.key)
