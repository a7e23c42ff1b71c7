"""Features of clips in bfloat16: near to those in float32, the same in training and use, named in the model file."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from helpers_networks import network_of

from kineme.errors import KinemeError
from kineme.models import openvino
from kineme.models.half_precision import has_bfloat16
from kineme.models.model_file import ModelCard, config_of, load_model, read_card, save_model
from kineme.models.network import frozen_encoder
from kineme.models.registry import make_approach
from kineme.models.tracing import on_tensorflow
from kineme.prediction.engines.select import open_engine
from kineme.prediction.trained import TrainedModel
from kineme.video.spec import ClipSpec

needs_bfloat16 = pytest.mark.skipif(
    not (on_tensorflow() and has_bfloat16()), reason="needs a processor that computes in bfloat16"
)
SPEC = ClipSpec(frames=9, height=64, width=64)
APPROACH = make_approach("late-fusion", {"backbone": "i3d", "merge": "mean"})


@pytest.fixture(scope="module")
def network():
    return network_of("late-fusion", SPEC, backbone="i3d", merge="mean")


def card(**more) -> ModelCard:
    return ModelCard("late-fusion", config_of(APPROACH), SPEC, ("left", "right"), **more)


def clips(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SPEC.frames, SPEC.height, SPEC.width, 3), np.uint8)


@needs_bfloat16
def test_features_are_near_to_those_in_float32_and_kept_apart_from_them(network):
    half, full = (frozen_encoder(network, APPROACH, arithmetic=one) for one in ("bfloat16", "float32"))
    assert frozen_encoder(network, APPROACH).key == half.key != full.key
    (one,), (other,) = ([encoder.window(clip) for clip in clips(1)] for encoder in (half, full))
    assert one.dtype == np.float32
    assert one.shape == other.shape
    assert 0 < np.abs(one - other).max() < 0.05 * np.abs(other).max()


@needs_bfloat16
def test_other_weights_give_other_features_whatever_was_compiled_before(network):
    def features_of(one):
        encoder = frozen_encoder(one, APPROACH, arithmetic="bfloat16")
        return encoder.key, encoder.window(clips(1)[0])

    other = network_of("late-fusion", SPEC, backbone="i3d", merge="mean")
    (key, features), (other_key, other_features) = features_of(network), features_of(other)
    assert key != other_key
    assert np.abs(features - other_features).max() > 0.05 * np.abs(features).max()


@needs_bfloat16
@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_a_model_is_used_with_the_features_that_it_was_trained_on(network, engine):
    half, full = (TrainedModel(network, card(arithmetic=one), "m") for one in ("bfloat16", "float32"))
    assert half.encoder.key.endswith("bfloat16")
    assert not full.encoder.key.endswith("bfloat16")
    (half_NK,), (full_NK,) = (open_engine(engine, model).function("clip")(clips(2)) for model in (half, full))
    features_NTD = np.stack([half.encoder.window(clip) for clip in clips(2)])
    apart = np.abs(half_NK - full_NK).max()
    assert np.abs(half_NK - half.classifier.predict_on_batch(features_NTD)).max() < apart / 10
    assert np.abs(full_NK - network.predict_on_batch(clips(2))).max() < apart / 10


@needs_bfloat16
def test_what_training_has_compiled_predicts_too(network, tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path))
    monkeypatch.setattr("kineme.models.half_precision._of_thread", threading.local())  # as in a new process
    compile_network, compiled = openvino.compiled, []
    monkeypatch.setattr(openvino, "compiled", lambda one: compiled.append(one.name) or compile_network(one))
    features_NTD = np.stack(
        [frozen_encoder(network, APPROACH, arithmetic="bfloat16").window(clip) for clip in clips(2)]
    )
    model = TrainedModel(network, card(arithmetic="bfloat16"), "m")
    (logits_NK,) = open_engine("openvino", model).function("clip")(clips(2))
    np.testing.assert_allclose(logits_NK, model.classifier.predict_on_batch(features_NTD), rtol=1e-3, atol=1e-5)
    assert compiled == ["backbone", "head"]
    for other in (tmp_path / "engines").glob("*-features*"):
        other.write_bytes(b"damaged")
    monkeypatch.setattr("kineme.models.half_precision._of_thread", threading.local())
    (again_NK,) = open_engine("openvino", model).function("clip")(clips(2))
    np.testing.assert_array_equal(again_NK, logits_NK)


def test_the_model_file_names_the_arithmetic_and_older_ones_mean_float32(tmp_path, network):
    save_model(tmp_path / "half.safetensors", network, card(arithmetic="bfloat16"))
    assert read_card(tmp_path / "half.safetensors").arithmetic == "bfloat16"
    assert load_model(tmp_path / "half.safetensors")[1] == card(arithmetic="bfloat16")
    assert "arithmetic" not in card().to_json()
    assert ModelCard.from_json("m", json.dumps(card().to_json())).arithmetic == "float32"
    document = card().to_json() | {"arithmetic": "decimal"}
    with pytest.raises(KinemeError, match="there is no arithmetic 'decimal'"):
        ModelCard.from_json("m", json.dumps(document))


def test_members_of_joined_backbones_have_the_arithmetic_of_the_whole():
    joined = make_approach("late-fusion", {"backbone": "i3d+movenet", "head": "linear"})
    spec = replace(SPEC, frames=16, fps=25.0)
    one = ModelCard("late-fusion", config_of(joined), spec, ("left", "right"), arithmetic="bfloat16")
    assert [member.arithmetic for member in one.members] == ["bfloat16"] * 2
