"""No network at all: the frames themselves, or their changes, for approaches that bring their own convolutions."""

from __future__ import annotations

from typing import Any

from kineme.models.backend import keras
from kineme.models.layers import FrameDifference
from kineme.video.spec import ClipSpec


def build(spec: ClipSpec) -> Any:
    """The frames themselves, scaled to 0..1: uint8 clips_BTHWC to float clips_BTHWC."""
    clips = keras.Input((spec.frames, spec.height, spec.width, 3), dtype="uint8", name="clips")
    return keras.Model(clips, keras.layers.Rescaling(1 / 255, name="scale")(clips), name="backbone")


def build_changes(spec: ClipSpec) -> Any:
    """What changed since the frame before, -1..1: uint8 clips_BTHWC to float clips_BTHWC."""
    clips = keras.Input((spec.frames, spec.height, spec.width, 3), dtype="uint8", name="clips")
    scaled = keras.layers.Rescaling(1 / 255, name="scale")(clips)
    return keras.Model(clips, FrameDifference(name="changes")(scaled), name="backbone")
