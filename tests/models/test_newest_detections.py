"""People are looked for once in frames that are seen in several orders."""

import numpy as np
import pytest

from kineme.models.backbones.movenet import Detections
from kineme.models.backbones.people_encoder import NewestDetections


class Looks:
    """Finds somebody whose box tells the frame, and counts how often it was asked."""

    def __init__(self):
        self.count = 0

    def __call__(self, frame_HWC):
        self.count += 1
        joints_PJC = np.full((1, 17, 3), frame_HWC.mean(), np.float32)
        return Detections(joints_PJC, np.full((1, 4), frame_HWC[0, 0, 0], np.float32), np.ones(1, np.float32))


def frames(count):
    return [np.full((8, 12, 3), (number // 256, number % 256, 7), np.uint8) for number in range(count)]


def test_a_frame_that_comes_again_is_not_looked_at_again():
    newest, looks, shown = NewestDetections(), Looks(), frames(20)
    first = [newest.of(frame, looks) for frame in shown]
    again = [newest.of(frame.copy(), looks) for frame in reversed(shown)]
    assert looks.count == 20
    for one, other in zip(first, reversed(again), strict=True):
        np.testing.assert_array_equal(one.boxes_P4, other.boxes_P4)
    newest.of(shown[0].reshape(12, 8, 3), looks)  # the same bytes are another picture
    newest.of(shown[0][:, ::2], looks)  # not contiguous
    assert looks.count == 22


def test_old_frames_are_forgotten():
    newest, looks, shown = NewestDetections(), Looks(), frames(600)
    for frame in shown:
        newest.of(frame, looks)
    newest.of(shown[-1], looks)
    assert looks.count == 600
    newest.of(shown[0], looks)
    assert looks.count == 601


def test_what_is_shared_cannot_be_changed():
    found = NewestDetections().of(frames(1)[0], Looks())
    with pytest.raises(ValueError, match="read-only"):
        found.joints_PJC[0] = 0
