"""A tiny random VideoPrism saved by KerasHub: its features are the library's own; folders that are not used say why."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from kineme.errors import KinemeError, UsageError
from kineme.models.registry import find_backbone, published, pull
from kineme.video.spec import ClipSpec

HERE = bool(importlib.util.find_spec("keras_hub"))
needs_it = pytest.mark.skipif(not HERE, reason="needs KerasHub: make test-hf")
NUMBERS = {
    "num_frames": 4,
    "patch_size": 16,
    "hidden_dim": 24,
    "intermediate_dim": 32,
    "num_heads": 2,
    "num_spatial_layers": 2,
    "num_temporal_layers": 1,
    "num_auxiliary_layers": 0,
    "attention_logit_soft_cap": 50.0,
    "layer_norm_epsilon": 1e-6,
    "image_shape": [32, 48, 3],
}
CONFIG = {"class_name": "VideoPrismBackbone", "registered_name": "keras_hub>VideoPrismBackbone", "config": NUMBERS}


def bare_folder(folder, document=CONFIG):
    """A preset whose weights are none of its own."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(document))
    (folder / "model.weights.h5").write_bytes(b"no weights")
    return folder


@pytest.fixture
def preset(tmp_path):
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    keras_hub.models.VideoPrismBackbone(**NUMBERS).save_to_preset(str(tmp_path / "preset"))
    return tmp_path / "preset"


def test_a_folder_says_of_itself_what_its_configuration_says(tmp_path):
    record = find_backbone(f"keras-hub:{bare_folder(tmp_path / 'preset')}")
    assert record.spec == ClipSpec(frames=4, fps=0.4, height=32, width=48, fit="crop", short="loop")
    assert record.values == 4 * 24
    assert not record.can_finetune
    assert set(record.provenance["files"]) == {"config.json", "model.weights.h5"}
    with pytest.raises(UsageError, match="sees clips of 4 frames, not 8"):
        record.build(ClipSpec(**{**record.spec.to_json(), "frames": 8}))
    with pytest.raises(KinemeError, match="has no action labels; train on it"):
        published(record.name)


def test_names_and_folders_that_are_not_used_say_why(tmp_path):
    with pytest.raises(KinemeError, match=r"\(458 MB\) is on Kaggle.*model_download\('keras/videoprism/keras/video"):
        pull("keras-hub:videoprism_public_v1_base", None, print)
    with pytest.raises(UsageError, match=r"write keras-hub:\./FOLDER"):
        find_backbone("keras-hub:bert_base_en")
    with pytest.raises(KinemeError, match="there is no such folder"):
        find_backbone(f"keras-hub:{tmp_path / 'none'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(KinemeError, match=r"holds no config\.json; is it a preset saved by KerasHub"):
        find_backbone(f"keras-hub:{tmp_path / 'empty'}")
    other = bare_folder(tmp_path / "other", {**CONFIG, "registered_name": "keras_hub>BertBackbone"})
    with pytest.raises(KinemeError, match="is a preset of 'keras_hub>BertBackbone'"):
        find_backbone(f"keras-hub:{other}")
    text = bare_folder(tmp_path / "text", {**CONFIG, "config": {**NUMBERS, "num_text_layers": 2}})
    with pytest.raises(KinemeError, match="has a text side, and its video features have no time"):
        find_backbone(f"keras-hub:{text}")
    code = bare_folder(tmp_path / "code", {**CONFIG, "config": {**NUMBERS, "num_heads": {"class_name": "Lambda"}}})
    with pytest.raises(KinemeError, match="describes no network of RGB videos"):
        find_backbone(f"keras-hub:{code}")


@pytest.mark.skipif(HERE, reason="for where KerasHub is missing")
def test_without_keras_hub_one_line_says_what_to_install(tmp_path):
    record = find_backbone(f"keras-hub:{bare_folder(tmp_path / 'preset')}")
    with pytest.raises(KinemeError, match="needs KerasHub: pip install regex tokenizers, then pip install --no-deps"):
        record.external(record.spec)


@needs_it
def test_features_are_the_library_s_tokens_averaged_over_space(preset):
    import keras_hub

    record = find_backbone(f"keras-hub:{preset}")
    encoder = record.external(record.spec)
    clip_THWC = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), np.uint8)
    features_TD = encoder.window(clip_THWC)
    assert features_TD.shape == encoder.shape == (4, 24)
    network = keras_hub.models.Backbone.from_preset(str(preset))
    wanted_TND = np.asarray(network(clip_THWC[None].astype(np.float32) / 255))[0]
    np.testing.assert_allclose(features_TD, wanted_TND.mean(axis=1), atol=1e-4)


@needs_it
def test_a_changed_byte_and_weights_that_do_not_fit_are_refused(preset):
    record = find_backbone(f"keras-hub:{preset}")
    with (preset / "model.weights.h5").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(KinemeError, match="its files are not those that the model was trained on"):
        find_backbone(record.name)
    (preset / "model.weights.h5").write_bytes(b"no weights")
    record = find_backbone(f"keras-hub:{preset}")
    with pytest.raises(KinemeError, match="KerasHub cannot load it as VideoPrismBackbone"):
        record.external(record.spec).window(np.zeros((4, 32, 48, 3), np.uint8))
