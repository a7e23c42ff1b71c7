"""Exported models: they say what the network says, run where there is no Keras, and bad ones are told in a line."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from helpers_dataset import kineme
from helpers_networks import SMALL, make_ill_conditioned
from helpers_stream import by_whole_clips, feed, frames_of, model_of
from helpers_video import numbered_video

import kineme as package
from kineme.errors import KinemeError, UsageError
from kineme.exporters.agreement import TOLERANCE
from kineme.exporters.litert import export_litert
from kineme.models.model_file import save_model
from kineme.prediction import exported
from kineme.prediction.exported import Exported
from kineme.video.spec import ClipSpec


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Where the files are that several tests use, and the cache: a network is tried out once."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINEME_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def video(folder):
    return numbered_video(folder / "clip.mp4", 100, fps=25)


@pytest.fixture(scope="module")
def lrcn(folder, video):
    """A model, and what was written of it."""
    model = model_of("lrcn", stride=None)
    model.card = dataclasses.replace(model.card, temperature=1.7)
    return model, export_litert(model, folder / "lrcn.tflite", check=video)


def test_it_says_what_the_network_says_of_files_and_streams(lrcn, video):
    model, written = lrcn
    again = package.load(written.path)
    assert (again.card, again.labels, again.name) == (model.card, model.labels, model.name)
    assert again.card.temperature == 1.7
    wanted, given = model.predict(video, engine="keras"), again.predict(video)
    np.testing.assert_array_equal(given.window_times_W2, wanted.window_times_W2)
    np.testing.assert_allclose(given.window_probabilities_WK, wanted.window_probabilities_WK, atol=TOLERANCE)
    for mode in ("exact", "carried"):
        answers = [feed(one.stream(mode=mode), frames_of(20)) for one in (model, again)]
        np.testing.assert_allclose(*answers, atol=TOLERANCE)
    assert written.parts == ("window", "step", "frame")
    assert 0 < max(written.differences.values()) <= TOLERANCE
    assert written.differences.keys() == {"windows", "carried"}
    assert written.frames == 32


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("convlstm", {}, ("clip", "step", "frame")),
        ("slow-fusion", {}, ("clip",)),
    ],
)
def test_other_approaches(tmp_path, video, name, options, parts):
    model = model_of(name, **options, stride=3)
    written = export_litert(model, tmp_path / "model.tflite", check=video)
    assert written.parts == parts
    again = package.load(written.path)
    wanted, given = model.predict(video, engine="keras"), again.predict(video)
    np.testing.assert_allclose(given.window_probabilities_WK, wanted.window_probabilities_WK, atol=TOLERANCE)
    assert len(given.window_times_W2) > 5
    if "step" not in parts:
        with pytest.raises(UsageError, match=f"{name}, as exported, has no step: use mode='exact'"):
            again.stream(mode="carried")


def test_a_model_of_whole_videos_has_no_step(tmp_path, video):
    model = model_of("single-frame", ClipSpec(frames=6, fps=None))
    written = export_litert(model, tmp_path / "model.tflite", check=video)
    assert written.parts == ("window", "frame")
    _, windows_WK = by_whole_clips(model, video)
    np.testing.assert_allclose(package.load(written.path).predict(video).probabilities_K, windows_WK[0], atol=TOLERANCE)


def test_any_interpreter_reads_it_and_any_unzip_program_its_description(lrcn):
    from ai_edge_litert.interpreter import Interpreter

    model, written = lrcn
    signatures = Interpreter(model_path=str(written.path)).get_signature_list()
    assert set(signatures) == {"frame", "window", "step"}
    assert signatures["step"]["inputs"] == ["input0", "input1", "input2"]
    with zipfile.ZipFile(written.path) as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(model.labels)
        assert json.loads(archive.read("kineme.json"))["spec"] == model.card.spec.to_json()


# Stands in the way of all that must not be needed.
_WITHOUT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "jax", "torch"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
"""


def test_it_predicts_and_streams_where_there_is_no_backend(lrcn, video):
    model, written = lrcn
    code = f"""{_WITHOUT}
import json
import numpy as np
import kineme

model = kineme.load({str(written.path)!r})
said = [model.predict({str(video)!r}).probabilities_K.tolist()]
for mode in ("exact", "carried"):
    stream = model.stream(mode=mode)
    frames = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    said.append([stream.push(frame, number / 8) for number, frame in enumerate(frames)][-1].tolist())
print(json.dumps(said))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    said = json.loads(done.stdout)
    np.testing.assert_allclose(said[0], model.predict(video, engine="keras").probabilities_K, atol=TOLERANCE)
    frames = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    for mode, answer in zip(("exact", "carried"), said[1:], strict=True):
        np.testing.assert_allclose(answer, feed(model.stream(mode=mode, engine="keras"), frames)[-1], atol=TOLERANCE)

    command = f"{_WITHOUT}\nsys.argv = ['kineme', 'predict', {str(video)!r}, '--model', {str(written.path)!r}]"
    slow = {"cv2", "PIL", "polars", "matplotlib", "sklearn", "scipy", "numpy.ma", "jinja2"}
    command += f"""
from kineme.cli.main import main
try:
    main()
finally:
    assert not {slow!r} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "left" in done.stdout


def test_the_command_exports_and_predicts(tmp_path):
    model = model_of("single-frame")
    save_model(tmp_path / "model.safetensors", model.network, model.card)
    done = kineme("export", tmp_path, "--out", tmp_path / "out.tflite")
    assert done.returncode == 0, done.stderr
    assert "agree with those of Keras over 200 frames" in done.stdout
    assert "the tolerance is 1e-04" in done.stdout
    numbered_video(tmp_path / "clip.mp4", 40)
    done = kineme("predict", tmp_path / "clip.mp4", "--model", tmp_path / "out.tflite", "--json")
    assert json.loads(done.stdout)["model"] == tmp_path.name

    done = kineme("export", tmp_path, "--format", "tflite")
    assert done.returncode == 2
    assert (
        done.stderr
        == "kineme: --format tflite: there is no such format; choose from litert, onnx, openvino, savedmodel\n"
    )
    for out, check, error, says in (
        ("new.bin", None, UsageError, "must end in .tflite"),
        ("new.tflite", tmp_path / "none.mp4", KinemeError, "no such file"),
    ):
        with pytest.raises(error, match=says):
            export_litert(model, tmp_path / out, check=check)
    assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} == {".safetensors", ".tflite", ".mp4"}
    assert not list(tmp_path.glob("*new*"))


def test_an_exported_model_only_predicts(lrcn, video, tmp_path):
    _, written = lrcn
    again = package.load(written.path)
    with pytest.raises(UsageError, match=r"lrcn.tflite: an exported model holds no Keras network"):
        again.predict(video, engine="keras")
    with pytest.raises(UsageError, match="is exported already"):
        export_litert(again, tmp_path / "again.tflite")
    with pytest.raises(KinemeError, match="an exported model only predicts"):
        again.network  # noqa: B018


def test_nothing_is_written_where_the_scores_differ(tmp_path, video):
    model = model_of("single-frame")
    make_ill_conditioned(model.network)
    with pytest.raises(
        KinemeError, match=r"not written: LiteRT's scores differ from those of Keras by \d.*e[+-]0\d of"
    ):
        export_litert(model, tmp_path / "model.tflite", check=video)
    assert not list(tmp_path.glob("*model*"))


def rewritten(path, to, **changes):
    """The exported model with other values in ``export.json``, or in the card as ``card``, and hashes that fit."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(texts["export.json"])
    network = content[: document["bytes"]]
    texts["kineme.json"] = json.dumps(json.loads(texts["kineme.json"]) | changes.pop("card", {})).encode()
    texts["export.json"] = json.dumps(document | changes).encode()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    to.write_bytes(network + held.getvalue())
    return to


def test_damaged_files_give_one_clear_line(lrcn, tmp_path):
    _, written = lrcn
    whole = written.path.read_bytes()
    path = tmp_path / "bad.tflite"
    rng = np.random.default_rng(0)
    cuts = [whole[: int(len(whole) * share)] for share in (0, 0.00002, 0.3, 0.9, 0.9999)]
    flips = []
    for place in rng.integers(0, len(whole), 60):
        flips.append(whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :])
    told = []
    for content in [*cuts, *flips, b"x" * 5000, whole[:4] + b"TFL3" + bytes(100), whole + b"more"]:
        path.write_bytes(content)
        try:
            package.load(path)
        except KinemeError as error:
            told.append(str(error))
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in told)
    assert len(told) >= len(cuts) + 50  # what is left are bits that mean nothing, such as a date in the archive


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 99}, "exported in format 99"),
        ({"parts": ["window", "clip"]}, "LiteRT cannot run its clip"),
        ({"bytes": "many"}, "cannot be read"),
        ({"bytes": -5}, "damaged"),
        ({"bytes": 2**70}, "damaged"),
        ({"sha256": None}, "damaged"),
        ({"parts": None}, "cannot be read"),
        ({"card": {"labels": ["a", "b", "c"]}}, "does not give 3 scores"),
        ({"card": {"labels": ["a"]}}, "labels must be two names or more"),
        ({"card": {"spec": dataclasses.replace(SMALL, height=4096).to_json()}}, "do not match the model"),
        ({"card": {"spec": dataclasses.replace(SMALL, frames=7).to_json()}}, "do not match the model"),
        ({"card": {"config": []}}, "config must be of type dict, not list"),
    ],
)
def test_descriptions_that_lie_are_found_out(lrcn, tmp_path, video, changes, says):
    _, written = lrcn
    path = rewritten(written.path, tmp_path / "lie.tflite", **dict(changes))

    def use():
        model = package.load(path)
        if "clip" in model.exported.parts:
            model.exported.function("clip")
        model.predict(video)

    with pytest.raises(KinemeError, match=says) as error:
        use()
    assert "\n" not in str(error.value)


def test_hostile_networks_with_a_fitting_hash_end_in_a_line_and_no_crash(lrcn, tmp_path, video):
    """LiteRT itself breaks down over about one in twenty of these."""
    _, written = lrcn
    document = json.loads(zipfile.ZipFile(written.path).read("export.json"))
    network = np.frombuffer(written.path.read_bytes()[: document["bytes"]], np.uint8)
    structure = np.flatnonzero(np.convolve(network == 0, np.ones(64) / 64, "same") > 0.3)  # weights are hardly ever 0
    rng = np.random.default_rng(3)
    path, said = tmp_path / "bad.tflite", []
    for _ in range(6):
        bad = network.copy()
        bad[rng.choice(structure, 3)] = rng.integers(0, 256, 3)
        path.write_bytes(bad.tobytes() + zipped(written.path, bad.tobytes()))
        try:
            package.load(path).predict(video)
        except KinemeError as error:
            said.append(str(error))
    assert said
    assert all(line.startswith(f"{path}: LiteRT ") and "\n" not in line for line in said), said


def test_a_network_is_tried_out_once(lrcn, tmp_path):
    _, written = lrcn
    once = written.path.read_bytes()
    tried = set((written.path.parent / "cache" / "engines").glob("*.tried"))
    (tmp_path / "copy.tflite").write_bytes(once)
    package.load(tmp_path / "copy.tflite")
    assert set((written.path.parent / "cache" / "engines").glob("*.tried")) == tried != set()


def zipped(path, network):
    """The archive of an exported model around another network, with its hash."""
    held = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(held, "w") as made:
        for name in archive.namelist():
            text = archive.read(name)
            if name == "export.json":
                told = {"bytes": len(network), "sha256": hashlib.sha256(network).hexdigest()}
                text = json.dumps(json.loads(text) | told).encode()
            made.writestr(name, text)
    return held.getvalue()


def test_files_that_are_no_exported_models(tmp_path):
    path = tmp_path / "model.tflite"
    for content, says in ((b"", "not a LiteRT model"), (b"1234TFL3" + bytes(99), "not exported by Kineme")):
        path.write_bytes(content)
        with pytest.raises(KinemeError, match=says):
            Exported(path)
    with pytest.raises(KinemeError, match="no such model file"):
        package.load(tmp_path / "none.tflite")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kineme.json", " " * (exported._MOST_TEXT_BYTES + 1))
    path.write_bytes(b"1234TFL3" + bomb.getvalue())
    with pytest.raises(KinemeError, match="absurdly long"):
        Exported(path)
