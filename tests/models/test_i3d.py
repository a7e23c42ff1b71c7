"""I3D against figures of an independent reference implementation with the same weights, and on real videos."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from helpers_pattern import pattern

from kineme.errors import KinemeError, UsageError
from kineme.models import weights
from kineme.models.backbones import i3d
from kineme.models.backend import keras
from kineme.video.clips import read_sampled_video
from kineme.video.spec import ClipSpec

REAL_CLIPS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "real-clips"

# By the reference, for pattern(24, 224, 224): index to value.
MEAN_FEATURES = {390: 1.758845, 353: 1.635306, 766: 1.252459, 0: 0.369027, 100: 0.239149, 700: 0.027511, 1023: 0.000555}
LOGITS = {325: 12.225357, 6: 9.201872, 16: 8.46089, 353: 8.373877, 259: 8.329989, 0: 4.226837, 399: -1.42429}


@pytest.fixture(scope="module")
def files():
    """The checkpoint; only a CI run fetches it unasked."""
    found = weights.pull("i3d-kinetics400") if os.environ.get("CI") else weights.find("i3d-kinetics400")
    if found is None:
        pytest.skip("the I3D weights are not on this machine; get them with: kineme models pull i3d-kinetics400")
    return found


def assert_equals(vector, expected):
    given = {index: float(vector[index]) for index in expected}
    assert given == pytest.approx(expected, abs=1e-4)


def test_features_equal_the_reference_whatever_the_length(files):
    network = i3d.build(None)
    i3d.load_weights(network, files)
    features = network.predict_on_batch(pattern(24, 224, 224)[None])
    assert features.shape == (1, 2, i3d.FEATURES)
    assert features.dtype == np.float32
    assert_equals(features[0].mean(0), MEAN_FEATURES)
    assert network.predict_on_batch(pattern(9, 224, 224)[None]).shape == (1, 1, i3d.FEATURES)


def test_logits_equal_the_reference(files):
    network = i3d.build(24, include_top=True)
    i3d.load_weights(network, files)
    logits = network.predict_on_batch(pattern(24, 224, 224)[None])
    assert logits.shape == (1, 400)
    assert_equals(logits[0], LOGITS)


def test_a_changed_file_is_refused(files, tmp_path):
    ((name, path),) = files.items()
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    (tmp_path / name).write_bytes(changed)
    with pytest.raises(KinemeError, match="SHA-256"):
        i3d.load_weights(i3d.build(9, 32, 32), {name: tmp_path / name})


@pytest.mark.parametrize(("frames", "steps"), [(9, 1), (16, 1), (17, 2), (64, 7), (None, None)])
def test_steps_of_time(frames, steps):
    assert i3d.build(frames, 64, 64).output.shape == (None, steps, i3d.FEATURES)


@pytest.mark.parametrize("size", [(8, 224, 224), (64, 31, 224)])
def test_too_small_a_clip_is_refused(size):
    with pytest.raises(UsageError, match="at least 9 frames"):
        i3d.build(*size)


def test_mixed_precision_takes_uint8_and_gives_float32(files):
    policy = keras.config.dtype_policy()
    networks = []
    for name in (policy, "mixed_bfloat16"):
        keras.config.set_dtype_policy(name)
        try:
            networks.append(i3d.build(9, 64, 96, include_top=True))
        finally:
            keras.config.set_dtype_policy(policy)
        i3d.load_weights(networks[-1], files)
    assert networks[1].input.dtype == "uint8"
    exact, mixed = (network.predict_on_batch(pattern(9, 64, 96)[None]) for network in networks)
    assert mixed.dtype == np.float32
    assert np.corrcoef(exact.ravel(), mixed.ravel())[0, 1] > 0.98  # processors round differently


def test_layer_names_can_be_exported():
    names = [layer.name for layer in i3d.build(9, 32, 32, include_top=True).layers]
    assert not [name for name in names if name.startswith("_") or "/" in name]


def test_labels_are_the_400_actions_in_order():
    assert len(set(i3d.labels())) == len(i3d.labels()) == 400
    assert [i3d.labels()[index] for index in (0, 1, 5, 398, 399)] == [
        "abseiling",
        "air drumming",
        "archery",
        "yoga",
        "zumba",
    ]


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="the real clips are not beside this repository")
def test_names_six_real_videos(files):
    network = i3d.build(64, include_top=True)
    i3d.load_weights(network, files)
    spread = ClipSpec(frames=64, fps=None, height=224, width=224, fit="crop")
    videos = [path for path in sorted(REAL_CLIPS.iterdir()) if not path.stem.startswith("unlabelled")]
    assert len(videos) == 6
    named = {}
    for path in videos:
        (logits,) = network.predict_on_batch(read_sampled_video(path, spread).frames_NHWC[None])
        named[path.stem.replace("_", " ")] = i3d.labels()[logits.argmax()]
    assert named == {action: action for action in named}
