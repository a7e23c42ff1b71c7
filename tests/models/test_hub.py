"""Networks of the Hugging Face Hub by name: what is refused and with which words, licences, pins; without a network."""

from __future__ import annotations

import importlib.util
import json
import pickle

import numpy as np
import pytest
from helpers_hub import COMMIT, FRAMES, PROCESSOR, SIDE, bare_folder, hub

from kineme.errors import KinemeError, UsageError
from kineme.models.approaches.lrcn import LRCN
from kineme.models.hub.fetch import pull
from kineme.models.hub.licences import is_restricted
from kineme.models.hub.processing import read_processing
from kineme.models.hub.snapshot import find_snapshot
from kineme.models.hub.text import read_labels, with_labels
from kineme.models.network import build_network
from kineme.models.registry import find_backbone, published
from kineme.training.learner import make_learner
from kineme.training.options import resolve_approach
from kineme.video.spec import ClipSpec

NAME = "hf:someone/a-model"
needs_hub = pytest.mark.skipif(
    not importlib.util.find_spec("huggingface_hub"), reason="needs transformers: make test-hf"
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "cache"))


def test_a_folder_is_a_backbone_that_says_of_itself_what_its_configuration_says(tmp_path):
    record = find_backbone(f"hf:{bare_folder(tmp_path / 'model', licence='mit')}")
    assert record.spec == ClipSpec(frames=FRAMES, fps=7.5, height=SIDE, width=SIDE, fit="crop", short="loop")
    assert record.values == 4 * 24
    assert record.sees == "clip"
    assert record.is_pretrained
    assert not record.can_finetune
    assert record.provenance["licence"] == "mit"
    assert set(record.provenance["files"]) == {"config.json", "preprocessor_config.json", "model.safetensors"}
    network = build_network(LRCN(backbone=record.name), record.spec, 3)
    assert network.input.shape[1:] == (4, 24)
    assert network.get_layer("backbone").count_params() == 0


def test_a_name_pins_the_files_and_a_changed_byte_is_refused(tmp_path):
    folder = bare_folder(tmp_path / "model")
    pinned = find_backbone(f"hf:{folder}").name
    assert find_backbone(pinned).name == pinned
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(content))
    with pytest.raises(KinemeError, match="its files are not those that the model was trained on"):
        find_backbone(pinned)


def test_pickles_and_what_only_calls_itself_safetensors_are_refused(tmp_path):
    folder = bare_folder(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(KinemeError, match=r"model\.safetensors is no safetensors file, whatever its name says"):
        find_backbone(f"hf:{folder}")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(KinemeError, match=r"weights are a pickle \(pytorch_model\.bin\), which can run any program"):
        find_backbone(f"hf:{folder}")
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(KinemeError, match="holds no weights"):
        find_backbone(f"hf:{folder}")


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_a_configuration_that_asks_for_code_is_refused(tmp_path, file):
    folder = bare_folder(tmp_path / "model")
    text = (folder / file).read_text()
    (folder / file).write_text('{"auto_map": {"AutoModel": "evil.Model"},' + text[1:])
    with pytest.raises(KinemeError, match=f"its {file} needs its own code"):
        find_backbone(f"hf:{folder}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"attn_implementation": "someone/kernel"}, r"needs its own code \(attn_implementation\)"),
        ({"vision_config": {"auto_map": {"AutoModel": "evil.Model"}}}, r"needs its own code \(auto_map\)"),
        ({"transformers_weights": "adapter_model.bin"}, r"takes weights from 'adapter_model\.bin', which is not"),
    ],
)
def test_other_ways_to_code_and_pickles_in_a_configuration_are_refused(tmp_path, change, says):
    folder = bare_folder(tmp_path / "model", change)
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(KinemeError, match=says):
        find_backbone(f"hf:{folder}")


@pytest.mark.parametrize("place", ["../other/model.safetensors", "pytorch_model.bin", ["model.safetensors"]])
def test_an_index_that_takes_weights_from_elsewhere_is_refused(tmp_path, place):
    folder = bare_folder(tmp_path / "model")
    bare_folder(tmp_path / "other")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": "model.safetensors"}}))
    find_backbone(f"hf:{folder}")
    index.write_text(json.dumps({"weight_map": {"weight": place}}))
    with pytest.raises(KinemeError, match=r"index\.json takes weights from .*, which is not a \.safetensors"):
        find_backbone(f"hf:{folder}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "llama"}, "is a model of type 'llama'; features are taken of VideoMAE, "),
        ({"image_size": 48}, "its processor gives frames of"),
        ({"hidden_size": "many"}, r"its configuration cannot be understood \(invalid literal"),
        ({"hidden_size": None}, "its configuration cannot be understood"),
        ({"image_size": [32, 32, 32]}, "its configuration cannot be understood"),
        ({"tubelet_size": 0}, "its configuration says 0 where a network needs at least 1"),
    ],
)
def test_networks_that_cannot_be_used_say_why(tmp_path, change, says):
    with pytest.raises(KinemeError, match=says):
        find_backbone(f"hf:{bare_folder(tmp_path / 'model', change)}")


def test_an_adapter_of_another_model_is_refused(tmp_path):
    folder = bare_folder(tmp_path / "model")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(KinemeError, match=r"holds an adapter .* merge it into that model"):
        find_backbone(f"hf:{folder}")


def test_a_folder_without_processor_or_that_is_not_there(tmp_path):
    folder = bare_folder(tmp_path / "model")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(KinemeError, match=r"holds no preprocessor_config\.json"):
        find_backbone(f"hf:{folder}")
    (folder / "config.json").unlink()
    with pytest.raises(KinemeError, match=r"holds no config\.json"):
        find_backbone(f"hf:{folder}")
    with pytest.raises(KinemeError, match="there is no such folder"):
        find_backbone(f"hf:{tmp_path / 'none'}")
    with pytest.raises(KinemeError, match=r"there is no such folder.* are not joined with others"):
        find_backbone(f"hf:{folder}+i3d")


@pytest.mark.parametrize(
    "change", [{"image_std": [0, 0, 0]}, {"image_std": float("nan")}, {"rescale_factor": 0}, {"image_mean": [0.5]}]
)
def test_a_processor_whose_numbers_give_no_pixels_is_refused(tmp_path, change):
    folder = bare_folder(tmp_path / "model")
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | change))
    with pytest.raises(KinemeError, match=r"its preprocessor_config\.json cannot be understood"):
        find_backbone(f"hf:{folder}")


@pytest.mark.parametrize("name", ["hf:", "hf:a/b/c", "hf:a/../b", "hf:a b", "hf:https://example.org/x"])
def test_names_that_no_model_can_have(name):
    with pytest.raises(UsageError, match="write hf:OWNER/NAME"):
        find_backbone(name)


def test_what_is_not_here_names_its_size_and_the_command():
    with pytest.raises(
        KinemeError,
        match=r"hf:MCG-NJU/videomae-base is not on this machine; .*about 377 MB.*: kineme models pull hf:MCG",
    ):
        find_backbone("hf:MCG-NJU/videomae-base")
    with pytest.raises(KinemeError, match=f"kineme models pull {NAME}@{COMMIT}"):
        find_backbone(f"{NAME}@{COMMIT}")


def test_a_folder_may_have_any_name_and_one_without_its_dot_is_pointed_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bare_folder(tmp_path / "my model, v2+b@home")
    record = find_backbone("hf:./my model, v2+b@home")
    assert find_backbone(record.name).name == record.name
    bare_folder(tmp_path / "folder")
    with pytest.raises(KinemeError, match=r"pull hf:folder; if you mean the folder here, write hf:\./folder"):
        find_backbone("hf:folder")
    with pytest.raises(UsageError, match="is not joined with others"):
        find_backbone("i3d+hf:./folder")


def test_licences_that_allow_no_commercial_use_are_accepted_by_name(tmp_path):
    name = f"hf:{bare_folder(tmp_path / 'model', licence='cc-by-nc-4.0')}"
    with pytest.raises(KinemeError, match=r"its licence, cc-by-nc-4\.0, allows no commercial use.*--accept-licence"):
        find_backbone(name)
    with pytest.raises(UsageError, match=r"the licence of .* is cc-by-nc-4"):
        pull(name, "mit")
    with pytest.raises(UsageError, match="allows no commercial use"):
        pull(name)
    pull(name, "cc-by-nc-4.0")
    assert find_backbone(name).provenance["licence"] == "cc-by-nc-4.0"
    assert find_backbone(name).provenance["licence_accepted"] is True


def test_which_licences_ask():
    assert all(map(is_restricted, ("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "other", "openrail-research")))
    assert not any(map(is_restricted, ("mit", "apache-2.0", "bsd-3-clause", "cc-by-4.0", "")))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"frames": 16}, "sees clips of 8 frames, not 16"),
        ({"height": 64, "width": 64}, "sees frames of 32 x 32 pixels"),
    ],
)
def test_clips_that_the_network_cannot_take_are_told_in_one_line(tmp_path, spec, says):
    record = find_backbone(f"hf:{bare_folder(tmp_path / 'model')}")
    with pytest.raises(UsageError, match=says):
        record.build(ClipSpec(**{**record.spec.to_json(), **spec}))


def test_fine_tuning_says_what_it_would_take(tmp_path):
    name = f"hf:{bare_folder(tmp_path / 'model')}"
    with pytest.raises(UsageError, match=r"it stays frozen.*transformers' own Trainer"):
        make_learner(LRCN(backbone=name), find_backbone(name).spec, 2, finetune=True)
    with pytest.raises(UsageError, match="it stays frozen"):
        resolve_approach(None, {"backbone": name}, finetune=True)  # before any video is read


@pytest.mark.skipif(bool(importlib.util.find_spec("transformers")), reason="for where transformers is missing")
def test_without_the_extra_one_line_says_what_to_install(tmp_path):
    name = f"hf:{bare_folder(tmp_path / 'model')}"
    with pytest.raises(KinemeError, match=r"needs .*transformers: pip install 'kineme\[hf\]'"):
        make_learner(LRCN(backbone=name), find_backbone(name).spec, 2)


@pytest.mark.parametrize(
    "change", [{}, {"architectures": None}, {"id2label": {"a": "sit-down", "b": "wave"}}, {"id2label": ["wave"]}]
)
def test_features_alone_name_no_actions(tmp_path, change):
    with pytest.raises(KinemeError, match="has no action labels; train on it"):
        published(f"hf:{bare_folder(tmp_path / 'model', change)}")


def test_pixels_are_cropped_scaled_and_shifted_as_the_processor_says(tmp_path):
    folder = bare_folder(tmp_path / "model")
    (folder / "preprocessor_config.json").write_text(
        str(PROCESSOR | {"size": {"shortest_edge": 36}, "offset": True, "rescale_factor": 1 / 127.5})
        .replace("'", '"')
        .replace("True", "true")
    )
    snapshot = find_snapshot(f"hf:{folder}")
    processing = read_processing(snapshot)
    assert (processing.height, processing.width, processing.fit) == (36, 36, "crop")
    frames_THWC = np.random.default_rng(0).integers(0, 256, (2, 36, 36, 3), np.uint8)
    wanted = (frames_THWC[:, 2:34, 2:34] / 127.5 - 1 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.25, 0.3])
    np.testing.assert_allclose(processing(frames_THWC), wanted.transpose(0, 3, 1, 2), atol=1e-5)


def test_labels_by_text_may_hold_commas_quotes_and_umlauts(tmp_path):
    assert read_labels('a person falls, "sits down, slowly", Übung, "she says ""hi"""') == (
        *("a person falls", "sits down, slowly", "Übung", 'she says "hi"'),
    )
    file = tmp_path / "labels.txt"
    file.write_text("\n".join(f"label {number}" for number in range(400)))
    assert len(read_labels(str(file))) == 400
    assert read_labels("a, b\nÜbung") == ("a, b", "Übung")  # as $(cat labels.txt) gives it
    file.write_bytes("\ufeffÜbung\r\na, b\r\n".encode())
    assert read_labels(str(file)) == ("Übung", "a, b")
    file.write_bytes("Übung\na, b\n".encode("latin-1"))
    assert read_labels(str(file)) == ("Übung", "a, b")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("none.txt", r"give 2 to .*, not 1 \('none.txt', which is not a file\)"),
        ("a" * 5000, "give 2 to"),
        ("a, b, a", "'a' occurs twice"),
        (f"a, {'b' * 600}", "letters at most"),
        ('a, "b', "put a label that has a comma into double quotes"),
        (f"a, {'b' * 200_000}", "field larger than field limit"),
    ],
)
def test_labels_that_cannot_be_read_are_one_line(text, says):
    with pytest.raises(UsageError, match=says):
        read_labels(text)


@pytest.mark.parametrize("name", ["i3d-kinetics400", "runs/first", "torchvision:s3d"])
def test_labels_by_text_need_a_model_that_reads_text(name):
    with pytest.raises(UsageError, match=f"labels by text need a model such as hf:microsoft/xclip.*, not {name}"):
        with_labels(name, ["a", "b"])


@needs_hub
def test_a_model_is_fetched_at_one_commit_and_checked_ever_after(tmp_path, monkeypatch):
    folder = bare_folder(tmp_path / "remote", licence="cc-by-nc-4.0")
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    told: list[str] = []
    with hub(folder, "someone/a-model", "cc-by-nc-4.0") as address:
        _use(monkeypatch, address)
        with pytest.raises(UsageError, match=r"--accept-licence cc-by-nc-4.0"):
            pull(NAME)
        found = pull(NAME, "cc-by-nc-4.0", told.append)
    assert found.pin == COMMIT
    assert set(found.files) == {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert "licence cc-by-nc-4.0" in told[0]
    record = find_backbone(NAME)
    assert record.name == f"{NAME}@{COMMIT}"
    assert pull(NAME).pin == COMMIT  # there is no network now, and none is needed
    with (found.folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(KinemeError, match=r"model\.safetensors was changed after the download"):
        find_backbone(NAME)


@needs_hub
def test_what_comes_damaged_or_asks_for_code_is_not_kept(tmp_path, monkeypatch):
    folder = bare_folder(tmp_path / "remote")
    with hub(folder, "someone/a-model", "mit") as address:
        _use(monkeypatch, address)
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[:-1] + b"\xff")
        with pytest.raises(KinemeError, match=r"model\.safetensors came damaged"):
            pull(NAME)
    assert find_snapshot(NAME) is None
    bare_folder(folder, {"auto_map": {"AutoModel": "evil.Model"}})
    with hub(folder, "someone/a-model", "mit") as address:
        _use(monkeypatch, address)
        with pytest.raises(KinemeError, match="needs its own code"):
            pull(NAME)
        with pytest.raises(KinemeError, match="no such model on the Hugging Face Hub"):
            pull("hf:someone/another")
    assert find_snapshot(NAME) is None


@needs_hub
def test_no_network_is_one_line_with_another_way(monkeypatch):
    _use(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(
        KinemeError, match=r"could not be fetched \(the Hub does not answer.*hf download someone/a-model"
    ):
        pull(NAME)


def _use(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Let the Hub's library ask there; it reads its environment once, when it is imported."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    import huggingface_hub.hf_api as hf_api

    monkeypatch.setattr(hf_api.constants, "ENDPOINT", address)
