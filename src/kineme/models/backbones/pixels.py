"""No network at all: the frames themselves, or their changes, for approaches that bring their own convolutions."""

from __future__ import annotations

import functools
from typing import Any

from kineme.models.backbone import Backbone
from kineme.models.backend import keras
from kineme.video.spec import ClipSpec


def build(spec: ClipSpec, *, changes: bool = False) -> Any:
    """The frames scaled to 0..1, or what changed since the frame before, -1..1: uint8 clips_BTHWC to float."""
    from kineme.models.layers import FrameDifference

    clips = keras.Input((spec.frames, spec.height, spec.width, 3), dtype="uint8", name="clips")
    x = keras.layers.Rescaling(1 / 255, name="scale")(clips)
    return keras.Model(clips, FrameDifference(name="frame_difference")(x) if changes else x, name="backbone")


PIXELS = Backbone(
    name="pixels",
    what="The frames themselves, scaled to 0..1: uint8 clips_BTHWC to float clips_BTHWC.",
    build=build,
    is_passthrough=True,
)
CHANGES = Backbone(
    name="changes",
    what="What changed since the frame before, -1..1: uint8 clips_BTHWC to float clips_BTHWC.",
    build=functools.partial(build, changes=True),
    is_passthrough=True,
)
