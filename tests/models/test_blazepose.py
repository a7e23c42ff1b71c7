"""BlazePose on real people: agreement with a reference decoding, tracking, loss, cuts, smoothing."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from helpers_landmarks import MIRRORED, mirror_features

from kineme.errors import KinemeError, UsageError
from kineme.models import weights
from kineme.models.backbones.blazepose import PoseTracker, make_encoder
from kineme.models.backbones.landmarks import LANDMARKS
from kineme.models.poses import Pose
from kineme.video.decode import read_frames

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SHOWN = ("nose", *(f"{side} {part}" for part in ("shoulder", "wrist", "hip", "ankle") for side in ("left", "right")))

# What an independent decoding of the same networks finds, with the detector run on that frame: video, number of the
# frame, score, and x, y (pixels) and visibility of the landmarks in SHOWN.
# fmt: off
REFERENCE = [
    ("real-clips/clean_and_jerk.mp4", 0, 1.000, [(229.8, 88.9, 1.00), (249.7, 112.8, 1.00), (211.6, 109.3, 1.00), (261.5, 112.0, 1.00), (201.1, 109.1, 0.99), (239.4, 159.2, 1.00), (215.6, 157.5, 1.00), (255.0, 220.8, 0.98), (202.4, 220.0, 1.00)]),  # noqa: E501
    ("real-clips/clean_and_jerk.mp4", 180, 1.000, [(248.7, 78.4, 1.00), (257.4, 94.0, 1.00), (224.3, 91.1, 1.00), (280.5, 41.4, 0.99), (202.9, 33.3, 1.00), (248.7, 149.4, 1.00), (225.7, 146.6, 1.00), (256.1, 217.9, 0.99), (199.2, 212.6, 0.99)]),  # noqa: E501
    ("real-clips/tai_chi.mp4", 120, 1.000, [(185.9, 86.5, 1.00), (167.7, 103.4, 1.00), (178.3, 105.0, 1.00), (144.5, 137.2, 0.82), (209.2, 110.9, 0.99), (161.2, 151.7, 1.00), (168.3, 153.0, 1.00), (145.2, 204.3, 0.99), (159.6, 201.7, 1.00)]),  # noqa: E501
    ("real-clips/skateboarding.mp4", 120, 1.000, [(195.5, 76.8, 1.00), (204.9, 87.7, 1.00), (183.7, 86.8, 1.00), (207.5, 120.0, 0.98), (177.6, 119.0, 0.82), (198.4, 117.2, 1.00), (186.5, 116.7, 1.00), (195.6, 162.6, 0.99), (184.3, 159.6, 0.98)]),  # noqa: E501
    ("real-clips/unlabelled_two_people.mp4", 60, 0.999, [(939.5, 342.6, 0.99), (1021.9, 396.6, 1.00), (962.5, 399.9, 1.00), (902.8, 516.8, 0.73), (897.8, 513.4, 0.06), (1005.6, 596.7, 1.00), (959.2, 591.3, 1.00), (1043.9, 831.3, 0.97), (981.6, 810.2, 0.93)]),  # noqa: E501
    ("ut-interaction/kick/set1_seq01_1-1-2.avi", 60, 0.999, [(299.0, 109.7, 1.00), (343.1, 124.2, 1.00), (289.2, 92.4, 1.00), (332.0, 185.3, 0.98), (267.3, 136.8, 0.88), (316.7, 173.3, 1.00), (286.1, 155.3, 1.00), (285.7, 273.2, 0.95), (267.0, 164.5, 0.07)]),  # noqa: E501
    ("ut-interaction/push/set2_seq14_20-14-5.avi", 0, 1.000, [(251.6, 37.7, 1.00), (240.8, 57.8, 1.00), (224.2, 57.9, 1.00), (251.6, 116.7, 0.55), (233.0, 124.9, 0.99), (234.2, 122.8, 1.00), (223.3, 124.8, 1.00), (234.3, 201.3, 0.79), (226.3, 210.0, 0.99)]),  # noqa: E501
]
PORTRAIT_REFERENCE = (1.000, [(265.1, 241.2, 1.00), (426.5, 416.7, 0.99), (103.8, 398.5, 1.00), (284.1, 559.7, 0.58), (285.2, 589.8, 0.59), (362.9, 851.5, 0.01), (131.0, 841.5, 0.01), (337.3, 1506.1, 0.00), (148.0, 1497.4, 0.00)])  # noqa: E501
# fmt: on


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    found = weights.pull("blazepose") if os.environ.get("CI") else weights.find("blazepose")
    if found is None:
        pytest.skip("the BlazePose networks are not on this machine: kineme models pull blazepose")
    return found


@pytest.fixture
def tracker(files: dict[str, Path]) -> PoseTracker:
    return PoseTracker(files, threads=2)


def frame_of(video: str, number: int) -> np.ndarray:
    if not (DATA / video).exists():
        pytest.skip(f"{video} is not beside the repository")
    return next(itertools.islice(read_frames(DATA / video), number, None)).pixels_HWC


def portrait() -> np.ndarray:
    """A photograph of one person from the head to the waist, 512 x 600, that every matplotlib brings along."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def scene(*lefts: int, sizes: tuple[int, ...] = (), width: int = 640) -> np.ndarray:
    """Grey, 360 high, with the portrait at some places from the left; ``sizes`` are heights in pixels."""
    frame = np.full((360, width, 3), 128, np.uint8)
    for left, size in zip(lefts, sizes or [300] * len(lefts), strict=True):
        person = cv2.resize(portrait(), (round(size * 512 / 600), size), interpolation=cv2.INTER_AREA)
        frame[-size:, left : left + person.shape[1]] = person
    return frame


def nose_x(pose: Pose) -> float:
    return float(pose.landmarks_L2[0, 0])


def assert_agrees(pose: Pose, frame: np.ndarray, score: float, points: list[tuple[float, float, float]]) -> None:
    numbers = [LANDMARKS.index(name) for name in SHOWN]
    assert pose.score == pytest.approx(score, abs=0.02)
    distances = np.linalg.norm(pose.landmarks_L2[numbers] - np.array(points)[:, :2], axis=1)
    assert distances.max() < 0.005 * max(frame.shape)
    np.testing.assert_allclose(pose.visibility_L[numbers], np.array(points)[:, 2], atol=0.05)


@pytest.mark.parametrize(("video", "number", "score", "points"), REFERENCE)
def test_landmarks_on_real_videos_are_those_of_the_reference(tracker, video, number, score, points) -> None:
    frame = frame_of(video, number)
    assert_agrees(tracker(frame), frame, score, points)


def test_landmarks_of_the_portrait_are_those_of_the_reference(tracker) -> None:
    pose = tracker(portrait())
    assert pose.found
    assert pose.landmarks_L2.shape == (33, 2)
    assert pose.landmarks_L2.dtype == pose.visibility_L.dtype == np.float32
    assert_agrees(pose, portrait(), *PORTRAIT_REFERENCE)


def test_nobody_in_an_empty_frame(tracker) -> None:
    for frame in (scene(), np.zeros((48, 64, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)):
        pose = tracker(frame)
        assert not pose.found
        assert pose.score == 0
        assert not pose.landmarks_L2.any()
        assert not pose.visibility_L.any()


def test_the_same_person_is_followed_though_the_detector_would_choose_another(tracker) -> None:
    two = scene(0, 380)
    chosen = nose_x(tracker(two))
    other = 0 if chosen > 320 else 380
    tracker.reset()
    alone = nose_x(tracker(scene(other)))
    assert abs(alone - chosen) > 200

    assert nose_x(tracker(two)) == pytest.approx(alone, abs=30)
    tracker.reset()
    assert nose_x(tracker(two)) == pytest.approx(chosen, abs=1), "after a reset the detector chooses again"


def test_a_gap_a_step_back_and_another_size_count_as_cuts(tracker) -> None:
    two = scene(0, 380)
    chosen = nose_x(tracker(two))
    other = scene(0 if chosen > 320 else 380)
    for before_s, now_s, follows in [(5.0, 5.5, True), (5.0, 6.5, False), (5.0, 4.9, False)]:
        tracker.reset()
        tracker(other, before_s)
        assert (nose_x(tracker(two, now_s)) == pytest.approx(chosen, abs=30)) is not follows
    wide = np.pad(two, ((0, 0), (0, 2), (0, 0)), mode="edge")
    tracker(other)
    assert nose_x(tracker(wide)) == pytest.approx(chosen, abs=30)


def test_a_lost_person_is_found_again_at_once_wherever_they_are(tracker) -> None:
    assert nose_x(tracker(scene(0))) == pytest.approx(132, abs=20)
    assert nose_x(tracker(scene(380))) == pytest.approx(512, abs=20), "in the very frame in which they jumped"
    assert not tracker(scene()).found
    assert nose_x(tracker(scene(100))) == pytest.approx(232, abs=20)


def test_a_person_who_moves_is_followed(tracker) -> None:
    shown = [nose_x(tracker(scene(left), number / 25)) for number, left in enumerate(range(0, 360, 20))]
    np.testing.assert_allclose(np.diff(shown)[2:], 20, atol=8)
    assert shown[-1] - shown[0] == pytest.approx(340, abs=12), "smoothing does not hold a fast movement back"


def test_smoothing_calms_a_still_person(files) -> None:
    rng = np.random.default_rng(0)
    still = scene(150).astype(np.int16)
    frames = [np.clip(still + rng.normal(0, 6, still.shape), 0, 255).astype(np.uint8) for _ in range(16)]

    def tremble(timed: bool) -> float:
        tracker = PoseTracker(files, threads=2)
        poses = [tracker(frame, number / 25 if timed else None) for number, frame in enumerate(frames)]
        places = np.stack([pose.landmarks_L2[poses[0].visibility_L > 0.9] for pose in poses])
        return float(np.linalg.norm(np.diff(places[4:], axis=0), axis=-1).mean())

    assert tremble(timed=True) < 0.5 * tremble(timed=False)


def test_a_mirrored_frame_has_the_mirrored_pose(tracker) -> None:
    frame = portrait()
    pose = tracker(frame)
    tracker.reset()
    in_the_mirror = tracker(np.ascontiguousarray(frame[:, ::-1]))
    seen = pose.visibility_L > 0.9
    assert seen.sum() > 10
    expected = pose.landmarks_L2 * (-1, 1) + (frame.shape[1] - 1, 0)
    given = in_the_mirror.landmarks_L2[list(MIRRORED)]
    assert np.linalg.norm(given - expected, axis=1)[seen].max() < 0.05 * max(frame.shape)


def test_features_of_a_video_start_afresh_and_know_what_is_missing(files) -> None:
    encoder = make_encoder("blazepose", None, views=1)

    def features_of(ticks) -> np.ndarray:
        instants, rows = zip(*encoder(ticks), strict=True)
        assert list(instants) == [time_s for time_s, _ in ticks]
        return np.stack(rows)

    frames = [scene(), *(scene(left) for left in range(0, 60, 20)), scene()]
    ticks = [(number / 10, frame) for number, frame in enumerate(frames)]
    features = features_of(ticks)

    assert features.shape == (5, *encoder.shape) == (5, 166)
    assert features[:, -1].tolist() == [0, 1, 1, 1, 0]
    np.testing.assert_array_equal(features_of(ticks), features)
    mirrored = features_of([(time_s, np.ascontiguousarray(frame[:, ::-1])) for time_s, frame in ticks])
    seen = [2 * LANDMARKS.index(name) + axis for name in ("nose", "left shoulder", "right shoulder") for axis in (0, 1)]
    np.testing.assert_allclose(mirrored[:, seen], mirror_features(features)[:, seen], atol=0.1)


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_frame_is_refused(tracker, frame) -> None:
    with pytest.raises(UsageError, match="uint8 of shape"):
        tracker(frame)


def test_a_damaged_network_is_named_and_a_sound_one_starts_silently(files, tmp_path, capfd) -> None:
    PoseTracker(files)
    assert capfd.readouterr() == ("", "")
    damaged = tmp_path / "pose_detection.tflite"
    damaged.write_bytes(b"not a network")
    with pytest.raises(KinemeError, match=r"pose_detection\.tflite: not a network"):
        PoseTracker({**files, "pose_detection.tflite": damaged})
