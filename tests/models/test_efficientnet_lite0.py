"""EfficientNet-Lite0 against figures of an independent reference implementation with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_pattern import pattern

from kineme.errors import KinemeError
from kineme.models import weights
from kineme.models.backbones import efficientnet_lite0
from kineme.models.backend import keras

# By the reference, for two frames of pattern(3, 224, 224) and one of pattern(2, 96, 96): index to value.
FEATURES_0 = {944: 4.984001, 245: 4.380985, 109: 4.133111, 0: 2.520417, 100: 0.770507, 500: 0.018638, 1279: 0.0}
FEATURES_2 = {944: 5.064259, 245: 4.377986, 109: 4.232772, 0: 2.45889, 100: 0.757351, 500: 0.018938, 1279: 0.0}
LOGITS_0 = {506: 11.023844, 522: 7.08383, 581: 5.144372, 646: 4.92093, 0: 1.588036, 999: -0.792015}
SMALL_FEATURES_1 = {245: 6.0, 1187: 6.0, 0: 2.428047, 100: 0.770783, 500: 0.0, 900: 4.779932, 1279: 0.0}


def loaded(*args, **kwargs):
    network = efficientnet_lite0.build(*args, **kwargs)
    efficientnet_lite0.load_weights(network, weights.require("efficientnet-lite0"))
    return network


def assert_equals(vector, expected):
    given = {index: float(vector[index]) for index in expected}
    assert given == pytest.approx(expected, abs=1e-4)


def test_features_equal_the_reference():
    features = loaded().predict_on_batch(pattern(3, 224, 224))
    assert features.shape == (3, efficientnet_lite0.FEATURES)
    assert features.dtype == np.float32
    assert_equals(features[0], FEATURES_0)
    assert_equals(features[2], FEATURES_2)


def test_logits_equal_the_reference():
    logits = loaded(include_top=True).predict_on_batch(pattern(1, 224, 224))
    assert logits.shape == (1, 1000)
    assert_equals(logits[0], LOGITS_0)


def test_other_sizes():
    assert_equals(loaded(96, 96).predict_on_batch(pattern(2, 96, 96))[1], SMALL_FEATURES_1)
    assert loaded(65, 130).predict_on_batch(pattern(2, 65, 130)).shape == (2, 1280)


def test_mixed_precision_takes_uint8_and_gives_float32():
    exact = loaded(64, 64).predict_on_batch(pattern(2, 64, 64))
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = loaded(64, 64)
    finally:
        keras.config.set_dtype_policy(policy)
    assert network.input.dtype == "uint8"
    features = network.predict_on_batch(pattern(2, 64, 64))
    assert features.dtype == np.float32
    assert np.corrcoef(features.ravel(), exact.ravel())[0, 1] > 0.99


def test_layer_names_can_be_exported():
    names = [layer.name for layer in efficientnet_lite0.build(64, 64, include_top=True).layers]
    assert not [name for name in names if name.startswith("_") or "/" in name]


def test_a_changed_file_and_a_network_of_another_kind_are_refused(tmp_path):
    files = weights.require("efficientnet-lite0")
    (name, path), *_ = files.items()
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    (tmp_path / name).write_bytes(changed)
    network = efficientnet_lite0.build(64, 64)
    with pytest.raises(KinemeError, match="SHA-256"):
        efficientnet_lite0.load_weights(network, {name: tmp_path / name})
    with pytest.raises(KinemeError, match="do not fit"):
        efficientnet_lite0.load_weights(keras.Model(network.input, network.layers[40].output), files)
