"""The small per-frame CNN of the textbook LRCN, trained from scratch.

Four 3x3 convolutions (16, 32, 64, 64 filters) with max pooling by 4, 4, 2 and 2, and dropout after the first
three. A 64 x 64 frame becomes 64 numbers. It has two forms: ``small-cnn`` sees the frames, as in the textbook;
``motion-cnn``, of the same size, sees what changed since the frame before. With a few hundred videos the second
learns in a third of the epochs, since it need not first learn to look past the scene.
"""

from __future__ import annotations

import functools
from typing import Any

from kineme.errors import UsageError
from kineme.models.backbone import Backbone
from kineme.models.backend import keras
from kineme.video.spec import ClipSpec

FILTERS = (16, 32, 64, 64)
POOLING = (4, 4, 2, 2)
DROPOUT = 0.25
SMALLEST = 64  # pixels: the pooling divides by 64


def build(spec: ClipSpec, *, changes: bool = False) -> Any:
    """The CNN on each frame of a clip, or on what changed since the frame before: uint8 clips_BTHWC to features_BTD.

    D is 64 for each 64 x 64 pixels of a frame.

    Raises:
        UsageError: the frames are smaller than 64 x 64.
    """
    from kineme.models.layers import FrameDifference, MergeTimeIntoBatch, SplitTimeFromBatch

    if min(spec.height, spec.width) < SMALLEST:
        raise UsageError(f"{SMALL_CNN.name} needs frames of at least 64 x 64, not {spec.width} x {spec.height}")
    clips = keras.Input((spec.frames, spec.height, spec.width, 3), dtype="uint8", name="clips")
    x = keras.layers.Rescaling(1 / 255, name="scale")(clips)
    if changes:
        x = FrameDifference(name="frame_difference")(x)
    features_ND = frame_network(spec.height, spec.width)(MergeTimeIntoBatch(name="merge_time")(x))
    return keras.Model(clips, SplitTimeFromBatch(spec.frames, name="split_time")(features_ND), name="backbone")


def frame_network(height: int, width: int) -> Any:
    """frames_NHWC, scaled to about -1..1, to features_ND."""
    from kineme.models.layers import PoolingFirst

    layers = keras.layers
    frames = keras.Input((height, width, 3), name="frames")
    x = frames
    for number, (filters, pool) in enumerate(zip(FILTERS, POOLING, strict=True), 1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D(pool, name=f"pool{number}")(x)
        if number < len(FILTERS):
            x = layers.Dropout(DROPOUT, name=f"dropout{number}")(x)
    return PoolingFirst(frames, layers.Flatten(name="flatten")(x), name="frame_network")


SMALL_CNN = Backbone(
    name="small-cnn",
    what="The textbook's small CNN on each frame, from scratch: uint8 clips_BTHWC to features_BTD.",
    build=build,
)
MOTION_CNN = Backbone(
    name="motion-cnn",
    what="The same CNN on what changed since the frame before: uint8 clips_BTHWC to features_BTD.",
    build=functools.partial(build, changes=True),
)
