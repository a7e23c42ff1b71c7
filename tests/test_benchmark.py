"""What a model costs: every stage and engine is there, the shares add up, and the arithmetic is counted right."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from helpers_dataset import kineme
from helpers_joined import save_joined, someone_walks
from helpers_networks import SMALL, network_of
from helpers_people import need_movenet
from helpers_stream import model_of
from helpers_video import numbered_video

from kineme.benchmark import benchmark
from kineme.cli.benchmark import _print
from kineme.errors import KinemeError
from kineme.exporters.litert import export_litert
from kineme.models.flops import flops


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINEME_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def video(folder):
    return numbered_video(folder / "clip.mp4", 100, fps=25)


@pytest.fixture(scope="module")
def lrcn(folder, video):
    return export_litert(model_of("lrcn", stride=None), folder / "lrcn.tflite", check=video).path


def test_an_exported_model_is_measured_stage_by_stage(lrcn, video, capsys):
    found = benchmark(lrcn, video, budget_s=0.02)
    assert found["video"]["seconds_used"] == 4.0
    assert not found["video"]["drawn"]
    assert set(found["engines"]) == {"litert"}
    one = found["engines"]["litert"]
    assert set(one["ms"]) == {"backbone", "head", "step"}
    assert all(value > 0 for value in (*one["ms"].values(), *found["stages_ms"].values(), *found["limits"].values()))
    assert sum(one["share_of_work"].values()) == pytest.approx(1, abs=0.01)
    assert one["file"]["frames_per_s"] == pytest.approx(25 * one["file"]["times_real_time"], rel=0.01)
    assert all(one["streams"][mode]["ms_a_frame"] > 0 for mode in ("exact", "carried"))
    assert 20 < one["memory_mb"] < 600  # no Keras in it
    assert "times real time on litert" in found["sentence"]
    json.dumps(found)
    _print(found)
    said = capsys.readouterr().out
    assert found["sentence"] in said
    for line in ("decode a frame", "backbone, a frame", "head, a window", "a stream, carried", "most memory"):
        assert line in said


def test_a_network_that_looks_at_whole_clips_has_one_stage_and_no_state(folder, video, capsys):
    path = export_litert(model_of("slow-fusion"), folder / "slow.tflite", check=video).path
    found = benchmark(path, video, budget_s=0.02)
    one = found["engines"]["litert"]
    assert set(one["ms"]) == {"network"}
    assert set(one["share_of_work"]) == {"decode", "resize", "network"}
    assert "use mode='exact'" in one["streams"]["carried"]["none"]
    assert one["gflops"] > 0
    found["engines"]["keras"] = {"error": "this needs Keras"}
    _print(found)
    assert "- keras: this needs Keras" in capsys.readouterr().out


def test_the_memory_of_a_process_is_its_own():
    """Not that of the process that started it."""
    ballast = np.ones(300_000_000, np.uint8)
    code = "from kineme.memory import peak_mb; print(peak_mb())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ballast[-1] == 1
    assert 5 < int(done.stdout) < 200


def test_what_cannot_be_measured_is_one_line(lrcn, video):
    with pytest.raises(KinemeError, match="holds no Keras network"):
        benchmark(lrcn, video, engines=["keras"])
    done = kineme("benchmark", lrcn, "--engine", "gpu")
    assert done.returncode == 2
    assert "--engine gpu: there is no such engine" in done.stderr


def test_arithmetic_is_two_for_each_product_of_convolutions_and_matrices(lrcn):
    content = lrcn.read_bytes()
    convolutions = 0
    network = network_of("lrcn")
    for layer in network.get_layer("backbone").get_layer("frame_network").layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and len(kernel.shape) == 4:
            places = math.prod(layer.output.shape[1:3])
            convolutions += 2 * places * math.prod(kernel.shape)
    assert 0 < flops(content, "frame") == convolutions
    units, features, classes = 32, 64, 2
    seen, remembered, scores = 8 * units * features, 8 * units * units, 2 * units * classes
    assert flops(content, "step") == seen + remembered + scores
    frames = SMALL.frames  # the first of a window has nothing to remember
    assert flops(content, "window") == frames * seen + (frames - 1) * remembered + scores


def test_each_member_of_joined_backbones_has_its_stages(folder, capsys):
    need_movenet()
    model = save_joined(folder / "j.safetensors", {"movenet": 1, "efficientnet-lite0": 2})
    found = benchmark(model, someone_walks(folder / "walk.mp4", 3), engines=["keras"], budget_s=0.02)
    one = found["engines"]["keras"]
    stages = {f"{name} {stage}" for name in ("movenet", "efficientnet-lite0") for stage in ("backbone", "head")}
    assert set(one["ms"]) == stages
    assert set(one["share_of_work"]) == {"decode", "resize", *stages}
    assert found["members"]["efficientnet-lite0"] == {"frames": 4, "fps": 4.0, "height": 64, "width": 64}
    assert one["streams"]["exact"]["ms_a_frame"] > 0
    assert "use mode='exact'" in one["streams"]["carried"]["none"]
    _print(found)
    assert "movenet, backbone, a frame the model sees" in capsys.readouterr().out
