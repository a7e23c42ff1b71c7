"""The model file: what goes in comes out, and anything else is refused without harm."""

from __future__ import annotations

import json
import os
import pickle
import struct
from dataclasses import replace

import numpy as np
import pytest
from helpers_networks import SMALL, inputs_for, moving_squares, network_of
from safetensors.numpy import load_file, save_file

from kineme.errors import KinemeError
from kineme.models.model_file import ModelCard, config_of, load_model, read_card, save_model
from kineme.models.open_set import OpenSetDetector
from kineme.models.registry import APPROACHES, make_approach


def card_of(name, **options):
    return ModelCard(name, config_of(make_approach(name, options)), SMALL, ("left", "right"), 1.7, {"seed": 3})


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, network_of("lrcn"), card_of("lrcn"))
    return path


@pytest.mark.parametrize("name", sorted(APPROACHES))
def test_same_result_after_save_and_load(name, tmp_path):
    network, path = network_of(name), tmp_path / "model.safetensors"
    save_model(path, network, card_of(name))
    loaded, card = load_model(path)
    clips = inputs_for(network, moving_squares(3, SMALL)[0])
    np.testing.assert_array_equal(loaded.predict_on_batch(clips), network.predict_on_batch(clips))
    assert card == card_of(name)


def test_layers_of_backbone_and_head_that_are_called_alike_keep_their_own_weights(tmp_path):
    network, path = network_of("slow-fusion", backbone="small-cnn"), tmp_path / "model.safetensors"
    save_model(path, network, card_of("slow-fusion", backbone="small-cnn"))
    loaded, _ = load_model(path)
    clips, _ = moving_squares(2, SMALL)
    np.testing.assert_array_equal(loaded.predict_on_batch(clips), network.predict_on_batch(clips))
    assert len(load_file(path)) == len(network.weights)


def rewrite(path, change):
    """Write the file anew with its document or tensors changed."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()["kineme"])
    tensors = load_file(path)
    change(document, tensors)
    save_file(tensors, path, metadata={"kineme": json.dumps(document)})


def set_in(*keys, to):
    def change(document, tensors):
        part = document
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_in("format", to=99), "format 99, and this version of kineme reads format 1"),
        (set_in("approach", to="os.system"), "no approach"),
        (set_in("config", to={"units": -1}), "units"),
        (set_in("config", to={"backbone": "../../etc"}), "no backbone"),
        (set_in("config", to=[]), "config must be of type dict, not list"),
        (set_in("labels", to=["a"]), "two names"),
        (set_in("labels", to=["a", "a"]), "twice"),
        (set_in("labels", to=["a", "b", "c"]), "logits/kernel"),
        (set_in("spec", to={}), "clip spec"),
        (set_in("spec", "frames", to=10**9), "frames must be"),
        (set_in("spec", "frames", to="20"), "frames must be"),
        (set_in("spec", "height", to=4096), "shape|is float32|smaller"),
        (set_in("spec", "region", to="everyone"), "region must be one of frame, people, person"),
        (set_in("spec", "brightness", to=2), "brightness must be one of as-is, auto"),
        (set_in("calibration", to={"temperature": -1}), "temperature"),
        (lambda document, tensors: document.pop("labels"), "labels"),
        (lambda document, tensors: tensors.pop("logits/bias"), "logits/bias"),
        (lambda document, tensors: tensors.update(extra=np.zeros(3)), "extra"),
        (lambda document, tensors: tensors.update({"logits/bias": np.zeros(2)}), "float64"),
        (lambda document, tensors: tensors.update({"logits/bias": np.zeros((2, 1), np.float32)}), r"\(2, 1\)"),
    ],
)
def test_a_changed_file_is_refused_in_one_line_that_names_it(model_file, change, says):
    rewrite(model_file, change)
    with pytest.raises(KinemeError, match=says) as caught:
        load_model(model_file)
    assert str(model_file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 5, 8, 100, 0.5, -1])
def test_a_file_cut_short_is_refused(model_file, keep):
    size = model_file.stat().st_size
    os.truncate(model_file, int(size * keep) if isinstance(keep, float) else keep % size)
    with pytest.raises(KinemeError, match="not a model file, or cut short"):
        load_model(model_file)


def test_files_of_other_kinds_are_refused_and_nothing_in_them_runs(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    for name, content in {
        "pickle": pickle.dumps(Hostile()),
        "text": b"hello",
        "huge header": struct.pack("<Q", 2**60) + b"{}",
    }.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(KinemeError, match="not a model file"):
            read_card(path)
    assert not (tmp_path / "ran").exists()
    save_file({"a": np.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(KinemeError, match="not one of Kineme's"):
        read_card(tmp_path / "other.safetensors")
    with pytest.raises(KinemeError, match="no such model file"):
        read_card(tmp_path / "missing.safetensors")


def test_every_single_damaged_byte_of_the_header_gives_an_error_or_the_same_names(model_file):
    whole = bytearray(model_file.read_bytes())
    length = struct.unpack("<Q", whole[:8])[0]
    rng = np.random.default_rng(0)
    for position in rng.integers(0, 8 + length, 200):
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        model_file.write_bytes(damaged)
        try:
            read_card(model_file)
        except KinemeError:
            continue


def test_an_array_that_lies_transposed_in_memory_is_read_back_as_it_is(tmp_path):
    from safetensors.numpy import load_file

    from kineme.files import write_tensors

    transposed = np.arange(12, dtype=np.float32).reshape(3, 4).T
    write_tensors(tmp_path / "x.safetensors", {"x": transposed, "scalar": np.array(2.0)}, {})
    back = load_file(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(back["x"], transposed)
    assert back["scalar"].shape == ()


def test_what_is_known_is_kept_and_files_of_before_have_none():
    open_set = OpenSetDetector(((3.0, 0.0), (0.0, 3.0)), 0.5, 2.0)
    card = replace(card_of("lrcn"), open_set=open_set)
    text = json.dumps(card.to_json())
    assert ModelCard.from_json("m", text) == card
    document = json.loads(text)
    del document["calibration"]["known"]
    assert ModelCard.from_json("m", json.dumps(document)).open_set is None
    document["calibration"]["known"] = open_set.to_json() | {"logits": [[1.0, 2.0, 3.0]]}
    with pytest.raises(KinemeError, match="as many labels"):
        ModelCard.from_json("m", json.dumps(document))
