"""MediaPipe's selfie segmentation: which pixels of a frame show people.

It was made for people near the camera. On drawn scenes of several it misses some of those who stand apart; see
``benchmarks/person_mask.py``.

Source: Google's `MediaPipe Selfie Segmentation <https://ai.google.dev/edge/mediapipe/solutions/vision/image_segmenter>`_
(Apache-2.0); size and threshold are those of MediaPipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineme.models.litert import PublishedNetwork
from kineme.models.mediapipe import mediapipe_weights

_FILE = "selfie_segmentation.tflite"
_SIZE = 256  # pixels, whatever the aspect of the frame
_THRESHOLD = 0.5

WEIGHTS = mediapipe_weights(
    name="person-mask",
    what="MediaPipe Selfie Segmentation: which pixels show people, for the background baseline",
    members={
        f"mediapipe/modules/selfie_segmentation/{_FILE}": (
            "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
        ),
    },
)


class PersonMask:
    """Finds the pixels that show people.

    Args:
        files: ``selfie_segmentation.tflite``.

    Raises:
        KinemeError: LiteRT is not installed, or the file is not a network.
        RuntimeError: this build of LiteRT lacks an operation of the network.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._network = PublishedNetwork(files[_FILE])

    def find(self, frame_HWC: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Mask_HW of a frame, uint8 RGB of any size: True where it shows a person."""
        import cv2

        height, width = frame_HWC.shape[:2]
        image_HWC = cv2.resize(np.ascontiguousarray(frame_HWC), (_SIZE, _SIZE)).astype(np.float32) / 255
        return np.asarray(cv2.resize(self._network(image_HWC)[0][0, ..., 0], (width, height)) > _THRESHOLD)
