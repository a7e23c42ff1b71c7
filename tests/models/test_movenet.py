"""MoveNet: several people at once, in pixels of the frame whatever its size."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from kineme.errors import KinemeError, UsageError
from kineme.models import weights
from kineme.models.backbones.movenet import JOINTS, MoveNetDetector

NOSE, SHOULDERS = JOINTS.index("nose"), [JOINTS.index(f"{side} shoulder") for side in ("left", "right")]


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    found = weights.pull("movenet") if os.environ.get("CI") else weights.find("movenet")
    if found is None:
        pytest.skip("MoveNet is not on this machine: kineme models pull movenet")
    return found


@pytest.fixture(scope="module")
def detector(files: dict[str, Path]) -> MoveNetDetector:
    return MoveNetDetector(files, lowest_score=0.25)


def scene(*lefts: int, size: int = 300, width: int = 640, height: int = 360) -> np.ndarray:
    """Grey, with a photograph of one person from the head to the waist at some places from the left."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    portrait = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    person = cv2.resize(portrait, (round(size * 512 / 600), size), interpolation=cv2.INTER_AREA)
    frame = np.full((height, width, 3), 128, np.uint8)
    for left in lefts:
        frame[-size:, left : left + person.shape[1]] = person
    return frame


def test_two_people_are_found_where_they_are(detector):
    one, two = detector(scene(20)), detector(scene(20, 360))
    assert len(one) == 1
    assert len(two) == 2
    noses = sorted(two.joints_PJC[:, NOSE, 0].tolist())
    assert noses[0] == pytest.approx(one.joints_PJC[0, NOSE, 0], abs=8)
    assert noses[1] - noses[0] == pytest.approx(340, abs=8)
    for joints_JC, (x0, y0, x1, y1) in zip(two.joints_PJC, two.boxes_P4, strict=True):
        assert x0 < joints_JC[NOSE, 0] < x1
        assert y0 < joints_JC[NOSE, 1] < y1
        left, right = joints_JC[SHOULDERS, 0]
        assert left > right, "their own left, as they face the camera"


@pytest.mark.parametrize(("width", "height"), [(640, 360), (320, 300), (301, 480), (1280, 720)])
def test_joints_are_in_pixels_of_the_frame_whatever_its_size(detector, width, height):
    size = 290 if height <= 480 else 600
    nose = detector(scene(30, size=size, width=width, height=height)).joints_PJC[0, NOSE, :2]
    wanted = 30 + 0.52 * size * 512 / 600, height - size + 0.40 * size  # where the photograph shows it
    assert np.abs(nose - wanted).max() < 0.05 * size


def test_a_network_for_a_larger_picture_finds_smaller_people(files):
    small = scene(300, size=60, width=1280, height=720)
    far = MoveNetDetector(files, long_side=768, lowest_score=0.25)(small)
    assert len(far) == 1
    assert len(MoveNetDetector(files, lowest_score=0.25)(small)) == 0


def test_nobody_gives_empty_arrays(detector):
    nobody = detector(np.full((240, 320, 3), 90, np.uint8))
    assert len(nobody) == 0
    assert nobody.joints_PJC.shape == (0, 17, 3)
    assert nobody.boxes_P4.shape == (0, 4)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 700, 3), (500, 2, 3)])
def test_frames_of_any_shape_are_looked_at(detector, shape):
    assert len(detector(np.zeros(shape, np.uint8))) == 0


def test_wrong_input_and_a_file_that_is_no_network_say_so(detector, tmp_path):
    with pytest.raises(UsageError, match=r"a frame must be uint8 of shape \(H, W, 3\), not float32"):
        detector(np.zeros((4, 4, 3), np.float32))
    (tmp_path / "movenet.tflite").write_bytes(b"no network")
    with pytest.raises(KinemeError, match=r"movenet\.tflite: not a network that LiteRT can run"):
        MoveNetDetector({"movenet.tflite": tmp_path / "movenet.tflite"})
