"""Features of frames by LiteRT are those of Keras, whatever thread asks, and never taken for them in the cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers_networks import network_of

from kineme.errors import KinemeError
from kineme.models import litert
from kineme.models.engine_table import engines_for
from kineme.models.model_file import ModelCard, config_of
from kineme.models.network import frozen_encoder
from kineme.models.registry import make_approach
from kineme.models.tracing import on_tensorflow
from kineme.prediction.engines.select import kind_of, open_engine
from kineme.prediction.trained import TrainedModel
from kineme.video.spec import ClipSpec

pytestmark = pytest.mark.skipif(not on_tensorflow(), reason="only TensorFlow compiles for LiteRT")


def test_litert_computes_features_as_keras_does(tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path))
    approach = make_approach("lrcn", {"backbone": "efficientnet-lite0"})
    network = network_of("lrcn", ClipSpec(frames=2, height=32, width=32), backbone="efficientnet-lite0")
    frame_network = network.get_layer("backbone").get_layer("frame_network")
    for layer in frame_network.layers:
        if "conv" in layer.name:  # drawn weights alone would fade to nothing in so many layers
            layer.set_weights([weight * 4 for weight in layer.get_weights()])
    encoder = frozen_encoder(network, approach)
    assert encoder.key.endswith(":litert")
    frames = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    wanted = encoder.network.predict_on_batch(frames)
    scale = np.abs(wanted).max()
    assert scale > 0.01
    with ThreadPoolExecutor(3) as pool:
        by_thread = list(pool.map(encoder.features, np.split(frames, 3)))
    np.testing.assert_allclose(np.concatenate(by_thread), wanted, atol=1e-5 * scale)
    np.testing.assert_array_equal(np.concatenate(by_thread), encoder.features(frames))

    (file,) = (tmp_path / "engines").iterdir()
    file.write_bytes(b"damaged")
    monkeypatch.setattr(litert, "compiled", lambda parts: encoder.compiled)
    assert frozen_encoder(network, approach).compiled == encoder.compiled == file.read_bytes()

    def cannot(parts):
        raise KinemeError("it lacks an operation")

    monkeypatch.setattr(litert, "compiled", cannot)
    (kernel,) = frame_network.get_layer("conv_head").get_weights()
    frame_network.get_layer("conv_head").set_weights([kernel / 2])  # another network: what is kept is not its own
    by_keras = frozen_encoder(network, approach)
    assert not by_keras.key.endswith(":litert")
    assert by_keras.key != encoder.key.removesuffix(":litert")  # whose weights are others
    np.testing.assert_array_equal(by_keras.features(frames), by_keras.network.predict_on_batch(frames))


def test_what_training_has_compiled_predicts_and_is_measured_too(tmp_path, monkeypatch):
    """Compiling takes seconds: the frames of a frozen backbone are compiled once for features, engine and its table."""
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path))
    spec = ClipSpec(frames=2, height=32, width=32)
    approach = make_approach("lrcn", {"backbone": "efficientnet-lite0"})
    network = network_of("lrcn", spec, backbone="efficientnet-lite0")
    encoder = frozen_encoder(network, approach)
    compile_parts, compiled = litert.compiled, []
    monkeypatch.setattr(litert, "compiled", lambda parts: compiled.extend(parts) or compile_parts(parts))
    model = TrainedModel(network, ModelCard("lrcn", config_of(approach), spec, ("a", "b")), "drawn")
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    for engine in ("litert", "auto"):
        (features,) = open_engine(engine, model).function("frame")(frames)
        np.testing.assert_allclose(features, encoder.features(frames), rtol=1e-4, atol=1e-6)
    assert engines_for(kind_of(model, "frame"))
    assert compiled == []
    open_engine("litert", model).function("window")
    assert compiled == ["window"]


def test_the_encoder_of_a_model_is_made_once_and_again_when_the_weights_have_changed():
    spec = ClipSpec(frames=9, height=32, width=32)
    approach = make_approach("late-fusion", {"backbone": "i3d"})
    network = network_of("late-fusion", spec, backbone="i3d")
    card = ModelCard("late-fusion", config_of(approach), spec, ("left", "right"), finetuned=True)
    model = TrainedModel(network, card, "m")
    first = model.encoder
    assert model.encoder is first
    (kernel,) = network.get_layer("backbone").get_layer("Conv3d_1a_7x7-conv").get_weights()
    network.get_layer("backbone").get_layer("Conv3d_1a_7x7-conv").set_weights([kernel / 2])
    assert model.encoder.key != first.key
    assert model.encoder.key.startswith("i3d:")
