"""Networks of torchvision with random weights of the true size: their features and logits are the library's own."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from kineme.errors import KinemeError, UsageError
from kineme.models.hub import torchvision as networks
from kineme.models.registry import find_backbone, published

HERE = bool(importlib.util.find_spec("torchvision"))
needs_it = pytest.mark.skipif(not HERE, reason="needs torchvision: make test-hf")
SMALLEST = "torchvision:r2plus1d_18"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "cache"))


def test_another_name_lists_those_that_there_are():
    with pytest.raises(UsageError, match=r"there is no backbone 'torchvision:resnet50'.*torchvision:mvit_v2_s"):
        find_backbone("torchvision:resnet50")


@pytest.mark.skipif(HERE, reason="for where torchvision is missing")
def test_without_the_extra_one_line_says_what_to_install():
    with pytest.raises(KinemeError, match=r"needs .*torchvision: pip install 'kineme\[torchvision\]'"):
        find_backbone(SMALLEST)


@needs_it
def test_what_is_not_here_names_its_size_and_the_command():
    with pytest.raises(
        KinemeError, match=r"not on this machine; .*about 120 MB.*kineme models pull torchvision:r2plus"
    ):
        find_backbone(SMALLEST)


@needs_it
@pytest.mark.parametrize("name", ["r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t"])
def test_features_and_logits_are_the_library_s(name):
    import torch
    from torchvision.models import get_model, get_model_weights

    torch.manual_seed(0)
    network = get_model(name, weights=None).eval()
    networks.keep(f"torchvision:{name}", network.state_dict())
    record = find_backbone(f"torchvision:{name}")
    spec = record.spec
    clip_THWC = np.random.default_rng(0).integers(0, 256, (spec.frames, spec.height, spec.width, 3), np.uint8)
    pixels = get_model_weights(name)["KINETICS400_V1"].transforms()(torch.from_numpy(clip_THWC.transpose(0, 3, 1, 2)))
    found = published(f"torchvision:{name}")
    assert len(found.card.labels) == 400
    with torch.inference_mode():
        wanted_K = network(pixels[None])[0].numpy()
    np.testing.assert_allclose(found.encoder.window(clip_THWC), wanted_K, atol=1e-4)
    encoder = record.external(spec)
    features_TD = encoder.window(clip_THWC)
    assert features_TD.shape == encoder.shape
    assert features_TD.size == record.values
    with torch.inference_mode():
        if name == "mvit_v2_s":  # its logits are those of a class token, and the features of all others
            return
        last = {
            "r2plus1d_18": network.__dict__["_modules"].get("fc"),
            "swin3d_t": network.__dict__["_modules"].get("head"),
        }
        if last.get(name) is not None:
            again_K = last[name](torch.from_numpy(features_TD.mean(axis=0))).numpy()
            np.testing.assert_allclose(again_K, wanted_K, atol=1e-4)


@needs_it
def test_a_changed_byte_is_refused():
    from torchvision.models import get_model

    networks.keep(SMALLEST, get_model("r2plus1d_18", weights=None).state_dict())
    record = find_backbone(SMALLEST)
    assert find_backbone(record.name).name == record.name
    file = networks._folder(SMALLEST) / "model.safetensors"
    with file.open("r+b") as opened:
        opened.seek(-1, 2)
        opened.write(b"\xff")
    with pytest.raises(KinemeError, match="was changed; delete"):
        find_backbone(SMALLEST)
