"""No backbone at all: the frames themselves, scaled to 0..1, for approaches that bring their own convolutions."""

from __future__ import annotations

from typing import Any

from kineme.models.backend import keras
from kineme.video.spec import ClipSpec


def build(spec: ClipSpec) -> Any:
    """uint8 clips_BTHWC to float clips_BTHWC in 0..1."""
    clips = keras.Input((spec.frames, spec.height, spec.width, 3), dtype="uint8", name="clips")
    return keras.Model(clips, keras.layers.Rescaling(1 / 255, name="scale")(clips), name="backbone")
