"""Exports for other engines: they say what Keras says, where there is no Keras, with no operation of a vendor's."""

from __future__ import annotations

import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers_networks import SMALL, make_ill_conditioned
from helpers_stream import model_of
from helpers_video import numbered_video

import kineme as package
from kineme.errors import KinemeError, UsageError
from kineme.exporters.agreement import TOLERANCE
from kineme.exporters.folder import export_folder
from kineme.models import formats
from kineme.video.clips import read_clips
from kineme.video.spec import ClipSpec

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def written(folder, name, format_name, video, spec=SMALL):
    """A model and its export; skips where the format's tools are not installed."""
    format_ = formats.FORMATS[format_name]
    if not all(importlib.util.find_spec(module) for module in format_.modules):
        pytest.skip(f"needs pip install {format_.install}")
    model = model_of(name, spec)
    return model, export_folder(model, format_name, folder / format_name, check=video)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """As long as a clip of six frames, 8 a second."""
    return numbered_video(tmp_path_factory.mktemp("videos") / "clip.mp4", 18, fps=25)


# Stands in the way of all that an export must do without.
WITHOUT = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("kineme", "tensorflow", "keras", "jax", "torch"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
sys.argv = {argv!r}
sys.path.insert(0, {examples!r})
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("format_name", formats.FORMATS)
def test_a_short_program_with_the_engine_alone_says_what_the_model_says(
    tmp_path, video, format_name, monkeypatch, capsys
):
    model, found = written(tmp_path, "lrcn", format_name, video)
    assert found.parts == ("clip", "step")
    assert 0 < max(found.differences.values()) <= TOLERANCE

    argv = [str(EXAMPLES / f"run_{format_name}.py"), str(found.path), str(video)]
    if format_name == "savedmodel":  # needs TensorFlow, which takes seconds to import
        monkeypatch.setattr(sys, "argv", argv)
        monkeypatch.syspath_prepend(EXAMPLES)
        runpy.run_path(argv[0], run_name="__main__")
        said = capsys.readouterr().out.splitlines()
    else:
        code = WITHOUT.format(argv=argv, examples=str(EXAMPLES))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said = done.stdout.splitlines()
    (of_clip,) = [line for line in said if line.startswith("clip: ")]
    *_, of_last_frame = [line for line in said if line.startswith("frame: ")]
    ((label, probability), *_) = model.predict(video, engine="keras").top
    for line in (of_clip, of_last_frame):  # the state has seen the frames of the clip, and no more
        _, name, share = line.split()
        assert name == label
        assert float(share) == pytest.approx(probability, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "spec", "parts"),
    [
        (
            "convlstm",
            ClipSpec(frames=33, height=24, width=24),
            ("clip", "step"),
        ),  # too long to be written out elsewhere
        ("slow-fusion", SMALL, ("clip",)),
    ],
)
def test_other_approaches_in_onnx(tmp_path, video, name, spec, parts):
    """Recurrence is written out, so no engine needs an operation for it, and what a state holds has a name."""
    _, found = written(tmp_path, name, "onnx", video, spec)
    import onnx

    assert found.parts == parts
    for part in parts:
        model = onnx.load(found.path / f"{part}.onnx")
        assert not {node.op_type for node in model.graph.node} & {"LSTM", "GRU", "RNN", "Loop", "Scan", "If"}
        assert json.loads({one.key: one.value for one in model.metadata_props}["labels"]) == ["left", "right"]
        inputs, outputs = ([one.name for one in side] for side in (model.graph.input, model.graph.output))
        assert set(outputs) == {"logits", "probabilities", *(f"next_{name}" for name in inputs[1:])}
        assert len(inputs) > 1 or part == "clip"


def test_the_folder_tells_all_that_another_program_needs(tmp_path, video):
    model, found = written(tmp_path, "lrcn", "onnx", video)
    assert {path.name for path in found.path.iterdir()} == {
        *("clip.onnx", "step.onnx", "kineme.json", "export.json", "labels.txt", "README.md")
    }
    assert not [path for path in tmp_path.iterdir() if path != found.path]
    card = json.loads((found.path / "kineme.json").read_text(encoding="utf-8"))
    assert card == json.loads(json.dumps(model.card.to_json()))
    told = json.loads((found.path / "export.json").read_text(encoding="utf-8"))
    assert told["parts"]["step"]["inputs"][1:] == [
        {"name": "started", "shape": [1, 1], "type": "float32"},
        {"name": "pixels", "shape": [1, 64, 64, 3], "type": "float32"},
        {"name": "lstm_h", "shape": [1, 32], "type": "float32"},
        {"name": "lstm_c", "shape": [1, 32], "type": "float32"},
    ]
    assert told["parts"]["clip"]["latency_ms"] > 0
    text = (found.path / "README.md").read_text(encoding="utf-8")
    for said in ("left, right", "6 frames, 8 frames a second", "`lstm_h`", "the tolerance is 1e-04", "`clip.onnx`"):
        assert said in text
    clip = next(read_clips(video, model.card.spec)).frames_THWC[None]
    run = formats.FORMATS["onnx"].open(found.path / "clip.onnx", 1)
    np.testing.assert_allclose(run({"clip": clip})["logits"], model.network.predict_on_batch(clip), atol=1e-4)


def test_nothing_is_replaced_but_an_earlier_export(tmp_path, video):
    model, found = written(tmp_path, "single-frame", "litert", video)
    before = (found.path / "clip.tflite").read_bytes()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("")
    with pytest.raises(UsageError, match=r"mine: is there already and is no earlier export; choose another folder"):
        export_folder(model, "litert", tmp_path / "mine", check=video)
    with pytest.raises(UsageError, match=r"model\.tflite: --format litert writes a folder"):
        export_folder(model, "litert", tmp_path / "model.tflite", check=video)

    make_ill_conditioned(model.network)
    with pytest.raises(KinemeError, match="not written: LiteRT's scores differ from those of Keras by"):
        export_folder(model, "litert", found.path, check=video)
    assert (found.path / "clip.tflite").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "litert"}


def test_what_is_missing_is_said_in_a_line(tmp_path):
    with pytest.raises(
        UsageError, match="--format tflite: there is no such format; choose from litert, onnx, openvino"
    ):
        package.export(tmp_path, "tflite")
    lacking = formats.Format("onnx", "ONNX Runtime", ".onnx", ("no_such_module",), "'kineme[onnx]'", None, None)
    with pytest.raises(KinemeError, match=r"--format onnx needs no_such_module: pip install 'kineme\[onnx\]'"):
        formats.require(lacking)
