"""Networks of torchvision with random weights of the true size: their features and logits are the library's own."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from kineme.errors import KinemeError, UsageError
from kineme.models.hub import torchvision as networks
from kineme.models.registry import find_backbone, published

HERE = bool(importlib.util.find_spec("torchvision"))
needs_it = pytest.mark.skipif(not HERE, reason="needs torchvision: make test-hf")
SMALLEST = "torchvision:r2plus1d_18"


def through(network, pixels, *names):
    for name in names:
        pixels = getattr(network, name)(pixels)
    return pixels


def mvit_tokens(network, pixels):
    """The tokens of each step, by its own blocks in turn."""
    x = network.pos_encoding(network.conv_proj(pixels).flatten(2).transpose(1, 2))
    thw = (network.pos_encoding.temporal_size, *network.pos_encoding.spatial_size)
    for block in network.blocks:
        x, thw = block(x, thw)
    return network.norm(x)[:, 1:].unflatten(1, (thw[0], -1)).mean(2)


def swin_tokens(network, pixels):
    x = network.patch_embed(pixels)
    return network.norm(network.features(network.pos_drop(x))).mean((2, 3))


TOKENS = {  # (B, T', D) by the library's own layers, averaged over space
    "r2plus1d_18": lambda network, pixels: (
        through(network, pixels, "stem", "layer1", "layer2", "layer3", "layer4").mean((3, 4)).transpose(1, 2)
    ),
    "s3d": lambda network, pixels: network.features(pixels).mean((3, 4)).transpose(1, 2),
    "mvit_v2_s": mvit_tokens,
    "swin3d_t": swin_tokens,
}


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


def test_a_torchvision_of_another_build_than_pytorch_says_so(tmp_path, monkeypatch):
    for name, text in (
        ("torch", ""),
        ("torchvision", "raise RuntimeError('operator torchvision::nms does not exist')"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    for name in [one for one in sys.modules if one.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        KinemeError, match=r"torchvision cannot be imported .*nms does not exist.*install both from the"
    ):
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
        wanted_TD = TOKENS[name](network, pixels[None])[0].numpy()
    np.testing.assert_allclose(features_TD, wanted_TD, atol=1e-4)


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
