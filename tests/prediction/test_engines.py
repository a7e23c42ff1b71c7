"""Both engines give what the whole network gives of a file; what is compiled is kept, and made anew when it must be."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from helpers_networks import SMALL, network_of
from helpers_stream import STEP_S, by_whole_clips, feed, frames_of, model_of
from helpers_video import numbered_video

from kineme.errors import KinemeError, UsageError
from kineme.model import Model
from kineme.models import litert
from kineme.models.backend import keras
from kineme.models.engine_table import ranked
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.registry import make_approach
from kineme.prediction.engines.keras import KerasFunction
from kineme.prediction.engines.select import kind_of, open_engine
from kineme.prediction.engines.steps import part_of
from kineme.prediction.windows import WindowScorer
from kineme.sources.local import local_videos
from kineme.sources.local_video import FetchOptions
from kineme.video.spec import ClipSpec

TOLERANCE = 1e-4  # of the scale of the outputs, as the engine says of itself


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.mark.parametrize(
    ("name", "options", "fps"),
    [
        ("lrcn", {}, 25),
        ("lrcn", {"backbone": "small-cnn", "bidirectional": True}, 5),
        ("single-frame", {}, 15),
        ("late-fusion", {"frames": "two"}, 60),
        ("early-fusion", {}, 25),
        ("slow-fusion", {}, 25),
    ],
)
def test_engines_give_of_a_file_what_the_whole_network_gives(tmp_path, name, options, fps):
    path = numbered_video(tmp_path / "clip.mp4", 2 * fps, fps=fps)
    model = model_of(name, **options, stride=2)
    times_W2, windows_WK = by_whole_clips(model, path)
    by_engine = {engine: model.predict(path, engine=engine) for engine in ("keras", "litert", "openvino")}
    for engine, predicted in by_engine.items():
        np.testing.assert_array_equal(predicted.window_times_W2, times_W2)
        np.testing.assert_allclose(predicted.window_probabilities_WK, windows_WK, atol=1e-5, err_msg=engine)
    assert np.ptp(np.log(windows_WK[:, 0] / windows_WK[:, 1])) > 0.001  # there is something to tell apart


@pytest.mark.parametrize("short", ["hold", "loop"])
def test_short_videos_and_odd_ends_are_read_as_whole_clips_are(tmp_path, short):
    model = model_of("lrcn", dataclasses.replace(SMALL, short=short), stride=4)
    videos = [numbered_video(tmp_path / f"{frames}.mp4", frames, fps=25) for frames in (1, 2, 9, 50)]
    for engine in ("keras", "litert"):
        for video, predicted in zip(videos, model.predict(videos, engine=engine), strict=True):
            times_W2, windows_WK = by_whole_clips(model, video)
            np.testing.assert_array_equal(predicted.window_times_W2, times_W2)
            np.testing.assert_allclose(predicted.window_probabilities_WK, windows_WK, atol=1e-5)


def test_the_command_line_runs_what_is_kept_compiled_without_keras(tmp_path, cache):
    video = numbered_video(tmp_path / "clip.mp4", 90, fps=25)
    model = model_of("lrcn", stride=None)
    save_model(tmp_path / "model.safetensors", model.network, model.card)
    with closing(local_videos([str(video)], FetchOptions(start_s=1, end_s=3))) as parts:
        wanted, _ = [model.predict(part.path, engine=engine) for part in parts for engine in ("keras", "auto")]
    files = set(cache.iterdir())
    options = ["--model", str(tmp_path), "--start", "1", "--end", "3", "--json", "--top", "2", "--engine", "auto"]
    code = f"""
import sys
from kineme.cli.main import main
sys.argv = ["kineme", "predict", {str(video)!r}, *{options!r}]
try:
    main()
finally:
    assert not {{"keras", "tensorflow", "sklearn", "scipy"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["duration_s"] == pytest.approx(2, abs=0.05)
    for one, (label, probability) in zip(said["top"], wanted.top, strict=True):
        assert one["label"] == label
        assert one["probability"] == pytest.approx(probability, abs=2e-4)
    assert set(cache.iterdir()) == files
    with pytest.raises(
        UsageError, match="--engine gpu: there is no such engine; choose one of auto, keras, litert, openvino"
    ):
        model.predict(video, engine="gpu")


def test_the_weights_are_hashed_once_and_again_only_when_one_of_them_changes(tmp_path):
    network = network_of("lrcn")
    card = ModelCard("lrcn", config_of(make_approach("lrcn")), SMALL, ("to-left", "to-right"))
    save_model(tmp_path / "a.safetensors", network, card)
    in_memory, of_file = Model(network, card, "a"), Model.from_file(tmp_path / "a.safetensors")
    for model in (in_memory, of_file):
        before = model.fingerprint
        assert before == in_memory.fingerprint
        assert model.fingerprint is before  # not another string that is equal
        weights = model.network.get_weights()
        assert model.fingerprint is before
        changed = [weight.copy() for weight in weights]
        changed[0].flat[-1] += 1e-3
        model.network.set_weights(changed)
        assert model.fingerprint != before
        assert model.version == 1
        model.network.set_weights(weights)
        assert model.fingerprint == before


def test_a_network_that_was_changed_is_not_answered_for_by_the_old_one(tmp_path):
    video = numbered_video(tmp_path / "clip.mp4", 30, fps=25)
    model = model_of("lrcn")
    before = model.predict(video).probabilities_K
    model.network.set_weights([weight + 0.05 for weight in model.network.get_weights()])
    _, windows_WK = by_whole_clips(model, video)
    after = model.predict(video)
    assert np.abs(after.probabilities_K - before).max() > 1e-4
    np.testing.assert_allclose(after.window_probabilities_WK, windows_WK, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "mode"),
    [
        ("lrcn", {}, "exact"),
        ("lrcn", {}, "carried"),
        ("single-frame", {}, "exact"),
        ("late-fusion", {"merge": "mean"}, "carried"),
        ("late-fusion", {"merge": "attention"}, "exact"),
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
        cut = part_of(part, network, card)
        functions = [KerasFunction(cut), litert.LiteRTFunction(litert.compiled({part: cut}), part)]
        assert functions[0].input_shapes == functions[1].input_shapes
        rng = np.random.default_rng(3)
        inputs = inputs + [rng.random(shape, np.float32) for shape in functions[0].input_shapes[len(inputs) :]]
        for wanted, given in zip(*(function(*inputs) for function in functions), strict=True):
            scale = np.abs(wanted).max()
            assert scale > 0.01, (name, part)
            np.testing.assert_allclose(given, wanted, atol=TOLERANCE * scale)


def test_a_stream_and_the_windows_of_a_file_are_equal_to_the_bit_on_litert():
    model, frames = model_of("lrcn"), frames_of(12)
    windows = WindowScorer(model, open_engine("litert", model))
    scored = windows.score("clip.mp4", ((tick * STEP_S, frame) for tick, frame in enumerate(frames)), 1)
    logits_NK = np.array([logits_K for _, logits_K in scored])
    np.testing.assert_array_equal(feed(model.stream(engine="litert"), frames), model.probabilities(logits_NK))


def test_a_part_is_compiled_once_and_again_when_damaged_or_the_weights_change(cache):
    model = model_of("lrcn")
    model.stream(mode="carried", engine="litert")
    files = {path: path.read_bytes() for path in cache.iterdir()}
    assert {path.name.partition("-")[2] for path in files} == {"frame.tflite", "step.tflite"}

    inodes = {path: path.stat().st_ino for path in files}
    assert open_engine("litert", model).function("step").input_shapes == [(1, 64), (1, 32), (1, 32)]
    assert {path: path.stat().st_ino for path in cache.iterdir()} == inodes  # none was written again

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


def kept_of(cache, name: str) -> set[str]:
    """What a first stream of an approach by ``auto`` adds to the cache."""
    before = set(cache.iterdir()) if cache.exists() else set()
    feed(model_of(name).stream(), frames_of(6))
    return {path.stem.split("-")[1] + path.suffix for path in set(cache.iterdir()) - before if "-" in path.stem}


def test_auto_measures_a_part_once_and_takes_what_the_table_says(cache):
    assert kept_of(cache, "slow-fusion") in ({"clip.tflite"}, {"clip.openvino"})
    (table,) = cache.glob("*.engines")
    entry = json.loads(table.read_text())
    assert entry["what"][0] == "clip"
    assert entry["what"][1][0] == "slow-fusion"
    assert set(entry["engines"]) == {"litert", "openvino"}
    for cost in entry["engines"].values():
        assert 0 < cost["ms"] < 10_000
        assert 50 < cost["mb"] < 1000
    for best, other in (("litert", "openvino"), ("openvino", "litert")):
        costs = {best: {"ms": 1.0, "mb": 180.0}, other: {"ms": 2.0, "mb": 150.0}}
        table.write_text(json.dumps({**entry, "engines": costs}))
        for path in cache.glob("*-*"):
            path.unlink()
        suffix = {"litert": ".tflite", "openvino": ".openvino"}[best]
        assert kept_of(cache, "slow-fusion") == {f"clip{suffix}"}
    assert list(cache.glob("*.engines")) == [table]
    table.write_text("damaged")
    kept_of(cache, "slow-fusion")
    assert set(json.loads(table.read_text())["engines"]) == {"litert", "openvino"}


def test_frames_of_a_pretrained_backbone_are_measured_once_for_all_models():
    def key(name, spec=SMALL, backbone="efficientnet-lite0", **options):
        return kind_of(model_of(name, spec, backbone=backbone, **options), "frame").key

    usual = key("lrcn")
    assert usual == key("lrcn", units=8) == key("late-fusion", merge="attention")
    assert usual == key("lrcn", dataclasses.replace(SMALL, frames=SMALL.frames + 1))
    assert usual != key("lrcn", dataclasses.replace(SMALL, height=2 * SMALL.height))
    assert key("lrcn", backbone="small-cnn") != key("late-fusion", backbone="small-cnn")


def test_where_one_engine_is_missing_auto_does_without(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)  # as where it is not installed
    assert kept_of(cache, "slow-fusion") == {"clip.tflite"}
    with pytest.raises(KinemeError, match=r"--engine openvino is not installed: pip install 'kineme\[openvino\]'"):
        model_of("slow-fusion").stream(engine="openvino")
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    assert kept_of(cache, "single-frame") == set()


@pytest.mark.parametrize(
    ("costs", "order"),
    [
        ({"litert": (1.0, 100.0), "openvino": (0.5, 149.0)}, ["openvino", "litert"]),
        ({"litert": (1.0, 100.0), "openvino": (0.5, 151.0)}, ["litert", "openvino"]),  # too much memory
        ({"litert": (1.09, 100.0), "openvino": (1.0, 120.0)}, ["litert", "openvino"]),  # as fast, and smaller
        ({"litert": (2.0, None), "openvino": (1.0, None)}, ["openvino", "litert"]),
        ({"litert": (9.0, 4600.0), "openvino": (3.4, 500.0), "keras": (3.0, 1300.0)}, ["openvino", "keras", "litert"]),
        ({"litert": (9.0, 4600.0), "keras": (3.0, 1300.0)}, ["keras", "litert"]),
        ({}, []),
    ],
)
def test_the_fastest_engine_that_needs_little_memory_is_the_best(costs, order):
    assert ranked({name: {"ms": ms, "mb": mb} for name, (ms, mb) in costs.items()}) == order


def test_what_is_kept_for_openvino_is_made_anew_when_damaged(cache):
    model = model_of("slow-fusion")
    wanted = feed(model.stream(engine="keras"), frames_of(6))
    np.testing.assert_allclose(feed(model.stream(engine="openvino"), frames_of(6)), wanted, atol=1e-5)
    (kept,) = cache.iterdir()
    content = kept.read_bytes()
    for damaged in (b"", content[:1000], b"\xff" * 100):
        kept.write_bytes(damaged)
        np.testing.assert_allclose(feed(model.stream(engine="openvino"), frames_of(6)), wanted, atol=1e-5)
        assert len(kept.read_bytes()) > 1000


def test_openvino_reports_nothing_to_its_makers(tmp_path):
    code = """
import sys
forbidden = {"os.fork", "socket.connect", "subprocess.Popen"}
sys.addaudithook(lambda event, _: sys.exit(event) if event in forbidden else None)
from kineme.models.formats import load_openvino
load_openvino().Core()
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
import openvino_telemetry
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_what_litert_lacks_is_said_in_a_line_and_auto_goes_on_without():
    model = model_of("lrcn", backbone="small-cnn")
    features = keras.Input((6, 64), name="features")
    head = keras.Model(features, keras.ops.cumprod(features, axis=2)[:, 0, :2], name="head")
    network = keras.Model(model.network.input, head(model.network.get_layer("backbone")(model.network.input)))
    model = Model(network, model.card, "odd")
    clip = frames_of(6)
    answer = feed(model.stream(engine="auto"), clip)[-1:]
    np.testing.assert_allclose(answer, model.probabilities(network.predict_on_batch(clip[None])), atol=1e-5)
    with pytest.raises(KinemeError, match=r"cannot run this network's window: it lacks Cumprod; use"):
        model.stream(engine="litert")


@pytest.mark.parametrize(
    ("kind", "size", "padding", "strides"),
    [
        ("Max", (2, 2, 2), "same", None),
        ("Average", (3, 3, 3), "same", (2, 2, 2)),
        ("Max", (1, 3, 3), "valid", 2),
    ],
)
def test_pooling_over_time_and_space_is_compiled_as_two(kind, size, padding, strides):
    maps = keras.Input((5, 9, 8, 3), name="maps")
    pool = getattr(keras.layers, f"{kind}Pooling3D")(size, strides, padding=padding)
    network = keras.Model(maps, pool(maps))
    given = np.random.default_rng(0).normal(size=(1, 5, 9, 8, 3)).astype(np.float32)
    wanted = network.predict_on_batch(given)
    function = litert.LiteRTFunction(litert.compiled({"clip": network}), "clip")
    np.testing.assert_allclose(function(given)[0], wanted, atol=1e-6)
    np.testing.assert_array_equal(network.predict_on_batch(given), wanted)


def test_the_keras_engine_compiles_nothing(cache):
    stream = model_of("lrcn").stream(engine="keras")
    assert len(feed(stream, frames_of(6))) == 1
    assert stream.prediction_time_s == 5 * STEP_S
    assert not cache.exists()
