"""LiteRT gives what Keras gives; what it compiled is kept, and made anew when it is damaged or the model is another."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_networks import SMALL, network_of
from helpers_stream import STEP_S, feed, frames_of, model_of

from kineme.errors import KinemeError
from kineme.models.backend import keras
from kineme.models.model_file import ModelCard, config_of
from kineme.models.registry import make_approach
from kineme.prediction import steps
from kineme.prediction.engine import KerasEngine, open_engine
from kineme.prediction.windows import Windows
from kineme.video.spec import ClipSpec

TOLERANCE = 1e-4  # of the scale of the outputs, as the engine says of itself


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.mark.parametrize(
    ("name", "options", "mode"),
    [
        ("lrcn", {}, "exact"),
        ("lrcn", {}, "carried"),
        ("single-frame", {}, "exact"),
        ("late-fusion", {"merge": "mean"}, "carried"),
    ],
)
def test_a_stream_on_litert_says_what_one_on_keras_says(cache, name, options, mode):
    model = model_of(name, **options)
    frames = frames_of(20)
    by_keras, by_litert = (feed(model.stream(mode=mode, engine=engine), frames) for engine in ("keras", "litert"))
    assert len(by_keras) == (15 if mode == "exact" else 20)
    np.testing.assert_allclose(by_litert, by_keras, atol=TOLERANCE)
    assert len(list(cache.glob("*.tflite"))) == 2  # the frames' network, and the window or the step


def test_other_parts_agree_too():
    """EfficientNet's features, steps of a ConvLSTM and of one that skips, and a head that reads both ways."""
    nobody = np.zeros((1, 166), np.float32)
    frame = frames_of(1)[:, :32, :32]
    maps = np.random.default_rng(1).random((1, 64, 64, 3), np.float32)
    features = np.random.default_rng(2).normal(size=(1, 6, 64)).astype(np.float32)
    small = ClipSpec(frames=6, height=32, width=32)
    for name, spec, options, part, inputs in (
        ("lrcn", small, {"backbone": "efficientnet-lite0"}, "frame", [frame]),
        ("convlstm", SMALL, {}, "step", [maps]),
        ("pose-lstm", SMALL, {}, "step", [nobody]),
        ("lrcn", SMALL, {"bidirectional": True}, "window", [features]),
    ):
        network = network_of(name, spec, **options)
        if part == "frame":  # drawn weights alone would fade to nothing in so many layers
            for layer in network.get_layer("backbone").get_layer("frame_network").layers:
                if layer.name.endswith("conv") or layer.name.startswith("conv"):
                    layer.set_weights([weight * 4 for weight in layer.get_weights()])
        card = ModelCard(name, config_of(make_approach(name, options)), spec, ("left", "right"))
        build = {
            "frame": lambda network=network: steps.frame_part(network.get_layer("backbone")),
            "step": lambda network=network, card=card: steps.step_part(card, network),
            "window": lambda network=network: steps.window_part(network.get_layer("head")),
        }[part]
        functions = [open_engine(engine, network, card).function(part, build) for engine in ("keras", "litert")]
        assert functions[0].input_shapes == functions[1].input_shapes
        rng = np.random.default_rng(3)
        inputs = inputs + [rng.random(shape, np.float32) for shape in functions[0].input_shapes[len(inputs) :]]
        for wanted, given in zip(*(function(*inputs) for function in functions), strict=True):
            scale = np.abs(wanted).max()
            assert scale > 0.01, (name, part)
            np.testing.assert_allclose(given, wanted, atol=TOLERANCE * scale)


def test_a_stream_and_the_windows_of_a_file_are_equal_to_the_bit_on_litert():
    model, frames = model_of("lrcn"), frames_of(12)
    windows = Windows(model, open_engine("litert", model.network, model.card))
    scored = windows.score("clip.mp4", ((tick * STEP_S, frame) for tick, frame in enumerate(frames)), 1)
    logits_NK = np.array([logits_K for _, logits_K in scored])
    np.testing.assert_array_equal(feed(model.stream(engine="litert"), frames), model.probabilities(logits_NK))


def never():
    raise AssertionError("it was compiled again")


def test_a_part_is_compiled_once_and_again_when_damaged_or_the_weights_change(cache):
    model = model_of("lrcn")
    model.stream(mode="carried", engine="litert")
    files = {path: path.read_bytes() for path in cache.iterdir()}
    assert {path.name.partition("-")[2] for path in files} == {"frame.tflite", "step.tflite"}

    engine = open_engine("litert", model.network, model.card)
    assert engine.function("step", never).input_shapes == [(1, 64), (1, 32), (1, 32)]

    step = next(path for path in files if path.name.endswith("step.tflite"))
    step.write_bytes(files[step][:1000])
    damaged = feed(model.stream(mode="carried", engine="litert"), frames_of(3))
    np.testing.assert_allclose(damaged, feed(model.stream(mode="carried", engine="keras"), frames_of(3)), atol=1e-4)
    assert len(step.read_bytes()) == len(files[step])

    model.network.set_weights([weight + 0.01 for weight in model.network.get_weights()])
    changed = feed(model.stream(mode="carried", engine="litert"), frames_of(3))
    assert len(list(cache.iterdir())) == 4
    assert np.abs(changed - damaged).max() > 1e-4


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "file"))
    assert len(feed(model_of("single-frame").stream(engine="litert"), frames_of(8))) == 3


def test_auto_takes_litert_for_frames_keras_for_clips_and_keras_where_litert_cannot(cache):
    feed(model_of("single-frame").stream(), frames_of(6))
    assert len(list(cache.iterdir())) == 2
    feed(model_of("slow-fusion").stream(), frames_of(6))
    assert len(list(cache.iterdir())) == 2

    maps = keras.Input(batch_shape=(1, 4, 4, 4, 1), name="maps")
    odd = keras.Model(maps, keras.layers.MaxPooling3D()(maps))
    engine = open_engine("auto", odd, model_of("lrcn").card)
    assert engine.function("window", lambda: odd)(np.ones((1, 4, 4, 4, 1), np.float32))[0].shape == (1, 2, 2, 2, 1)
    with pytest.raises(KinemeError, match=r"LiteRT cannot run this network's window: it lacks MaxPool3D; use"):
        open_engine("litert", odd, model_of("lrcn").card).function("window", lambda: odd)


def test_the_keras_engine_compiles_nothing(cache):
    stream = model_of("lrcn").stream(engine="keras")
    assert len(feed(stream, frames_of(6))) == 1
    assert stream.answered_s == 5 * STEP_S
    assert not cache.exists()
    assert KerasEngine().name == "keras"
