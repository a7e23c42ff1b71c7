"""Tiny random networks of transformers: their features, logits and zero-shot scores are the library's own."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers_hub import save_tiny, save_tiny_xclip

from kineme.errors import KinemeError, UsageError
from kineme.models.hub.families import FAMILIES
from kineme.models.hub.text import read_labels, with_labels
from kineme.models.registry import find_backbone, published

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="needs transformers: make test-hf")
KINDS = ("videomae", "timesformer", "vivit", "vjepa2", "videoprism")
LABELS = read_labels('"falls, slowly", a person sits down, "she says ""hi""", Übung äöü ß')


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    top = tmp_path_factory.mktemp("tiny")
    return {kind: save_tiny(top / kind, kind) for kind in KINDS} | {"xclip": save_tiny_xclip(top / "xclip")}


def clip_of(spec):
    return np.random.default_rng(0).integers(0, 256, (spec.frames, spec.height, spec.width, 3), np.uint8)


def library_pixels(folder, kind, clip_THWC):
    """pixels_BTCHW by the library's own processor; of a kind that needs torchvision, where that is there."""
    import torch
    import transformers

    document = json.loads((folder / "preprocessor_config.json").read_text())
    if kind in ("videomae", "timesformer", "xclip"):
        processor = transformers.VideoMAEImageProcessorPil(**document)
        return processor(list(clip_THWC), return_tensors="pt").pixel_values
    if kind == "vivit":
        processor = transformers.VivitImageProcessor(**document)
        return processor(list(clip_THWC), return_tensors="pt").pixel_values
    if importlib.util.find_spec("torchvision"):
        from transformers.models.videomae.video_processing_videomae import VideoMAEVideoProcessor
        from transformers.models.vjepa2.video_processing_vjepa2 import VJEPA2VideoProcessor

        cls = VJEPA2VideoProcessor if kind == "vjepa2" else VideoMAEVideoProcessor
        crop = {} if kind == "vjepa2" else {"do_center_crop": False}
        found = cls(**document, **crop)(torch.from_numpy(clip_THWC.transpose(0, 3, 1, 2)), return_tensors="pt")
        return next(iter(found.values()))
    top = (clip_THWC.shape[1] - 32) // 2 if kind == "vjepa2" else 0
    pixels_THWC = clip_THWC[:, top : clip_THWC.shape[1] - top, top : clip_THWC.shape[2] - top] / 255.0
    if document.get("do_normalize"):
        pixels_THWC = (pixels_THWC - document["image_mean"]) / document["image_std"]
    return torch.from_numpy(pixels_THWC.transpose(0, 3, 1, 2)[None]).float()


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_the_library_s_tokens_averaged_over_space(folders, kind):
    import torch
    import transformers

    record = find_backbone(f"hf:{folders[kind]}")
    encoder, clip_THWC = record.external(record.spec), clip_of(record.spec)
    features_TD = encoder.window(clip_THWC)
    assert features_TD.shape == encoder.shape
    assert features_TD.dtype == np.float32
    assert features_TD.size == record.values
    pixels = library_pixels(folders[kind], kind, clip_THWC)
    model_type = json.loads((folders[kind] / "config.json").read_text())["model_type"]
    network = getattr(transformers, FAMILIES[model_type].network).from_pretrained(folders[kind]).eval()
    with torch.inference_mode():
        tokens = network(pixels).last_hidden_state[0].numpy()
    places, steps = 4, len(features_TD)
    if kind in ("timesformer", "vivit"):
        tokens = tokens[1:]  # a class token
    by_place = tokens.reshape(places, steps, -1) if kind == "timesformer" else tokens.reshape(steps, places, -1)
    wanted = by_place.mean(axis=0 if kind == "timesformer" else 1)
    np.testing.assert_allclose(features_TD, wanted, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_at_one_end_change_the_features_of_that_end_most(folders, kind):
    """Tokens are kept in the order of time: what is added to the last frames shows most in the last features."""
    record = find_backbone(f"hf:{folders[kind]}")
    encoder, clip_THWC = record.external(record.spec), clip_of(record.spec)
    changed_THWC = clip_THWC.copy()
    changed_THWC[-2:] = 255 - changed_THWC[-2:]
    change_T = np.abs(encoder.window(changed_THWC) - encoder.window(clip_THWC)).mean(axis=1)
    assert change_T.argmax() >= len(change_T) - (2 if len(change_T) == 8 else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_predicts_without_training_with_the_library_s_logits(folders, kind):
    import torch
    import transformers

    found = published(f"hf:{folders[kind]}")
    assert found.card.labels == ("sit-down", "wave")
    clip_THWC = clip_of(found.card.spec)
    model_type = json.loads((folders[kind] / "config.json").read_text())["model_type"]
    network = getattr(transformers, FAMILIES[model_type].classifier).from_pretrained(folders[kind]).eval()
    with torch.inference_mode():
        wanted_K = network(library_pixels(folders[kind], kind, clip_THWC)).logits[0].numpy()
    np.testing.assert_allclose(found.encoder.window(clip_THWC), wanted_K, atol=1e-4)


def test_zero_shot_scores_are_the_library_s_logits(folders):
    import torch
    import transformers

    folder = folders["xclip"]
    found = with_labels(f"hf:{folder}", LABELS, "someone: {}")
    clip_THWC = clip_of(found.card.spec)
    network = transformers.XCLIPModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    sentences = [f"someone: {label}" for label in LABELS]
    tokens = tokenizer(sentences, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        pixels = library_pixels(folder, "xclip", clip_THWC)
        wanted_K = network(**tokens, pixel_values=pixels).logits_per_video[0].numpy()
    np.testing.assert_allclose(found.encoder.window(clip_THWC), wanted_K, atol=1e-4)
    many = with_labels(f"hf:{folder}", [f"label {number}" for number in range(400)])
    assert many.encoder.window(clip_THWC).shape == (400,)
    long = with_labels(f"hf:{folder}", ["short", "far too long " * 9])
    with pytest.raises(KinemeError, match=r"reads sentences of at most 40 tokens, and 'far too long far.*shorten"):
        long.encoder.window(clip_THWC)


def test_without_a_tokenizer_no_label_is_read(folders, tmp_path):
    folder = tmp_path / "silent"
    shutil.copytree(folders["xclip"], folder, ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(KinemeError, match=r"holds no tokenizer\.json, without which it cannot read labels"):
        with_labels(f"hf:{folder}", LABELS)


def test_text_needs_a_text_side_and_a_place_for_the_label(folders):
    with pytest.raises(KinemeError, match="VideoMAE has no text side; --labels needs an X-CLIP"):
        with_labels(f"hf:{folders['videomae']}", LABELS)
    with pytest.raises(UsageError, match=r"write \{\} once"):
        with_labels(f"hf:{folders['xclip']}", LABELS, "a video")
    with pytest.raises(KinemeError, match=r"has no action labels.*or give --labels"):
        published(f"hf:{folders['xclip']}")


def test_the_features_of_x_clip_are_those_whose_mean_is_its_video_embedding(folders):
    import torch
    import transformers

    record = find_backbone(f"hf:{folders['xclip']}")
    clip_THWC = clip_of(record.spec)
    network = transformers.XCLIPModel.from_pretrained(folders["xclip"]).eval()
    with torch.inference_mode():
        wanted_D = network.get_video_features(library_pixels(folders["xclip"], "xclip", clip_THWC)).pooler_output[0]
    features_TD = record.external(record.spec).window(clip_THWC)
    np.testing.assert_allclose(features_TD.mean(axis=0), wanted_D.numpy(), atol=1e-4)


def test_v_jepa_takes_other_numbers_of_frames(folders):
    record = find_backbone(f"hf:{folders['vjepa2']}")
    spec = type(record.spec)(**{**record.spec.to_json(), "frames": 4})
    assert record.external(spec).window(clip_of(spec)).shape == (2, 48) == record.external(spec).shape
    odd = type(record.spec)(**{**record.spec.to_json(), "frames": 5})
    with pytest.raises(UsageError, match="clips of a multiple of 2 frames, not 5"):
        record.build(odd)


def test_files_that_lack_weights_of_the_network_are_refused(folders, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "lacking"
    shutil.copytree(folders["videomae"], folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["videomae.encoder.layer.0.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    record = find_backbone(f"hf:{folder}")
    with pytest.raises(KinemeError, match="its files lack weights of VideoMAEModel"):
        record.external(record.spec).window(clip_of(record.spec))


def test_weights_of_other_shapes_than_the_configuration_s_are_named(folders, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(folders["videomae"], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 32}))
    record = find_backbone(f"hf:{folder}")
    with pytest.raises(KinemeError, match=r"do not fit its configuration \(.* has the shape \(.*64.*\), not \(.*32"):
        record.external(record.spec).window(clip_of(record.spec))


@pytest.mark.parametrize("change", [{"hidden_size": 10**8}, {"intermediate_size": 10**9}, {"num_hidden_layers": 10**7}])
def test_a_network_far_larger_than_its_weights_is_not_even_built(folders, tmp_path, change):
    folder = tmp_path / "absurd"
    shutil.copytree(folders["videomae"], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    record = find_backbone(f"hf:{folder}")
    ((key, value),) = change.items()
    with pytest.raises(KinemeError, match=rf"weights do not fit its configuration \({key} is {value}\)"):
        record.external(record.spec).window(clip_of(record.spec))


def test_a_network_is_loaded_after_tensorflow_has_saved_a_model(folders):
    """In builds for GPUs, PyTorch would import Triton, whose LLVM crashes beside TensorFlow's."""
    code = """
import sys, tempfile
import numpy as np
from kineme.models.backend import keras
from kineme.models.registry import find_backbone
keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).export(tempfile.mkdtemp(), verbose=False)
record = find_backbone(sys.argv[1])
spec = record.spec
print(record.external(spec).window(np.zeros((spec.frames, spec.height, spec.width, 3), np.uint8)).shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, f"hf:{folders['videomae']}"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(4, 32)"
