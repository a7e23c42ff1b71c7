"""The frames that an exported model wants of a video, with PyAV and NumPy alone."""

from collections.abc import Iterator

import av
import numpy as np


def read_frames(video: str, spec: dict) -> Iterator[np.ndarray]:
    """Yield uint8 pixels (H, W, 3), RGB, of the frame shown at each instant 0, 1 / fps, 2 / fps and so on.

    Args:
        video: a file.
        spec: of a clip, from ``kineme.json``; of its fits "stretch" is done here, the others are left to you.
    """
    how = {"width": spec["width"], "height": spec["height"], "format": "rgb24", "interpolation": "AREA"}
    shown, tick = None, 0
    with av.open(video) as container:
        for frame in container.decode(video=0):
            while shown and tick / spec["fps"] + 1e-6 < frame.time:
                yield shown.to_ndarray(**how)
                tick += 1
            shown = frame
    while shown and tick / spec["fps"] + 1e-6 < shown.time + shown.duration * shown.time_base:
        yield shown.to_ndarray(**how)
        tick += 1
